//! The form of a directive's row: name, contexts, arguments, documentation, status, and the function that applies it. The
//! rows themselves are in [`crate::directives`]; documentation and `check` are made from the same rows.

use super::raw::{Need, Raw, RawHost};
use crate::Surroundings;
use crate::diagnostic::Complaint;
use crate::site::{InterpreterOptions, SettingsPatch};
use crate::token::{Split, Word};
pub use gk_options::Status;
use std::path::{Path, PathBuf};

/// Contexts that a directive is allowed in; a set, joined with [`Contexts::or`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contexts(u8);

impl Contexts {
    /// The main server configuration only.
    pub const GLOBAL: Self = Self(1);
    /// The main server and virtual hosts.
    pub const SERVER: Self = Self(1 | 2);
    /// `<Location>`, `<Directory>`, `<Files>` and their relatives.
    pub const SECTION: Self = Self(4);
    /// `<WSGIInterpreterOptions>`.
    pub const INTERPRETER: Self = Self(8);
    /// In `.htaccess` files too, with mod_wsgi; we read none. Documentation only.
    pub const HTACCESS: Self = Self(16);
    /// Everywhere but in `<WSGIInterpreterOptions>`.
    pub const ANY: Self = Self(1 | 2 | 4);

    /// Both sets.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every member of `other` is in this set.
    pub const fn holds(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set in words.
    pub fn words(self) -> String {
        let mut words = Vec::new();
        if self.0 & 1 != 0 {
            words.push("server configuration");
        }
        if self.0 & 2 != 0 {
            words.push("virtual host");
        }
        if self.0 & 4 != 0 {
            words.push("directory, files and location sections");
        }
        if self.0 & 8 != 0 {
            words.push("<WSGIInterpreterOptions>");
        }
        words.join(", ")
    }
}

/// Number of words that a directive takes, and how they are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arity {
    /// Fewest words.
    pub least: usize,
    /// Most words.
    pub most: usize,
    /// How quotes count.
    pub split: Split,
}

impl Arity {
    /// Exactly `n` words.
    pub const fn exactly(n: usize) -> Self {
        Self::between(n, n)
    }

    /// From `least` to `most` words.
    pub const fn between(least: usize, most: usize) -> Self {
        Self { least, most, split: Split::Words }
    }

    /// `least` words or more.
    pub const fn at_least(least: usize) -> Self {
        Self::between(least, usize::MAX)
    }

    /// `least` words or more, among them `key="value"` options.
    pub const fn options(least: usize) -> Self {
        Self { least, most: usize::MAX, split: Split::Options }
    }

    /// The number in words.
    pub fn words(self) -> String {
        let s = |n: usize| if n == 1 { "" } else { "s" };
        match (self.least, self.most) {
            (a, b) if a == b => format!("{a} argument{}", s(a)),
            (a, usize::MAX) => format!("at least {a} argument{}", s(a)),
            (a, b) => format!("{a} to {b} arguments"),
        }
    }
}

/// The outcome of applying a directive.
pub type Applied = Result<(), Complaint>;

/// One directive.
#[derive(Debug, Clone, Copy)]
pub struct Directive {
    /// Name; compared without case.
    pub name: &'static str,
    /// Arguments as the reference shows them.
    pub syntax: &'static str,
    /// Default.
    pub default: &'static str,
    /// Contexts that it is allowed in.
    pub contexts: Contexts,
    /// What becomes of it.
    pub status: Status,
    /// Number of words.
    pub arity: Arity,
    /// Documentation, in Markdown.
    pub doc: &'static str,
    /// A directive of ours that mod_wsgi and Apache do not have.
    pub ours: bool,
    /// Checks the words and writes them into the raw configuration.
    pub apply: fn(&mut Scope, &[Word]) -> Applied,
}

impl Directive {
    /// A directive that does what it says.
    pub const fn honoured(
        name: &'static str,
        syntax: &'static str,
        contexts: Contexts,
        arity: Arity,
        apply: fn(&mut Scope, &[Word]) -> Applied,
    ) -> Self {
        let (status, default, doc, ours) = (Status::Honoured, "none", "", false);
        Self { name, syntax, default, contexts, status, arity, doc, ours, apply }
    }

    /// A directive that is read and changes nothing.
    pub const fn inert(
        name: &'static str,
        syntax: &'static str,
        contexts: Contexts,
        why: &'static str,
    ) -> Self {
        let row = Self::honoured(name, syntax, contexts, Arity::at_least(0), nothing);
        Self { status: Status::WithoutEffect(why), ..row }
    }

