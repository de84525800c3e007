//! The directive language: text in, one immutable [`site::Site`] out, with diagnostics that point at the place.
//!
//! The way of a directive: [`token`] → [`parse`] (sections, includes, variables) → one row of [`directives`] applies
//! it to the raw configuration → `resolve` → [`site::Site`]. What the front asks of a finished site (which host,
//! which mount, which settings) is [`place`]. `serve`'s options become directive text in [`express`] and take the
//! same way. Nothing here opens a file, reads a clock or starts anything: files come through [`source::Source`],
//! the environment comes as a value in [`Surroundings`].
#![forbid(unsafe_code)]

pub mod codes;
pub mod daemon;
pub mod diagnostic;
pub mod directive;
pub mod directives;
pub mod express;
mod glob;
pub mod measurements;
mod merge;
pub mod nearest;
pub mod parse;
pub mod place;
mod raw;
pub mod reference;
pub mod report;
mod resolve;
pub use resolve::interpreters::{FreeThreading, Interpreter};
pub mod site;
pub mod source;
mod standard;
pub mod token;
mod values;
mod walk;

use diagnostic::{Diagnostic, Severity};
use directive::Status;
use site::{ProcessGroup, Site};
use source::Source;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a configuration is read against: the values a process would otherwise look up by itself.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Absolute working directory; relative paths on the command line start here.
    pub directory: PathBuf,
    /// State directory from `--server-root` or `$GILKEEPER_ROOT`; beats the `ServerRoot` directive.
    pub server_root: Option<PathBuf>,
    /// The process environment, for `${VAR}` and `PassEnv`.
    pub environment: BTreeMap<String, String>,
    /// Names defined on the command line.
    pub defines: BTreeMap<String, String>,
    /// Unknown directives are warnings in place of errors.
    pub ignore_unknown: bool,
    /// Knows the Python of each group: enables the checks that depend on it.
    pub pythons: Pythons,
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

impl std::fmt::Debug for Pythons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Pythons(known)" } else { "Pythons(unknown)" })
    }
}

/// What of a Python build a configuration depends on.
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

/// One use of a directive, for the report of `gilkeeper check`.
#[derive(Debug, Clone, PartialEq)]
pub struct Used {
    /// Name as the table spells it.
    pub name: &'static str,
    /// What becomes of it.
    pub status: Status,
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// The outcome of reading a configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The site; `None` when there is an error among the diagnostics.
    pub site: Option<Site>,
    /// Everything there is to say, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// Every directive that was used, in order.
    pub used: Vec<Used>,
    /// The build of Python of each group, by its name, as far as it is known.
    pub builds: BTreeMap<String, PythonBuild>,
}

impl Loaded {
    /// The site, or the diagnostics when it has errors.
    pub fn into_result(self) -> Result<(Site, Vec<Diagnostic>), Vec<Diagnostic>> {
        match self.site {
            Some(site) => Ok((site, self.diagnostics)),
            None => Err(self.diagnostics),
        }
    }

    /// Whether something of the given severity or a graver one was said.
    pub fn has(&self, severity: Severity) -> bool {
        self.diagnostics.iter().any(|d| d.severity <= severity)
    }
}

/// Reads the configuration file `path` (and what it includes) through `source`.
pub fn load(path: &Path, source: &dyn Source, surroundings: &Surroundings) -> Loaded {
    let path = surroundings.directory.join(path);
    finish(parse::parse_file(&path, source, surroundings), surroundings)
}

/// Reads a configuration given as text; `name` stands in diagnostics, relative paths start at
/// `surroundings.directory`.
pub fn load_text(name: &str, text: &str, source: &dyn Source, surroundings: &Surroundings) -> Loaded {
    finish(parse::parse_text(name, text, source, surroundings), surroundings)
}

fn finish(parsed: parse::Parsed, surroundings: &Surroundings) -> Loaded {
    let (raw, used, mut journal) = walk::walk(parsed, surroundings);
    let (site, builds) = resolve::resolve(raw, surroundings, &mut journal);
    let diagnostics = journal.finish();
    let broken = diagnostics.iter().any(|d| d.severity == Severity::Error);
    Loaded { site: (!broken).then_some(site), diagnostics, used, builds }
}
