//! The report of a child of `doctor`: events → one [`InterpreterRun`] for each interpreter, one [`Trial`] for each
//! process. Written by `python/gilkeeper/doctor.py`. Values only; `trial` runs the child.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Origin of code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeOrigin {
    /// Python's own library.
    #[default]
    Standard,
    /// `site-packages`.
    Installed,
    /// Anything else.
    Application,
}

/// A thread, an atexit function, a signal handler, a subscription or an import, with the code that called for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Registration {
    /// The module that called.
    pub by: String,
    /// Origin of that module.
    pub kind: CodeOrigin,
    /// Its file.
    #[serde(default)]
    pub file: String,
    /// Line of the call.
    pub line: u32,
    /// A thread's or a module's name.
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

/// The declarations of an extension module, as words of the report (`docs/guide/doctor.md` lists them).
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
    /// Its origin.
    pub kind: CodeOrigin,
    /// The distribution that installed it.
    pub distribution: Option<String>,
    /// That distribution's version.
    pub version: Option<String>,
    /// What it declares.
    #[serde(flatten)]
    pub declares: Option<Declares>,
}

/// An extension module of an imported distribution that the application has not loaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Unloaded {
    /// Full name.
    pub name: String,
}

/// A package to import, with the distribution that installed it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Package {
    /// Name to import.
    pub name: String,
    /// The distribution.
    pub distribution: String,
    /// Its version.
    pub version: String,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Python {
        version: String,
        #[serde(default)]
        inherits_context: bool,
    },
    Begin {},
    Loading {
        name: String,
        chain: Vec<(String, CodeOrigin)>,
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
    Atexit(Registration),
    Signal(Registration),
    Subscribed(Registration),
    Imported {
        error: Option<String>,
        traceback: Option<String>,
        present: Vec<String>,
        #[serde(default)]
        filled: BTreeMap<String, u32>,
        threads: Vec<Registration>,
        gil: Option<bool>,
    },
    InMain {
        present: BTreeSet<String>,
    },
    Trying {
        name: String,
    },
    Failed {
        name: String,
        error: String,
    },
    Alone {
        name: String,
        error: Option<String>,
        other: Option<String>,
    },
    NoApplication {
        name: String,
        others: Vec<String>,
    },
    Described(Described),
    Unloaded(Unloaded),
    Later(Registration),
    Package(Package),
    Ending,
    Ended,
    #[serde(other)]
    Other,
}

/// The events of one interpreter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InterpreterRun {
    /// Extension modules in the order of their loading, with the modules whose code was running, outermost first.
    pub loading: Vec<(String, Vec<(String, CodeOrigin)>)>,
    /// Modules that raised, with the exception.
    pub refused: BTreeMap<String, String>,
    /// Modules that started loading and did not finish, innermost last: the place of a crash.
    pub open: Vec<String>,
    /// Modules that the initialisation of another one imported, with that one.
    pub within: BTreeMap<String, String>,
    /// Modules that turned the GIL on.
    pub gil_back: Vec<String>,
    /// Warnings about sub-interpreters, with the module whose code was running.
    pub warned: Vec<(Option<String>, String)>,
    /// Errors of threads that could not start.
    pub failed_threads: Vec<String>,
    /// Functions registered with atexit.
    pub atexit: Vec<Registration>,
    /// Calls of signal.signal.
    pub signals: Vec<Registration>,
    /// Calls of subscribe_shutdown and subscribe_events.
    pub subscribed: Vec<Registration>,
    /// Extension modules that CPython keeps in the main interpreter for this one.
    pub in_main: BTreeSet<String>,
    /// The import that was begun last, of several that are tried one after the other.
    pub trying: Option<String>,
    /// Those of them that raised, with the exception.
    pub failed: BTreeMap<String, String>,
    /// Modules whose files were loaded alone, one after the other.
    pub alone: BTreeMap<String, Alone>,
    /// The name of the callable that the script does not have, and those that it has.
    pub no_application: Option<(String, Vec<String>)>,
    /// How the import ended; `None`: it did not.
    pub imported: Option<Imported>,
}

/// A module whose file was loaded alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alone {
    /// The exception, if it raised.
    pub error: Option<String>,
    /// Another extension module, which it needs and which raised.
    pub other: Option<String>,
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
    /// How many names each of them holds.
    pub filled: BTreeMap<String, u32>,
    /// Threads started.
    pub threads: Vec<Registration>,
    /// Whether the GIL was on; `None`: this Python cannot tell.
    pub gil: Option<bool>,
}

impl InterpreterRun {
    /// Whether the import succeeded.
    pub fn fine(&self) -> bool {
        self.imported.as_ref().is_some_and(|i| i.error.is_none())
    }

    /// Whether this extension module was loaded at the end, in this interpreter or for it in the main one.
    pub fn has(&self, name: &str) -> bool {
        let kept = || self.in_main.contains(name) && !self.refused.contains_key(name);
        self.imported.as_ref().is_some_and(|i| i.present.contains(name) || kept())
    }

