//! Heads in both directions: an HTTP request becomes a `Request` frame (names in CGI form), a `Head` frame becomes an HTTP
//! response head. Pure. The profile of a request comes from `request/route.rs`.

use bytes::BytesMut;
use gk_wire::frame::{WORKER_ERROR, WireError};
use gk_wire::request::{Numbers, RequestWriter, Texts};
use gk_wire::response::{HeadView, Headers};
use http::header::{self, HeaderMap, HeaderName, HeaderValue, InvalidHeaderName};
use http::{StatusCode, Version, request::Parts};
use std::net::IpAddr;

use crate::client::tls::facts::TlsEntries;
use crate::engine::ResponseHead;
use crate::request::identity::Identity;
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
    /// Environ entries about TLS.
    pub tls: Option<TlsEntries<'a>>,
    /// Address of the client, if it has one.
    pub client: Option<IpAddr>,
    /// Number of the stream on the connection; 0 with HTTP/1.
    pub stream: u32,
    /// The id of the request, where requests have one: the application gets it in place of what the client sent.
    pub identity: Option<&'a Identity>,
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
        if extras.identity.is_some_and(|identity| identity.replaces(name)) {
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
    if let Some(tls) = &extras.tls {
        for entries in tls.kinds.into_iter().flatten() {
            writer.pairs(entries);
        }
        if let Some(user) = &tls.user {
            writer.pair(b"REMOTE_USER", user.as_bytes());
            writer.pair(b"AUTH_TYPE", b"ClientCert");
        }
    }
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
mod tests;
