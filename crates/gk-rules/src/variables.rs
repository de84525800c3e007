//! `SetEnvIf`, `SetEnvIfExpr`, `BrowserMatch` and their relatives: variables that depend on the request. Those outside of sections
//! are set before the request is routed, those of a place after it.

use crate::expr::Expression;
use crate::{Facts, Mistake, Regexp, TooLong};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The rules of one scope, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Variables {
    /// Asked before routing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub server: Vec<Condition>,
    /// Asked when the place is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub place: Vec<Condition>,
}

impl Variables {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.server.is_empty() && self.place.is_empty()
    }

    /// Lays those of an inner scope over these: they are asked after them.
    pub fn lay(&mut self, inner: &Self) {
        self.server.extend(inner.server.iter().cloned());
        self.place.extend(inner.place.iter().cloned());
    }
}

/// One directive: if the part of the request matches, the variables are set or unset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    part: Part,
    pattern: Regexp,
    changes: Vec<Change>,
}

/// The part of a request that a pattern is tried on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Client,
    Server,
    Method,
    Protocol,
    Url,
    /// The header of the name, else the variable of the name.
    Named(String),
    /// The first header whose name matches.
    Headers(Regexp),
    /// None: an expression is true or not.
    Expression(Expression),
}

/// Names of variables with their new values; `None` for one that is unset.
pub type Changes<'a> = Vec<(&'a str, Option<Vec<u8>>)>;

/// Sets or, without a value, unsets a variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Change {
    name: String,
    value: Option<String>,
}

impl Condition {
    /// `SetEnvIf attribute regex [!]name[=value] …`; `BrowserMatch` (`browser`) has no attribute.
    pub fn parse(words: &[&str], browser: bool, no_case: bool) -> Result<Self, Mistake> {
        let (part, rest, at) = match words {
            _ if browser => (Part::Named("User-Agent".to_owned()), words, 0),
            [attribute, rest @ ..] => (Part::parse(attribute)?, rest, 1),
            [] => return Err(Mistake::new("the part of the request is missing")),
        };
        let [pattern, names @ ..] = rest else {
            return Err(Mistake::new("the regular expression is missing"));
        };
        let pattern = Regexp::new(pattern, no_case).map_err(|mistake| mistake.at(at))?;
        Ok(Self { part, pattern, changes: changes(names, at + 1)? })
    }

    /// `SetEnvIfExpr expression [!]name[=value] …`
    pub fn parse_expression(words: &[&str]) -> Result<Self, Mistake> {
        let [expression, names @ ..] = words else { return Err(Mistake::new("the expression is missing")) };
        let part = Part::Expression(Expression::new(expression).map_err(|mistake| mistake.at(0))?);
        Ok(Self { part, pattern: Regexp::new("", false)?, changes: changes(names, 1)? })
    }

    /// The changes of variables, if the rule matches: names with their new values, `None` for one that is unset. `url` is the path as
    /// this phase has it: as sent before routing, decoded after it.
    /// A match that takes too long is an error, as access rules may ask for the variable.
    pub fn changes(&self, facts: &dyn Facts, url: &[u8]) -> Result<Changes<'_>, TooLong> {
        let address;
        let value: Cow<'_, [u8]> = match &self.part {
            Part::Expression(expression) => {
                let Some(groups) = expression.groups(facts)? else { return Ok(Vec::new()) };
                let filled = |value: &String| groups.fill(value);
                return Ok(self.changed(filled));
            }
            Part::Client => {
                address = facts.client().map(|address| address.to_string()).unwrap_or_default();
                address.as_bytes().into()
            }
            Part::Server => {
                address =
                    facts.local().map(|local| local.ip().to_canonical().to_string()).unwrap_or_default();
                address.as_bytes().into()
            }
            Part::Method => facts.method().as_bytes().into(),
            Part::Protocol => facts.protocol().as_bytes().into(),
            Part::Url => url.into(),
            Part::Named(name) => {
                facts.header(name).unwrap_or_else(|| facts.env().get(name).unwrap_or_default().into())
            }
            Part::Headers(names) => {
                let mut found = None;
                for name in facts.header_names() {
                    if names.is_match(name.as_bytes())? {
                        found = Some(name);
                        break;
                    }
                }
                found.and_then(|name| facts.header(name)).unwrap_or_default()
            }
        };
        let Some(groups) = self.pattern.groups(&value)? else { return Ok(Vec::new()) };
        let filled = |value: &String| match self.pattern.is_plain() {
            // Apache fills nothing in where the pattern is a plain text.
            true => value.as_bytes().to_vec(),
            false => groups.fill(value),
        };
        Ok(self.changed(filled))
    }

    fn changed(&self, filled: impl Fn(&String) -> Vec<u8>) -> Changes<'_> {
        self.changes.iter().map(|change| (&*change.name, change.value.as_ref().map(&filled))).collect()
    }
}

/// The changes that words name; the first of them is word number `first` of the directive.
fn changes(words: &[&str], first: usize) -> Result<Vec<Change>, Mistake> {
    let changes = words.iter().enumerate().map(|(n, word)| Change::parse(word).map_err(|m| m.at(first + n)));
    let changes = changes.collect::<Result<Vec<_>, _>>()?;
    match changes.is_empty() {
        true => Err(Mistake::new("the name of a variable is missing")),
        false => Ok(changes),
    }
}

