//! Checks of a request head before routing: target form, `Host`, limits, framing. Pure. hyper itself refuses malformed request
//! lines and headers, and two different `Content-Length`s.

use gk_config::site::{EncodedSlashes, HttpLimits, Settings};
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Version};

use crate::request::path::{self, BadPath};
use crate::request::refusal::{BAD_LENGTH, BOTH_FRAMINGS, METHODS, Refusal};
use crate::request::target;

/// The results of [`check`] that later steps need.
#[derive(Debug, Clone, Copy)]
pub struct CheckedHead<'p> {
    /// The authority of the request; [`host`] checks its bytes.
    pub host: Option<&'p [u8]>,
    /// There is a header about the length of the body, so [`body`] has to be called.
    pub framed: bool,
}

/// Checks the head, in one pass over its fields.
pub fn check<'p>(
    parts: &'p Parts,
    http: &HttpLimits,
    ambiguous_framing: bool,
) -> Result<CheckedHead<'p>, Refusal> {
    // First of all: the next request cannot be found behind it, so any other answer would have to close the connection as well.
    if ambiguous_framing {
        let both = parts.headers.contains_key(TRANSFER_ENCODING);
        return Err(Refusal::Bad(if both { BOTH_FRAMINGS } else { BAD_LENGTH }));
    }
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(Refusal::Method(METHODS));
    }
    let line = parts.method.as_str().len() + target_len(parts) + " HTTP/1.1 ".len();
    if http.limit_request_line != 0 && line > http.limit_request_line {
        return Err(Refusal::LongLine);
    }
    if http.limit_request_fields != 0 && parts.headers.len() > http.limit_request_fields {
        return Err(Refusal::LongHead("The request has more header fields than allowed."));
    }
    let mut fields = Fields::default();
    for (name, value) in &parts.headers {
        fields.see(name, value.as_bytes());
    }
    if http.limit_request_field_size != 0 && fields.longest > http.limit_request_field_size {
        return Err(Refusal::LongHead("A header field of the request is longer than allowed."));
    }
    if fields.other_coding {
        return Err(Refusal::Coding);
    }
    if fields.codings > 1 {
        return Err(Refusal::Bad("The request has more than one Transfer-Encoding."));
    }
    // HTTP/1.0 knows no expectations.
    if parts.version != Version::HTTP_10 && fields.other_expectation {
        return Err(Refusal::Expectation);
    }
    Ok(CheckedHead { host: authority(parts, &fields)?, framed: fields.framed })
}

/// Results of the pass over the header fields.
#[derive(Default)]
struct Fields<'p> {
    /// Bytes of the longest field, with its colon and space.
    longest: usize,
    host: Option<&'p [u8]>,
    hosts: usize,
    framed: bool,
    codings: usize,
    other_coding: bool,
    other_expectation: bool,
}

impl<'p> Fields<'p> {
    fn see(&mut self, name: &HeaderName, value: &'p [u8]) {
        self.longest = self.longest.max(name.as_str().len() + value.len() + ": ".len());
        match *name {
            HOST => {
                self.hosts += 1;
                self.host = Some(value);
            }
            CONTENT_LENGTH => self.framed = true,
            TRANSFER_ENCODING => {
                self.framed = true;
                self.codings += 1;
                self.other_coding |= !value.eq_ignore_ascii_case(b"chunked");
            }
            EXPECT => self.other_expectation |= !value.eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
    }
}

/// The authority: that of an absolute target, else the `Host` header.
fn authority<'p>(parts: &'p Parts, fields: &Fields<'p>) -> Result<Option<&'p [u8]>, Refusal> {
    if fields.hosts > 1 {
        return Err(Refusal::Bad("The request has more than one Host header."));
    }
    if fields.hosts == 0 && parts.version != Version::HTTP_10 {
        return Err(Refusal::Bad("The request has no Host header."));
    }
    Ok(parts.uri.authority().map_or(fields.host, |a| Some(a.as_str().as_bytes())))
}

/// The authority of a request that may not have passed [`check`], where it has one.
pub fn named(parts: &Parts) -> Option<&[u8]> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (first, more) = (hosts.next(), hosts.next());
    let of_target = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let named = of_target.or(first.filter(|_| more.is_none()).map(HeaderValue::as_bytes));
    named.filter(|name| is_host(name))
}

/// Checks the bytes of the authority. Called before routing, not for a cached route.
pub fn host(name: Option<&[u8]>) -> Result<(), Refusal> {
    if is_host(name.unwrap_or_default()) {
        return Ok(());
    }
    Err(Refusal::Bad("The Host header is malformed."))
}

/// Whether this is a name or an address, with a port or without. As strict as Apache: with a comma it could be two headers, joined
/// by a proxy that reads the other one.
fn is_host(text: &[u8]) -> bool {
    let (name, port) = match text.iter().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(colon) if text[colon] == b':' => (&text[..colon], &text[colon + 1..]),
        _ => (text, &[][..]),
    };
    let named = match name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) {
        Some(v6) => v6.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')),
        None => {
            name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
                && !name.windows(2).any(|two| two == b"..")
        }
    };
    named && port.iter().all(u8::is_ascii_digit)
}

fn target_len(parts: &Parts) -> usize {
    if let Some(raw) = target::raw(parts) {
        return raw.bytes().len();
    }
    let uri = &parts.uri;
    let before =
        uri.scheme_str().map_or(0, |s| s.len() + 3) + uri.authority().map_or(0, |a| a.as_str().len());
    before + uri.path_and_query().map_or(1, |p| p.as_str().len())
}

