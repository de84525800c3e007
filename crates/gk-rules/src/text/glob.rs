//! Patterns with `*`, `?` and `[…]`, as `apr_fnmatch` reads them. The work is bounded by the product of both lengths.

/// How a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `-strmatch`: a wildcard takes everything.
    Text,
    /// `-strcmatch`: the same without regard to case.
    AnyCase,
    /// `-fnmatch`: a slash is taken by a slash only.
    Path,
}

/// Whether all of a text matches.
pub(crate) fn matches(pattern: &[u8], text: &[u8], style: Style) -> bool {
    let (mut p, mut t) = (0, 0);
    // Behind the last star: the pattern's place, and the text's place that it may still give away.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
            continue;
        }
        match single(&pattern[p..], text[t], style) {
            Some(used) => {
                p += used;
                t += 1;
            }
            None => match star {
                Some((behind, at)) if !(style == Style::Path && text[at] == b'/') => {
                    star = Some((behind, at + 1));
                    (p, t) = (behind, at + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Length of the pattern's first element if it matches a byte.
fn single(pattern: &[u8], byte: u8, style: Style) -> Option<usize> {
    let same = |wanted: u8| match style {
        Style::AnyCase => wanted.eq_ignore_ascii_case(&byte),
        _ => wanted == byte,
    };
    let wild = !(style == Style::Path && byte == b'/');
    match *pattern.first()? {
        b'?' => wild.then_some(1),
        b'\\' if pattern.len() > 1 => same(pattern[1]).then_some(2),
        b'[' => match class(pattern, byte, style) {
            Some((hit, used)) => (hit && wild).then_some(used),
            None => same(b'[').then_some(1),
        },
        plain => same(plain).then_some(1),
    }
}

/// Whether a byte is in the class that the pattern begins with, and its length; `None`: it is never closed.
fn class(pattern: &[u8], byte: u8, style: Style) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let (mut at, mut hit) = (first, false);
    let within = |low: u8, high: u8, byte: u8| (low..=high).contains(&byte);
    loop {
        let low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((hit != negated, at + 1));
        }
        let high = match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'-'), Some(high)) if *high != b']' => {
                at += 2;
                *high
            }
            _ => low,
        };
        hit |= within(low, high, byte);
        if style == Style::AnyCase {
            hit |=
                within(low, high, byte.to_ascii_lowercase()) || within(low, high, byte.to_ascii_uppercase());
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let table: &[(&str, &str, Style, bool)] = &[
            ("*.html", "/a/b.html", Style::Text, true),
            ("*.html", "/a/b.html", Style::Path, false),
            ("/*/*.html", "/a/b.html", Style::Path, true),
            ("/a?", "/a/", Style::Path, false),
            ("/a[/]b", "/a/b", Style::Path, false),
            ("A*", "abc", Style::AnyCase, true),
            ("[A-C]", "b", Style::AnyCase, true),
            ("A*", "abc", Style::Text, false),
            ("[!a-c]x", "dx", Style::Text, true),
            ("a\\*", "a*", Style::Text, true),
            ("a\\*", "ab", Style::Text, false),
            ("a[", "a[", Style::Text, true),
            ("*a*b*", "xxaxxbxx", Style::Text, true),
            ("", "", Style::Text, true),
            ("**", "", Style::Text, true),
            ("a", "ab", Style::Text, false),
        ];
        for (pattern, text, style, wanted) in table {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), *style), *wanted, "{pattern} {text}");
        }
    }
}
