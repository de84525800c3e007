//! The directive language: text in, one immutable [`site::Site`] out, with diagnostics that point at the place.
//!
//! The way of a directive: [`token`] → [`parse`] (sections, includes, variables) → one row of [`directives`] applies
//! it to the raw configuration → `resolve` → [`site::Site`]. What the front asks of a finished site (which host,
//! which mount, which settings) is [`place`]. `serve`'s options become directive text in [`express`] and go the
//! same way. Nothing here opens a file, reads a clock or starts anything: files come through [`source::Source`],
//! the environment comes as a value in [`Surroundings`].
#![forbid(unsafe_code)]

pub mod codes;
pub mod diagnostic;
pub mod directives;
pub mod express;
pub mod nearest;
pub mod parse;
pub mod place;
pub(crate) mod raw;
pub mod reference;
pub mod report;
mod resolve;
pub mod site;
mod surroundings;
mod values;

pub use directives::directive;
pub use directives::walk::Used;
pub use parse::{source, token};
pub use resolve::interpreters::{FreeThreading, Interpreter};
pub use site::measurements;
pub use surroundings::{Machine, PythonBuild, Pythons, Surroundings, python_variables};

use diagnostic::{Diagnostic, Severity};
use site::Site;
use source::Source;
use std::collections::BTreeMap;
use std::path::Path;

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
    /// The options of the command line and of its sources, where there are any.
    pub options: Vec<express::layers::OptionUse>,
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
    finish(parse::parse_file(&path, source, surroundings), source, surroundings)
}

/// Reads a configuration given as text; `name` stands in diagnostics, relative paths start at
/// `surroundings.directory`.
pub fn load_text(name: &str, text: &str, source: &dyn Source, surroundings: &Surroundings) -> Loaded {
    finish(parse::parse_text(name, text, source, surroundings), source, surroundings)
}

fn finish(parsed: parse::Parsed, source: &dyn Source, surroundings: &Surroundings) -> Loaded {
    let (raw, used, mut journal) = directives::walk::walk(parsed, surroundings);
    let (site, builds) = resolve::resolve(raw, source, surroundings, &mut journal);
    let diagnostics = journal.finish();
    let broken = diagnostics.iter().any(|d| d.severity == Severity::Error);
    Loaded { site: (!broken).then_some(site), diagnostics, used, builds, options: Vec::new() }
}