    /// A directive that mod_wsgi 6 has removed.
    pub const fn removed(name: &'static str, why: &'static str) -> Self {
        let row = Self::honoured(name, "…", Contexts::ANY, Arity::at_least(0), nothing);
        Self { status: Status::Removed(why), ..row }
    }

    /// A directive that protects its scope and is not honoured: the scope is closed. `apply` may find that it protects nothing.
    pub const fn closing(name: &'static str, contexts: Contexts, remedy: &'static str) -> Self {
        let row = Self::honoured(name, "…", contexts, Arity::at_least(0), nothing);
        Self { status: Status::Closes(remedy), ..row }
    }

    /// A directive of a web server in front. `apply` may find that it asks for nothing.
    pub const fn to_proxy(name: &'static str, remedy: &'static str) -> Self {
        let row = Self::honoured(name, "…", Contexts::ANY, Arity::at_least(0), nothing);
        Self { status: Status::ToProxy(remedy), ..row }
    }

    /// A directive in whose place another one is written here.
    pub const fn otherwise(name: &'static str, remedy: &'static str) -> Self {
        Self { status: Status::Otherwise(remedy), ..Self::to_proxy(name, remedy) }
    }

    /// The same row with a function that looks at the words.
    pub const fn judged(self, apply: fn(&mut Scope, &[Word]) -> Applied) -> Self {
        Self { apply, ..self }
    }

    /// Marks the row as accepted without effect; `apply` still checks the words.
    pub const fn without_effect(self, why: &'static str) -> Self {
        Self { status: Status::WithoutEffect(why), ..self }
    }

    /// Marks the row as not built yet; `apply` still checks the words.
    pub const fn unbuilt(self, area: &'static str) -> Self {
        Self { status: Status::NotBuiltYet(area), ..self }
    }

    /// Marks the row as done by a proxy in front; `apply` still checks the words.
    pub const fn in_proxy(self, why: &'static str) -> Self {
        Self { status: Status::InProxy(why), ..self }
    }

    /// Adds the default.
    pub const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// Adds the description.
    pub const fn doc(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }

    /// Marks the row as ours.
    pub const fn ours(self) -> Self {
        Self { ours: true, ..self }
    }
}

/// Applies nothing.
pub fn nothing(_: &mut Scope, _: &[Word]) -> Applied {
    Ok(())
}

/// The place in the raw configuration a directive writes to.
pub struct Scope<'a> {
    /// The whole raw configuration.
    pub raw: &'a mut Raw,
    /// Index of the host being filled; 0 is the main server.
    pub host: usize,
    /// Index of the section of that host being filled.
    pub section: Option<usize>,
    /// Index of the interpreter block being filled; 0 is the top level.
    pub block: usize,
    /// Directory relative paths start at.
    pub base: &'a Path,
    /// What the configuration is read against.
    pub surroundings: &'a Surroundings,
    /// The directive's name as the table spells it.
    pub name: &'static str,
    /// The name's word in the file.
    pub word: &'a Word,
    /// What becomes of this use: the row's status, unless its words say otherwise.
    pub status: Status,
    /// What is said beside the outcome.
    pub said: Vec<Complaint>,
}

impl Scope<'_> {
    /// The host being filled.
    pub fn host(&mut self) -> &mut RawHost {
        &mut self.raw.hosts[self.host]
    }

    /// The settings of the innermost scope.
    pub fn settings(&mut self) -> &mut SettingsPatch {
        let host = &mut self.raw.hosts[self.host];
        match self.section {
            Some(index) => &mut host.sections[index].section.set,
            None => &mut host.base,
        }
    }

    /// The interpreter options of the innermost block.
    pub fn interpreter(&mut self) -> &mut InterpreterOptions {
        &mut self.raw.interpreters[self.block]
    }

    /// Whether the scope is the main server itself.
    pub fn is_main(&self) -> bool {
        self.host == 0 && self.section.is_none()
    }

    /// An absolute path; relative ones start at `ServerRoot`.
    pub fn path(&self, text: &str) -> PathBuf {
        self.base.join(text)
    }

    /// Notes what the machine is expected to have.
    pub fn need(&mut self, need: Need, word: &Word) {
        self.raw.needs.push((need, word.clone()));
    }

    /// Notes a user or a group that is expected; a number needs no name.
    pub fn need_identity(&mut self, need: fn(String) -> Need, name: &str, word: &Word) {
        if !name.starts_with('#') {
            self.need(need(name.to_owned()), word);
        }
    }

    /// Says something without failing.
    pub fn say(&mut self, complaint: Complaint) {
        let complaint = complaint.or_at(self.word.place, self.word.width);
        self.said.push(complaint);
    }
}
