//! `Header` and `RequestHeader`: fields that are set, extended, edited or taken out. A response has two tables, as with Apache:
//! what `always` rules change, which error pages have, too, and what the others change, which holds the application's fields.

mod template;

pub use template::Moment;

use crate::expr::{self, Expression};
use crate::{Mistake, Regexp};
use serde::{Deserialize, Serialize};
use template::Template;

/// Fields that frame the message or the connection: the server alone writes them.
const FRAMING: &[&str] = &[
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "upgrade",
    "te",
    "trailer",
    "date",
    "server",
];

/// The rules of a scope, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Headers {
    /// `Header`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response: Vec<HeaderRule>,
    /// `RequestHeader`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request: Vec<HeaderRule>,
}

impl Headers {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.response.is_empty() && self.request.is_empty()
    }

    /// Lays those of an inner scope over these: they come after them.
    pub fn lay(&mut self, inner: &Self) {
        self.response.extend(inner.response.iter().cloned());
        self.request.extend(inner.request.iter().cloned());
    }
}

/// A table of header fields. Names are in lower case.
pub trait Fields {
    /// The values of a field, in order.
    fn values(&self, name: &str) -> Vec<Vec<u8>>;
    /// Puts these values in place of the present ones; none: the field is taken out.
    fn replace(&mut self, name: &str, values: Vec<Vec<u8>>);
}

/// One directive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeaderRule {
    name: String,
    action: Action,
    value: Template,
    when: When,
    /// `Header always`: it holds for error pages, too.
    pub always: bool,
    /// `RequestHeader … early`: before everything else.
    pub early: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Set,
    SetIfEmpty,
    Append,
    Merge,
    Add,
    Unset,
    /// The first match, or all.
    Edit(Regexp, bool),
    /// Copies the request's fields whose names match.
    Echo(Regexp),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    Always,
    Variable(String),
    NoVariable(String),
    Expression(Expression),
}

impl HeaderRule {
    /// `Header [always|onsuccess] action name [value [replacement]] [early|env=[!]name|expr=expression]`; `RequestHeader` (`request`) has no
    /// `always`.
    pub fn parse(words: &[&str], request: bool) -> Result<Self, Mistake> {
        let (always, shift) = match words.first().map(|word| word.to_ascii_lowercase()).as_deref() {
            Some("always") if !request => (true, 1),
            Some("onsuccess") if !request => (false, 1),
            _ => (false, 0),
        };
        let at = |index: usize| move |mistake: Mistake| mistake.at(index + shift);
        let [action, name, rest @ ..] = &words[shift..] else {
            return Err(Mistake::new("an action and the name of a header are needed"));
        };
        let lower = action.to_ascii_lowercase();
        let takes = match &*lower {
            "unset" | "echo" => 0,
            "edit" | "edit*" => 2,
            "set" | "setifempty" | "append" | "merge" | "add" => 1,
            "note" => return Err(Mistake::new("the action note is not supported").at(shift)),
            _ => {
                let message = format!("`{action}` is no action");
                let hint = "known: set, setifempty, append, merge, add, unset, edit, edit*, echo";
                return Err(Mistake::new(message).at(shift).hint(hint));
            }
        };
        if rest.len() < takes {
            let what = if takes == 2 { "a regular expression and a replacement" } else { "a value" };
            return Err(Mistake::new(format!("the action {lower} needs {what}")));
        }
        if let Some(index) = (rest.len() > takes + 1).then_some(takes + 3) {
            return Err(
                Mistake::new("there is a word too many; a value with blanks needs quotes").at(index + shift)
            );
        }
        let (when, early) = match rest.get(takes) {
            None => (When::Always, false),
            Some(word) if word.eq_ignore_ascii_case("early") => (When::Always, true),
            Some(word) => (When::parse(word).map_err(at(takes + 2))?, false),
        };
        let action = match &*lower {
            "set" => Action::Set,
            "setifempty" => Action::SetIfEmpty,
            "append" => Action::Append,
            "merge" => Action::Merge,
            "add" => Action::Add,
            "unset" => Action::Unset,
            "echo" => Action::Echo(Regexp::new(name, true).map_err(at(1))?),
            _ => Action::Edit(Regexp::new(rest[0], false).map_err(at(2))?, lower.ends_with('*')),
        };
        let value = match takes {
            0 => Template::default(),
            takes => Template::parse(rest[takes - 1]).map_err(at(takes + 1))?,
        };
        let name = name.strip_suffix(':').unwrap_or(name).to_ascii_lowercase();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if !matches!(action, Action::Echo(_)) && (name.is_empty() || !name.bytes().all(token)) {
            return Err(Mistake::new(format!("`{name}` is no name of a header")).at(1 + shift));
        }
        Ok(Self { name, action, value, when, always, early })
    }

