//! `RewriteCond`: a text of the request and the test that it must pass.

use super::flags;
use super::state::State;
use super::template;
use crate::expr::{Expression, number};
use crate::regexp::{Groups, Regexp, TooLong};
use crate::{Kind, Mistake};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    text: String,
    #[serde(default)]
    not: bool,
    check: Check,
    /// `OR`: it is enough if this or the next one is true.
    #[serde(default)]
    pub(super) or: bool,
    /// `NV`: caches are not told of the headers that it asks for.
    #[serde(default)]
    no_vary: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Check {
    Pattern(Regexp),
    Expression(Expression),
    File,
    FileWithContent,
    Directory,
    Link,
    Executable,
    Text(Order, String, bool),
    Number(Order, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn fits(self, outcome: Ordering) -> bool {
        match self {
            Self::Equal => outcome == Ordering::Equal,
            Self::Less => outcome == Ordering::Less,
            Self::LessOrEqual => outcome != Ordering::Greater,
            Self::Greater => outcome == Ordering::Greater,
            Self::GreaterOrEqual => outcome != Ordering::Less,
        }
    }
}

impl Condition {
    /// `RewriteCond text pattern [flags]`
    pub fn parse(words: &[&str]) -> Result<Self, Mistake> {
        let [text, pattern, rest @ ..] = words else {
            return Err(Mistake::new("RewriteCond takes a text and a pattern"));
        };
        let (mut nocase, mut or, mut no_vary) = (false, false, false);
        for (name, _) in flags::split(rest).map_err(|mistake| mistake.at(2))? {
            match name.to_ascii_lowercase().as_str() {
                "nc" | "nocase" => nocase = true,
                "or" | "ornext" => or = true,
                "nv" | "novary" => no_vary = true,
                _ => return Err(Mistake::new(format!("RewriteCond has no flag `{name}`")).at(2)),
            }
        }
        let (mut not, bare) = match pattern.strip_prefix('!') {
            Some(bare) => (true, bare),
            None => (false, *pattern),
        };
        let check = match text.eq_ignore_ascii_case("expr") {
            true => Check::Expression(Expression::new(bare).map_err(|mistake| mistake.at(1))?),
            false => {
                template::check(text).map_err(|mistake| mistake.at(0))?;
                // `-ne` is the one number test that is a denial.
                let (check, denied) = check(bare, nocase).map_err(|mistake| mistake.at(1))?;
                not ^= denied;
                check
            }
        };
        Ok(Self { text: (*text).to_owned(), not, check, or, no_vary })
    }

    /// Whether it is true; the groups of a pattern that matched are left in the state.
    pub(super) fn holds(&self, state: &mut State<'_>) -> Result<bool, TooLong> {
        let facts = state.facts;
        let told = state.asked_for.borrow().len();
        let text = match &self.check {
            Check::Expression(_) => Vec::new(),
            _ => template::expand(&self.text, state, None),
        };
        let path = Path::new(OsStr::from_bytes(&text));
        let mut groups: Option<Groups> = None;
        let holds = match &self.check {
            Check::Pattern(pattern) => {
                groups = pattern.groups(&text)?;
                groups.is_some()
            }
            Check::Expression(expression) => {
                let answer = expression.answer(state.view())?;
                groups = Some(answer.groups.unwrap_or_default());
                answer.holds
            }
            Check::File => facts.kind(path) == Kind::File,
            Check::FileWithContent => facts.kind(path) == Kind::File && facts.size(path) > 0,
            Check::Directory => facts.kind(path) == Kind::Directory,
            Check::Link => facts.is_link(path),
            Check::Executable => facts.is_executable(path),
            Check::Text(order, wanted, nocase) => {
                order.fits(compare(&text, wanted.as_bytes(), *order, *nocase))
            }
            Check::Number(order, wanted) => order.fits(number(&text).cmp(wanted)),
        };
        if holds
            && !self.not
            && let Some(groups) = groups
        {
            state.condition_groups = groups;
        }
        let holds = holds != self.not;
        if self.no_vary || (self.or && !holds) {
            state.asked_for.borrow_mut().truncate(told);
        }
        Ok(holds)
    }
}

/// The test that a pattern is, and whether it is denied.
fn check(pattern: &str, nocase: bool) -> Result<(Check, bool), Mistake> {
    match pattern {
        "-f" => return Ok((Check::File, false)),
        "-s" => return Ok((Check::FileWithContent, false)),
        "-d" => return Ok((Check::Directory, false)),
        "-l" | "-L" | "-h" => return Ok((Check::Link, false)),
        "-x" => return Ok((Check::Executable, false)),
        "-F" | "-U" => {
            let mistake = Mistake::new(format!("the test `{pattern}` of RewriteCond is not built"));
            return Err(mistake.hint("`-f` and `-d` ask whether a file or a directory is there"));
        }
        _ => {}
    }
    let numbers = [
        ("-lt", Order::Less, false),
        ("-le", Order::LessOrEqual, false),
        ("-gt", Order::Greater, false),
        ("-ge", Order::GreaterOrEqual, false),
        ("-eq", Order::Equal, false),
        ("-ne", Order::Equal, true),
    ];
    for (sign, order, denied) in numbers {
        if let Some(value) = pattern.strip_prefix(sign).filter(|value| !value.is_empty()) {
            return Ok((Check::Number(order, number(value.as_bytes())), denied));
        }
    }
    let texts = [
        (">=", Order::GreaterOrEqual),
        ("<=", Order::LessOrEqual),
        (">", Order::Greater),
        ("<", Order::Less),
        ("=", Order::Equal),
    ];
    // A sign alone is a pattern.
    if pattern.len() > 1 {
        for (sign, order) in texts {
            if let Some(value) = pattern.strip_prefix(sign) {
                let value = if order == Order::Equal && value == "\"\"" { "" } else { value };
                return Ok((Check::Text(order, value.to_owned(), nocase), false));
            }
        }
    }
    Ok((Check::Pattern(Regexp::new(pattern, nocase)?), false))
}

/// Apache's order of texts: a longer one is greater, whatever is in it, unless case does not count.
fn compare(left: &[u8], right: &[u8], order: Order, nocase: bool) -> Ordering {
    match nocase {
        true => left.to_ascii_lowercase().cmp(&right.to_ascii_lowercase()),
        false if order == Order::Equal => left.cmp(right),
        false => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
    }
}
