//! What a child of `doctor` reports, and what it adds up to: one [`Passage`] for each interpreter, one [`Trial`] for each
//! process. Written by `python/gilkeeper/doctor.py`. Values only; running the child is `trial`'s.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where code comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Python's own library.
    #[default]
    Standard,
    /// `site-packages`.
    Installed,
    /// Anything else.
    Application,
}

/// A thread, an atexit function, a signal handler or a subscription, and the code that asked for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Asked {
    /// The module that called.
    pub by: String,
    /// Where that module comes from.
    pub kind: Kind,
    /// Its file.
    #[serde(default)]
    pub file: String,
    /// Line of the call.
    pub line: u32,
    /// A thread's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether a thread is a daemon thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<bool>,
    /// Whether a thread still ran when the import was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alive: Option<bool>,
    /// Name of an atexit function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// A signal's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i32>,
}

/// What an extension module declares, as words of the report (`docs/guide/doctor.md` lists them).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declares {
    /// `multi`, `single`, `unknown`.
    pub phases: String,
    /// `own-gil`, `shared-gil`, `none`, `undeclared`, `single-phase`, `unknown`.
    pub interpreters: String,
    /// `not-used`, `used`, `undeclared`, `unknown`.
    pub gil: String,
}

/// An extension module of the application in the main interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Full name.
    pub name: String,
    /// File it was loaded from.
    pub file: String,
    /// Where it comes from.
    pub kind: Kind,
    /// The distribution that installed it.
    pub distribution: Option<String>,
    /// That distribution's version.
    pub version: Option<String>,
    /// What it declares.
    #[serde(flatten)]
    pub declares: Option<Declares>,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Python {
        version: String,
    },
    Begin {},
    Loading {
        name: String,
        chain: Vec<(String, Kind)>,
    },
    Loaded {
        name: String,
    },
    Refused {
        name: String,
        error: String,
    },
    GilBack {
        name: String,
    },
    Warned {
        name: Option<String>,
        text: String,
    },
    Thread {
        error: String,
    },
    Atexit(Asked),
    Signal(Asked),
    Subscribed(Asked),
    Imported {
        error: Option<String>,
        traceback: Option<String>,
        present: Vec<String>,
        threads: Vec<Asked>,
        gil: Option<bool>,
    },
    Described(Described),
    Ending,
    Ended,
    #[serde(other)]
    Other,
}

/// What happened in one interpreter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Passage {
    /// Extension modules in the order of their loading, with the modules whose code was running, outermost first.
    pub loading: Vec<(String, Vec<(String, Kind)>)>,
    /// Modules that raised, with the exception.
    pub refused: BTreeMap<String, String>,
    /// Modules begun and neither done nor refused, innermost last: where a crash happened.
    pub open: Vec<String>,
    /// Modules that turned the GIL on.
    pub gil_back: Vec<String>,
    /// Warnings about sub-interpreters, with the module whose code was running.
    pub warned: Vec<(Option<String>, String)>,
    /// Threads that were not allowed to start.
    pub failed_threads: Vec<String>,
    /// Functions registered with atexit.
    pub atexit: Vec<Asked>,
    /// Calls of signal.signal.
    pub signals: Vec<Asked>,
    /// Calls of subscribe_shutdown and subscribe_events.
    pub subscribed: Vec<Asked>,
    /// How the import ended; `None`: it never did.
    pub imported: Option<Imported>,
}

/// The end of an import.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// The exception, on one line.
    pub error: Option<String>,
    /// Its traceback.
    pub traceback: Option<String>,
    /// Extension modules in `sys.modules`.
    pub present: BTreeSet<String>,
    /// Threads started.
    pub threads: Vec<Asked>,
    /// Whether the GIL was on; `None`: this Python cannot tell.
    pub gil: Option<bool>,
}

impl Passage {
    /// Whether the import ended well.
    pub fn fine(&self) -> bool {
        self.imported.as_ref().is_some_and(|i| i.error.is_none())
    }

    /// Whether this extension module was there in the end.
    pub fn has(&self, name: &str) -> bool {
        self.imported.as_ref().is_some_and(|i| i.present.contains(name))
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Loading { name, chain } => {
                self.open.push(name.clone());
                self.loading.push((name, chain));
            }
            Event::Loaded { name } => self.open.retain(|n| *n != name),
            Event::Refused { name, error } => {
                self.open.retain(|n| *n != name);
                self.refused.insert(name, error);
            }
            Event::GilBack { name } => self.gil_back.push(name),
            Event::Warned { name, text } => self.warned.push((name, text)),
            Event::Thread { error } => self.failed_threads.push(error),
            Event::Atexit(asked) => self.atexit.push(asked),
            Event::Signal(asked) => self.signals.push(asked),
            Event::Subscribed(asked) => self.subscribed.push(asked),
            Event::Imported { error, traceback, present, threads, gil } => {
                let present = present.into_iter().collect();
                self.imported = Some(Imported { error, traceback, present, threads, gil });
            }
            Event::Python { .. } | Event::Begin {} | Event::Described(_) => {}
            Event::Ending | Event::Ended | Event::Other => {}
        }
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited with that status.
    Status(i32),
    /// That signal ended it.
    Signal(i32),
    /// The time was over after so many seconds.
    TimeOver(u64),
}

