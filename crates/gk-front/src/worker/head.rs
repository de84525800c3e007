//! Heads in both directions: an HTTP request becomes a `Request` frame (names in CGI form), a `Head` frame becomes an HTTP
//! response head. Pure. The profile of a request comes from `request/route.rs`.

use bytes::BytesMut;
use gk_wire::frame::{WORKER_ERROR, WireError};
use gk_wire::request::{Numbers, RequestWriter, Texts};
use gk_wire::response::{HeadView, Headers};
use http::header::{self, HeaderMap, HeaderName, HeaderValue, InvalidHeaderName};
use http::{StatusCode, Version, request::Parts};
use std::net::IpAddr;

use crate::engine::ResponseHead;
use crate::request::limits::parse_length;
use crate::request::proxy_trust::Overlay;
use crate::request::target;

/// Limit on the headers of a response. The map that holds them panics above some twenty thousand.
const MAX_HEADERS: usize = 10_000;

/// Decodes the payload of a `Head` frame. `headers` is emptied and gets the headers, without the hop-by-hop ones.
pub fn response(payload: &[u8], flags: u8, headers: &mut HeaderMap) -> Result<ResponseHead, WireError> {
    headers.clear();
    let view = HeadView::decode(payload)?;
    let status = StatusCode::from_u16(view.status).ok().filter(|s| s.as_u16() >= 200);
    let mut head = ResponseHead {
        bad: status.is_none().then_some("a status that is not a final HTTP status"),
        status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        reason: None,
        length: None,
        server: false,
        longest: 0,
        close: false,
        worker_error: flags & WORKER_ERROR != 0,
        application_seconds: view.application_seconds,
    };
    if !view.reason.is_empty() && head.status.canonical_reason().map(str::as_bytes) != Some(view.reason) {
        head.reason = Some(view.reason.to_vec());
    }
    let mut repeated = false;
    for (name, value) in view.headers() {
        head.longest = head.longest.max(name.len() + value.len() + ": ".len());
        let Ok(name) = header_name(name) else {
            head.bad = Some("a header that HTTP does not allow");
            continue;
        };
        if name == header::CONTENT_LENGTH {
            match parse_length(value) {
                Some(length) if head.length.is_none_or(|before| before == length) => {
                    head.length = Some(length);
                }
                _ => head.bad = Some("a Content-Length that is no length, or two different ones"),
            }
            continue;
        }
        let Ok(value) = HeaderValue::from_bytes(value) else {
            head.bad = Some("a header that HTTP does not allow");
            continue;
        };
        match name {
            header::CONNECTION => {
                head.close |= value.to_str().is_ok_and(|v| v.to_ascii_lowercase().contains("close"));
            }
            header::TRANSFER_ENCODING
            | header::UPGRADE
            | header::TE
            | header::TRAILER
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION => {}
            name if name == "keep-alive" || name == "proxy-connection" => {}
            name => {
                head.server |= name == header::SERVER;
                // A full map would panic; the front's own headers have to fit in too.
                if headers.len() < MAX_HEADERS {
                    let alone = name == header::SET_COOKIE || name == header::WWW_AUTHENTICATE;
                    repeated |= headers.append(name, value) && !alone;
                } else {
                    head.bad = Some("more headers than any client takes");
                }
            }
        }
    }
    if repeated {
        join(headers, &mut head);
    }
    Ok(head)
}

/// Makes one header of each repeated one, as Apache does: the values are joined, and where only one makes sense the last counts.
#[cold]
fn join(headers: &mut HeaderMap, head: &mut ResponseHead) {
    let alone = [header::SET_COOKIE, header::WWW_AUTHENTICATE];
    let several =
        |name: &&HeaderName| !alone.contains(name) && headers.get_all(*name).iter().nth(1).is_some();
    let names: Vec<HeaderName> = headers.keys().filter(several).cloned().collect();
    for name in names {
        let values: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        let value = match name {
            header::CONTENT_TYPE | header::LAST_MODIFIED => {
                values.last().copied().unwrap_or_default().to_vec()
            }
            _ => values.join(&b", "[..]),
        };
        head.longest = head.longest.max(name.as_str().len() + value.len() + ": ".len());
        match HeaderValue::from_maybe_shared(bytes::Bytes::from(value)) {
            Ok(value) => drop(headers.insert(name, value)),
            Err(_) => head.bad = Some("a header that HTTP does not allow"),
        }
    }
}

