//! Shell patterns as Apache reads them in `<Location>`, `<Directory>`, `<Files>`, `ServerAlias` and `Include`:
//! `*`, `?` and `[a-z]`, none of which matches a slash.

/// Whether `text` as a whole matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some(_) => single(&pattern[p..], text[t]),
            None => None,
        };
        match (step, star) {
            (Some(used), _) => {
                p += used;
                t += 1;
            }
            (None, Some((star_p, star_t))) if text[star_t] != b'/' => {
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// Whether the pattern has a wildcard at all.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Matches the first element of the pattern against one byte: how many pattern bytes it took.
fn single(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern[0] {
        b'?' => (byte != b'/').then_some(1),
        b'[' => class(pattern, byte),
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        c => (c == byte).then_some(1),
    }
}

/// Matches `[...]`; a bracket that is never closed is an ordinary character.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let mut at = 1;
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    if negated {
        at += 1;
    }
    let first = at;
    let mut hit = false;
    loop {
        match pattern.get(at) {
            None => return (byte == b'[').then_some(1),
            Some(b']') if at > first => break,
            Some(&low) => match (pattern.get(at + 1), pattern.get(at + 2)) {
                (Some(b'-'), Some(&high)) if high != b']' => {
                    hit |= (low..=high).contains(&byte);
                    at += 3;
                }
                _ => {
                    hit |= low == byte;
                    at += 1;
                }
            },
        }
    }
    (byte != b'/' && hit != negated).then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        let yes: [(&str, &str); 8] = [
            ("*.conf", "a.conf"),
            ("/a/*/c", "/a/b/c"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[!a]x", "bx"),
            ("*", ""),
            ("a*b*c", "axxbyyc"),
            ("a[", "a["),
        ];
        for (p, t) in yes {
            assert!(matches(p.as_bytes(), t.as_bytes()), "{p} {t}");
        }
        for (p, t) in
            [("/a/*", "/a/b/c"), ("a?c", "a/c"), ("[a]", "b"), ("a", "ab"), ("*a", "b"), ("[!a]", "/")]
        {
            assert!(!matches(p.as_bytes(), t.as_bytes()), "{p} {t}");
        }
    }
}
