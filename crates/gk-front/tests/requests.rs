//! A front between clients on raw sockets and fake workers: requests on their way to the worker, responses on their way back.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::ReadTimeout;
use gk_wire::frame::{INITIAL_WINDOW, ToFrontFrame};
use std::io::Write;
use std::net::Shutdown;
use support::{FakeWorker, Frame, Running};

/// A front and its worker with two request threads.
fn with_worker() -> (Running, FakeWorker) {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(2);
    worker.welcome();
    (front, worker)
}

#[test]
fn a_get_goes_through_a_worker_and_back() {
    let (mut front, mut worker) = with_worker();
    let mut client = front.client();
    client.get("/a%20b/c?x=1");
    assert!(matches!(worker.next(), Some(Frame::Profile(..))));
    let request = worker.request();
    let Frame::Request { end, method, uri, path, .. } = &request else { unreachable!() };
    assert_eq!((*end, &**method, &**uri, &**path), (true, "GET", "/a%20b/c?x=1", "/a b/c"));
    assert_eq!(request.get("HTTP_HOST"), Some("example.org"));
    assert_eq!(request.get("QUERY_STRING"), Some("x=1"));
    assert_eq!(request.get("SERVER_NAME"), Some("example.org"));
    assert_eq!(request.get("SERVER_PORT"), Some("80"));
    assert_eq!(request.get("REMOTE_ADDR"), Some("127.0.0.1"));
    worker.hello(request.id());
    let answer = client.answer();
    assert_eq!((answer.status, answer.text()), (200, "hello".to_owned()));
    assert!(answer.header("date").is_some());
    assert!(answer.header("server").unwrap().starts_with("gilkeeper/"));
    // The same connection serves the next one, and the profile is not sent again.
    client.get("/");
    assert!(matches!(worker.next(), Some(Frame::Request { .. })));
    front.stop(0.0).unwrap();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut front = Running::start(|_| {});
    let worker = front.hello_worker();
    let mut client = front.client();
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..3 {
        assert_eq!(client.answer().text(), "hello");
    }
    drop(front);
    worker.join().unwrap();
}

/// Reported: Django, Falcon and others read nothing of a chunked body and answered 200, as it had no CONTENT_LENGTH.
/// Met with `git push` above 1 MiB and `curl -T -`.
#[test]
fn a_chunked_body_arrives_whole_and_with_its_length() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n");
    client.send("4\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n");
    let request = worker.request();
    assert!(matches!(request, Frame::Request { end: false, .. }));
    assert_eq!(request.get("CONTENT_LENGTH"), Some("7"));
    for key in ["HTTP_TRANSFER_ENCODING", "HTTP_TRAILER", "HTTP_X_T"] {
        assert_eq!(request.get(key), None, "{key}");
    }
    let Some(Frame::Body { end: true, data, .. }) = worker.next() else { panic!("no body") };
    assert_eq!(data, b"abcdefg");
    worker.hello(request.id());
    assert_eq!(client.answer().status, 200);
}

#[test]
fn an_empty_chunked_body_has_a_length_too() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    let request = worker.request();
    assert!(matches!(request, Frame::Request { end: true, .. }));
    assert_eq!((request.get("CONTENT_LENGTH"), request.get("HTTP_TRANSFER_ENCODING")), (Some("0"), None));
    worker.hello(request.id());
    assert_eq!(client.answer().status, 200);
}

