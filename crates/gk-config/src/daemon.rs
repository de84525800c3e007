//! The options of WSGIDaemonProcess: one row each, as [`crate::directives`] has one row for each directive.

mod identity;
mod numbers;
mod options;
mod timers;

use crate::diagnostic::Complaint;
use crate::directive::{Applied, Scope, Status};
use crate::nearest;
use crate::site::ProcessGroup;
use crate::token::{Word, key_value};
pub use options::OPTIONS;
use std::path::{Path, PathBuf};

/// One option of WSGIDaemonProcess.
#[derive(Debug, Clone, Copy)]
pub struct DaemonOption {
    /// Key, lower case.
    pub name: &'static str,
    /// What the value is, with its unit.
    pub value: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What becomes of it.
    pub status: Status,
    /// What it does, in Markdown.
    pub doc: &'static str,
    /// An option of ours that mod_wsgi does not have.
    pub ours: bool,
    /// Checks the value and writes it into the group.
    pub apply: fn(&mut ProcessGroup, &Given) -> Applied,
}

/// The value of an option with what is needed to judge it.
pub struct Given<'a> {
    /// `key=`, for messages.
    pub what: String,
    /// The word it stands in.
    pub word: &'a Word,
    /// The value.
    pub text: &'a str,
    /// Directory relative paths start at.
    base: &'a Path,
}

impl Given<'_> {
    /// An absolute path.
    pub fn path(&self) -> PathBuf {
        self.base.join(self.text)
    }

    /// A path that must be written absolute.
    pub fn absolute(&self) -> Result<PathBuf, Complaint> {
        if self.text.starts_with('/') {
            return Ok(PathBuf::from(self.text));
        }
        let message = format!("{} takes an absolute path, not `{}`", self.what, self.text);
        Err(Complaint::error(message).at(self.word))
    }

    /// Colon-separated paths.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.text.split(':').filter(|part| !part.is_empty()).map(|part| self.base.join(part)).collect()
    }
}

/// Applies WSGIDaemonProcess.
pub fn declare(scope: &mut Scope, words: &[Word]) -> Applied {
    let word = &words[0];
    let name = word.text.as_str();
    if name.is_empty() || name.contains('=') || name.contains("%{") {
        let message = format!("WSGIDaemonProcess takes the name of the group first, not `{name}`");
        return Err(Complaint::error(message).at(word).hint("WSGIDaemonProcess NAME [option=value …]"));
    }
    if let Some((_, first)) = scope.raw.groups.iter().find(|(group, _)| group.name == name) {
        let hint = format!("it was declared on line {}", first.place.line);
        let message = format!("the process group `{name}` is declared twice");
        return Err(Complaint::error(message).at(word).hint(hint));
    }
    let mut group = ProcessGroup::named(name);
    group.host = (scope.host > 0).then_some(scope.host);
    let mut failed = None;
    for word in &words[1..] {
        if let Err(complaint) = option(scope, &mut group, word) {
            scope.say(complaint.clone());
            failed.get_or_insert(complaint);
        }
    }
    check(&mut group, word)?;
    // A group with a bad option is still declared, so that its uses are not reported as well.
    scope.raw.groups.push((group, word.clone()));
    failed.map_or(Ok(()), Err)
}

fn option(scope: &mut Scope, group: &mut ProcessGroup, word: &Word) -> Applied {
    let Some((key, text)) = key_value(word) else {
        let message = format!("an option of WSGIDaemonProcess is written key=value, not `{}`", word.text);
        return Err(Complaint::error(message).at(word));
    };
    let Some(row) = OPTIONS.iter().find(|row| row.name == key) else {
        let complaint = Complaint::error(format!("WSGIDaemonProcess has no option `{key}`")).at(word);
        let near = nearest::nearest(&key, OPTIONS.iter().map(|row| row.name));
        return Err(match near {
            _ if key == "root" => complaint.hint("did you mean `chroot=`?"),
            Some(near) => complaint.hint(format!("did you mean `{near}=`?")),
            None => complaint.hint("the options are listed in docs/reference/daemon-process-options.md"),
        });
    };
    match row.status {
        Status::WithoutEffect(why) => {
            scope.say(Complaint::note(format!("{key}= has no effect here: {why}")).at(word));
        }
        Status::NotBuiltYet(area) => {
            scope.say(Complaint::warning(format!("{key}= is not built yet: {area}")).at(word));
        }
        Status::Honoured | Status::Removed(_) => {}
    }
    (row.apply)(group, &Given { what: format!("{key}="), word, text, base: scope.base })
}