impl Part {
    fn parse(word: &str) -> Result<Self, Mistake> {
        Ok(match &*word.to_ascii_lowercase() {
            // Names of clients are not looked up: the address stands for the name.
            "remote_host" | "remote_addr" => Self::Client,
            "server_addr" => Self::Server,
            "request_method" => Self::Method,
            "request_protocol" => Self::Protocol,
            "request_uri" => Self::Url,
            "" => return Err(Mistake::new("the part of the request is empty").at(0)),
            name if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') => {
                Self::Named(word.to_owned())
            }
            _ => Self::Headers(Regexp::new(word, true).map_err(|mistake| mistake.at(0))?),
        })
    }
}

impl Change {
    fn parse(word: &str) -> Result<Self, Mistake> {
        // An empty value counts as none.
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let (name, value) = match name.strip_prefix('!') {
            _ if !value.is_empty() => (name, Some(value)),
            Some(name) => (name, None),
            None => (name, Some("1")),
        };
        if name.is_empty() || name.contains('\0') {
            return Err(Mistake::new(format!("`{word}` names no variable")));
        }
        Ok(Self { name: name.to_owned(), value: value.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::Asked;

    fn after(rules: &[&str]) -> Vec<String> {
        let mut facts = Asked::get("/a%20b?x=1")
            .with("User-Agent", "Mozilla/4.0 (compatible; MSIE 6.0)")
            .with("X-Forwarded-Proto", "https")
            .with("Accept-Language", "de");
        for rule in rules {
            let words: Vec<&str> = rule.split(' ').collect();
            if words[0] == "SetEnvIfExpr" {
                let words: Vec<_> = words.iter().map(|word| word.replace('␣', " ")).collect();
                let words: Vec<_> = words.iter().map(String::as_str).collect();
                let condition = Condition::parse_expression(&words[1..]).unwrap();
                for (name, value) in condition.changes(&facts, b"").unwrap() {
                    facts.env.change(name, value);
                }
                continue;
            }
            let browser = words[0].starts_with("BrowserMatch");
            let no_case = words[0].ends_with("NoCase");
            let condition = Condition::parse(&words[1..], browser, no_case).unwrap();
            for (name, value) in condition.changes(&facts, b"/a%20b").unwrap() {
                facts.env.change(name, value);
            }
        }
        facts.env.iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value))).collect()
    }

    #[test]
    fn variables_follow_the_request() {
        let table: &[(&[&str], &[&str])] = &[
            (&["SetEnvIf X-Forwarded-Proto ^https$ HTTPS=on"], &["HTTPS=on"]),
            (&["SetEnvIfExpr %{req:Accept-Language}␣=~␣/(d)(e)/ a=$2$1 b"], &["a=ed", "b=1"]),
            (&["SetEnvIfExpr %{req:Accept-Language}␣==␣'en' a"], &[]),
            (&["SetEnvIf X-Forwarded-Proto ^HTTPS$ HTTPS=on"], &[]),
            (&["SetEnvIfNoCase x-forwarded-proto ^HTTPS$ A B=2"], &["A=1", "B=2"]),
            (&["BrowserMatch MSIE\\s(\\d) ie=$1 nokeepalive"], &["ie=6", "nokeepalive=1"]),
            (&["BrowserMatch MSIE v=$0"], &["v=$0"]),
            (&["BrowserMatchNoCase msie old"], &["old=1"]),
            (&["SetEnvIf Request_URI ^/a%20 raw"], &["raw=1"]),
            (&["SetEnvIf Request_Method ^GET$ a", "SetEnvIf a 1 b", "SetEnvIf a 1 !a"], &["b=1"]),
            (&["SetEnvIf Remote_Addr ^192\\.0\\.2\\. near"], &["near=1"]),
            (&["SetEnvIf Server_Addr . s=$0", "SetEnvIf Request_Protocol HTTP/1.1 p"], &["p=1", "s=1"]),
            (&["SetEnvIf Missing ^$ none empty="], &["empty=1", "none=1"]),
            (&["SetEnvIf ^Accept-L de german"], &["german=1"]),
        ];
        for (rules, want) in table {
            assert_eq!(after(rules), *want, "{rules:?}");
        }
    }

    /// A client could keep a variable unset that an access rule asks for, with a header on which the pattern gives up.
    #[test]
    fn a_match_that_takes_too_long_is_no_answer() {
        let facts = Asked::get("/").with("User-Agent", &"a".repeat(4000));
        for (attribute, pattern) in [("User-Agent", "(a*)(a*)\\1b"), ("Request_URI", "(a*)(a*)\\1b")] {
            let condition = Condition::parse(&[attribute, pattern, "bad"], false, false).unwrap();
            assert_eq!(condition.changes(&facts, &[b'a'; 4000]), Err(TooLong), "{attribute}");
        }
        let condition =
            Condition::parse_expression(&["%{HTTP_USER_AGENT} =~ /(a*)(a*)\\1b/", "bad"]).unwrap();
        assert_eq!(condition.changes(&facts, b""), Err(TooLong));
    }

    #[test]
    fn mistakes_name_their_word() {
        let mistake = |words: &[&str]| Condition::parse(words, false, false).unwrap_err().word;
        assert_eq!(mistake(&["A", "("]), Some(1));
        assert_eq!(mistake(&["A", "b", "c", "=1"]), Some(3));
        assert_eq!(mistake(&["A", "b"]), None);
    }
}
