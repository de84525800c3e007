//! Values of header rules: text with `%{name}e`, `%t`, `%D` and their relatives.

use crate::expr;
use crate::{Facts, Mistake};
use serde::{Deserialize, Serialize};

/// The moment in which a rule is applied.
pub struct Moment<'a> {
    /// The request.
    pub facts: &'a dyn Facts,
    /// A variable of the request, or an entry of environ.
    pub variable: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// Epoch microseconds of the request.
    pub began_micros: u64,
    /// Microseconds since then.
    pub took_micros: u64,
}

impl Moment<'_> {
    /// A variable.
    pub fn variable(&self, name: &str) -> Option<Vec<u8>> {
        (self.variable)(name)
    }
}

/// A value with what is filled in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Piece {
    Text(String),
    Variable(String),
    /// A variable of TLS, which no request here has.
    Tls(String),
    Began,
    Took,
    /// `expr=`: all of the value.
    Expression(expr::Text),
}

impl Template {
    /// Reads a value as Apache writes it.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        if let Some(text) = expr::behind_key(text) {
            return Ok(Self(vec![Piece::Expression(expr::Text::new(text)?)]));
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let piece = match (c, chars.peek().copied()) {
                ('\\', Some('r' | 'n')) => {
                    return Err(Mistake::new("a header's value holds no line break"));
                }
                ('\\', Some(escaped @ ('t' | '\\'))) => {
                    chars.next();
                    plain.push(if escaped == 't' { '\t' } else { escaped });
                    continue;
                }
                ('%', _) => match Piece::parse(&mut chars)? {
                    Piece::Text(text) => {
                        plain.push_str(&text);
                        continue;
                    }
                    piece => piece,
                },
                ('\r' | '\n' | '\0', _) => return Err(Mistake::new("a header's value holds no line break")),
                _ => {
                    plain.push(c);
                    continue;
                }
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// The value; one line, whatever is filled in.
    pub fn fill(&self, moment: &Moment<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Variable(name) => {
                    out.extend(moment.variable(name).unwrap_or_else(|| b"(null)".to_vec()));
                }
                Piece::Expression(text) => out.extend(text.value(moment.facts)),
                Piece::Tls(name) => {
                    let value = moment.facts.tls_variable(name).filter(|value| !value.is_empty());
                    out.extend_from_slice(value.as_deref().unwrap_or("(null)").as_bytes());
                }
                Piece::Began => out.extend_from_slice(format!("t={}", moment.began_micros).as_bytes()),
                Piece::Took => out.extend_from_slice(format!("D={}", moment.took_micros).as_bytes()),
            }
        }
        one_line(out)
    }
}

/// A value in which no byte ends a line: it could begin another field, or the body.
pub fn one_line(mut value: Vec<u8>) -> Vec<u8> {
    for byte in value.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        *byte = b' ';
    }
    value
}

impl Piece {
    /// What follows a percent sign.
    fn parse(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Self, Mistake> {
        let unknown = |what: &str| {
            let hint = "known: %{NAME}e, %{NAME}s, %t, %D, and %% for a percent sign";
            Mistake::new(format!("`%{what}` means nothing in a header's value")).hint(hint)
        };
        match chars.next() {
            Some('%') => Ok(Self::Text("%".to_owned())),
            Some('t') => Ok(Self::Began),
            Some('D') => Ok(Self::Took),
            Some('{') => {
                let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                match chars.next() {
                    Some('e') => Ok(Self::Variable(name)),
                    Some('s') => Ok(Self::Tls(name)),
                    other => {
                        Err(unknown(&format!("{{{name}}}{}", other.map(String::from).unwrap_or_default())))
                    }
                }
            }
            other => Err(unknown(&other.map(String::from).unwrap_or_default())),
        }
    }
}
