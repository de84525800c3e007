//! `gilkeeper serve`: options become directive text, which is read like a configuration file. So `serve` can do nothing
//! that a file cannot, and `check` can show it. The rows of the options are in [`options`]; parsing the command line is
//! the command line's.

mod access;
mod https;
pub mod options;
mod script;
mod services;
mod text;
mod writer;

use crate::diagnostic::Diagnostic;
use crate::site::Site;
use crate::source::{Memory, Source};
use crate::{Surroundings, load_text};
pub use script::script;
use std::collections::BTreeMap;
pub use text::{generate, listeners, names_a_listener};

/// The options of `serve` as they were typed, by name; see [`options::all`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServeOptions {
    /// A file (`wsgi.py`, `site.wsgi`) or `package.module[:callable]`.
    pub script: String,
    values: BTreeMap<&'static str, Vec<String>>,
}

impl ServeOptions {
    /// The options of a script, none given yet.
    pub fn new(script: impl Into<String>) -> Self {
        Self { script: script.into(), values: BTreeMap::new() }
    }

    /// Adds an option with its values: none for a flag, two each time for pairs.
    pub fn add<I>(&mut self, name: &'static str, values: I)
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        debug_assert!(options::find(name).is_some(), "--{name} is in no table");
        self.values.entry(name).or_default().extend(values.into_iter().map(Into::into));
    }

    /// The same, for building a value in one expression.
    #[must_use]
    pub fn with<I>(mut self, name: &'static str, values: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.add(name, values);
        self
    }

    /// A flag was given.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of an option; the last one counts.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.many(name).last().map(String::as_str)
    }

    /// All values of an option.
    pub fn many(&self, name: &str) -> &[String] {
        self.get(name).map_or(&[], Vec::as_slice)
    }

    /// The values of an option that takes two.
    pub fn pairs(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        self.many(name).chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str()))
    }

    fn get(&self, name: &str) -> Option<&Vec<String>> {
        debug_assert!(options::find(name).is_some(), "--{name} is in no table");
        self.values.get(name)
    }
}

/// Name of the generated text in diagnostics.
pub const NAME: &str = "serve options";

/// Reads `serve`'s options: the site with its warnings, or the complaint as text to print.
pub fn load(options: &ServeOptions, surroundings: &Surroundings) -> Result<(Site, Vec<Diagnostic>), String> {
    load_with(options, &Memory::new(), surroundings)
}

/// The same with the files of a machine, for what it looks up there.
pub fn load_with(
    options: &ServeOptions,
    source: &dyn Source,
    surroundings: &Surroundings,
) -> Result<(Site, Vec<Diagnostic>), String> {
    let text = generate(options, surroundings)?;
    let loaded = load_text(NAME, &text, source, surroundings);
    let (mut site, said) = loaded.into_result().map_err(|said| crate::diagnostic::render_all(&said))?;
    site.listen_implied = !names_a_listener(options);
    Ok((site, said))
}
