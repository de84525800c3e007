//! Regular expressions of Apache's directives. Apache uses PCRE on bytes. A pattern without look-around and back-references
//! goes to an engine that needs linear time; the others go to one that backtracks and gives up after a bounded amount of work.

mod backtracking;

use crate::Mistake;
use backtracking::Backtracking;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Groups that `$0` to `$9` can name.
const GROUPS: usize = 10;

/// A pattern, compiled. Two are equal when they are written alike.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Regexp {
    written: Written,
    engine: Arc<Engine>,
}

/// A pattern as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    text: String,
    nocase: bool,
}

#[derive(Debug)]
enum Engine {
    Linear(regex::bytes::Regex),
    Backtracking(Box<Backtracking>),
}

/// A match that was given up because it took too much work. The request is answered 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// The groups of a match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    subject: Vec<u8>,
    spans: Vec<Option<(usize, usize)>>,
}

impl Groups {
    /// A group's text; empty where it took no part.
    pub fn get(&self, number: usize) -> &[u8] {
        match self.spans.get(number) {
            Some(Some((from, to))) => self.subject.get(*from..*to).unwrap_or_default(),
            _ => b"",
        }
    }

    /// Begin and end of the whole match.
    pub fn span(&self) -> (usize, usize) {
        self.spans.first().copied().flatten().unwrap_or_default()
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

impl Regexp {
    /// Compiles a pattern.
    pub fn new(text: &str, nocase: bool) -> Result<Self, Mistake> {
        let written = Written { text: text.to_owned(), nocase };
        let linear = regex::bytes::RegexBuilder::new(&translated(text))
            .case_insensitive(nocase)
            .dot_matches_new_line(true)
            .unicode(false)
            .build();
        let engine = match linear {
            Ok(regex) => Engine::Linear(regex),
            Err(_) => Engine::Backtracking(Box::new(Backtracking::new(text, nocase)?)),
        };
        Ok(Self { written, engine: Arc::new(engine) })
    }

    /// Whether a match takes time in proportion to its text.
    pub fn is_linear(&self) -> bool {
        matches!(*self.engine, Engine::Linear(_))
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.written.text
    }

    /// Whether it has no character with a meaning of its own, so that it matches its own text only.
    pub fn is_plain(&self) -> bool {
        !self.text().contains(['.', '^', '$', '*', '?', '+', '(', ')', '[', ']', '{', '}', '|', '\\'])
    }

    /// The groups of the first match; a match that takes too long is none. For rules that protect nothing.
    pub fn found(&self, text: &[u8]) -> Option<Groups> {
        self.groups(text).ok().flatten()
    }

    /// Number of groups beside the whole match.
    pub fn groups_count(&self) -> usize {
        match &*self.engine {
            Engine::Linear(regex) => regex.captures_len() - 1,
            Engine::Backtracking(pattern) => pattern.groups(),
        }
    }

    /// Whether it matches somewhere in a text.
    pub fn is_match(&self, text: &[u8]) -> Result<bool, TooLong> {
        match &*self.engine {
            Engine::Linear(regex) => Ok(regex.is_match(text)),
            Engine::Backtracking(pattern) => pattern.engine(text)?.is_match(text).map_err(|_| TooLong),
        }
    }

    /// The groups of the first match in a text.
    pub fn groups(&self, text: &[u8]) -> Result<Option<Groups>, TooLong> {
        let spans: Option<Vec<_>> = match &*self.engine {
            Engine::Linear(regex) => regex.captures(text).map(|found| {
                found
                    .iter()
                    .take(GROUPS)
                    .map(|group| group.map(|group| (group.start(), group.end())))
                    .collect()
            }),
            Engine::Backtracking(pattern) => {
                let found = pattern.engine(text)?.captures(text).map_err(|_| TooLong)?;
                found.map(|found| {
                    let span = |number| found.get(number).map(|group| (group.start(), group.end()));
                    (0..found.len().min(GROUPS)).map(span).collect()
                })
            }
        };
        Ok(spans.map(|spans| Groups { subject: text.to_owned(), spans }))
    }
}

impl fmt::Debug for Regexp {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.written, to)
    }
}

impl PartialEq for Regexp {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Regexp {}

impl From<Regexp> for Written {
    fn from(pattern: Regexp) -> Self {
        pattern.written
    }
}

impl TryFrom<Written> for Regexp {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::new(&written.text, written.nocase).map_err(|mistake| mistake.message)
    }
}

/// The pattern in the words of the linear engine, which reads a few of PCRE's in its own way: `\<` and `\>`, `[`, `&`, `~` and
/// some hyphens within a class, and a brace that repeats nothing.
fn translated(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    let mut class = Class::None;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let within = !matches!(class, Class::None);
        class = match (c, class) {
            ('\\', class) => {
                let escaped = rest.chars().next();
                match escaped {
                    Some(plain @ ('<' | '>')) => out.push(plain),
                    Some(escaped) => out.extend(['\\', escaped]),
                    None => out.push('\\'),
                }
                rest = &rest[escaped.map_or(0, char::len_utf8)..];
                match (class, escaped) {
                    (Class::None, _) => Class::None,
                    (_, Some('w' | 'W' | 'd' | 'D' | 's' | 'S')) => Class::AfterSet,
                    _ => Class::Open,
                }
            }
            ('[', Class::None) => {
                out.push('[');
                if let Some(behind) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = behind;
                }
                Class::Begun
            }
            (']', Class::Begun) => {
                out.push_str("\\]");
                Class::Open
            }
            (']', _) if within => {
                out.push(']');
                Class::None
            }
            ('[', _) if rest.starts_with(':') && rest.contains(":]") => {
                let end = rest.find(":]").map_or(0, |at| at + 2);
                out.push('[');
                out.push_str(&rest[..end]);
                rest = &rest[end..];
                Class::AfterSet
            }
            ('[' | '&' | '~', _) if within => {
                out.extend(['\\', c]);
                Class::Open
            }
            ('-', class) if within && (matches!(class, Class::AfterSet) || out.ends_with('-')) => {
                out.push_str("\\-");
                Class::Open
            }
            ('{', Class::None) if !repeats(rest) => {
                out.push_str("\\{");
                Class::None
            }
            (c, class) => {
                out.push(c);
                if matches!(class, Class::None) { Class::None } else { Class::Open }
            }
        };
    }
    out
}

