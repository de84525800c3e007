//! Apache's expression language (`ap_expr`), as `<If>`, `RewriteCond expr` and the `expr=` of other directives hold it. An
//! expression is read once, into a tree; what is not built is a mistake that names it. Nesting is bounded, and no part of it loops,
//! so that an answer takes time in proportion to its text and the request's.

mod eval;
mod parse;
mod tree;

use crate::regexp::TooLong;
use crate::server_variables::View;
use crate::{Facts, Groups, Mistake};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

pub(crate) use eval::{Answer, number};

/// A condition.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Expression {
    text: String,
    tree: Arc<tree::Condition>,
}

impl Expression {
    /// Reads a condition.
    pub fn new(text: &str) -> Result<Self, Mistake> {
        let tree = parse::condition(text).map_err(|why| mistake(text, &why))?;
        Ok(Self { text: text.to_owned(), tree: Arc::new(tree) })
    }

    /// The condition as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is true for a request.
    pub fn holds(&self, facts: &dyn Facts) -> Result<bool, TooLong> {
        self.answer(View::of(facts)).map(|answer| answer.holds)
    }

    /// Whether it is true for a request, where the response does not depend on it.
    pub fn holds_aside(&self, facts: &dyn Facts) -> Result<bool, TooLong> {
        self.answer(View::of(facts).untold()).map(|answer| answer.holds)
    }

    /// The groups of its last match, if it is true for a request.
    pub fn groups(&self, facts: &dyn Facts) -> Result<Option<Groups>, TooLong> {
        let answer = self.answer(View::of(facts))?;
        Ok(answer.holds.then(|| answer.groups.unwrap_or_default()))
    }

    /// Whether it is true for a request that leads to a file; `rest` is what of the path lies behind it.
    pub fn holds_at(&self, facts: &dyn Facts, file: &[u8], rest: &[u8]) -> Result<bool, TooLong> {
        let view = View { filename: file, path_info: rest, ..View::of(facts) };
        self.answer(view).map(|answer| answer.holds)
    }

    /// Whether `%{REMOTE_USER}` is in it.
    pub(crate) fn asks_for_user(&self) -> bool {
        self.text.to_ascii_uppercase().contains("%{REMOTE_USER}")
    }

    /// Whether it is true for a view of a request, and the groups of its last match.
    pub(crate) fn answer(&self, view: View<'_>) -> Result<Answer, TooLong> {
        eval::answer(&self.tree, view)
    }
}

/// A text with variables: `%{HTTP_HOST}/x`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Text {
    text: String,
    tree: Arc<tree::Word>,
}

impl Text {
    /// Reads a text.
    pub fn new(text: &str) -> Result<Self, Mistake> {
        let tree = parse::text(text).map_err(|why| mistake(text, &why))?;
        Ok(Self { text: text.to_owned(), tree: Arc::new(tree) })
    }

    /// The text as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its value for a request. As with Apache, caches are not told of the headers in it.
    pub fn value(&self, facts: &dyn Facts) -> Vec<u8> {
        eval::value(&self.tree, View::of(facts).untold())
    }
}

/// What follows `expr=`, as conditions of other directives write it.
pub fn behind_key(word: &str) -> Option<&str> {
    let key = word.get(..5)?;
    key.eq_ignore_ascii_case("expr=").then(|| &word[5..])
}

fn mistake(text: &str, why: &parse::Why) -> Mistake {
    let mistake = Mistake::new(format!("the expression `{text}` is not understood: {}", why.message));
    match why.hint {
        Some(hint) => mistake.hint(hint),
        None => mistake,
    }
}

macro_rules! as_text {
    ($type:ident) => {
        impl fmt::Debug for $type {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.text, to)
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.text == other.text
            }
        }

        impl Eq for $type {}

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.text
            }
        }

        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                Self::new(&text).map_err(|mistake| mistake.message)
            }
        }
    };
}

as_text!(Expression);
as_text!(Text);

#[cfg(test)]
#[path = "expr/tests.rs"]
mod tests;