    /// Whether the rule is about a field that the server alone writes, so that it changes nothing.
    pub fn is_without_effect(&self) -> bool {
        FRAMING.contains(&&*self.name)
    }

    /// The field that it is about.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Applies the rule.
    pub fn apply(&self, fields: &mut dyn Fields, moment: &Moment<'_>) {
        let holds = match &self.when {
            When::Always => true,
            When::Variable(name) => moment.variable(name).is_some(),
            When::NoVariable(name) => moment.variable(name).is_none(),
            When::Expression(expression) => expression.holds(moment.facts) == Ok(true),
        };
        if !holds || self.is_without_effect() {
            return;
        }
        let mut values = match &self.action {
            Action::Echo(names) => return echo(names, fields, moment),
            _ => fields.values(&self.name),
        };
        match &self.action {
            Action::Set => values = vec![self.value.fill(moment)],
            Action::SetIfEmpty if values.is_empty() => values.push(self.value.fill(moment)),
            Action::SetIfEmpty | Action::Echo(_) => return,
            Action::Add => values.push(self.value.fill(moment)),
            Action::Append | Action::Merge => {
                let value = self.value.fill(moment);
                match values.first_mut() {
                    None => values.push(value),
                    Some(first) if self.action == Action::Merge && lists(first, &value) => return,
                    Some(first) => {
                        first.extend_from_slice(b", ");
                        first.extend_from_slice(&value);
                    }
                }
            }
            Action::Unset if values.is_empty() => return,
            Action::Unset => values.clear(),
            Action::Edit(pattern, all) => {
                let replacement = String::from_utf8_lossy(&self.value.fill(moment)).into_owned();
                for value in &mut values {
                    *value = edited(value, pattern, &replacement, *all);
                }
            }
        }
        fields.replace(&self.name, values);
    }
}

/// Copies the request's fields.
fn echo(names: &Regexp, fields: &mut dyn Fields, moment: &Moment<'_>) {
    for name in
        moment.facts.header_names().into_iter().filter(|name| names.is_match(name.as_bytes()) == Ok(true))
    {
        if FRAMING.contains(&name) {
            continue;
        }
        if let Some(value) = moment.facts.header(name) {
            let name = name.to_ascii_lowercase();
            let mut values = fields.values(&name);
            values.push(value.into_owned());
            fields.replace(&name, values);
        }
    }
}

/// Whether a list with commas holds an element already.
fn lists(list: &[u8], element: &[u8]) -> bool {
    let mut quoted = false;
    let mut parts = list.split(|&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    });
    parts.any(|part| part.trim_ascii() == element)
}

/// Bytes that a pattern with look-around may go over while every match in a value is replaced: what is left stays as it is.
const WORK: usize = 2_000_000;

/// A value with its first match, or every one, replaced.
fn edited(value: &[u8], pattern: &Regexp, replacement: &str, all: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let (mut rest, mut work) = (value, 0);
    while let Some(groups) = pattern.found(rest) {
        work += rest.len();
        let (begin, end) = groups.span();
        out.extend_from_slice(&rest[..begin]);
        out.extend(template::one_line(groups.fill(replacement)));
        rest = &rest[end..];
        // An empty match would be found for ever.
        if !all || begin == end || (work > WORK && !pattern.is_linear()) {
            break;
        }
    }
    out.extend_from_slice(rest);
    out
}

