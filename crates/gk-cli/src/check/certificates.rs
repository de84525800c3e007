//! The files of TLS that a configuration names, tried as the server tries them.

use gk_config::diagnostic::{Diagnostic, Ignores, Severity};
use gk_config::{Loaded, Used};
use gk_supervisor::certificates::files::BadFile;
use std::path::Path;

/// What is wrong with them. A file that is not there has its warning already: a configuration may be checked on another machine.
pub fn said(loaded: &Loaded) -> Vec<Diagnostic> {
    let Some(site) = loaded.site.as_ref().filter(|site| site.has_tls()) else { return Vec::new() };
    match gk_supervisor::certificates::read(site, gk_sys::clock::epoch_seconds() as i64) {
        Ok(reading) => {
            reading.remarks.into_iter().map(|text| diagnostic(loaded, Severity::Warning, text)).collect()
        }
        Err(bad) => {
            let there = bad.into_iter().filter(|bad| !bad.missing);
            there.map(|BadFile { text, denied, .. }| diagnostic(loaded, severity(denied), text)).collect()
        }
    }
}

/// The server may be started by somebody who may read the file.
fn severity(denied: bool) -> Severity {
    if denied { Severity::Warning } else { Severity::Error }
}

/// At the first line that names a file which the text names.
fn diagnostic(loaded: &Loaded, severity: Severity, message: String) -> Diagnostic {
    let names = |used: &&Used| {
        let of_tls = used.name.starts_with("SSL") || used.name == "GilkeeperStaplingFile";
        of_tls && argument(used).is_some_and(|(_, name)| message.contains(&name))
    };
    let used =
        loaded.used.iter().find(names).or_else(|| loaded.used.iter().find(|used| used.name == "SSLEngine"));
    let source = used.and_then(argument).map(|(line, _)| line).unwrap_or_default();
    Diagnostic {
        severity,
        code: None,
        message,
        file: used.map(|used| used.file.clone()).unwrap_or_default(),
        line: used.map_or(1, |used| used.line),
        column: 1 + u32::try_from(source.len() - source.trim_start().len()).unwrap_or(0),
        width: used.map_or(1, |used| u32::try_from(used.name.len()).unwrap_or(1)),
        source,
        hint: None,
        ignores: Ignores::Nothing,
    }
}

/// The line of a directive, and the file name of the path behind it.
fn argument(used: &Used) -> Option<(String, String)> {
    let text = std::fs::read_to_string(&used.file).ok()?;
    let line = text.lines().nth(usize::try_from(used.line).ok()?.checked_sub(1)?)?;
    let last = line.split_whitespace().last()?.trim_matches(['"', '\'']);
    let name = Path::new(last).file_name()?.to_str()?.to_owned();
    Some((line.to_owned(), name))
}