/// Parses a header's name; the most frequent ones by a comparison with their usual spelling.
fn header_name(name: &[u8]) -> Result<HeaderName, InvalidHeaderName> {
    Ok(match name {
        b"Content-Type" | b"content-type" => header::CONTENT_TYPE,
        b"Content-Length" | b"content-length" => header::CONTENT_LENGTH,
        b"Set-Cookie" | b"set-cookie" => header::SET_COOKIE,
        b"Cache-Control" | b"cache-control" => header::CACHE_CONTROL,
        b"Location" | b"location" => header::LOCATION,
        b"Vary" | b"vary" => header::VARY,
        _ => return HeaderName::from_bytes(name),
    })
}

/// The part of a `Request` frame that is not in the HTTP head.
pub struct RequestExtras<'a> {
    /// Numbers.
    pub numbers: Numbers,
    /// Texts from routing and the connection (`uri` is taken from the head).
    pub texts: Texts<'a>,
    /// `Authorization` is passed on.
    pub pass_authorization: bool,
    /// The request has no body.
    pub end: bool,
    /// Length of a body that came chunked: the application sees it as if the client had said it.
    pub chunked: Option<u64>,
    /// Changes by trusted proxies.
    pub overlay: Option<&'a Overlay>,
    /// Environ entries that all requests for this place have.
    pub place: &'a Headers,
    /// Address of the client, if it has one.
    pub client: Option<IpAddr>,
}

/// Writes the `Request` frame.
pub fn encode(out: &mut BytesMut, id: u32, parts: &Parts, extras: &RequestExtras<'_>) {
    let text;
    let uri = match (target::raw(parts), parts.uri.scheme(), parts.uri.path_and_query()) {
        (Some(raw), ..) => raw.bytes(),
        (None, None, Some(path)) => path.as_str().as_bytes(),
        _ => {
            text = parts.uri.to_string();
            text.as_bytes()
        }
    };
    let texts = Texts { uri, ..extras.texts };
    let mut writer = RequestWriter::begin(out, id, extras.end, &extras.numbers, &texts);
    let mut key = CgiName::new();
    let mut headers = parts.headers.iter().peekable();
    let authority = parts.uri.authority().filter(|_| parts.uri.scheme().is_some());
    let mut joined = Vec::new();
    let repeated = parts.headers.keys_len() < parts.headers.len();
    while let Some((name, value)) = headers.next() {
        // Of the framing on the way here nothing is left; trailers were dropped with it.
        if extras.chunked.is_some()
            && matches!(*name, header::TRANSFER_ENCODING | header::TRAILER | header::CONTENT_LENGTH)
        {
            continue;
        }
        let mut value = value.as_bytes();
        // The values of a repeated header are joined.
        if repeated && headers.peek().is_some_and(|(next, _)| *next == name) {
            joined.clear();
            joined.extend_from_slice(value);
            let glue: &[u8] = if name == header::COOKIE { b"; " } else { b", " };
            while let Some((_, more)) = headers.next_if(|(next, _)| *next == name) {
                joined.extend_from_slice(glue);
                joined.extend_from_slice(more.as_bytes());
            }
            value = &joined;
        }
        if *name == header::HOST
            && let Some(authority) = authority
        {
            value = authority.as_str().as_bytes();
        }
        if (*name == header::AUTHORIZATION && !extras.pass_authorization) || name.as_str() == "proxy" {
            continue;
        }
        let Some(key) = usual_key(name).or_else(|| key.set(name.as_str())) else { continue };
        match extras.overlay {
            None => writer.pair(key, value),
            Some(overlay) if overlay.drops(key) => {}
            Some(overlay) => writer.pair(key, overlay.value(key).unwrap_or(value)),
        }
    }
    if let Some(length) = extras.chunked {
        writer.pair(b"CONTENT_LENGTH", length.to_string().as_bytes());
    }
    if let Some(overlay) = extras.overlay {
        for (name, value) in overlay.added() {
            writer.pair(name, value);
        }
    }
    writer.pairs(extras.place);
    writer.finish();
}

