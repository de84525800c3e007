//! `RewriteEngine` and its relatives (mod_rewrite). Rules outside of sections change the URL before it is mapped ([`server`]);
//! those of a section change it once its file is known, relative to the section ([`place`]). The result is an [`Outcome`]; who
//! asks acts on it.

mod condition;
mod cookie;
mod engine;
mod flags;
mod outcome;
mod rule;
mod state;
mod template;
mod url;

pub use condition::Condition;
pub use outcome::{Action, Note, Outcome, Place, place, server};
pub use rule::Rule;

use crate::Mistake;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The rewriting rules of one scope or, laid together, of one place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rewrite {
    /// `RewriteEngine`.
    pub engine: Option<bool>,
    /// `RewriteOptions`, if it stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
    /// `RewriteBase`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The prefix of a section's paths, with its slash at the end; `None` outside of sections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The main server or the host has a directive of its own, be it in a section.
    pub own: bool,
    /// Rules in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Conditions that wait for their rule.
    #[serde(skip)]
    pub waiting: Vec<Condition>,
    /// `RewriteMap`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub maps: BTreeMap<String, Map>,
}

/// `RewriteOptions`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// `Inherit`: the rules of the outer scope follow the own ones.
    pub inherit: bool,
    /// `InheritBefore`: they come before them.
    pub inherit_before: bool,
    /// `InheritDown`: as if the inner scopes had `Inherit`.
    pub inherit_down: bool,
    /// `InheritDownBefore`.
    pub inherit_down_before: bool,
    /// `IgnoreInherit`: what the outer scope hands down is not taken.
    pub ignore_inherit: bool,
    /// `MergeBase`: `RewriteBase` is inherited.
    pub merge_base: bool,
    /// `AllowNoSlash`: the directory itself, asked for without its slash, is rewritten too.
    pub allow_no_slash: bool,
    /// `IgnoreContextInfo`: the target of an alias is not replaced by its URL.
    pub ignore_context: bool,
}

/// A map of `RewriteMap name int:function`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Map {
    /// `int:tolower`
    Lower,
    /// `int:toupper`
    Upper,
    /// `int:escape`
    Escape,
    /// `int:unescape`
    Unescape,
}

impl Rewrite {
    /// Whether nothing stands here.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether rules outside of sections may change a request. `engine`: what a `<Location>` around the URL says.
    pub fn runs_on_server(&self, engine: Option<bool>) -> bool {
        engine.or(self.engine) == Some(true) && self.directory.is_none() && self.own
    }

    /// Whether rules of a section may change a request.
    pub fn runs_in_place(&self) -> bool {
        self.engine == Some(true) && self.directory.is_some() && !self.rules.is_empty()
    }

    /// `RewriteOptions name …`
    pub fn add_options(&mut self, words: &[&str]) -> Result<(), Mistake> {
        let options = self.options.get_or_insert_default();
        for (index, word) in words.iter().enumerate() {
            let switch = match word.to_ascii_lowercase().as_str() {
                "inherit" => &mut options.inherit,
                "inheritbefore" => &mut options.inherit_before,
                "inheritdown" => &mut options.inherit_down,
                "inheritdownbefore" => &mut options.inherit_down_before,
                "ignoreinherit" => &mut options.ignore_inherit,
                "mergebase" => &mut options.merge_base,
                "allownoslash" => &mut options.allow_no_slash,
                "ignorecontextinfo" => &mut options.ignore_context,
                // Targets that are no path never get here, matching is bounded in its own way, and a URL of the own host stays one.
                "allowanyuri" | "longurloptimization" | "legacyprefixdocroot" => continue,
                known if known.starts_with("maxredirects=") => continue,
                _ => return Err(Mistake::new(format!("RewriteOptions has no option `{word}`")).at(index)),
            };
            *switch = true;
        }
        Ok(())
    }

    /// `RewriteMap name type:source`
    pub fn add_map(&mut self, words: &[&str]) -> Result<(), Mistake> {
        let [name, source, ..] = words else {
            return Err(Mistake::new("RewriteMap takes a name and a source"));
        };
        let map = match source.to_ascii_lowercase().as_str() {
            "int:tolower" => Map::Lower,
            "int:toupper" => Map::Upper,
            "int:escape" => Map::Escape,
            "int:unescape" => Map::Unescape,
            _ => {
                let mistake = Mistake::new(format!("the map `{source}` is not built")).at(1);
                let hint = "int:tolower, int:toupper, int:escape and int:unescape are; write a table as one RewriteRule for \
                            each line, or look it up in the application";
                return Err(mistake.hint(hint));
            }
        };
        self.maps.insert((*name).to_owned(), map);
        Ok(())
    }

    /// Adds a condition to those that the next rule takes.
    pub fn add_condition(&mut self, words: &[&str]) -> Result<(), Mistake> {
        self.waiting.push(Condition::parse(words)?);
        Ok(())
    }

    /// Adds a rule, with the conditions that wait for it.
    pub fn add_rule(&mut self, words: &[&str]) -> Result<(), Mistake> {
        // They are gone whether or not this is a rule, as they would guard the next one.
        let conditions = std::mem::take(&mut self.waiting);
        self.rules.push(Rule::parse(words, conditions)?);
        Ok(())
    }

    /// The first name of a map that a text uses and that is not defined, neither here nor in `outer`.
    pub fn missing_map<'w>(&self, outer: &Self, words: &[&'w str]) -> Option<&'w str> {
        let mut names = words.iter().flat_map(|word| template::maps(word));
        names.find(|name| !self.maps.contains_key(*name) && !outer.maps.contains_key(*name))
    }

    /// Lays the rules of an inner section over these.
    pub fn lay(&mut self, inner: &Self) {
        if inner.is_empty() {
            return;
        }
        let (own, outer) = (inner.options.unwrap_or_default(), self.options.unwrap_or_default());
        let options = inner.options.or(self.options);
        let effective = options.unwrap_or_default();
        // Rules outside of sections are no section's: they have run already.
        let above = if self.directory.is_some() { std::mem::take(&mut self.rules) } else { Vec::new() };
        let after = effective.inherit || (outer.inherit_down && !own.ignore_inherit);
        let before = effective.inherit_before || (outer.inherit_down_before && !own.ignore_inherit);
        let rules = match (after, before) {
            (true, _) => inner.rules.iter().cloned().chain(above).collect(),
            (_, true) => above.into_iter().chain(inner.rules.iter().cloned()).collect(),
            _ => inner.rules.clone(),
        };
        let base = match (&inner.base, effective.merge_base) {
            (None, true) => self.base.take(),
            (base, _) => base.clone(),
        };
        let mut maps = std::mem::take(&mut self.maps);
        maps.extend(inner.maps.iter().map(|(name, map)| (name.clone(), *map)));
        *self = Self {
            engine: inner.engine.or(self.engine),
            options,
            base,
            directory: inner.directory.clone(),
            own: inner.own,
            rules,
            waiting: Vec::new(),
            maps,
        };
    }

    /// The rules outside of sections of a virtual host: `main` are those of the main server. A host takes none of them, unless it
    /// has directives of its own and either side says so.
    pub fn of_host(main: &Self, host: &Self) -> Self {
        if host.is_empty() {
            // The engine is what the host's sections inherit.
            let maps = main.maps.clone();
            return Self { engine: main.engine, options: main.options, maps, ..Self::default() };
        }
        let above = Self { directory: Some(String::new()), ..main.clone() };
        let mut laid = above;
        laid.lay(host);
        Self { directory: None, ..laid }
    }
}

#[cfg(test)]
#[path = "rewrite/tests.rs"]
mod tests;