/// Reported: an application that reads the body, goes back and reads it again found nothing.
/// Met with Zope's PUT and form libraries that ask for the size first.
#[test]
fn a_body_is_sent_again_when_the_worker_asks_for_it() {
    for size in [7, 3_000_000] {
        let (front, mut worker) = with_worker();
        let body: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
        let mut client = front.client();
        client.send(format!("PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
        let mut upload = client.stream.try_clone().unwrap();
        let sent = body.clone();
        let sender = std::thread::spawn(move || upload.write_all(&sent).unwrap());
        let id = worker.request().id();
        for _ in 0..3 {
            let mut came = Vec::new();
            loop {
                let Some(Frame::Body { end, data, .. }) = worker.next() else { panic!("no body") };
                came.extend_from_slice(&data);
                if end {
                    break;
                }
                worker.send(&ToFrontFrame::Credit { id, bytes: data.len() as u32 });
            }
            assert!(came == body);
            worker.send(&ToFrontFrame::Rewind { id });
        }
        worker.hello(id);
        sender.join().unwrap();
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn a_large_body_goes_through_a_file_and_within_the_credit() {
    let (front, mut worker) = with_worker();
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut client = front.client();
    client.send(format!("PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    let mut upload = client.stream.try_clone().unwrap();
    let sent = body.clone();
    let sender = std::thread::spawn(move || upload.write_all(&sent).unwrap());
    let request = worker.request();
    sender.join().unwrap();
    assert_eq!(request.get("CONTENT_LENGTH"), Some("3000000"));
    let id = request.id();
    let (mut got, mut owed, mut allowed) = (Vec::new(), 0u32, u64::from(INITIAL_WINDOW));
    loop {
        let Some(Frame::Body { end, data, .. }) = worker.next() else { panic!("no body") };
        got.extend_from_slice(&data);
        assert!(got.len() as u64 <= allowed, "more than the credit");
        owed += data.len() as u32;
        if end {
            break;
        }
        if got.len() as u64 == allowed {
            worker.send(&ToFrontFrame::Credit { id, bytes: owed });
            allowed += u64::from(std::mem::take(&mut owed));
        }
    }
    assert!(got == body);
    assert!(worker.came_as_blocks >= 11, "{} pieces", worker.came_as_blocks);
    worker.hello(id);
    assert_eq!(client.answer().status, 200);
    let names = std::fs::read_dir(front.root.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let spooled = names.filter(|name| !name.to_string_lossy().starts_with("gilkeeper.db"));
    assert_eq!(spooled.count(), 0, "the spool file has no name");
}

#[test]
fn a_large_piece_of_a_response_lies_in_a_block_until_its_client_has_it() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    for (number, size) in [40_000, 100_000, 1 << 20].into_iter().enumerate() {
        let body: Vec<u8> = (0..size).map(|n| (n % 251 + number) as u8).collect();
        client.get("/");
        let id = worker.request().id();
        assert!(size <= worker.window(id));
        worker.respond(id, 200, &[("Content-Length", &(size + 4).to_string())], b"more", false);
        assert!(worker.send_block(id, true, &body), "all of the room is free again");
        assert!(client.answer().body == [b"more", &body[..]].concat(), "{size}");
        // Without a length of its own, and as a whole.
        client.get("/");
        let id = worker.request().id();
        worker.respond(id, 200, &[], b"", false);
        assert!(worker.send_block(id, true, &body));
        // In chunks, or with a length when its end is there by the time that its head is written.
        let answer = client.answer();
        let length = answer.header("content-length").map(str::to_owned);
        let framing = (answer.header("transfer-encoding"), length.as_deref());
        assert!(
            [(Some("chunked"), None), (None, Some(&*size.to_string()))].contains(&framing),
            "{framing:?}"
        );
        assert!(answer.body == body, "{size}");
    }
}

#[test]
fn a_worker_may_answer_before_it_has_the_body() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    let body = vec![b'x'; 600_000];
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    let request = worker.request();
    worker.hello(request.id());
    assert_eq!(client.answer().text(), "hello");
    client.get("/");
    let next = worker.request();
    worker.hello(next.id());
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_100_continue_is_sent_only_for_a_body_that_will_be_read() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    client.send("ok");
    let request = worker.request();
    worker.hello(request.id());
    assert_eq!(client.answer().status, 200);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 413);
}

#[test]
fn head_keeps_the_length_and_drops_the_body() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let request = worker.request();
    assert!(matches!(&request, Frame::Request { method, .. } if method == "HEAD"));
    worker.hello(request.id());
    let head = client.head();
    assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
    // A response without a length gets none, and its body is taken from the worker.
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let id = worker.request().id();
    worker.respond(id, 200, &[], b"part", false);
    assert_eq!(client.head().header("content-length"), None);
    worker.send(&ToFrontFrame::Data { id, end: true, data: b"rest" });
    client.get("/");
    let id = worker.request().id();
    worker.hello(id);
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn a_client_with_http_1_0_gets_http_1_0() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let request = worker.request();
    assert_eq!(request.get("version"), Some("10"));
    assert_eq!(request.get("SERVER_NAME"), Some("example.org"));
    worker.respond(request.id(), 200, &[], b"one", false);
    worker.send(&ToFrontFrame::Data { id: request.id(), end: true, data: b"two" });
    let (all, proper) = client.rest();
    let text = String::from_utf8(all).unwrap();
    assert!(text.starts_with("HTTP/1.0 200 OK\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\nonetwo") && proper, "{text}");
    assert!(!text.contains("chunked"));
}

#[test]
fn a_half_closed_client_is_served() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    client.get("/");
    client.stream.shutdown(Shutdown::Write).unwrap();
    let request = worker.request();
    worker.hello(request.id());
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn a_streamed_response_is_chunked_and_paced_by_the_client() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    client.get("/");
    let id = worker.request().id();
    worker.respond(id, 200, &[("Content-Type", "text/plain")], b"first", false);
    assert_eq!(client.head().header("transfer-encoding"), Some("chunked"));
    // A whole window: the front sends it as the client reads, and returns the credit.
    for _ in 0..4 {
        worker.send(&ToFrontFrame::Data { id, end: false, data: &vec![b'x'; 64 * 1024] });
    }
    let mut credit = 0;
    while credit < 3 * 64 * 1024 {
        let Some(Frame::Credit { bytes, .. }) = worker.next() else { panic!("no credit") };
        credit += bytes;
    }
    worker.send(&ToFrontFrame::Data { id, end: true, data: b"last" });
    let (all, _) = {
        client.stream.shutdown(Shutdown::Write).unwrap();
        client.rest()
    };
    assert!(all.ends_with(b"4\r\nlast\r\n0\r\n\r\n"));
}

#[test]
fn a_file_is_sent_from_its_descriptor() {
    use std::os::fd::AsFd;
    let (front, mut worker) = with_worker();
    let path = front.root.path().join("file");
    let contents: Vec<u8> = (0..500_000u32).map(|n| (n % 253) as u8).collect();
    std::fs::write(&path, &contents).unwrap();
    let mut client = front.client();
    for _ in 0..2 {
        client.get("/");
        let id = worker.request().id();
        let mut out = bytes::BytesMut::new();
        let mut head = gk_wire::response::HeadWriter::begin(&mut out, id, 4, 200, b"OK", 0.0);
        head.header(b"Content-Length", b"499990");
        head.finish();
        worker.send_bytes(&out);
        out.clear();
        ToFrontFrame::File { id, offset: 10, len: 499_990 }.encode(&mut out);
        let file = std::fs::File::open(&path).unwrap();
        worker.attach(file.as_fd());
        worker.send_bytes(&out);
        assert!(client.answer().body == contents[10..]);
    }
}

#[test]
fn an_unusual_reason_and_repeated_headers_reach_the_client() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    client.get("/");
    let id = worker.request().id();
    let mut out = bytes::BytesMut::new();
    let mut head = gk_wire::response::HeadWriter::begin(&mut out, id, 1, 299, b"Quite Fine", 0.0);
    head.header(b"Set-Cookie", b"a=1");
    head.header(b"Set-Cookie", b"b=2");
    head.header(b"Server", b"mine");
    head.header(b"X-Latin", b"caf\xe9");
    head.finish();
    worker.send_bytes(&out);
    let answer = client.answer();
    assert!(answer.head.starts_with("HTTP/1.1 299 Quite Fine\r\n"), "{}", answer.head);
    assert_eq!(answer.head.matches("set-cookie").count(), 2);
    assert_eq!(answer.header("server"), Some("mine"));
    assert_eq!(answer.header("content-length"), Some("0"));
}

#[test]
fn an_absolute_target_names_the_host() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    client.send("GET http://other.org:81/x?y HTTP/1.1\r\nHost: example.org\r\n\r\n");
    let request = worker.request();
    assert_eq!(request.get("HTTP_HOST"), Some("other.org:81"));
    assert_eq!(request.get("SERVER_NAME"), Some("other.org"));
    assert_eq!(request.get("SERVER_PORT"), Some("81"));
    assert!(matches!(&request, Frame::Request { path, .. } if path == "/x"));
}

