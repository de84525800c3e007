//! What a request must be like before anything is looked up for it: target form, `Host`, limits, framing. Pure. What
//! hyper refuses by itself (a malformed request line or header, two different `Content-Length`s) never comes here.

use gk_config::site::{HttpLimits, Settings};
use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Version};

use crate::head::parse_length;
use crate::path::{self, BadPath};
use crate::reply::{BAD_LENGTH, BOTH_FRAMINGS, METHODS, Refusal};

/// Checks the head; returns the authority that the request is for.
pub fn check<'p>(
    parts: &'p Parts,
    http: &HttpLimits,
    ambiguous_framing: bool,
) -> Result<Option<&'p [u8]>, Refusal> {
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
    let longest = http.limit_request_field_size;
    let too_long = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        name.as_str().len() + value.len() + 2 > longest
    };
    if longest != 0 && parts.headers.iter().any(too_long) {
        return Err(Refusal::LongHead("A header field of the request is longer than allowed."));
    }
    if ambiguous_framing {
        return Err(Refusal::Bad(BOTH_FRAMINGS));
    }
    if parts
        .headers
        .get_all(TRANSFER_ENCODING)
        .iter()
        .any(|te| !te.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(Refusal::Coding);
    }
    // HTTP/1.0 knows no expectations.
    if parts.version != Version::HTTP_10
        && parts.headers.get_all(EXPECT).iter().any(|e| !e.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(Refusal::Expectation);
    }
    authority(parts)
}

/// The authority: that of an absolute target, else the `Host` header.
fn authority(parts: &Parts) -> Result<Option<&[u8]>, Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next().map(|h| h.as_bytes());
    if hosts.next().is_some() {
        return Err(Refusal::Bad("The request has more than one Host header."));
    }
    if host.is_none() && parts.version != Version::HTTP_10 {
        return Err(Refusal::Bad("The request has no Host header."));
    }
    let authority = parts.uri.authority().map_or(host, |a| Some(a.as_str().as_bytes()));
    let odd = |b: &u8| !(b.is_ascii_alphanumeric() || b"-._:[]~%!$&'()*+,;=".contains(b));
    match authority {
        Some(name) if name.iter().any(odd) => Err(Refusal::Bad("The Host header is malformed.")),
        other => Ok(other),
    }
}

fn target_len(parts: &Parts) -> usize {
    let uri = &parts.uri;
    let before =
        uri.scheme_str().map_or(0, |s| s.len() + 3) + uri.authority().map_or(0, |a| a.as_str().len());
    before + uri.path_and_query().map_or(1, |p| p.as_str().len())
}

/// The decoded path.
pub fn path(parts: &Parts) -> Result<Vec<u8>, Refusal> {
    let raw = parts.uri.path();
    if raw == "*" {
        return if parts.method == Method::OPTIONS {
            Ok(b"/".to_vec())
        } else {
            Err(Refusal::Bad("The target * is for OPTIONS only."))
        };
    }
    path::normalise(raw.as_bytes()).map_err(|why| match why {
        BadPath::Malformed => Refusal::Bad("The address is malformed."),
        BadPath::Hidden => Refusal::NotFound,
    })
}

/// Checks what the head says of the body against the settings of the place.
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
        check(&parts, &http, false)?;
        path(&parts)?;
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
        assert_eq!(checked(get().uri("/a%2Fb")), Err(Refusal::NotFound));
        assert_eq!(checked(get().header("expect", "100-Continue").uri("/")), Ok(()));
        assert_eq!(checked(get().header("expect", "miracles").uri("/")), Err(Refusal::Expectation));
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
