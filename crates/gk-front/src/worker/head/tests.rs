//! Heads in both directions.

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
    let (h, headers) = head(200, b"", &[(b"content-LENGTH", b"18446744073709551615"), (b"Server", b"mine")]);
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
        traced: false,
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
        tls: None,
        client: None,
        stream: 0,
        identity: None,
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
