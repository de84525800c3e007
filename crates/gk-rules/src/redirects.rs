//! `Redirect`, `RedirectMatch` and their relatives: paths that are answered with another address, or are gone. Those outside of
//! sections are asked before the request is routed, those of a place after it.

use crate::escape::escape_path;
use crate::{Mistake, Regexp, TooLong};
use serde::{Deserialize, Serialize};

/// The rules of a scope, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Redirects {
    /// Asked before routing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub server: Vec<Redirect>,
    /// Asked when the place is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub place: Vec<Redirect>,
}

impl Redirects {
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.server.is_empty() && self.place.is_empty()
    }

    /// Lays those of an inner scope over these: they are tried first.
    pub fn lay(&mut self, inner: &Self) {
        self.server.splice(0..0, inner.server.iter().cloned());
        self.place.splice(0..0, inner.place.iter().cloned());
    }
}

/// One directive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Redirect {
    status: u16,
    from: From,
    to: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    /// A path and what lies below it.
    Path(String),
    Match(Regexp),
    /// The whole place that the rule stands in.
    Everything,
}

/// The answer of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Status.
    pub status: u16,
    /// An address, or a path of this server that begins with a slash; only with a status of redirection.
    pub to: Option<Vec<u8>>,
}

impl Redirect {
    /// `Redirect [status] path [URL]`. `status`: that of `RedirectPermanent` or `RedirectTemp`, which take none. `regex`:
    /// `RedirectMatch`. `place`: the rule stands in a section, where the path may be left out.
    pub fn parse(words: &[&str], status: Option<u16>, regex: bool, place: bool) -> Result<Self, Mistake> {
        let named = match words {
            _ if status.is_some() => None,
            [word, _, ..] => status_of(word)?,
            _ => None,
        };
        let shift = usize::from(named.is_some());
        let status = status.or(named).unwrap_or(302);
        let moves = (300..400).contains(&status) && status != 304;
        let (from, to) = match (&words[shift..], moves) {
            ([to], true) if place && !regex => (From::Everything, Some(to)),
            ([_], true) => return Err(Mistake::new("the URL to redirect to is missing")),
            ([from], false) => (from_of(from, regex).map_err(|m| m.at(shift))?, None),
            ([from, to], true) => (from_of(from, regex).map_err(|m| m.at(shift))?, Some(to)),
            ([_, _], false) => {
                let message = format!("with status {status} there is no URL to redirect to");
                return Err(Mistake::new(message).at(shift + 1));
            }
            ([_, _, ..], _) => return Err(Mistake::new("there is a word too many").at(shift + 2)),
            ([], _) => return Err(Mistake::new("the path is missing")),
        };
        if let Some(to) = to
            && !regex
            && !to.starts_with('/')
            && !is_url(to.as_bytes())
        {
            let message = format!("`{to}` is neither a URL nor a path that begins with a slash");
            return Err(Mistake::new(message).at(words.len() - 1));
        }
        Ok(Self { status, from, to: to.map(|to| (*to).to_owned()) })
    }

    /// Whether what follows the path is put right behind the target, with no slash between: mostly a slip.
    pub fn glues(&self) -> bool {
        let (From::Path(from), Some(to)) = (&self.from, &self.to) else { return false };
        from.ends_with('/') && !to.ends_with(['/', '=', '?', '#', '-'])
    }

    /// The answer for a path and query, if the rule is about it.
    /// A match that takes too long is an error: such a rule may hide something.
    pub fn answer(&self, path: &[u8], query: &[u8]) -> Result<Option<Moved>, TooLong> {
        let to = match (&self.from, &self.to) {
            (From::Path(from), to) => {
                let Some(end) = prefix(path, from.as_bytes()) else { return Ok(None) };
                let rest = &path[end..];
                to.as_ref().map(|to| [to.as_bytes(), &escape_path(rest)[..]].concat())
            }
            (From::Everything, to) => to.as_ref().map(|to| to.clone().into_bytes()),
            (From::Match(pattern), to) => {
                let Some(groups) = pattern.groups(path)? else { return Ok(None) };
                to.as_ref().map(|to| escaped_target(&groups.fill(to)))
            }
        };
        let Some(mut to) = to else { return Ok(Some(Moved { status: self.status, to: None })) };
        if !to.starts_with(b"/") && !is_url(&to) {
            return Ok(Some(Moved { status: 500, to: None }));
        }
        if !query.is_empty() && !to.contains(&b'?') {
            // At the end, behind a fragment, too, as Apache does.
            to.extend_from_slice(b"?");
            to.extend_from_slice(query);
        }
        Ok(Some(Moved { status: self.status, to: Some(to) }))
    }
}

/// The status that a word says, if it says one.
fn status_of(word: &str) -> Result<Option<u16>, Mistake> {
    Ok(Some(match &*word.to_ascii_lowercase() {
        "permanent" => 301,
        "temp" => 302,
        "seeother" => 303,
        "gone" => 410,
        number if number.starts_with(|c: char| c.is_ascii_digit()) => match number.parse() {
            Ok(status @ 300..=599) => status,
            _ => {
                return Err(Mistake::new(format!("`{word}` is no status of a redirection or an error")).at(0));
            }
        },
        _ => return Ok(None),
    }))
}

fn from_of(word: &str, regex: bool) -> Result<From, Mistake> {
    if regex { Regexp::new(word, false).map(From::Match) } else { Ok(From::Path(word.to_owned())) }
}