/// The environ keys of the headers that nearly every browser sends.
fn usual_key(name: &HeaderName) -> Option<&'static [u8]> {
    Some(match *name {
        header::HOST => b"HTTP_HOST",
        header::USER_AGENT => b"HTTP_USER_AGENT",
        header::ACCEPT => b"HTTP_ACCEPT",
        header::ACCEPT_LANGUAGE => b"HTTP_ACCEPT_LANGUAGE",
        header::ACCEPT_ENCODING => b"HTTP_ACCEPT_ENCODING",
        header::CONNECTION => b"HTTP_CONNECTION",
        header::COOKIE => b"HTTP_COOKIE",
        header::REFERER => b"HTTP_REFERER",
        header::CACHE_CONTROL => b"HTTP_CACHE_CONTROL",
        header::UPGRADE_INSECURE_REQUESTS => b"HTTP_UPGRADE_INSECURE_REQUESTS",
        header::IF_NONE_MATCH => b"HTTP_IF_NONE_MATCH",
        header::ORIGIN => b"HTTP_ORIGIN",
        header::AUTHORIZATION => b"HTTP_AUTHORIZATION",
        header::CONTENT_TYPE => b"CONTENT_TYPE",
        header::CONTENT_LENGTH => b"CONTENT_LENGTH",
        _ => return None,
    })
}

/// Each byte of a header's name as it is in an environ key; 0 for a byte that no key may hold.
const CGI_BYTES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] = (byte as u8).to_ascii_uppercase();
        }
        byte += 1;
    }
    table[b'-' as usize] = b'_';
    table
};

/// `HTTP_…` names made in place.
struct CgiName {
    buffer: [u8; 128],
}

impl CgiName {
    fn new() -> Self {
        let mut buffer = [0; 128];
        buffer[..5].copy_from_slice(b"HTTP_");
        Self { buffer }
    }

    /// The environ key of a header; `None` for a name that could be mistaken for another (with anything but letters, digits and
    /// `-`) or is longer than any real one.
    fn set(&mut self, name: &str) -> Option<&[u8]> {
        match name {
            "content-type" => return Some(b"CONTENT_TYPE"),
            "content-length" => return Some(b"CONTENT_LENGTH"),
            _ => {}
        }
        let end = 5 + name.len();
        let place = self.buffer.get_mut(5..end)?;
        let mut odd = false;
        for (to, from) in place.iter_mut().zip(name.bytes()) {
            *to = CGI_BYTES[usize::from(from)];
            odd |= *to == 0;
        }
        if odd {
            return None;
        }
        Some(&self.buffer[..end])
    }
}

