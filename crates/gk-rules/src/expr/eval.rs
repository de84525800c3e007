//! The value of an expression for a request.

use super::tree::{Condition, Function, Glob, Order, Test, Word};
use crate::Kind;
use crate::escape::{escape_path, unescape};
use crate::glob;
use crate::regexp::{Groups, TooLong};
use crate::server_variables::View;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The answer to a condition.
pub(crate) struct Answer {
    /// Whether it is true.
    pub(crate) holds: bool,
    /// The groups of the last pattern with groups that was tried; none if it did not match.
    pub(crate) groups: Option<Groups>,
}

/// Whether a condition is true.
pub(super) fn answer(tree: &Condition, view: View<'_>) -> Result<Answer, TooLong> {
    let mut eval = Eval { view, groups: None };
    let holds = eval.holds(tree)?;
    Ok(Answer { holds, groups: eval.groups })
}

/// The value of a text.
pub(super) fn value(tree: &Word, view: View<'_>) -> Vec<u8> {
    Eval { view, groups: None }.word(tree).into_owned()
}

struct Eval<'a> {
    view: View<'a>,
    groups: Option<Groups>,
}

impl Eval<'_> {
    fn holds(&mut self, condition: &Condition) -> Result<bool, TooLong> {
        Ok(match condition {
            Condition::Constant(value) => *value,
            Condition::Not(inner) => !self.holds(inner)?,
            Condition::All(parts) => {
                for part in parts {
                    if !self.holds(part)? {
                        return Ok(false);
                    }
                }
                true
            }
            Condition::Any(parts) => {
                for part in parts {
                    if self.holds(part)? {
                        return Ok(true);
                    }
                }
                false
            }
            Condition::Compare(left, order, right) => fits(*order, self.word(left).cmp(&self.word(right))),
            Condition::Number(left, order, right) => {
                fits(*order, number(&self.word(left)).cmp(&number(&self.word(right))))
            }
            Condition::Match(word, differs, pattern) => {
                let text = self.word(word).into_owned();
                // Groups of an earlier match stay, unless this pattern has some.
                let found = match pattern.groups_count() {
                    0 => pattern.is_match(&text)?,
                    _ => {
                        self.groups = pattern.groups(&text)?;
                        self.groups.is_some()
                    }
                };
                found != *differs
            }
            Condition::In(word, list) => {
                let wanted = self.word(word).into_owned();
                list.iter().any(|word| *self.word(word) == *wanted)
            }
            Condition::Test(test, word) => self.test(*test, &self.word(word)),
            Condition::Client(network) => {
                self.view.facts.client().is_some_and(|client| network.contains(client))
            }
            Condition::Address(word, network) => {
                let address = self.word(word);
                let address = std::str::from_utf8(&address).ok().and_then(|text| text.parse().ok());
                address.is_some_and(|address| network.contains(address))
            }
            Condition::Glob(word, style, pattern) => {
                let style = match style {
                    Glob::Text => glob::Style::Text,
                    Glob::AnyCase => glob::Style::AnyCase,
                    Glob::Path => glob::Style::Path,
                };
                glob::matches(&self.word(pattern), &self.word(word), style)
            }
        })
    }

    fn test(&self, test: Test, text: &[u8]) -> bool {
        let facts = self.view.facts;
        let path = Path::new(OsStr::from_bytes(text));
        match test {
            Test::Filled => !text.is_empty(),
            Test::Empty => text.is_empty(),
            Test::True => {
                !matches!(text.to_ascii_lowercase().as_slice(), b"" | b"off" | b"no" | b"false" | b"0")
            }
            Test::Directory => facts.kind(path) == Kind::Directory,
            Test::Exists => facts.kind(path) != Kind::Missing,
            Test::File => facts.kind(path) == Kind::File,
            Test::FileWithContent => facts.kind(path) == Kind::File && facts.size(path) > 0,
            Test::Link => facts.is_link(path),
            Test::Executable => facts.is_executable(path),
        }
    }

    fn word<'s>(&'s self, word: &'s Word) -> Cow<'s, [u8]> {
        match word {
            Word::Text(text) => text.into(),
            Word::Variable(variable) => self.view.value(*variable),
            Word::Tls(name) => self.view.tls(name),
            Word::Group(number) => match &self.groups {
                Some(groups) => groups.get(*number).into(),
                None => Cow::default(),
            },
            Word::Joined(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend_from_slice(&self.word(part));
                }
                all.into()
            }
            Word::Call(function, argument) => self.call(*function, &self.word(argument)).into(),
        }
    }

    fn call(&self, function: Function, argument: &[u8]) -> Vec<u8> {
        let text = || String::from_utf8_lossy(argument);
        let process = |name: &str| match name.contains(['=', '\0']) || name.is_empty() {
            true => Vec::new(),
            false => std::env::var_os(name).map(|value| value.as_bytes().to_vec()).unwrap_or_default(),
        };
        match function {
            Function::Header => self.view.header(&text()).into_owned(),
            Function::HeaderAside => self.view.untold().header(&text()).into_owned(),
            Function::RequestEnv => self.view.env.get(&text()).unwrap_or_default().to_vec(),
            Function::Env => match self.view.env.get(&text()) {
                Some(value) => value.to_vec(),
                None => process(&text()),
            },
            Function::ProcessEnv => process(&text()),
            Function::Lower => argument.to_ascii_lowercase(),
            Function::Upper => argument.to_ascii_uppercase(),
            Function::Escape => escape_path(argument),
            Function::Unescape => unescape(argument).unwrap_or_default(),
            Function::FileSize => {
                self.view.facts.size(Path::new(OsStr::from_bytes(argument))).to_string().into_bytes()
            }
        }
    }
}

/// Whether an outcome of a comparison is the one that is asked for.
fn fits(order: Order, outcome: Ordering) -> bool {
    match order {
        Order::Equal => outcome == Ordering::Equal,
        Order::Differs => outcome != Ordering::Equal,
        Order::Less => outcome == Ordering::Less,
        Order::LessOrEqual => outcome != Ordering::Greater,
        Order::Greater => outcome == Ordering::Greater,
        Order::GreaterOrEqual => outcome != Ordering::Less,
    }
}

/// The number at the start of a text, as `atoi` reads it; 0 where there is none.
pub(crate) fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let mut value = 0i64;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    if negative { -value } else { value }
}
