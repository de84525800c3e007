//! A regular expression of a directive, and texts that are filled with its groups. Patterns see bytes, as Apache's do.

use crate::Mistake;
use regex::bytes::{Captures, Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Bytes that a compiled pattern may take.
const SIZE: usize = 1 << 20;

/// A compiled pattern; written as its text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text, false).map_err(|mistake| mistake.message)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

/// The groups of a match; group 0 is the whole.
pub struct Groups<'t>(Captures<'t>);

impl<'t> Groups<'t> {
    /// The text of a group; empty for one that took no part.
    pub fn get(&self, number: usize) -> &'t [u8] {
        self.0.get(number).map_or(b"", |found| found.as_bytes())
    }

    /// Begin and end of the whole match.
    pub fn span(&self) -> (usize, usize) {
        self.0.get(0).map_or((0, 0), |found| (found.start(), found.end()))
    }

    /// A text with `$0` to `$9` replaced by the groups; a backslash before a character takes its meaning away.
    pub fn fill(&self, template: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(template.len());
        let mut bytes = template.bytes().peekable();
        while let Some(byte) = bytes.next() {
            match (byte, bytes.peek().copied()) {
                (b'$', Some(digit @ b'0'..=b'9')) => {
                    bytes.next();
                    out.extend_from_slice(self.get(usize::from(digit - b'0')));
                }
                (b'\\', Some(plain)) => {
                    bytes.next();
                    out.push(plain);
                }
                _ => out.push(byte),
            }
        }
        out
    }
}

impl Pattern {
    /// Compiles a pattern; `no_case`: upper and lower case are the same.
    pub fn new(text: &str, no_case: bool) -> Result<Self, Mistake> {
        let text = if no_case { format!("(?i){text}") } else { text.to_owned() };
        match RegexBuilder::new(&text).unicode(false).size_limit(SIZE).build() {
            Ok(regex) => Ok(Self { text, regex }),
            Err(why) => {
                let why = why.to_string();
                let last = why.lines().last().unwrap_or("").trim().trim_start_matches("error: ");
                let message = format!("the regular expression `{text}` is not understood: {last}");
                Err(Mistake::new(message).hint("look-around and back-references of PCRE are not supported"))
            }
        }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it has no character with a meaning of its own, so that it matches its own text only.
    pub fn is_plain(&self) -> bool {
        !self.text.contains(['.', '^', '$', '*', '?', '+', '(', ')', '[', ']', '{', '}', '|', '\\'])
    }

    /// Whether it matches somewhere.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// The groups of the first match.
    pub fn groups<'t>(&self, text: &'t [u8]) -> Option<Groups<'t>> {
        self.regex.captures(text).map(Groups)
    }

    /// The groups of every match.
    pub fn every<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = Groups<'t>> + 't {
        self.regex.captures_iter(text).map(Groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_fill_a_text() {
        let pattern = Pattern::new("^/(A+)(b)?/(.*)$", true).unwrap();
        let groups = pattern.groups(b"/aa/\xff").unwrap();
        assert_eq!(groups.fill(r"$1-$2-$3-$4-\$1-\\-$"), b"aa--\xff--$1-\\-$");
        assert_eq!((groups.get(0), groups.span()), (&b"/aa/\xff"[..], (0, 5)));
        assert!(pattern.groups(b"/c/").is_none());
    }

    #[test]
    fn a_pattern_is_written_as_its_text() {
        let pattern = Pattern::new("a.c", true).unwrap();
        let json = serde_json::to_string(&pattern).unwrap();
        assert_eq!(json, "\"(?i)a.c\"");
        let back: Pattern = serde_json::from_str(&json).unwrap();
        assert!(back == pattern && back.is_match(b"xABC") && !back.is_plain());
        assert!(serde_json::from_str::<Pattern>("\"(\"").is_err());
        let mistake = Pattern::new("(?!a)", false).unwrap_err();
        assert!(mistake.message.contains("(?!a)") && mistake.hint.is_some());
    }
}
