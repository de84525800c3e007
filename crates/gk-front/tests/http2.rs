//! Requests over HTTP/2, between its clients and fake workers.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use bytes::Bytes;
use gk_config::site::ReadTimeout;
use gk_wire::frame::ToFrontFrame;
use h2::Reason;
use http::Request;
use support::Frame;
use support::http2::*;

#[test]
fn a_request_reaches_the_worker_as_one_of_http_1_would() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (front, mut worker) = served(|site| {
        site.hosts[0].access_logs = vec![logged("%H \"%r\" %>s %b %k %X %I %O", &path)];
    });
    let mut client = Http2Client::connect(front.address);
    let get = Request::get("http://example.org/a%20b?c=d")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-a", "1")
        .header("x-a", "2");
    let (response, _) = client.begin(get, true);
    let request = worker.request();
    let Frame::Request { id, end, method, uri, path: decoded, .. } = &request else { unreachable!() };
    assert_eq!((*end, &**method, &**uri, &**decoded), (true, "GET", "/a%20b?c=d", "/a b"));
    for (key, wanted) in [
        ("version", "20"),
        ("HTTP_HOST", "example.org"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HTTP_X_A", "1, 2"),
        ("QUERY_STRING", "c=d"),
    ] {
        assert_eq!(request.get(key), Some(wanted), "{key}");
    }
    worker.respond(
        *id,
        200,
        &[("Content-Length", "5"), ("Connection", "close"), ("X-B", "c")],
        b"hello",
        true,
    );
    let answer = client.answer(response);
    assert_eq!((answer.status, &*answer.text(), answer.reset), (200, "hello", None));
    assert_eq!((answer.header("content-length"), answer.header("x-b")), (Some("5"), Some("c")));
    assert!(answer.header("date").is_some() && answer.header("connection").is_none());
    // HTTP/1 is spoken on the same socket.
    let mut other = front.client();
    other.get("/one");
    let request = worker.request();
    assert_eq!(request.get("version"), Some("11"));
    worker.hello(request.id());
    assert_eq!(other.answer().text(), "hello");
    support::eventually(|| std::fs::read_to_string(&path).unwrap().lines().count() == 2);
    let log = std::fs::read_to_string(&path).unwrap();
    let line: Vec<&str> = log.lines().next().unwrap().rsplitn(3, ' ').collect();
    assert_eq!(line[2], "HTTP/2.0 \"GET /a%20b?c=d HTTP/2.0\" 200 5 0 +");
    assert!(line[..2].iter().all(|bytes| (30..300).contains(&bytes.parse::<u32>().unwrap())), "{log}");
}