/// What one child did.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The version of its Python, when it came so far.
    pub version: Option<String>,
    /// One for each interpreter begun.
    pub passages: Vec<Passage>,
    /// The extension modules, where they were to be described.
    pub described: Vec<Described>,
    /// Whether the end of the interpreters, or of Python, had begun.
    pub ending: bool,
    /// How the process ended.
    pub end: End,
    /// The end of what it wrote to its standard streams.
    pub output: String,
}

impl Trial {
    /// From the lines of its report. A last line that is not whole, or one of another version, is passed over.
    pub fn new(report: &str, end: End, output: String) -> Self {
        let none = Vec::new;
        let mut trial =
            Self { version: None, passages: none(), described: Vec::new(), ending: false, end, output };
        for line in report.lines() {
            let Ok(event) = serde_json::from_str::<Event>(line) else { continue };
            match event {
                Event::Python { version } => trial.version = Some(version),
                Event::Begin {} => trial.passages.push(Passage::default()),
                Event::Described(described) => trial.described.push(described),
                Event::Ending => trial.ending = true,
                event => trial.passages.last_mut().into_iter().for_each(|p| p.take(event.clone())),
            }
        }
        trial
    }

    /// How it died, when the time was over or a signal ended it: with Python's own reason and place, if it wrote them.
    pub fn death(&self) -> Option<String> {
        let death = match self.end {
            End::Status(_) => return None,
            End::TimeOver(seconds) => format!("not done after {seconds} s"),
            End::Signal(signal) => match (gk_sys::signal::name(signal), self.fatal()) {
                (Some(name), Some(fatal)) => format!("ended by SIG{name}, {fatal}"),
                (Some(name), None) => format!("ended by SIG{name}"),
                (None, _) => format!("ended by signal {signal}"),
            },
        };
        Some(match self.place() {
            Some(place) => format!("{death}, at {place}"),
            None => death,
        })
    }

    /// The status it left with, when it left by itself.
    pub fn status(&self) -> Option<i32> {
        match self.end {
            End::Status(status) => Some(status),
            End::Signal(_) | End::TimeOver(_) => None,
        }
    }

    /// The sentence that Python dies with, unless it only names the signal.
    fn fatal(&self) -> Option<&str> {
        let said = self.output.lines().find_map(|line| line.strip_prefix("Fatal Python error: "));
        said.filter(|said| {
            !["Aborted", "Segmentation fault", "Bus error", "Illegal instruction"].contains(said)
        })
    }

    /// Where Python's own report of a crash or of a hang says it was.
    fn place(&self) -> Option<&str> {
        self.output
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("File \"") && !line.contains("gilkeeper/doctor"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_breaks_off_says_where() {
        let report = concat!(
            r#"{"event": "python", "version": "3.14.7", "gil": true}"#,
            "\n",
            r#"{"event": "begin", "number": 1}"#,
            "\n",
            r#"{"event": "loading", "name": "a", "file": "a.so", "chain": [["wsgi", "application"], ["a", "installed"]]}"#,
            "\n",
            r#"{"event": "loading", "name": "b", "file": "b.so", "chain": []}"#,
            "\n",
            r#"{"event": "refused", "name": "b", "file": "b.so", "stage": "create", "error": "ImportError: no"}"#,
            "\n",
            r#"{"event": "from another version"}"#,
            "\n",
            r#"{"event": "loaded", "na"#
        );
        let trial = Trial::new(report, End::Signal(11), "x\n  File \"z.py\", line 3 in f\n".into());
        assert_eq!(trial.version.as_deref(), Some("3.14.7"));
        assert_eq!(trial.passages.len(), 1);
        assert_eq!(trial.passages[0].open, ["a"]);
        assert_eq!(trial.passages[0].refused["b"], "ImportError: no");
        assert_eq!(trial.passages[0].loading[0].1[0], ("wsgi".to_owned(), Kind::Application));
        assert!(!trial.passages[0].fine());
        assert_eq!(trial.death().unwrap(), "ended by SIGSEGV, at File \"z.py\", line 3 in f");
    }
}