/// The version of HTTP as texts have it.
pub fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// The decoded path.
pub fn path(parts: &Parts, slashes: EncodedSlashes) -> Result<Vec<u8>, Refusal> {
    let raw = parts.uri.path();
    if raw == "*" {
        return if parts.method == Method::OPTIONS {
            Ok(b"/".to_vec())
        } else {
            Err(Refusal::Bad("The target * is for OPTIONS only."))
        };
    }
    path::normalise(raw.as_bytes(), slashes).map_err(|why| match why {
        BadPath::Malformed => Refusal::Bad("The address is malformed."),
        BadPath::Hidden => Refusal::NotFound,
    })
}

/// What is wrong with the address of a request.
pub type Understood = Result<(), Refusal>;

/// The decoded path; one that cannot be decoded, as it was sent, and what is wrong with it.
pub fn shown_path(parts: &Parts, slashes: EncodedSlashes) -> (Vec<u8>, Understood) {
    match path(parts, slashes) {
        Ok(path) => (path, Ok(())),
        Err(refusal) => (target::path(parts).to_vec(), Err(refusal)),
    }
}

/// Checks the head's fields about the body against the settings of the place.
pub fn body(parts: &Parts, settings: &Settings) -> Result<(), Refusal> {
    if parts.headers.contains_key(TRANSFER_ENCODING) && !settings.chunked_request {
        return Err(Refusal::LengthRequired);
    }
    let Some(length) = parts.headers.get(CONTENT_LENGTH) else { return Ok(()) };
    match parse_length(length.as_bytes()) {
        None => Err(Refusal::Bad(BAD_LENGTH)),
        Some(length) if settings.limit_request_body != 0 && length > settings.limit_request_body => {
            Err(Refusal::TooLarge)
        }
        Some(_) => Ok(()),
    }
}

/// A `Content-Length` value: digits only, within `u64`.
pub fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(request: http::request::Builder) -> Parts {
        request.body(()).unwrap().into_parts().0
    }

    fn checked(request: http::request::Builder) -> Result<(), Refusal> {
        let http = HttpLimits {
            limit_request_line: 60,
            limit_request_fields: 5,
            limit_request_field_size: 40,
            ..HttpLimits::default()
        };
        let parts = parts(request);
        host(check(&parts, &http, false)?.host)?;
        path(&parts, EncodedSlashes::Refused)?;
        Ok(())
    }

    #[test]
    fn refusals() {
        let get = || Request::builder().header("host", "a");
        assert_eq!(checked(get().uri("/")), Ok(()));
        assert_eq!(checked(get().uri("http://b/x")), Ok(()));
        assert_eq!(checked(get().method("OPTIONS").uri("*")), Ok(()));
        assert!(matches!(checked(get().uri("*")), Err(Refusal::Bad(_))));
        assert!(matches!(checked(Request::builder().uri("/")), Err(Refusal::Bad(_))));
        assert_eq!(checked(Request::builder().version(Version::HTTP_10).uri("/")), Ok(()));
        assert!(matches!(checked(get().header("host", "b").uri("/")), Err(Refusal::Bad(_))));
        assert!(matches!(checked(Request::builder().header("host", "a/b").uri("/")), Err(Refusal::Bad(_))));
        assert!(matches!(checked(get().method("CONNECT").uri("a:1")), Err(Refusal::Method(_))));
        assert_eq!(checked(get().uri(format!("/{}", "a".repeat(60)))), Err(Refusal::LongLine));
        assert!(matches!(checked(get().header("x", "y".repeat(40)).uri("/")), Err(Refusal::LongHead(_))));
        let many = (0..5).fold(get().uri("/"), |r, n| r.header(format!("x{n}"), "1"));
        assert!(matches!(checked(many), Err(Refusal::LongHead(_))));
        assert_eq!(
            checked(get().header("transfer-encoding", "gzip, chunked").uri("/")),
            Err(Refusal::Coding)
        );
        let twice =
            get().header("transfer-encoding", "chunked").header("transfer-encoding", "chunked").uri("/");
        assert!(matches!(checked(twice), Err(Refusal::Bad(_))));
        assert_eq!(checked(get().uri("/a%2Fb")), Err(Refusal::NotFound));
        assert_eq!(checked(get().header("expect", "100-Continue").uri("/")), Ok(()));
        assert_eq!(checked(get().header("expect", "miracles").uri("/")), Err(Refusal::Expectation));
    }

    #[test]
    fn hosts() {
        for good in ["", "a", "a.b-c_d.", "a:80", "a:", "127.0.0.1:8000", "[::1]", "[2001:db8::1]:8000"] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a,b", "a:x", "a:1:2", "a b", "a/b", "a..b", "a@b", "[::1", "::1", "[::1]x", "[x]", "a*",
            "\u{e9}",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn bodies() {
        let settings = Settings { limit_request_body: 10, chunked_request: false, ..Settings::default() };
        let with = |name: &str, value: &str| body(&parts(Request::builder().header(name, value)), &settings);
        assert_eq!(with("content-length", "10"), Ok(()));
        assert_eq!(with("content-length", "11"), Err(Refusal::TooLarge));
        assert!(matches!(with("content-length", "+1"), Err(Refusal::Bad(_))));
        assert_eq!(with("transfer-encoding", "chunked"), Err(Refusal::LengthRequired));
    }
}