#[test]
fn bodies_are_received_whole_with_their_length() {
    let (front, mut worker) = served(|site| {
        site.http.body_buffer_size = 100_000;
        site.hosts[0].base.limit_request_body = 1_000_000;
    });
    let mut client = Http2Client::connect(front.address);
    for (size, said) in [(5, true), (5, false), (300_000, true), (300_000, false)] {
        let mut post = Request::post("http://example.org/");
        if said {
            post = post.header("content-length", size);
        }
        let (response, mut send) = client.begin(post, false);
        client.wait(async {
            let mut left = size;
            while left > 0 {
                send.reserve_capacity(left);
                let room = std::future::poll_fn(|cx| send.poll_capacity(cx)).await.unwrap().unwrap();
                send.send_data(Bytes::from(vec![b'x'; room.min(left)]), room >= left).unwrap();
                left -= room.min(left);
            }
        });
        let request = worker.request();
        assert_eq!(request.get("CONTENT_LENGTH"), Some(&*size.to_string()), "{said}");
        assert_eq!(
            (request.get("HTTP_TRANSFER_ENCODING"), request.get("HTTP_HOST")),
            (None, Some("example.org"))
        );
        let mut got = 0;
        loop {
            match worker.next() {
                Some(Frame::Body { data, end, id }) => {
                    got += data.len();
                    worker.send(&ToFrontFrame::Credit { id, bytes: data.len() as u32 });
                    if end {
                        break;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(got, size);
        worker.hello(request.id());
        assert_eq!(client.answer(response).text(), "hello");
    }
    // One that is too long is refused, and the connection goes on.
    let (response, _send) =
        client.begin(Request::post("http://example.org/").header("content-length", 1_000_001), false);
    assert_eq!(client.answer(response).status, 413);
    let response = client.get("/");
    hello(&mut worker);
    assert_eq!(client.answer(response).text(), "hello");
}

#[test]
fn what_is_refused_ends_its_stream_and_not_the_connection() {
    let (front, mut worker) = served(|site| {
        site.http.limit_request_line = 100;
        site.http.limit_request_field_size = 200;
        site.http.limit_request_fields = 10;
        site.hosts[0].base.chunked_request = false;
    });
    let mut client = Http2Client::connect(front.address);
    let get = || Request::get("http://example.org/");
    let many = (0..20).fold(get(), |request, n| request.header(format!("x-{n}"), "1"));
    let table: Vec<(&str, http::request::Builder, bool, u16)> = vec![
        ("a long line", Request::get(format!("http://example.org/{}", "a".repeat(100))), true, 414),
        ("a long field", get().header("x", "y".repeat(200)), true, 431),
        ("many fields", many, true, 431),
        ("a head of a hundred thousand bytes", get().header("x", "y".repeat(100_000)), true, 431),
        ("another host", get().header("host", "example.com"), true, 400),
        ("a user in the authority", Request::get("http://me@example.org/"), true, 400),
        ("a path with an encoded slash", Request::get("http://example.org/a%2Fb"), true, 404),
        ("TRACE", Request::builder().method("TRACE").uri("http://example.org/"), true, 405),
        ("an expectation", get().header("expect", "miracles"), true, 417),
        ("a body without a length", Request::post("http://example.org/"), false, 411),
    ];
    for (what, request, end, status) in table {
        let (response, _send) = client.begin(request, end);
        assert_eq!(client.answer(response).status, status, "{what}");
    }
    let response = client.get("/");
    hello(&mut worker);
    assert_eq!(client.answer(response).text(), "hello");
}

#[test]
fn a_response_without_a_body_ends_with_its_head() {
    let (front, mut worker) = served(|_| {});
    let mut client = Http2Client::connect(front.address);
    type Headers = &'static [(&'static str, &'static str)];
    /// Method, status, headers and body of the application, and the length that the client sees.
    type Row = (&'static str, u16, Headers, &'static [u8], Option<&'static str>);
    let table: &[Row] = &[
        ("HEAD", 200, &[("Content-Length", "5")], b"", Some("5")),
        ("GET", 204, &[], b"", None),
        ("GET", 304, &[("Content-Length", "7")], b"", Some("7")),
        ("GET", 200, &[("Content-Length", "0")], b"", Some("0")),
        ("GET", 500, &[("Content-Length", "0")], b"", Some("0")),
    ];
    for (method, status, headers, body, length) in table {
        let (response, _) = client.begin(Request::builder().method(*method).uri("http://example.org/"), true);
        let id = worker_id(&mut worker);
        worker.respond(id, *status, headers, body, true);
        let answer = client.answer(response);
        assert_eq!((answer.status, answer.reset, answer.body.len()), (*status, None, 0), "{method}");
        assert_eq!(answer.header("content-length"), *length, "{method} {status}");
    }
}

#[test]
fn a_response_that_is_broken_off_never_looks_complete() {
    let (front, mut worker) = served(|_| {});
    let mut client = Http2Client::connect(front.address);
    let table: &[&[(&str, &str)]] = &[&[("Content-Length", "10")], &[]];
    for headers in table {
        let (broken, sister) = (client.get("/broken"), client.get("/sister"));
        let (broken_id, sister_id) = (worker_id(&mut worker), worker_id(&mut worker));
        worker.respond(broken_id, 200, headers, b"12345", false);
        worker.send(&ToFrontFrame::Abort { id: broken_id, reason: "the application failed" });
        let answer = client.answer(broken);
        assert_eq!((answer.status, answer.reset), (200, Some(Reason::INTERNAL_ERROR)), "{headers:?}");
        worker.hello(sister_id);
        assert_eq!(client.answer(sister).text(), "hello");
    }
    // A length that is not kept, by a worker that does not know better.
    let short = client.get("/short");
    let id = worker_id(&mut worker);
    worker.respond(id, 200, &[("Content-Length", "10")], b"12345", true);
    assert_eq!(client.answer(short).reset, Some(Reason::INTERNAL_ERROR));
    let long = client.get("/long");
    let id = worker_id(&mut worker);
    worker.respond(id, 200, &[("Content-Length", "3")], b"12345", true);
    let answer = client.answer(long);
    assert_eq!((&*answer.text(), answer.reset), ("123", None));
}

#[test]
fn a_request_that_its_client_takes_back_is_cancelled_and_logged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (front, mut worker) = served(|site| site.hosts[0].access_logs = vec![logged("%U %>s %X", &path)]);
    let mut client = Http2Client::connect(front.address);
    let (response, mut send) = client.begin(Request::get("http://example.org/gone"), true);
    let id = worker_id(&mut worker);
    send.send_reset(Reason::CANCEL);
    drop(response);
    assert_eq!(worker.next(), Some(Frame::Cancel { id }));
    worker.send(&ToFrontFrame::Abort { id, reason: "cancelled" });
    let response = client.get("/next");
    hello(&mut worker);
    assert_eq!(client.answer(response).text(), "hello");
    support::eventually(|| std::fs::read_to_string(&path).unwrap().lines().count() == 2);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "/gone 499 X\n/next 200 +\n");
    // The same when the whole client goes.
    let response = client.get("/lost");
    let id = worker_id(&mut worker);
    drop((response, client));
    assert_eq!(worker.next(), Some(Frame::Cancel { id }));
}

#[test]
fn a_client_that_does_not_read_one_response_gets_the_others() {
    let (front, mut worker) = served(|_| {});
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(10_000).initial_connection_window_size(1 << 20);
    let mut client = Http2Client::with(front.address, builder);
    let slow = client.get("/slow");
    let slow_id = worker_id(&mut worker);
    let body = vec![b'x'; 200_000];
    worker.respond(slow_id, 200, &[], &body[..100_000], false);
    worker.send(&ToFrontFrame::Data { id: slow_id, end: true, data: &body[100_000..] });
    for _ in 0..50 {
        let response = client.get("/quick");
        let id = loop {
            match worker.next().unwrap() {
                Frame::Request { id, .. } if worker.start() => break id,
                Frame::Credit { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        worker.hello(id);
        assert_eq!(client.answer(response).text(), "hello");
    }
    let answer = client.answer(slow);
    assert!(answer.body == body && answer.reset.is_none(), "{} bytes", answer.body.len());
}

#[test]
fn a_stream_that_stands_still_is_ended_and_its_sisters_go_on() {
    let (front, mut worker) = served(|site| {
        site.hosts[0].read_timeouts.body = ReadTimeout::fixed(0.3);
        site.hosts[0].http2.stream_timeout = Some(0.5);
    });
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1_000);
    let mut client = Http2Client::with(front.address, builder);
    let stalled = client.get("/stalled");
    let id = worker_id(&mut worker);
    worker.respond(id, 200, &[], &[b'x'; 50_000], true);
    let (late, mut send) = client.begin(Request::post("http://example.org/late"), false);
    client.wait(async { send.send_data(Bytes::from_static(b"some"), false).unwrap() });
    let sister = client.get("/sister");
    let sister_id = worker_id(&mut worker);
    assert_eq!(client.answer(late).status, 408);
    let reset = client.wait(async {
        let mut incoming = stalled.await.unwrap().into_body();
        loop {
            match incoming.data().await.unwrap() {
                // It gives no room for more.
                Ok(_) => {}
                Err(error) => return error.reason(),
            }
        }
    });
    assert_eq!(reset, Some(Reason::CANCEL));
    worker.hello(sister_id);
    assert_eq!(client.answer(sister).text(), "hello");
}

#[test]
fn a_client_that_expects_a_100_gets_it_when_its_body_is_waited_for() {
    let (front, mut worker) = served(|_| {});
    let mut client = RawHttp2::connect(front.address);
    let mut fields = vec![(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")];
    fields.push(("expect", "100-continue"));
    client.frame(HEADERS, END_HEADERS, 1, &block(&fields));
    let head = client.until(HEADERS).unwrap();
    assert_eq!(head.flags & END_STREAM, 0, "the answer goes on: {head:?}");
    client.frame(DATA, END_STREAM, 1, b"body");
    hello(&mut worker);
    assert_eq!(client.until(HEADERS).unwrap().payload[0], 0x88);
    assert_eq!(client.until(DATA).unwrap().payload, b"hello");
}
