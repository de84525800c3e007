//! The values that reading a configuration depends on and that a process would otherwise look up by itself.

pub mod python_variables;

use crate::site::ProcessGroup;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Facts outside of a configuration that its meaning depends on; a process would look them up by itself.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Absolute working directory; relative paths on the command line start here.
    pub directory: PathBuf,
    /// State directory from `--server-root` or `$GILKEEPER_ROOT`; beats the `ServerRoot` directive.
    pub server_root: Option<PathBuf>,
    /// State directory where neither names one.
    pub default_server_root: Option<PathBuf>,
    /// The process environment, for `${VAR}` and `PassEnv`.
    pub environment: BTreeMap<String, String>,
    /// The file that `--env-file` names and the variables that came from it.
    pub env_file: Option<(String, BTreeSet<String>)>,
    /// Names defined on the command line.
    pub defines: BTreeMap<String, String>,
    /// Unknown directives are warnings in place of errors.
    pub ignore_unknown: bool,
    /// Knows the Python of each group: enables the checks that depend on it.
    pub pythons: Pythons,
    /// Knows who is there on the machine that the configuration is for: enables the checks of what it expects there. Its files
    /// are those of the [`Source`](crate::source::Source).
    pub machine: Option<Machine>,
}

/// The users, groups and CPUs of the machine.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// CPUs that the server may use, those of its control group, a part as a whole one.
    pub cpus: u32,
    /// Whether there is a user of this name.
    pub user: fn(&str) -> bool,
    /// Whether there is a group of this name.
    pub group: fn(&str) -> bool,
}

/// Tells which build of Python runs a process group, as far as it is known.
#[derive(Clone, Default)]
pub struct Pythons(Option<Arc<Asker>>);

type Asker = dyn Fn(&ProcessGroup) -> Option<PythonBuild> + Send + Sync;

impl Pythons {
    /// Asks this function, once for each group of a configuration.
    pub fn new(ask: impl Fn(&ProcessGroup) -> Option<PythonBuild> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(ask)))
    }

    pub(crate) fn build(&self, group: &ProcessGroup) -> Option<PythonBuild> {
        self.0.as_ref().and_then(|ask| ask(group))
    }
}

impl Surroundings {
    /// The file that a variable comes from, if it is not from the environment.
    pub fn file_of(&self, variable: &str) -> Option<&str> {
        self.env_file.as_ref().filter(|(_, names)| names.contains(variable)).map(|(file, _)| &**file)
    }
}

impl std::fmt::Debug for Pythons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Pythons(known)" } else { "Pythons(unknown)" })
    }
}

/// The facts about a Python build that a configuration depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PythonBuild {
    /// Minor version of Python 3.
    pub minor: u32,
    /// Built with `--disable-gil`.
    pub free_threaded: bool,
}

impl PythonBuild {
    /// Whether an interpreter can have a GIL of its own.
    pub fn own_gils(self) -> bool {
        self.minor >= 12
    }
}

impl std::fmt::Display for PythonBuild {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "3.{}{}", self.minor, if self.free_threaded { "t" } else { "" })
    }
}
