//! The methods that an access directive is about: `<Limit>`, `<LimitExcept>`, or all.

use crate::Mistake;
use serde::{Deserialize, Serialize};

/// Methods. `GET` stands for `HEAD`, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Methods {
    /// Every method.
    #[default]
    All,
    /// `<Limit …>`.
    Only(Vec<String>),
    /// `<LimitExcept …>`.
    Except(Vec<String>),
}

impl Methods {
    /// Reads the words of `<Limit>`, or of `<LimitExcept>`.
    pub fn parse(words: &[&str], except: bool) -> Result<Self, Mistake> {
        if let Some(word) = words.iter().position(|word| word.eq_ignore_ascii_case("TRACE")) {
            let mistake = Mistake::new("TRACE cannot be limited here").at(word);
            return Err(mistake.hint("the server never answers it"));
        }
        let list = words.iter().map(|&word| word.to_owned()).collect();
        Ok(if except { Self::Except(list) } else { Self::Only(list) })
    }

    /// Whether a method is among them.
    pub fn hold(&self, method: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => holds(list, method),
            Self::Except(list) => !holds(list, method),
        }
    }

    /// Whether it is about every method.
    pub fn are_all(&self) -> bool {
        *self == Self::All
    }
}

/// Whether a list names a method. Names of methods are case-sensitive, as in HTTP.
pub(super) fn holds(list: &[String], method: &str) -> bool {
    let method = if method == "HEAD" { "GET" } else { method };
    list.iter().any(|name| name == method || (name == "HEAD" && method == "GET"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_gets() {
        let only = Methods::parse(&["GET", "PURGE"], false).expect("valid");
        let except = Methods::parse(&["GET", "PURGE"], true).expect("valid");
        for (method, held) in
            [("GET", true), ("HEAD", true), ("PURGE", true), ("POST", false), ("get", false)]
        {
            assert_eq!((only.hold(method), except.hold(method)), (held, !held), "{method}");
        }
        assert!(Methods::All.hold("ANY") && Methods::parse(&["TRACE"], false).is_err());
    }
}