/// Bytes of `path` that a prefix takes, if it ends on a border: runs of slashes count as one.
pub fn prefix(path: &[u8], prefix: &[u8]) -> Option<usize> {
    let (mut at, mut wanted) = (0, 0);
    let slashes = |text: &[u8]| text.iter().take_while(|&&b| b == b'/').count();
    while let Some(&byte) = prefix.get(wanted) {
        if byte == b'/' {
            let run = slashes(&path[at..]);
            if run == 0 {
                return None;
            }
            at += run;
            wanted += slashes(&prefix[wanted..]);
        } else if path.get(at) == Some(&byte) {
            (at, wanted) = (at + 1, wanted + 1);
        } else {
            return None;
        }
    }
    let border = prefix.ends_with(b"/") || path.get(at).is_none_or(|&b| b == b'/');
    border.then_some(at)
}

/// Whether a text begins with a scheme.
pub fn is_url(text: &[u8]) -> bool {
    let scheme = text.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
    scheme > 0 && text[scheme..].starts_with(b":")
}

/// A filled target: its path is escaped, its query and fragment are not, but for what would break the line.
fn escaped_target(target: &[u8]) -> Vec<u8> {
    let begin =
        if is_url(target) { target.windows(3).position(|w| w == b"://").map_or(0, |at| at + 3) } else { 0 };
    let path = target.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(target.len()).max(begin);
    let mut out = target[..begin].to_vec();
    out.extend_from_slice(&escape_path(&target[begin..path]));
    for &byte in &target[path..] {
        match byte {
            0..=b' ' | 127 => out.extend_from_slice(format!("%{byte:02x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(line: &str) -> Result<Redirect, Mistake> {
        let words: Vec<&str> = line.split(' ').collect();
        let status = match words[0] {
            "RedirectPermanent" => Some(301),
            "RedirectTemp" => Some(302),
            _ => None,
        };
        Redirect::parse(&words[1..], status, words[0] == "RedirectMatch", words[0] == "InPlace")
    }

    fn answer(line: &str, path: &str, query: &str) -> Option<(u16, String)> {
        let moved = rule(line).unwrap().answer(path.as_bytes(), query.as_bytes()).unwrap()?;
        Some((moved.status, moved.to.map(|to| String::from_utf8(to).unwrap()).unwrap_or_default()))
    }

    /// A client could keep `RedirectMatch 404` from hiding what it is about, with a path on which the pattern gives up.
    #[test]
    fn a_match_that_takes_too_long_is_no_answer() {
        let path = [&b"/"[..], &[b'a'; 4000]].concat();
        assert_eq!(rule("RedirectMatch 404 (a*)(a*)\\1b").unwrap().answer(&path, b""), Err(TooLong));
    }

    #[test]
    fn answers() {
        /// Directive, path, query, status and target.
        type Case<'a> = (&'a str, &'a str, &'a str, Option<(u16, &'a str)>);
        let table: &[Case<'_>] = &[
            ("Redirect /r1 /to", "/r1", "", Some((302, "/to"))),
            ("Redirect /r1 /to", "/r1/a b", "q=1", Some((302, "/to/a%20b?q=1"))),
            ("Redirect /r1 /to", "/r1x", "", None),
            ("Redirect /r1 /to", "//r1//z", "", Some((302, "/to//z"))),
            (
                "Redirect permanent /r2/ https://x.example/y/",
                "/r2/z",
                "q",
                Some((301, "https://x.example/y/z?q")),
            ),
            ("Redirect permanent /r2/ https://x.example/y/", "/r2", "", None),
            ("Redirect 410 /gone", "/gone/x", "", Some((410, ""))),
            ("Redirect gone /gone", "/gone", "", Some((410, ""))),
            ("Redirect 404 /nf", "/nf", "", Some((404, ""))),
            ("Redirect seeother /r3 /t?z=1", "/r3/v", "q=2", Some((303, "/t?z=1/v"))),
            ("Redirect / https://o.example", "/a", "", Some((302, "https://o.examplea"))),
            (
                "RedirectPermanent /rp http://other.example",
                "/rp/a",
                "",
                Some((301, "http://other.example/a")),
            ),
            (
                "RedirectTemp /rp http://other.example/#f",
                "/rp",
                "q",
                Some((302, "http://other.example/#f?q")),
            ),
            ("RedirectMatch ^/amp/(.*)$ /x?a&b=$1", "/amp/q&", "u=1", Some((302, "/x?a&b=q&"))),
            ("RedirectMatch 307 ^/sp/(.*)$ /a/$1", "/sp/c d", "x", Some((307, "/a/c%20d?x"))),
            (
                "RedirectMatch ^/s/(.*)$ https://o.example/$1",
                "/s/\n",
                "",
                Some((302, "https://o.example/%0a")),
            ),
            ("RedirectMatch ^/q/(.*)$ /x?$1", "/q/a\r\nb", "", Some((302, "/x?a%0d%0ab"))),
            ("RedirectMatch gone ^/gm", "/gmx", "", Some((410, ""))),
            ("RedirectMatch ^/(.*)$ $1", "/evil", "", Some((500, ""))),
            ("InPlace permanent https://o.example/", "/any", "", Some((301, "https://o.example/"))),
        ];
        for (line, path, query, want) in table {
            assert_eq!(answer(line, path, query), want.map(|(s, to)| (s, to.to_owned())), "{line} {path:?}");
        }
    }

    #[test]
    fn mistakes_name_their_word() {
        let word = |line| rule(line).unwrap_err().word;
        assert_eq!(word("Redirect /a"), None);
        assert_eq!(word("Redirect /a b"), Some(1));
        assert_eq!(word("Redirect 410 /a /b"), Some(2));
        assert_eq!(word("Redirect 999 /a /b"), Some(0));
        assert_eq!(word("Redirect /a /b /c"), Some(2));
        assert_eq!(word("RedirectMatch 301 ( /b"), Some(1));
        assert!(
            rule("Redirect / https://o.example").unwrap().glues() && !rule("Redirect /a /b").unwrap().glues()
        );
    }
}
