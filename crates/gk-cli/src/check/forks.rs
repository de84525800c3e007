//! Warnings about scripts that fork where a sub-interpreter keeps them from it. Only the script itself is read: what it imports may
//! fork as well, and is not seen from here.

use gk_config::diagnostic::{Diagnostic, Ignores, Severity};
use gk_config::report::MountUse;
use std::path::Path;

/// Bytes of a script that are read.
const MOST: usize = 1 << 20;
/// Calls that fork, and the words of multiprocessing that ask for it.
const FORKS: [&str; 5] =
    ["os.fork(", "os.forkpty(", "pty.fork(", "get_context(\"fork\")", "set_start_method(\"fork\")"];
/// What forks unless the script asks for another start method; since Python 3.14 only when asked.
const MAY_FORK: [&str; 2] = ["multiprocessing", "ProcessPoolExecutor"];
const OTHER_METHODS: [&str; 2] = ["spawn", "forkserver"];

/// The warnings about the scripts of a process group.
pub fn warnings(group: &str, mounts: &[MountUse<'_>]) -> Vec<Diagnostic> {
    let own = || mounts.iter().filter(|mount| mount.process_group == group);
    let Some(sub) = own().find(|mount| !super::is_main(mount)) else { return Vec::new() };
    let warn = |mount: &MountUse<'_>| {
        let (what, line) = forks(&read(mount.script?)?)?;
        let message = match super::is_main(mount) {
            false => format!(
                "the script at {} runs in a sub-interpreter of process group `{group}`, where CPython lets no child of a fork live, \
                 and uses {what} on line {line}",
                mount.url
            ),
            true => format!(
                "the script at {} uses {what} on line {line}, and process group `{group}` has a sub-interpreter as well (for {}): CPython \
                 lets no child of a fork live there",
                mount.url, sub.url
            ),
        };
        let hint = "give it a process group of its own and the main interpreter: process-group=NAME application-group=%{GLOBAL} \
                    at its WSGIScriptAlias; what the script imports was not looked at";
        Some(Diagnostic {
            severity: Severity::Warning,
            code: None,
            message,
            file: mount.used.map(|used| used.file.clone()).unwrap_or_default(),
            line: mount.used.map_or(1, |used| used.line),
            column: 1,
            width: 1,
            source: String::new(),
            hint: Some(hint.to_owned()),
            ignores: Ignores::Nothing,
        })
    };
    own().filter_map(warn).collect()
}

fn read(script: &Path) -> Option<String> {
    let bytes = gk_sys::whole_file::read(script).ok()?;
    Some(String::from_utf8_lossy(&bytes[..bytes.len().min(MOST)]).into_owned())
}

/// What of a script forks, and on which line, from 1.
fn forks(text: &str) -> Option<(&'static str, usize)> {
    let code = || text.lines().map(|line| line.split('#').next().unwrap_or_default().replace('\'', "\""));
    let first = |words: &'static [&'static str]| {
        let found = code().enumerate().find_map(|(number, line)| {
            words.iter().find(|word| line.contains(**word)).map(|word| (*word, number + 1))
        });
        found.map(|(word, line)| (word.trim_end_matches('('), line))
    };
    first(&FORKS).or_else(|| {
        let other = OTHER_METHODS.iter().any(|method| code().any(|line| line.contains(method)));
        first(&MAY_FORK).filter(|_| !other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_forks() {
        for (text, found) in [
            ("import os\nos.fork()\n", Some(("os.fork", 2))),
            ("# os.fork() is not called\n", None),
            ("c = multiprocessing.get_context('fork')", Some(("get_context(\"fork\")", 1))),
            ("import multiprocessing", Some(("multiprocessing", 1))),
            ("import multiprocessing as m\nm.set_start_method('spawn')", None),
            ("from concurrent.futures import ProcessPoolExecutor", Some(("ProcessPoolExecutor", 1))),
            ("import subprocess", None),
        ] {
            assert_eq!(forks(text), found, "{text}");
        }
    }

    /// Reported: an application that forks ran beside one in a sub-interpreter, and its children died without a word of `check`.
    #[test]
    fn a_script_that_forks_beside_a_sub_interpreter_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (forking, plain) = (folder.path().join("forks.py"), folder.path().join("plain.py"));
        std::fs::write(&forking, "import os\n\n\npid = os.fork()\n").unwrap();
        std::fs::write(&plain, "").unwrap();
        let mount = |url, script, application: &str| MountUse {
            host: 0,
            url,
            script: Some(script),
            process_group: "site".to_owned(),
            application_group: application.to_owned(),
            used: None,
        };
        let said = |mounts: &[MountUse<'_>]| {
            let said = warnings("site", mounts);
            said.into_iter().map(|said| said.message).collect::<Vec<_>>()
        };
        let (a, b) = (mount("/a", &*forking, ""), mount("/b", &*plain, "%{RESOURCE}"));
        assert_eq!(said(std::slice::from_ref(&a)), [""; 0]);
        assert_eq!(said(std::slice::from_ref(&b)), [""; 0]);
        let beside = said(&[a, b]);
        assert!(
            beside.len() == 1 && beside[0].contains("os.fork on line 4") && beside[0].contains("for /b"),
            "{beside:?}"
        );
        let within = said(&[mount("/a", &*forking, "x")]);
        assert!(
            within.len() == 1 && within[0].starts_with("the script at /a runs in a sub-interpreter"),
            "{within:?}"
        );
        assert_eq!(warnings("other", &[mount("/a", &*forking, "x")]).len(), 0);
    }
}