    /// How many names this module holds; `None`: it is not in `sys.modules`.
    pub fn filled(&self, name: &str) -> Option<u32> {
        self.imported.as_ref()?.filled.get(name).copied()
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Loading { name, chain } => {
                if let Some(outer) = self.open.last() {
                    self.within.insert(name.clone(), outer.clone());
                }
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
            Event::Imported { error, traceback, present, filled, threads, gil } => {
                let present = present.into_iter().collect();
                self.imported = Some(Imported { error, traceback, present, filled, threads, gil });
            }
            Event::InMain { present } => self.in_main = present,
            Event::Trying { name } => self.trying = Some(name),
            Event::Failed { name, error } => drop(self.failed.insert(name, error)),
            Event::Alone { name, error, other } => drop(self.alone.insert(name, Alone { error, other })),
            Event::NoApplication { name, others } => self.no_application = Some((name, others)),
            Event::Python { .. } | Event::Begin {} | Event::Described(_) => {}
            Event::Unloaded(_)
            | Event::Later(_)
            | Event::Package(_)
            | Event::Ending
            | Event::Ended
            | Event::Other => {}
        }
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildEnd {
    /// It exited with this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
    /// It was not done after this many seconds.
    TimeOver(u64),
}

/// The report of one child.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Version of its Python, if it got that far.
    pub version: Option<String>,
    /// Whether a thread has the context variables of the one that starts it.
    pub inherits_context: bool,
    /// One for each interpreter that was started.
    pub runs: Vec<InterpreterRun>,
    /// The extension modules, if the job asked for descriptions.
    pub described: Vec<Described>,
    /// The extension modules of imported distributions that were not loaded, from the same job.
    pub unloaded: Vec<Unloaded>,
    /// Modules that functions of the application import, with their places, from the same job.
    pub later: Vec<Registration>,
    /// The packages of the environment, if the job was to import them.
    pub packages: Vec<Package>,
    /// Whether it had started to end the interpreters, or Python.
    pub ending: bool,
    /// How the process ended.
    pub end: ChildEnd,
    /// The end of what it wrote to its standard streams.
    pub output: String,
}

impl Trial {
    /// From the lines of its report. Unknown events and an incomplete last line are skipped.
    pub fn new(report: &str, end: ChildEnd, output: String) -> Self {
        let mut trial = Self {
            version: None,
            inherits_context: false,
            runs: Vec::new(),
            described: Vec::new(),
            unloaded: Vec::new(),
            later: Vec::new(),
            packages: Vec::new(),
            ending: false,
            end,
            output,
        };
        for line in report.lines() {
            let Ok(event) = serde_json::from_str::<Event>(line) else { continue };
            match event {
                Event::Python { version, inherits_context } => {
                    (trial.version, trial.inherits_context) = (Some(version), inherits_context);
                }
                Event::Begin {} => trial.runs.push(InterpreterRun::default()),
                Event::Described(described) => trial.described.push(described),
                Event::Unloaded(unloaded) => trial.unloaded.push(unloaded),
                Event::Later(import) => trial.later.push(import),
                Event::Package(package) => trial.packages.push(package),
                Event::Ending => trial.ending = true,
                event => trial.runs.last_mut().into_iter().for_each(|p| p.take(event.clone())),
            }
        }
        trial
    }

    /// How it died, if a signal or the time limit ended it, with the reason and the place that Python wrote.
    pub fn death(&self) -> Option<String> {
        let death = match self.end {
            ChildEnd::Status(_) => return None,
            ChildEnd::TimeOver(seconds) => format!("not done after {seconds} s"),
            ChildEnd::Signal(signal) => match (gk_sys::signal::name(signal), self.fatal()) {
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

    /// Its exit status, if it exited.
    pub fn status(&self) -> Option<i32> {
        match self.end {
            ChildEnd::Status(status) => Some(status),
            ChildEnd::Signal(_) | ChildEnd::TimeOver(_) => None,
        }
    }

    /// Python's fatal error message, unless it only names the signal.
    fn fatal(&self) -> Option<&str> {
        let said = self.output.lines().find_map(|line| line.strip_prefix("Fatal Python error: "));
        said.filter(|said| {
            !["Aborted", "Segmentation fault", "Bus error", "Illegal instruction"].contains(said)
        })
    }

    /// The first place in Python's stack dump, outside of the doctor's own files.
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
        let trial = Trial::new(report, ChildEnd::Signal(11), "x\n  File \"z.py\", line 3 in f\n".into());
        assert_eq!(trial.version.as_deref(), Some("3.14.7"));
        assert_eq!(trial.runs.len(), 1);
        assert_eq!(trial.runs[0].open, ["a"]);
        assert_eq!(trial.runs[0].refused["b"], "ImportError: no");
        assert_eq!(trial.runs[0].loading[0].1[0], ("wsgi".to_owned(), CodeOrigin::Application));
        assert!(!trial.runs[0].fine());
        assert_eq!(trial.death().unwrap(), "ended by SIGSEGV, at File \"z.py\", line 3 in f");
    }
}
