//! Logfmt: `name=value` pairs on one line, with quotes where a value needs them. Pure.

use crate::printable;
use std::fmt::Write as _;

/// Appends a pair, with a space before it unless the line begins.
pub fn put(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push(' ');
    }
    out.push_str(name);
    out.push('=');
    // What moves a cursor or turns letters around is an escape, as in the other forms.
    let plain = |c: char| !(c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\'));
    if !value.is_empty()
        && value.chars().all(plain)
        && matches!(printable::line(value), std::borrow::Cow::Borrowed(_))
    {
        out.push_str(value);
        return;
    }
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push_str(&printable::line(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::put;

    #[test]
    fn values_are_quoted_where_they_must_be() {
        let mut out = String::new();
        for (name, value) in [
            ("a", "plain/x?y"),
            ("b", ""),
            ("c", "two words"),
            ("d", "k=v"),
            ("e", "\"q\"\\\n\t"),
            ("f", "\u{1b}[2J"),
            ("g", "\u{202e}x"),
            ("h", "caf\u{e9}"),
        ] {
            put(&mut out, name, value);
        }
        let wanted =
            r#"a=plain/x?y b="" c="two words" d="k=v" e="\"q\"\\\n\t" f="\u001b[2J" g="\u202ex" h=café"#;
        assert_eq!(out, wanted);
    }
}
