//! Normalising the path of a URL: percent-decoding, collapsing runs of slashes, resolving dot segments. Pure.

use gk_config::site::EncodedSlashes;
use std::fmt::Write;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPath {
    /// A broken escape, or a path that climbs above the root: 400.
    Malformed,
    /// An encoded slash or NUL, which no file or mount can have: 404, as Apache gives by default.
    Hidden,
}

/// Decodes and normalises. The result begins with `/`.
pub fn normalise(raw: &[u8], slashes: EncodedSlashes) -> Result<Vec<u8>, BadPath> {
    if raw.first() != Some(&b'/') {
        return Err(BadPath::Malformed);
    }
    let plain = memchr::memchr(b'%', raw).is_none()
        && memchr::memmem::find(raw, b"//").is_none()
        && memchr::memmem::find(raw, b"/.").is_none();
    if plain {
        return Ok(raw.to_vec());
    }
    let decoded = decode(raw, slashes)?;
    let mut out: Vec<u8> = Vec::with_capacity(decoded.len());
    let mut segments = decoded[1..].split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"" | b"." => {}
            b".." => {
                let cut = out.iter().rposition(|b| *b == b'/').ok_or(BadPath::Malformed)?;
                out.truncate(cut);
            }
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
                if last {
                    return Ok(out);
                }
            }
        }
    }
    out.push(b'/');
    Ok(out)
}

/// The URL path from which [`normalise`] makes this path.
pub fn encode(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(byte) {
            out.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn decode(raw: &[u8], slashes: EncodedSlashes) -> Result<Vec<u8>, BadPath> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else { return Err(BadPath::Malformed) };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(BadPath::Malformed);
        let value = (digit(high)? * 16 + digit(low)?) as u8;
        match (value, slashes) {
            (0, _) | (b'/', EncodedSlashes::Refused) => return Err(BadPath::Hidden),
            (b'/', EncodedSlashes::Kept) => out.extend([b'%', high, low]),
            _ => out.push(value),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let table: &[(&str, Result<&str, BadPath>)] = &[
            ("/", Ok("/")),
            ("/a/b", Ok("/a/b")),
            ("/a%20b", Ok("/a b")),
            ("/a%2fb", Err(BadPath::Hidden)),
            ("/a%00", Err(BadPath::Hidden)),
            ("/a%", Err(BadPath::Malformed)),
            ("/a%4", Err(BadPath::Malformed)),
            ("/a%zz", Err(BadPath::Malformed)),
            ("//a///b/", Ok("/a/b/")),
            ("/a/./b", Ok("/a/b")),
            ("/a/../b", Ok("/b")),
            ("/a/..", Ok("/")),
            ("/..", Err(BadPath::Malformed)),
            ("/a/../../b", Err(BadPath::Malformed)),
            ("/%2e%2e/b", Err(BadPath::Malformed)),
            ("/.hidden", Ok("/.hidden")),
            ("a", Err(BadPath::Malformed)),
        ];
        for (raw, want) in table {
            assert_eq!(
                normalise(raw.as_bytes(), EncodedSlashes::Refused),
                want.map(|w| w.as_bytes().to_vec()),
                "{raw}"
            );
        }
    }

    /// As real Apache has it. Reported: applications with identifiers that hold a slash got 404 for them.
    #[test]
    fn encoded_slashes() {
        let table: &[(&str, &str, &str)] = &[
            ("/app/a%2Fb", "/app/a/b", "/app/a%2Fb"),
            ("/app/a%2fb%20c", "/app/a/b c", "/app/a%2fb c"),
            ("/app/a%2F..%2Fb", "/app/b", "/app/a%2F..%2Fb"),
            ("/app/a%252Fb", "/app/a%2Fb", "/app/a%2Fb"),
            ("/%2F%2Fsub%2F%2Fx", "/sub/x", "/%2F%2Fsub%2F%2Fx"),
            ("/app//a%2F%2Fb", "/app/a/b", "/app/a%2F%2Fb"),
            ("/app/a/%2e%2e/b", "/app/b", "/app/b"),
        ];
        for (raw, on, kept) in table {
            for (slashes, want) in [(EncodedSlashes::Decoded, on), (EncodedSlashes::Kept, kept)] {
                assert_eq!(normalise(raw.as_bytes(), slashes), Ok(want.as_bytes().to_vec()), "{raw}");
            }
        }
        for slashes in [EncodedSlashes::Decoded, EncodedSlashes::Kept] {
            assert_eq!(normalise(b"/a%00", slashes), Err(BadPath::Hidden));
            assert_eq!(normalise(b"/a%2", slashes), Err(BadPath::Malformed));
        }
        assert_eq!(normalise(b"/..%2F..%2Fb", EncodedSlashes::Decoded), Err(BadPath::Malformed));
    }

    proptest::proptest! {
        #[test]
        fn a_normalised_path_never_holds_dots_or_double_slashes(raw in "/([a-c%./20]|%2e|%2E|%2F){0,20}") {
            if let Ok(path) = normalise(raw.as_bytes(), EncodedSlashes::Decoded) {
                proptest::prop_assert!(path.starts_with(b"/"));
                let text = String::from_utf8_lossy(&path).into_owned();
                proptest::prop_assert!(!text.contains("//"));
                proptest::prop_assert!(!text.split('/').any(|s| s == ".." || s == "."));
            }
        }
    }
}
