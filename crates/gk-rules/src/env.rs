//! The variables of one request (`SetEnvIf`, `SetEnv`, `RewriteRule … [E=]`): rules read and set them, and the application finds
//! them in its environ.

use std::collections::BTreeMap;

/// Variables by name. A value is bytes, as it may be a part of a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env(BTreeMap<String, Vec<u8>>);

impl Env {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.insert(name.into(), value.into());
    }

    /// Takes a variable out.
    pub fn unset(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Sets a variable or, without a value, takes it out.
    pub fn change(&mut self, name: &str, value: Option<Vec<u8>>) {
        match value {
            Some(value) => self.set(name, value),
            None => self.unset(name),
        }
    }

    /// Whether no variable is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}