/// The HTTP version as a number of the link: 10, 11, 20.
pub fn version_number(version: Version) -> u8 {
    match version {
        Version::HTTP_10 => 10,
        Version::HTTP_2 => 20,
        _ => 11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_wire::frame::{END, split};
    use gk_wire::request::RequestView;
    use gk_wire::response::HeadWriter;

    fn head(status: u16, reason: &[u8], headers: &[(&[u8], &[u8])]) -> (ResponseHead, HeaderMap) {
        let mut out = BytesMut::new();
        let mut writer = HeadWriter::begin(&mut out, 1, END, status, reason, 0.0);
        for (name, value) in headers {
            writer.header(name, value);
        }
        writer.finish();
        let (header, payload, _) = split(&out).unwrap().unwrap();
        let mut headers = HeaderMap::new();
        let head = response(payload, header.flags, &mut headers).unwrap();
        (head, headers)
    }

    #[test]
    fn a_usual_reason_is_not_repeated_and_another_is_kept() {
        assert_eq!(head(200, b"OK", &[]).0.reason, None);
        assert_eq!(head(200, b"", &[]).0.reason, None);
        assert_eq!(head(200, b"Fine", &[]).0.reason.as_deref(), Some(&b"Fine"[..]));
        assert_eq!(head(418, b"Teapot", &[]).0.status.as_u16(), 418);
    }

    #[test]
    fn hop_by_hop_headers_are_dropped() {
        let (h, headers) =
            head(200, b"", &[(b"Transfer-Encoding", b"chunked"), (b"Connection", b"Close"), (b"X-A", b"1")]);
        assert_eq!(headers.len(), 1);
        assert!(h.close);
        assert!(h.bad.is_none());
    }

    /// Reported: mod_wsgi sends one header where an application gives several of one name, and caches compare whole headers.
    #[test]
    fn repeated_headers_are_joined_but_for_those_that_cannot_be() {
        let given: &[(&[u8], &[u8])] = &[
            (b"X-A", b"1"),
            (b"Set-Cookie", b"a=1"),
            (b"x-a", b"2"),
            (b"Set-Cookie", b"b=2"),
            (b"Content-Type", b"text/plain"),
            (b"WWW-Authenticate", b"Basic"),
            (b"Content-Type", b"text/html"),
            (b"WWW-Authenticate", b"Digest"),
            (b"X-Empty", b""),
            (b"X-Empty", b""),
        ];
        let (h, headers) = head(200, b"", given);
        let all = |name: &str| headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all("x-a"), ["1, 2"]);
        assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
        assert_eq!(all("www-authenticate"), ["Basic", "Digest"]);
        assert_eq!(all("content-type"), ["text/html"]);
        assert_eq!(all("x-empty"), [", "]);
        assert!(h.bad.is_none());
        let long = "x".repeat(5000);
        let parts = vec![(&b"X-Long"[..], long.as_bytes()); 3];
        assert_eq!(head(200, b"", &parts).0.longest, "X-Long: ".len() + 3 * 5000 + 4);
    }

    #[test]
    fn unusable_heads_are_named() {
        assert!(head(100, b"", &[]).0.bad.is_some());
        assert!(head(200, b"", &[(b"Content-Length", b"-1")]).0.bad.is_some());
        assert!(head(200, b"", &[(b"Content-Length", b"1"), (b"Content-Length", b"2")]).0.bad.is_some());
        assert!(head(200, b"", &[(b"Content-Length", b"1"), (b"Content-Length", b"1")]).0.bad.is_none());
        assert!(head(200, b"", &[(b"A b", b"1")]).0.bad.is_some());
        assert!(head(200, b"", &[(b"A", b"1\r\nB: 2")]).0.bad.is_some());
        let names: Vec<_> = (0..30_000).map(|n| format!("X-{n}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_bytes(), &b"1"[..])).collect();
        assert!(head(200, b"", &many[..10_000]).0.bad.is_none());
        assert!(head(200, b"", &many).0.bad.is_some());
    }

    #[test]
    fn a_length_is_not_among_the_headers() {
        let (h, headers) =
            head(200, b"", &[(b"content-LENGTH", b"18446744073709551615"), (b"Server", b"mine")]);
        assert_eq!((h.length, h.server, headers.len()), (Some(u64::MAX), true, 1));
        assert_eq!(parse_length(b"18446744073709551616"), None);
        assert_eq!(parse_length(b""), None);
    }

    #[test]
    fn header_names_become_cgi_names() {
        let table: &[(&str, Option<&str>)] = &[
            ("accept-encoding", Some("HTTP_ACCEPT_ENCODING")),
            ("content-type", Some("CONTENT_TYPE")),
            ("x_spoofed", None),
            ("x.y", None),
            ("x1", Some("HTTP_X1")),
        ];
        for (name, key) in table {
            assert_eq!(CgiName::new().set(name), key.map(str::as_bytes), "{name}");
        }
        assert_eq!(CgiName::new().set(&"a".repeat(124)), None);
    }

    #[test]
    fn usual_keys_equal_the_made_ones() {
        for name in ["host", "user-agent", "accept", "accept-language", "accept-encoding", "connection"]
            .into_iter()
            .chain(["cookie", "referer", "cache-control", "upgrade-insecure-requests", "if-none-match"])
            .chain(["origin", "authorization", "content-type", "content-length"])
        {
            let usual = usual_key(&HeaderName::from_static(name)).unwrap();
            assert_eq!(Some(usual), CgiName::new().set(name), "{name}");
        }
    }

    #[test]
    fn duplicates_are_joined_and_unwanted_headers_left_out() {
        let request = http::Request::builder()
            .uri("/a%20b?x=1")
            .header("host", "h")
            .header("cookie", "a=1")
            .header("x-a", "1")
            .header("cookie", "b=2")
            .header("x-a", "2")
            .header("proxy", "evil")
            .header("authorization", "Basic x")
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        let numbers = Numbers {
            profile: 1,
            version: 11,
            https: false,
            server_port: 80,
            remote_port: 1,
            request_id: 1,
            connection_id: 1,
            request_start: 0.0,
            queue_start: 0.0,
        };
        let mut out = BytesMut::new();
        let mut place = Headers::default();
        place.push(b"A", b"B");
        let extras = RequestExtras {
            numbers,
            texts: Texts::default(),
            pass_authorization: false,
            end: true,
            chunked: None,
            overlay: None,
            place: &place,
            client: None,
        };
        encode(&mut out, 9, &parts, &extras);
        let (_, payload, _) = split(&out).unwrap().unwrap();
        let view = RequestView::decode(payload).unwrap();
        assert_eq!(view.texts.uri, b"/a%20b?x=1");
        assert_eq!(view.get(b"HTTP_COOKIE"), Some(&b"a=1; b=2"[..]));
        assert_eq!(view.get(b"HTTP_X_A"), Some(&b"1, 2"[..]));
        assert_eq!(view.get(b"HTTP_PROXY"), None);
        assert_eq!(view.get(b"HTTP_AUTHORIZATION"), None);
        assert_eq!(view.get(b"A"), Some(&b"B"[..]));
    }
}
