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
    /// Written form. The format decides about the text; of the others it adds header fields only.
    #[serde(default)]
    pub form: LogForm,
    /// Which requests it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<LogCondition>,
}

/// Written form of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogForm {
    /// Apache's.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// One line of `name=value`.
    Logfmt,
}

impl LogForm {
    /// Names of the forms that are no format strings of Apache.
    pub const NAMED: [&str; 2] = ["json", "logfmt"];

    /// The form of that name that is no format string of Apache.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "logfmt" => Some(Self::Logfmt),
            _ => None,
        }
    }

    /// For a person.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "JSON",
            Self::Logfmt => "logfmt",
        }
    }
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