#[test]
fn a_body_shorter_or_longer_than_its_length_never_looks_like_another_response() {
    let (front, mut worker) = with_worker();
    let mut client = front.client();
    client.get("/");
    let id = worker.request().id();
    worker.respond(id, 200, &[("Content-Length", "3")], b"abcdef", true);
    assert_eq!(client.answer().text(), "abc");
    let mut client = front.client();
    client.get("/");
    let id = worker.request().id();
    worker.respond(id, 200, &[("Content-Length", "10")], b"abc", true);
    let (all, _) = client.rest();
    assert!(all.ends_with(b"\r\n\r\nabc"), "{}", String::from_utf8_lossy(&all));
}

#[test]
fn a_connection_that_slept_is_served_again() {
    // It is idle until another connection is closed for its silence, a second later.
    let mut front = Running::start(|site| site.hosts[0].read_timeouts.header = ReadTimeout::fixed(1.0));
    let _worker = front.hello_worker();
    let (mut client, mut silent) = (front.client(), front.client());
    client.get("/").answer();
    assert!(silent.rest().0.is_empty());
    assert_eq!(client.get("/").answer().text(), "hello");
}

#[test]
fn the_start_of_a_pipelined_request_survives_the_sleep() {
    let mut front = Running::start(|site| site.http.keep_alive_timeout = 1.0);
    let _worker = front.hello_worker();
    let (mut client, mut idle) = (front.client(), front.client());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT");
    assert_eq!(client.answer().status, 200);
    idle.get("/").answer();
    assert!(idle.rest().0.is_empty());
    client.send("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().text(), "hello");
}
