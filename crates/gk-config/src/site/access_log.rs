//! An access log, and the requests that it is about.

use gk_rules::Mistake;
use gk_rules::expr::{self, Expression};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One access log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLog {
    /// File, or `None` for standard output.
    pub path: Option<PathBuf>,
    /// The `LogFormat` string itself (nicknames are resolved).
    pub format: String,
    /// One JSON object a line.
    pub json: bool,
    /// Which requests it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<LogCondition>,
}

/// Which requests a log is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogCondition {
    /// `env=[!]name`.
    Variable {
        /// A variable.
        name: String,
        /// It is set, or (false) not set.
        set: bool,
    },
    /// `expr=`: it is true once the response is there.
    Expression(Expression),
}

impl LogCondition {
    /// Reads the last word of CustomLog.
    pub fn parse(word: &str) -> Result<Self, Mistake> {
        if let Some(expression) = expr::behind_key(word) {
            return Expression::new(expression).map(Self::Expression);
        }
        let name = word.get(..4).filter(|key| key.eq_ignore_ascii_case("env=")).map(|_| &word[4..]);
        let (name, set) = match name {
            Some(name) => name.strip_prefix('!').map_or((name, true), |bare| (bare, false)),
            None => ("", true),
        };
        if name.is_empty() {
            let mistake = Mistake::new(format!("`{word}` is no condition of CustomLog"));
            return Err(mistake.hint("a condition is written env=NAME, env=!NAME or expr=EXPRESSION"));
        }
        Ok(Self::Variable { name: name.to_owned(), set })
    }

    /// Whether it needs the facts of the request.
    pub fn is_expression(&self) -> bool {
        matches!(self, Self::Expression(_))
    }
}
