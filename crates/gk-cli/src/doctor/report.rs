//! The report as values; `docs/guide/doctor.md` documents its JSON form. `verdict` makes it, `text` prints it.

use super::event::{CodeOrigin, Declares, Registration};
use super::study::{InterpreterKind, ModuleOutcome};
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

    /// The name in `--for` and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::SubInterpreter => "sub-interpreter",
            Self::OwnGil => "own-gil",
            Self::FreeThreading => "free-threading",
        }
    }

    /// The kinds of interpreter it uses.
    pub fn places(self) -> &'static [InterpreterKind] {
        match self {
            Self::SubInterpreter => &[InterpreterKind::SubInterpreter, InterpreterKind::SecondSubInterpreter],
            Self::OwnGil => &[InterpreterKind::OwnGil],
            Self::FreeThreading => &[InterpreterKind::FreeThreading],
        }
    }
}

/// Whether a mode is safe for this application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No finding against it.
    Safe,
    /// At least one finding against it.
    Unsafe,
    /// Not tried, or not possible with this Python.
    Untried,
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingLevel {
    /// The mode is not safe.
    Unsafe,
    /// It works, but its author does not promise it.
    Caution,
    /// For information.
    Note,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The mode it is about; `None`: all of them.
    pub mode: Option<Mode>,
    /// Its weight.
    pub level: FindingLevel,
    /// Its kind, in one word.
    pub what: &'static str,
    /// The package, module or code it is about.
    pub subject: String,
    /// The extension modules it is about.
    pub modules: Vec<String>,
    /// The observation.
    pub text: String,
    /// The remedy.
    pub remedy: String,
}

/// The result for one mode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModeReport {
    /// The mode.
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

/// The result for one extension module.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModuleReport {
    /// Full name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Its origin.
    pub kind: CodeOrigin,
    /// The distribution that installed it.
    pub distribution: Option<String>,
    /// That distribution's version.
    pub version: Option<String>,
    /// Whether the import of the application loads it.
    pub loaded: bool,
    /// What it declares; `None`: it could not be read.
    pub declares: Option<Declares>,
    /// Its outcome in each kind of interpreter that was tried.
    pub outcomes: BTreeMap<InterpreterKind, ModuleOutcome>,
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

/// The Python under examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PythonFacts {
    /// Its executable.
    pub executable: String,
    /// Its version, `3.14.7`.
    pub version: String,
    /// Whether it is a free-threaded build.
    pub free_threaded: bool,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The application as the user named it.
    pub script: String,
    /// The Python that ran it.
    pub python: PythonFacts,
    /// Whether the requested modes are safe, as in the exit status.
    pub safe: bool,
    /// The modes.
    pub modes: Vec<ModeReport>,
    /// Its extension modules.
    pub modules: Vec<ModuleReport>,
    /// Threads it started.
    pub threads: Vec<Registration>,
    /// Functions it registered with atexit.
    pub atexit: Vec<Registration>,
    /// Calls of signal.signal.
    pub signals: Vec<Registration>,
    /// Calls of subscribe_shutdown and subscribe_events.
    pub shutdown_callbacks: Vec<Registration>,
    /// Modules that its functions import.
    pub function_imports: Vec<Registration>,
    /// Findings, the most severe first.
    pub findings: Vec<Finding>,
}