/// The place within a class of characters.
#[derive(Debug, Clone, Copy)]
enum Class {
    /// Outside.
    None,
    /// Behind its `[` or `[^`.
    Begun,
    /// Behind a character.
    Open,
    /// Behind a set such as `\w`, which begins no range.
    AfterSet,
}

/// Whether the text behind a brace is a repetition: `3}`, `3,}`, `3,5}`.
fn repeats(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &[u8]) -> bool {
        Regexp::new(pattern, false).unwrap().is_match(text).unwrap()
    }

    #[test]
    fn patterns_mean_what_pcre_means() {
        let table: &[(&str, &[u8], bool)] = &[
            (r"^/a\.b$", b"/a.b", true),
            (r"^/a$", b"/a\n", false),
            (r"a.b", b"a\nb", true),
            (r"^\<x\>$", b"<x>", true),
            (r"^[[&~]+$", b"[&~", true),
            (r"^[]a]+$", b"]a", true),
            (r"^[^]a]$", b"]", false),
            (r"^[[:digit:]]{2}$", b"42", true),
            (r"^[\w-.]+$", b"a-.", true),
            (r"^[a-z-_]+$", b"a-_", true),
            (r"^[[:alpha:]-_]+$", b"a-_", true),
            (r"^a{x$", b"a{x", true),
            (r"^/\d+$", "/\u{0663}".as_bytes(), false),
            (r"^.$", b"\xff", true),
            ("^é$", "é".as_bytes(), true),
            (r"^(?!/static)", b"/static/x", false),
            (r"^(?!/static)", b"/other", true),
            (r"^(.)\1$", b"\xffa", false),
            (r"^(.)\1$", b"\xff\xff", true),
            (r"^/(?:a|b)(?=/)", b"/a/", true),
            (r"^a\ b$", b"a b", true),
        ];
        for (pattern, text, wanted) in table {
            assert_eq!(matches(pattern, text), *wanted, "{pattern} {text:?}");
        }
        assert!(Regexp::new("HTTPS", true).unwrap().is_match(b"https").unwrap());
    }

    #[test]
    fn groups_fill_a_text() {
        let pattern = Regexp::new("^/(A+)(b)?/(.*)$", true).unwrap();
        let groups = pattern.found(b"/aa/\xff").unwrap();
        assert_eq!(groups.fill(r"$1-$2-$3-$4-\$1-\\-$"), b"aa--\xff--$1-\\-$");
        assert_eq!((groups.span(), pattern.is_plain()), ((0, 5), false));
        assert!(Regexp::new("MSIE", false).unwrap().is_plain());
    }

    #[test]
    fn groups_are_the_first_ten() {
        let pattern = Regexp::new("(a)(b)?(c)", false).unwrap();
        let groups = pattern.groups(b"xac").unwrap().unwrap();
        assert_eq!(
            (groups.get(0), groups.get(1), groups.get(2), groups.get(3)),
            (&b"ac"[..], &b"a"[..], &b""[..], &b"c"[..])
        );
        assert_eq!(groups.get(9), b"");
        assert_eq!((pattern.groups_count(), pattern.groups(b"b").unwrap()), (3, None));
    }

    #[test]
    fn a_pattern_that_takes_too_long_gives_up() {
        let slow = Regexp::new(r"^(?:(a+)\1*)+$", false).unwrap();
        assert_eq!(slow.is_match(&[&[b'a'; 200][..], b"!"].concat()), Err(TooLong));
    }

    /// Reported: a pattern that looks ahead held the front for 429 ms with a field of 8 kB, because the engine counts no steps for what it
    /// goes over meanwhile. Met with any rule about a header whose pattern is not anchored.
    #[test]
    fn a_long_text_that_is_looked_at_again_and_again_gives_up() {
        let ahead = Regexp::new("(?=.*x)y", false).unwrap();
        assert_eq!(ahead.is_match(&[b'a'; 500]), Ok(false));
        assert_eq!(ahead.is_match(&[b'a'; 8000]), Err(TooLong));
        assert_eq!(ahead.groups(&[b'a'; 8000]), Err(TooLong));
        // What begins at one place has work for one look.
        for (pattern, text) in [("^(?!.*x)a", [b'a'; 8000]), ("^a(?=a*$)", [b'a'; 8000])] {
            assert_eq!(Regexp::new(pattern, false).unwrap().is_match(&text), Ok(true), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_a_mistake() {
        for text in ["(", "[a", "*", "a{2", "(?<x"] {
            let found = Regexp::new(text, false);
            if text == "a{2" {
                assert!(found.is_ok());
                continue;
            }
            assert!(found.unwrap_err().message.contains(text));
        }
    }

    #[test]
    fn a_pattern_travels_as_text() {
        let pattern = Regexp::new("^a(?=b)", true).unwrap();
        let text = serde_json::to_string(&pattern).unwrap();
        assert_eq!(text, r#"{"text":"^a(?=b)","nocase":true}"#);
        assert_eq!(serde_json::from_str::<Regexp>(&text).unwrap(), pattern);
        assert!(serde_json::from_str::<Regexp>(r#"{"text":"(","nocase":true}"#).is_err());
    }
}
