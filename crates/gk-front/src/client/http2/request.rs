//! The head of an HTTP/2 request in the form that the rest of the front knows: HTTP/1's. Pure.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Uri};
use http::{Method, uri};

/// Makes `:authority` the `Host`, the target a path, one field of several cookies, and of a body without a length one in chunks. `Err`:
/// the request is malformed, with the sentence for the client. h2 refuses what else RFC 9113 calls malformed.
pub fn adapt(parts: &mut Parts, has_body: bool) -> Result<(), &'static str> {
    let headers = &mut parts.headers;
    if headers.keys_len() < headers.len() {
        join(headers, COOKIE, b"; ");
        if let Some(first) = headers.get(CONTENT_LENGTH).cloned() {
            // They are all the same.
            headers.insert(CONTENT_LENGTH, first);
        }
    }
    if has_body && !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if parts.method == Method::CONNECT {
        return host(headers, parts.uri.authority());
    }
    let uri::Parts { authority, path_and_query, .. } = std::mem::take(&mut parts.uri).into_parts();
    let path = path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let proper = path.as_str().starts_with('/') || path.as_str() == "*";
    parts.uri = Uri::from(path);
    host(headers, authority.as_ref())?;
    if proper { Ok(()) } else { Err("The request's :path does not begin with a slash.") }
}

/// Joins the values of a repeated field.
fn join(headers: &mut HeaderMap, name: HeaderName, glue: &[u8]) {
    let values: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
    if values.len() < 2 {
        return;
    }
    if let Ok(joined) = HeaderValue::from_bytes(&values.join(glue)) {
        headers.insert(name, joined);
    }
}

/// The name of the site: `:authority`, and where the request has none its `Host`. Two names that differ could lead a cache or a
/// proxy to another site than this server.
fn host(headers: &mut HeaderMap, authority: Option<&Authority>) -> Result<(), &'static str> {
    let Some(authority) = authority else { return Ok(()) };
    match headers.get(HOST) {
        None => {
            let value = HeaderValue::from_str(authority.as_str());
            headers.insert(HOST, value.map_err(|_| "The request's :authority is malformed.")?);
            Ok(())
        }
        Some(host) if host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => Ok(()),
        Some(_) => Err("The request's Host header is not its :authority."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Version};

    fn adapted(request: http::request::Builder, has_body: bool) -> Result<Parts, &'static str> {
        let mut parts = request.version(Version::HTTP_2).body(()).unwrap().into_parts().0;
        adapt(&mut parts, has_body).map(|()| parts)
    }

    fn values(parts: &Parts, name: HeaderName) -> Vec<&str> {
        parts.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn the_authority_is_the_host_and_the_target_a_path() {
        let parts = adapted(Request::builder().uri("http://example.org:8000/a?b=c"), false).unwrap();
        assert_eq!(
            (parts.uri.to_string().as_str(), values(&parts, HOST)),
            ("/a?b=c", vec!["example.org:8000"])
        );
        let parts = adapted(Request::builder().uri("/a").header("host", "b"), false).unwrap();
        assert_eq!(values(&parts, HOST), ["b"]);
        let parts = adapted(Request::builder().uri("http://B/a").header("host", "b"), false).unwrap();
        assert_eq!(values(&parts, HOST), ["b"]);
        assert!(adapted(Request::builder().uri("http://a/").header("host", "b"), false).is_err());
        assert!(adapted(Request::builder().uri("/"), false).unwrap().headers.is_empty());
    }

    #[test]
    fn cookies_are_one_field_and_other_fields_stay_apart() {
        let request = Request::builder()
            .uri("http://a/")
            .header("cookie", "a=1")
            .header("x", "1")
            .header("cookie", "b=2")
            .header("x", "2")
            .header("cookie", "c=3");
        let parts = adapted(request, false).unwrap();
        assert_eq!(values(&parts, COOKIE), ["a=1; b=2; c=3"]);
        assert_eq!(values(&parts, HeaderName::from_static("x")), ["1", "2"]);
    }

    #[test]
    fn a_body_without_a_length_is_one_in_chunks() {
        let post = || Request::builder().method("POST").uri("http://a/");
        assert_eq!(values(&adapted(post(), true).unwrap(), TRANSFER_ENCODING), ["chunked"]);
        assert!(!adapted(post(), false).unwrap().headers.contains_key(TRANSFER_ENCODING));
        let parts =
            adapted(post().header("content-length", "5").header("content-length", "5"), true).unwrap();
        assert_eq!(values(&parts, CONTENT_LENGTH), ["5"]);
        assert!(!parts.headers.contains_key(TRANSFER_ENCODING));
    }
}
