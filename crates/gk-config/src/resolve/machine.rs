//! What a configuration expects of its machine: scripts, folders of logs, Pythons, users and groups. What is not there is a
//! warning and no error: a file may be checked on another machine. And what it leaves to the machine: the number of processes.

use super::interpreters::FreeThreading;
use crate::diagnostic::{Complaint, Journal};
use crate::raw::{Need, Raw};
use crate::site::{ImportScript, MountTarget, ProcessGroup};
use crate::source::Source;
use crate::{PythonBuild, Surroundings};
use std::collections::BTreeMap;
use std::path::Path;

/// The remedy for a script that is imported before the first request.
const AT_START: &str =
    "correct the path, or create the file: it is imported at the start, and `serve` ends without it";

/// Replaces `processes=auto`: as many as keep the machine's CPUs busy with Python. Where the machine is not known, one.
pub fn count_processes(raw: &mut Raw, builds: &BTreeMap<String, PythonBuild>, surroundings: &Surroundings) {
    let cpus = surroundings.machine.map_or(1, |machine| machine.cpus).max(1);
    for (group, _) in raw.groups.iter_mut().filter(|(group, _)| group.processes == 0) {
        let build = builds.get(&group.name);
        let free = FreeThreading::of(group, &raw.interpreters) != FreeThreading::Off
            && build.is_some_and(|build| build.free_threaded);
        group.processes = match free {
            // Its threads run on all CPUs.
            true => 1,
            // Each interpreter keeps one CPU busy.
            false => cpus.div_ceil(group.interpreters.max(1)),
        };
    }
}

/// Says what is missing, where the machine is known.
pub fn check(
    raw: &Raw,
    imports: &[ImportScript],
    source: &dyn Source,
    surroundings: &Surroundings,
    journal: &mut Journal,
) {
    let Some(machine) = surroundings.machine else { return };
    let is_imported = |path: &Path| {
        imports.iter().any(|import| matches!(&import.target, MountTarget::File(file) if file == path))
    };
    for (need, word) in &raw.needs {
        let missing = match need {
            Need::Script(path) if !is_script(path, source) => (
                format!("there is no script {} on this machine", path.display()),
                match is_imported(path) {
                    true => AT_START.to_owned(),
                    false => "correct the path, or create the file: until then its requests are answered 404"
                        .to_owned(),
                },
            ),
            Need::Import(path) if !is_script(path, source) => {
                (format!("there is no script {} on this machine", path.display()), AT_START.to_owned())
            }
            Need::Guard(path) if !is_script(path, source) => (
                format!("there is no script {} on this machine", path.display()),
                "correct the path, or create the file: until then the requests it decides about fail"
                    .to_owned(),
            ),
            Need::Certificate(path) if !source.exists(path) => (
                format!("there is no {} on this machine", path.display()),
                "correct the path, or create the file: `serve` ends without it".to_owned(),
            ),
            Need::LogFile(path) => match path.parent().filter(|folder| !source.exists(folder)) {
                Some(folder) => (
                    format!("there is no folder {} on this machine for this log", folder.display()),
                    format!("mkdir -p {}, or name another file: `serve` ends without it", folder.display()),
                ),
                None => continue,
            },
            Need::Home(home) if is_missing(home, raw, source, surroundings) => (
                format!("there is no folder {} on this machine to work in", home.display()),
                format!("mkdir -p {}, or name another: no worker starts without it", home.display()),
            ),
            Need::PythonHome(home) if !holds_python(home, source) => (
                format!("{} holds no bin/python on this machine", home.display()),
                format!(
                    "make the virtual environment (python3 -m venv {}), or name another: `serve` ends without it",
                    home.display()
                ),
            ),
            Need::User(name) if !(machine.user)(name) => (
                format!("there is no user `{name}` on this machine"),
                format!("create it (useradd --system {name}), or name another: `serve` ends without it"),
            ),
            Need::Group(name) if !(machine.group)(name) => (
                format!("there is no group `{name}` on this machine"),
                format!("create it (groupadd --system {name}), or name another: `serve` ends without it"),
            ),
            _ => continue,
        };
        journal.say(Complaint::warning(missing.0).at(word).hint(missing.1));
    }
}

/// Whether it is there, or a file on its path whose rest it names.
fn is_script(path: &Path, source: &dyn Source) -> bool {
    source.exists(path) || path.ancestors().any(|above| source.is_file(above))
}

/// Whether a group's working directory is not there. One within another root cannot be seen from here. The folder that the server is
/// started in may go: its workers are then in `/`.
fn is_missing(home: &Path, raw: &Raw, source: &dyn Source, surroundings: &Surroundings) -> bool {
    let works_in = |group: &ProcessGroup| group.home.as_deref() == Some(home) && group.chroot.is_none();
    let is_folder = source.exists(home) && !source.is_file(home);
    !is_folder && home != surroundings.directory && raw.groups.iter().any(|(group, _)| works_in(group))
}

fn holds_python(home: &Path, source: &dyn Source) -> bool {
    ["bin/python", "bin/python3"].iter().any(|name| source.is_file(&home.join(name)))
}
