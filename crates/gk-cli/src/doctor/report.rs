//! What `doctor` found, as values: its JSON shape is documented in `docs/guide/doctor.md`. How it comes about is
//! `verdict`'s, how it reads on a terminal `text`'s.

use super::event::{Asked, Declares, Kind};
use super::study::{Outcome, Place};
use serde::Serialize;
use std::collections::BTreeMap;

/// A GIL mode of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Application groups as sub-interpreters that share the GIL.
    SubInterpreter,
    /// `WSGIPerInterpreterGIL On`.
    OwnGil,
    /// `WSGIFreeThreading On`.
    FreeThreading,
}

impl Mode {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 3] = [Self::SubInterpreter, Self::OwnGil, Self::FreeThreading];

    /// As `--for` and the JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SubInterpreter => "sub-interpreter",
            Self::OwnGil => "own-gil",
            Self::FreeThreading => "free-threading",
        }
    }

    /// Where its outcomes come from.
    pub fn places(self) -> &'static [Place] {
        match self {
            Self::SubInterpreter => &[Place::SubInterpreter, Place::SecondSubInterpreter],
            Self::OwnGil => &[Place::OwnGil],
            Self::FreeThreading => &[Place::FreeThreading],
        }
    }
}

/// Whether a mode is safe for this application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing speaks against it.
    Safe,
    /// A finding does.
    Unsafe,
    /// This Python does not have it.
    Untried,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The mode is not safe.
    Unsafe,
    /// It works here; the author does not promise it.
    Caution,
    /// Good to know.
    Note,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The mode it is about; `None`: all of them.
    pub mode: Option<Mode>,
    /// Its weight.
    pub level: Level,
    /// What kind it is, in one word.
    pub what: &'static str,
    /// Which package, module or code.
    pub subject: String,
    /// The extension modules it is about.
    pub modules: Vec<String>,
    /// What was seen.
    pub text: String,
    /// What to do.
    pub remedy: String,
}

/// One mode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModeReport {
    /// Which.
    pub mode: Mode,
    /// Whether `--for` asked for it.
    pub asked: bool,
    /// Whether it is safe.
    pub verdict: Verdict,
    /// Why it was not tried.
    pub why: Option<String>,
    /// The exception that the import of the application ended with.
    pub import_error: Option<String>,
}

/// One extension module.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModuleReport {
    /// Full name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Where it comes from.
    pub kind: Kind,
    /// The distribution that installed it.
    pub distribution: Option<String>,
    /// That distribution's version.
    pub version: Option<String>,
    /// What it declares; `None`: it could not be read.
    pub declares: Option<Declares>,
    /// What becomes of it, for each place that was tried.
    pub outcomes: BTreeMap<Place, Outcome>,
}

impl ModuleReport {
    /// The distribution with its version, or the module itself.
    pub fn owner(&self) -> String {
        match (&self.distribution, &self.version) {
            (Some(name), Some(version)) => format!("{name} {version}"),
            (Some(name), None) => name.clone(),
            (None, _) => self.name.clone(),
        }
    }
}

/// The Python that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PythonFacts {
    /// Its executable.
    pub executable: String,
    /// Its version, `3.14.7`.
    pub version: String,
    /// Whether it is a free-threaded build.
    pub free_threaded: bool,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The application, as it was named.
    pub script: String,
    /// What ran it.
    pub python: PythonFacts,
    /// Whether the modes asked for are safe: what the exit status says.
    pub safe: bool,
    /// The modes.
    pub modes: Vec<ModeReport>,
    /// Its extension modules.
    pub modules: Vec<ModuleReport>,
    /// Threads it started.
    pub threads: Vec<Asked>,
    /// Functions it registered with atexit.
    pub atexit: Vec<Asked>,
    /// Calls of signal.signal.
    pub signals: Vec<Asked>,
    /// Calls of subscribe_shutdown and subscribe_events.
    pub shutdown_callbacks: Vec<Asked>,
    /// What was found, the heaviest first.
    pub findings: Vec<Finding>,
}
