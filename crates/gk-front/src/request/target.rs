//! The target of a request as the client sent it. hyper takes no `<`, `>`, quote, backquote or byte beyond ASCII there; Apache
//! serves them. So they are percent-encoded before hyper sees them, and the target as sent is kept for the application and the
//! log. Decoded, both have the same path. Pure.

use http::request::Parts;
use std::sync::Arc;

/// A target as sent, where the one that was parsed is another. In the request's extensions, behind an `Arc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTarget {
    bytes: Vec<u8>,
    /// Place of the query: behind its `?`.
    query: Option<usize>,
}

impl RawTarget {
    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The query without its `?`.
    pub fn query(&self) -> Option<&[u8]> {
        self.query.map(|at| &self.bytes[at..])
    }

    /// The path, and before it scheme and host if the target is absolute.
    pub fn path(&self) -> &[u8] {
        &self.bytes[..self.query.map_or(self.bytes.len(), |at| at - 1)]
    }
}

/// The target of a request as sent, if another one was parsed.
pub fn raw(parts: &Parts) -> Option<&Arc<RawTarget>> {
    parts.extensions.get()
}

/// The query as the client sent it.
pub fn query(parts: &Parts) -> &[u8] {
    match raw(parts) {
        Some(raw) => raw.query().unwrap_or_default(),
        None => parts.uri.query().unwrap_or_default().as_bytes(),
    }
}

/// The path as the client sent it, without scheme and host.
pub fn path(parts: &Parts) -> &[u8] {
    let Some(raw) = raw(parts) else { return parts.uri.path().as_bytes() };
    let path = raw.path();
    path_start(path).map_or(path, |start| &path[start..])
}

/// Whether a request line holds a byte that has to be encoded.
pub fn is_odd(line: &[u8]) -> bool {
    !line.is_ascii()
        || memchr::memchr3(b'<', b'>', b'"', line).is_some()
        || memchr::memchr(b'`', line).is_some()
}

/// A request line with those bytes of its target encoded, and the target as sent. `None`: it is malformed, so that hyper refuses
/// it as it is.
pub fn encode(line: &[u8]) -> Option<(Vec<u8>, RawTarget)> {
    let begin = memchr::memchr(b' ', line)? + 1;
    let end = memchr::memrchr(b' ', line).filter(|end| *end >= begin)?;
    let target = &line[begin..end];
    let path = path_start(target)?;
    if memchr::memchr(b' ', target).is_some() || is_odd(&target[..path]) {
        return None;
    }
    let mut encoded = Vec::with_capacity(line.len() + 64);
    encoded.extend_from_slice(&line[..begin + path]);
    for byte in &target[path..] {
        match byte {
            b'<' | b'>' | b'"' | b'`' | 0x80.. => {
                encoded.extend_from_slice(&[b'%', hex(byte >> 4), hex(byte & 15)]);
            }
            byte => encoded.push(*byte),
        }
    }
    encoded.extend_from_slice(&line[end..]);
    // hyper leaves a fragment away.
    let sent = &target[..memchr::memchr(b'#', target).unwrap_or(target.len())];
    let query = memchr::memchr(b'?', sent).map(|at| at + 1);
    Some((encoded, RawTarget { bytes: sent.to_vec(), query }))
}

/// The start of the path: at once, or behind scheme and host.
fn path_start(target: &[u8]) -> Option<usize> {
    if target.first() == Some(&b'/') {
        return Some(0);
    }
    let host = memchr::memmem::find(target, b"://")? + 3;
    let path = target[host..].iter().position(|byte| matches!(byte, b'/' | b'?'))?;
    Some(host + path)
}

fn hex(digit: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(digit)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::path;
    use gk_config::site::EncodedSlashes;

    #[test]
    fn odd_bytes_of_a_target_are_encoded_and_kept() {
        /// The encoded line, and the query.
        type Encoded<'a> = Option<(&'a str, &'a [u8])>;
        let table: &[(&[u8], Encoded<'_>)] = &[
            (b"GET /<a>?\"b\" HTTP/1.1", Some(("GET /%3Ca%3E?%22b%22 HTTP/1.1", b"\"b\""))),
            (b"GET /`\xff%3c? HTTP/1.1\r", Some(("GET /%60%FF%3c? HTTP/1.1\r", b""))),
            (b"GET http://a:1/\xc3\xa9?x HTTP/1.1", Some(("GET http://a:1/%C3%A9?x HTTP/1.1", b"x"))),
            (b"GET /a?b#<c?d HTTP/1.1", Some(("GET /a?b#%3Cc?d HTTP/1.1", b"b"))),
            (b"GET http://a<b/x HTTP/1.1", None),
            (b"GET http://a<b HTTP/1.1", None),
            (b"GET <x> HTTP/1.1", None),
            (b"GET /a <b HTTP/1.1", None),
            (b"GET /<", None),
            (b"<", None),
        ];
        for (line, wanted) in table {
            assert!(is_odd(line));
            let found = encode(line);
            let found = found.as_ref().map(|(encoded, raw)| {
                (std::str::from_utf8(encoded).unwrap(), raw.query().unwrap_or(b"none"))
            });
            assert_eq!(found, *wanted, "{line:?}");
        }
        assert!(!is_odd(b"GET /a%20b?{x}|[y]^~\\ HTTP/1.1"));
    }

    proptest::proptest! {
        #[test]
        fn the_path_that_is_routed_is_the_one_that_was_sent(
            path in proptest::collection::vec(proptest::sample::select(b"/.%2e<>\"`?a\xe9\xff".to_vec()), 0..20),
        ) {
            let line = [b"GET /", &path[..], b" HTTP/1.1"].concat();
            if let Some((encoded, raw)) = encode(&line) {
                let decoded = |path: &[u8]| path::normalise(path, EncodedSlashes::Refused);
                let text = std::str::from_utf8(&encoded).unwrap();
                let uri: http::Uri = text[4..text.len() - 9].parse().unwrap();
                proptest::prop_assert_eq!(decoded(raw.path()), decoded(uri.path().as_bytes()));
                proptest::prop_assert_eq!(raw.query().is_some(), uri.query().is_some());
            }
        }
    }
}