/// What must hold between options.
fn check(group: &mut ProcessGroup, word: &Word) -> Applied {
    if let Some(title) = &group.display_name {
        group.display_name = Some(title.replace("%{GROUP}", &format!("(wsgi:{})", group.name)));
    }
    if group.maximum_requests_jitter > 0 && group.maximum_requests == 0 {
        let message = "maximum-requests-jitter= needs maximum-requests=";
        return Err(Complaint::error(message).at(word));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;
    use crate::source::Memory;
    use crate::{Surroundings, load_text};

    fn group(options: &str) -> Result<ProcessGroup, String> {
        let surroundings = Surroundings { directory: "/srv".into(), ..Surroundings::default() };
        let text = format!("WSGIDaemonProcess app {options}\n");
        match load_text("t", &text, &Memory::new(), &surroundings).into_result() {
            Ok((site, _)) => Ok(site.groups[0].clone()),
            Err(said) => Err(said.iter().find(|d| d.severity == Severity::Error).unwrap().line()),
        }
    }

    #[test]
    fn every_option_refuses_nonsense_or_takes_text() {
        for row in OPTIONS {
            let good = match row.name {
                "free-threading" => "required",
                "umask" => "022",
                "server-metrics" | "reload-on-changes" => "On",
                _ if row.value.contains("directory") || row.value.contains("path") => "/x",
                _ if row.value.contains("bytes") => "8388608",
                _ => "7",
            };
            // The jitter alone is an error of its own.
            let with = if row.name.ends_with("-jitter") { "maximum-requests=10 " } else { "" };
            group(&format!("{with}{}={good}", row.name)).unwrap_or_else(|e| panic!("{}: {e}", row.name));
            let number = row.value.starts_with("number")
                || row.value.starts_with("seconds")
                || row.value.starts_with("bytes");
            if number {
                let error = group(&format!("{}=12q", row.name)).unwrap_err();
                assert!(error.contains("not `12q`"), "{}: {error}", row.name);
            }
        }
    }

    #[test]
    fn ranges_and_units() {
        assert!(group("threads=65534").unwrap_err().contains("from 0 to 65533"));
        assert!(group("processes=0").is_err());
        assert!(group("request-timeout=60s").unwrap_err().contains("write 60"));
        assert!(group("memory-limit=512M").unwrap_err().contains("unit suffixes"));
        assert!(group("home=relative").unwrap_err().contains("absolute path"));
        assert!(group("umask=9").unwrap_err().contains("octal"));
        assert!(group("thread=3").unwrap_err().contains("did you mean `threads=`?"));
        assert!(group("root=/x").unwrap_err().contains("did you mean `chroot=`?"));
        assert!(group("user=root").unwrap_err().contains("root"));
    }

    #[test]
    fn processes_given_at_all_means_multiprocess() {
        assert!(group("processes=1").unwrap().multiprocess);
        assert!(!group("").unwrap().multiprocess);
        assert_eq!(group("display-name=%{GROUP}").unwrap().display_name.unwrap(), "(wsgi:app)");
        assert_eq!(group("python-path=/a:b").unwrap().python_path, [PathBuf::from("/a"), "/srv/b".into()]);
        assert_eq!(group("umask=0027").unwrap().umask, Some(0o27));
        assert_eq!(group("home=\"/a b\" lang='x y'").unwrap().lang.as_deref(), Some("x y"));
    }
}