impl When {
    fn parse(word: &str) -> Result<Self, Mistake> {
        let form = || {
            let message = format!("`{word}` is no condition");
            Mistake::new(message).hint("a condition is written env=NAME, env=!NAME, expr=EXPRESSION or early")
        };
        if let Some(expression) = expr::behind_key(word) {
            return Ok(Self::Expression(Expression::new(expression)?));
        }
        let name = word
            .get(..4)
            .filter(|key| key.eq_ignore_ascii_case("env="))
            .and(word.get(4..))
            .ok_or_else(form)?;
        Ok(match name.strip_prefix('!') {
            Some("") => return Err(form()),
            None if name.is_empty() => return Err(form()),
            Some(name) => Self::NoVariable(name.to_owned()),
            None => Self::Variable(name.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::Asked;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Table(BTreeMap<String, Vec<Vec<u8>>>);

    impl Fields for Table {
        fn values(&self, name: &str) -> Vec<Vec<u8>> {
            self.0.get(name).cloned().unwrap_or_default()
        }
        fn replace(&mut self, name: &str, values: Vec<Vec<u8>>) {
            self.0.remove(name);
            if !values.is_empty() {
                self.0.insert(name.to_owned(), values);
            }
        }
    }

    /// The fields of `start` (`name=value`) after the rules.
    fn after(start: &[&str], rules: &[&[&str]]) -> Vec<String> {
        let facts = Asked::get("/").with("X-Echo", "e").with("Connection", "close");
        let variable = |name: &str| match name {
            "v" => Some(b"val".to_vec()),
            "evil" => Some(b"a\r\nX-B: b\0".to_vec()),
            _ => None,
        };
        let moment = Moment { facts: &facts, variable: &variable, began_micros: 5, took_micros: 7 };
        let mut table = Table::default();
        for (name, value) in start.iter().map(|pair| pair.split_once('=').unwrap()) {
            table.0.entry(name.to_owned()).or_default().push(value.as_bytes().to_vec());
        }
        for rule in rules {
            HeaderRule::parse(rule, false).unwrap().apply(&mut table, &moment);
        }
        let pairs = table.0.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        pairs.map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value))).collect()
    }

    #[test]
    fn actions() {
        /// Fields before, one rule, fields after.
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str]);
        let table: &[Case<'_>] = &[
            (&["a=1", "a=2"], &["set", "A:", "x y"], &["a=x y"]),
            (&["a=1"], &["setifempty", "A", "x"], &["a=1"]),
            (&[], &["setifempty", "A", "x"], &["a=x"]),
            (&["a=1", "a=2"], &["append", "A", "x"], &["a=1, x", "a=2"]),
            (&[], &["append", "A", "x"], &["a=x"]),
            (&["a=b, x ,\"c,d\""], &["merge", "A", "x"], &["a=b, x ,\"c,d\""]),
            (&["a=b, \"c, x\""], &["merge", "A", "x"], &["a=b, \"c, x\", x"]),
            (&["a=1"], &["add", "A", "x"], &["a=1", "a=x"]),
            (&["a=1", "b=1"], &["unset", "A"], &["b=1"]),
            (&["a=1", "b=1"], &["unset", "A", "env=none"], &["a=1", "b=1"]),
            (&["a=1", "a=2"], &["edit", "A", "^(.*)$", "$1;Secure"], &["a=1;Secure", "a=2;Secure"]),
            (&["a=x-x"], &["edit", "A", "x", "y%{v}e"], &["a=yval-x"]),
            (&["a=x-x"], &["edit*", "A", "x", ""], &["a=-"]),
            (&["a=1"], &["edit", "B", "x", "y"], &["a=1"]),
            (&[], &["echo", "^x-e"], &["x-echo=e"]),
            (&[], &["set", "A", "1", "env=v"], &["a=1"]),
            (&[], &["set", "A", "1", "env=!v"], &[]),
            (&[], &["always", "set", "A", "1", "env=!none"], &["a=1"]),
            (&[], &["set", "A", "%{v}e %{none}e %{SSL}s 1%% %D %t"], &["a=val (null) (null) 1% D=7 t=5"]),
            (&[], &["set", "A", "%{evil}e"], &["a=a  X-B: b "]),
            (&[], &["set", "A", "expr=-%{REQUEST_METHOD}", "expr=%{REQUEST_METHOD} == 'GET'"], &["a=-GET"]),
            (&[], &["set", "A", "1", "expr=%{REQUEST_METHOD} == 'PUT'"], &[]),
            (&[], &["set", "Connection", "close"], &[]),
            (&["content-length=3"], &["unset", "Content-Length"], &["content-length=3"]),
        ];
        for (before, rule, want) in table {
            assert_eq!(after(before, &[rule]), *want, "{rule:?}");
        }
    }

    /// A client could hold the front with a long field, where a rule replaces every match of a pattern that looks ahead.
    #[test]
    fn replacing_every_match_ends() {
        let pattern = Regexp::new("a(?=a*$)", false).unwrap();
        assert_eq!(edited(&[b'a'; 500], &pattern, "", true), b"");
        let left = edited(&[b'a'; 8000], &pattern, "", true);
        assert!((1..8000).contains(&left.len()), "{}", left.len());
    }

    #[test]
    fn mistakes_name_their_word() {
        let table: &[(&[&str], Option<usize>)] = &[
            (&["always"], None),
            (&["set", "A"], None),
            (&["always", "sett", "A", "b"], Some(1)),
            (&["set", "A", "b", "c"], Some(3)),
            (&["always", "set", "A", "b", "env=x", "c"], Some(5)),
            (&["edit", "A", "(", "b"], Some(2)),
            (&["set", "A b", "c"], Some(1)),
            (&["set", "A", "%x"], Some(2)),
            (&["set", "A", "a\\nb"], Some(2)),
            (&["unset", "A", "env="], Some(2)),
        ];
        for (words, want) in table {
            assert_eq!(HeaderRule::parse(words, false).unwrap_err().word, *want, "{words:?}");
        }
    }
}
