//! Text from elsewhere (applications, workers, requests, other servers) in the form in which a terminal or a log may get it: nothing in
//! it moves the cursor, changes colours, starts a line of its own or turns the order of letters around. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Text for one line: line breaks and tabs are escaped as well.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, &[])
}

/// Text of several lines, whose line breaks and tabs stay.
pub fn page(text: &str) -> Cow<'_, str> {
    escaped(text, &['\n', '\t'])
}

/// Appends a line's text, whose tabs stay.
pub(crate) fn push(out: &mut String, text: &str) {
    out.push_str(&escaped(text, &['\t']));
}

fn escaped<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let acts = |c: char| acts(c) && !kept.contains(&c);
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 32);
    for c in text.chars() {
        // What JSON texts may contain raw is written in JSON's own form, so that a page of JSON stays JSON.
        let _ = match c {
            c if !acts(c) => out.write_char(c),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c if u32::from(c) < 0x20 => write!(out, "\\x{:02x}", u32::from(c)),
            c => write!(out, "\\u{:04x}", u32::from(c)),
        };
    }
    Cow::Owned(out)
}

/// Whether a character does something where it should only be seen: C0, DEL and C1, the line and paragraph separators, and what
/// embeds, isolates or overrides the direction of text (Unicode's bidirectional algorithm).
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_shown_and_does_nothing() {
        let table = [
            ("plain, größer, 日本, 🙂", "plain, größer, 日本, 🙂", true),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "\\x1b[2J\\x1b]0;title\\x07", false),
            ("one\rtwo\u{8}", "one\\rtwo\\x08", false),
            ("\u{7f}\u{9b}31m", "\\u007f\\u009b31m", false),
            ("a\u{202e}cod.exe\u{2066}", "a\\u202ecod.exe\\u2066", false),
            ("a\u{2028}b\u{61c}\u{200f}", "a\\u2028b\\u061c\\u200f", false),
            ("a\\x1b", "a\\x1b", true),
        ];
        for (text, want, same) in table {
            assert_eq!(line(text), want);
            assert_eq!(page(text), want);
            assert_eq!(matches!(page(text), Cow::Borrowed(_)), same, "{text:?}");
        }
        assert_eq!(line("a\n\tb"), "a\\n\\tb");
        assert_eq!(page("a\n\tb"), "a\n\tb");
    }

    #[test]
    fn a_page_of_json_stays_json() {
        let value = serde_json::json!({"name": "\u{1b}\u{7f}\u{85}\u{202e}\n"});
        let text = format!("{value:#}");
        let shown = page(&text);
        assert_ne!(shown, text);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
