//! Escaping of URLs as Apache's functions do it.

/// Percent-encodes what cannot stand in a path (`ap_escape_uri`). Letters, digits and `$-_.+!*'(),:;@&=/~` stay.
pub fn escape_path(text: &[u8]) -> Vec<u8> {
    escaped(text, |byte| byte.is_ascii_alphanumeric() || b"$-_.+!*'(),:;@&=/~".contains(&byte))
}

/// Percent-encodes what does not pass `stays`.
pub(crate) fn escaped(text: &[u8], stays: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    for &byte in text {
        match stays(byte) {
            true => out.push(byte),
            false => out.extend_from_slice(&hex(byte)),
        }
    }
    out
}

/// `%2f`: a byte in percent-encoding.
pub(crate) fn hex(byte: u8) -> [u8; 3] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// Decodes `%xx`. `None`: an escape is broken, or hides a slash or NUL.
pub fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        let value = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        if value == 0 || value == b'/' {
            return None;
        }
        out.push(value);
        rest = &behind[2..];
    }
    Some(out)
}

/// A path with runs of slashes made one and dot segments resolved. `None`: it has no slash at its start, or climbs above the
/// root.
pub(crate) fn clean(path: &[u8]) -> Option<Vec<u8>> {
    if path.first() != Some(&b'/') || path.contains(&0) {
        return None;
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    let mut closed = false;
    for part in path[1..].split(|&byte| byte == b'/') {
        closed = matches!(part, b"" | b"." | b"..");
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let mut out = vec![b'/'];
    out.extend_from_slice(&parts.join(&b'/'));
    if closed && !parts.is_empty() {
        out.push(b'/');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(escape_path(b"/a b?c#%\xe9;x"), b"/a%20b%3fc%23%25%e9;x");
        assert_eq!(unescape(b"a%20b%41"), Some(b"a bA".to_vec()));
        for bad in ["%", "%4", "%zz", "%00", "a%2Fb"] {
            assert_eq!(unescape(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn paths_are_cleaned() {
        let table: &[(&str, Option<&str>)] = &[
            ("/", Some("/")),
            ("/a//b/", Some("/a/b/")),
            ("/a/./b/../c", Some("/a/c")),
            ("/a/..", Some("/")),
            ("/..", None),
            ("a", None),
            ("", None),
            ("/a/.", Some("/a/")),
        ];
        for (path, wanted) in table {
            assert_eq!(clean(path.as_bytes()), wanted.map(|w| w.as_bytes().to_vec()), "{path}");
        }
    }
}
