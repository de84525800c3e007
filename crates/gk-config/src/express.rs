//! `gilkeeper serve`: options become directive text, which is read like a configuration file. So `serve` can do nothing
//! that a file cannot, and `check` can show it. The rows of the options are in [`options`]; parsing the command line is
//! the command line's.

mod access;
mod dev;
pub mod foreign;
mod https;
pub mod layers;
pub mod options;
mod script;
mod services;
mod text;
mod writer;

use self::options::Use;
use crate::diagnostic::{Diagnostic, Severity};
use crate::site::{ImportScript, Site};
use crate::source::{Memory, Source};
use crate::{Loaded, Surroundings, load_text};
pub use dev::{STANDARD as DEVELOPMENT, develop};
pub use script::{called, instead, nearby, script};
use std::collections::BTreeMap;
pub use text::{generate, listeners, names_a_listener};

/// The options of `serve` as they were typed, by name; see [`options::all`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServeOptions {
    /// A file (`wsgi.py`, `site.wsgi`) or `package.module`, either with `:callable`.
    pub script: String,
    values: BTreeMap<&'static str, Vec<String>>,
    /// Names of the sources of options that the command line does not have.
    origins: BTreeMap<&'static str, String>,
    /// Values of weaker sources, and the options that they are of.
    beaten: Vec<(&'static str, String)>,
    /// Sentences for the user about the sources.
    pub remarks: Vec<String>,
}

impl ServeOptions {
    /// The options of a script, none given yet.
    pub fn new(script: impl Into<String>) -> Self {
        Self { script: script.into(), ..Self::default() }
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

    /// The option's name in messages, by which the user finds the place: `--port`, `PORT`, `port in gilkeeper.toml`.
    pub fn called(&self, name: &str) -> String {
        self.origins.get(name).cloned().unwrap_or_else(|| format!("--{name}"))
    }

    /// Nobody has written the line of an error: its remedy begins with the option that stands for it.
    fn name_the_option(&self, said: &mut Diagnostic) {
        let directive = said.source.split_whitespace().next().filter(|_| said.severity == Severity::Error);
        let stands_for = |option: &options::ServeOption| match option.used {
            Use::Directive(name) | Use::Enclosed(name, ..) => Some(name) == directive,
            _ => CODE.contains(&(option.name, directive.unwrap_or_default())),
        };
        let given = |option: &options::ServeOption| self.get(option.name).is_some();
        if let Some(option) = options::all().filter(given).find(stands_for) {
            let hint = said.hint.take().map(|hint| format!("; {hint}")).unwrap_or_default();
            said.hint = Some(format!("it is the value of {}{hint}", self.called(option.name)));
        }
    }

    fn get(&self, name: &str) -> Option<&Vec<String>> {
        debug_assert!(options::find(name).is_some(), "--{name} is in no table");
        self.values.get(name)
    }
}

/// Options with code of their own, by the directives whose values they give as they are.
const CODE: [(&str, &str); 2] =
    [("telemetry-service", "WSGITelemetryService"), ("ignore-activity", "<Location")];

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
    let loaded = read(options, source, surroundings)?;
    loaded.into_result().map_err(|said| crate::diagnostic::render_all(&said))
}

/// The same with everything that there is to say. The error: a value that no text can be made of.
pub fn read(
    options: &ServeOptions,
    source: &dyn Source,
    surroundings: &Surroundings,
) -> Result<Loaded, String> {
    let text = generate(options, source, surroundings)?;
    let mut loaded = load_text(NAME, &text, source, surroundings);
    loaded.diagnostics.iter_mut().for_each(|said| options.name_the_option(said));
    if let Some(site) = &mut loaded.site {
        site.listen_implied = !names_a_listener(options);
        let (_, named) = script(&options.script, &|path| source.is_file(path), &surroundings.directory)?;
        let lone_app =
            named.is_none() && options.one("callable-object").is_none() && !options.flag("factory");
        let standard =
            |import: &&mut ImportScript| import.callable_object.as_deref() == Some(CALLABLE_OBJECT);
        site.imports.iter_mut().filter(standard).for_each(|import| import.lone_app = lone_app);
    }
    Ok(loaded)
}

/// The callable that a script has by default.
const CALLABLE_OBJECT: &str = "application";
