//! Workers that die, leave, hang or break the protocol, and clients that go away.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_wire::control::{FromFront, LinkFault, ToFront};
use gk_wire::frame::ToFrontFrame;
use support::{Client, FakeWorker, Frame, Running};

/// A front, its only worker, a client, and the id of the client's request at the worker.
fn with_request(change: impl FnOnce(&mut gk_config::site::Site)) -> (Running, FakeWorker, Client, u32) {
    let mut front = Running::start(change);
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = front.client();
    client.get("/");
    let id = worker.request().id();
    (front, worker, client, id)
}

#[test]
fn a_request_that_was_not_begun_goes_to_another_worker() {
    let mut front = Running::start(|_| {});
    let mut first = front.worker(2);
    first.welcome();
    let (mut a, mut b) = (front.client(), front.client());
    a.send("POST /begun HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let _begun = first.request();
    b.send("POST /waiting HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    assert!(matches!(first.next(), Some(Frame::Request { .. })));
    front.ended(first, true);
    assert_eq!(a.answer().status, 502);
    let mut second = front.worker(2);
    second.welcome();
    let request = second.request();
    assert!(matches!(&request, Frame::Request { path, .. } if path == "/waiting"));
    assert!(matches!(second.next(), Some(Frame::Body { end: true, data, .. }) if data == b"body"));
    second.hello(request.id());
    assert_eq!(b.answer().text(), "hello");
}

#[test]
fn a_response_that_is_cut_never_looks_complete() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(4);
    worker.welcome();
    // Chunked: no last chunk. By the end of the connection (HTTP/1.0): a reset. By length: too few bytes.
    let mut chunked = front.client();
    chunked.get("/");
    let id = worker.request().id();
    worker.respond(id, 200, &[], b"part", false);
    worker.send(&ToFrontFrame::Abort { id, reason: "the iterator failed" });
    let (all, _) = chunked.rest();
    assert!(all.ends_with(b"4\r\npart\r\n"), "{}", String::from_utf8_lossy(&all));

    let mut old = front.client();
    old.send("GET / HTTP/1.0\r\n\r\n");
    let id = worker.request().id();
    worker.respond(id, 200, &[], b"part", false);
    assert!(old.head().head.starts_with("HTTP/1.0 200"));
    worker.send(&ToFrontFrame::Abort { id, reason: "the iterator failed" });
    assert!(!old.rest().1, "a proper end of the connection would look like the end of the response");

    let mut sized = front.client();
    sized.get("/");
    let id = worker.request().id();
    worker.respond(id, 200, &[("Content-Length", "10")], b"part", false);
    assert_eq!(sized.head().status, 200);
    drop(worker);
    assert_eq!(sized.rest().0, b"part");
}

#[test]
fn an_abort_before_the_head_is_a_500_without_details() {
    let (_front, worker, mut client, id) = with_request(|_| {});
    worker.send(&ToFrontFrame::Abort { id, reason: "secret" });
    let answer = client.answer();
    assert_eq!(answer.status, 500);
    assert!(!answer.text().contains("secret"));
}

#[test]
fn the_page_for_a_worker_error_is_the_fronts_own() {
    use gk_wire::frame::{END, WORKER_ERROR};
    let (_front, worker, mut client, id) = with_request(|_| {});
    let mut out = bytes::BytesMut::new();
    gk_wire::response::HeadWriter::begin(&mut out, id, END | WORKER_ERROR, 500, b"", 0.0).finish();
    worker.send_bytes(&out);
    let answer = client.answer();
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("<h1>Internal Server Error</h1>"));
}

#[test]
fn no_head_within_socket_timeout_is_a_504_and_the_request_is_cancelled() {
    let (front, mut worker, mut client, id) = with_request(|site| site.groups[0].socket_timeout = 0.3);
    assert_eq!(client.answer().status, 504);
    assert_eq!(worker.next(), Some(Frame::Cancel { id }));
    // The thread is busy until the worker ends the request; then it serves again.
    client.get("/next");
    front.until(|status| status.queued["g"] == 1);
    worker.send(&ToFrontFrame::Abort { id, reason: "cancelled" });
    let next = worker.request().id();
    worker.hello(next);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_client_that_resets_is_cancelled() {
    let (front, mut worker, client, id) = with_request(|_| {});
    let mut queued = front.client();
    queued.get("/queued");
    front.until(|status| status.queued["g"] == 1);
    for client in [client, queued] {
        rustix::net::sockopt::set_socket_linger(&client.stream, Some(std::time::Duration::ZERO)).unwrap();
        drop(client);
    }
    assert_eq!(worker.next(), Some(Frame::Cancel { id }));
    front.until(|status| status.queued["g"] == 0 && status.connections == 0);
    // The rest of its response is dropped, and the next request is served.
    worker.hello(id);
    let mut client = front.client();
    client.get("/");
    let next = worker.request();
    assert!(matches!(&next, Frame::Request { path, .. } if path == "/"));
    worker.hello(next.id());
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_leaving_worker_completes_its_requests_and_is_drained() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(2);
    worker.welcome();
    let mut client = front.client();
    client.get("/");
    let id = worker.request().id();
    worker.send(&ToFrontFrame::Leaving { reason: "maximum_requests" });
    let mut second = front.worker(2);
    second.welcome();
    let mut other = front.client();
    other.get("/other");
    let request = second.request();
    second.hello(request.id());
    assert_eq!(other.answer().status, 200);
    worker.hello(id);
    assert_eq!(worker.next(), Some(Frame::Drain));
    assert_eq!(front.hear(), FromFront::Drained { worker: 1 });
    assert_eq!(client.answer().text(), "hello");
    drop(worker);
    // The supervisor drains the second one.
    front.say(&ToFront::DrainWorker { worker: 2, reason: "reload".into() });
    assert_eq!(second.next(), Some(Frame::Drain));
    assert_eq!(front.hear(), FromFront::Drained { worker: 2 });
    front.say(&ToFront::DrainWorker { worker: 77, reason: String::new() });
    assert_eq!(front.hear(), FromFront::Drained { worker: 77 });
}

/// Reported: after a protocol error on its link a worker stayed ready for ever, and its group answered 503. Met with
/// applications that write to descriptors they do not own.
#[test]
fn the_supervisor_hears_how_each_link_ended_and_the_worker_sees_its_end() {
    type Deed = fn(FakeWorker) -> Option<FakeWorker>;
    let table: [(Deed, LinkFault); 3] = [
        // No kind of frame.
        (
            |worker| {
                worker.send_bytes(&[0xff; 64]);
                Some(worker)
            },
            LinkFault::Broken,
        ),
        // A frame that makes no sense here.
        (
            |worker| {
                worker.send(&ToFrontFrame::Data { id: 7, end: true, data: b"" });
                Some(worker)
            },
            LinkFault::Broken,
        ),
        (
            |worker| {
                drop(worker);
                None
            },
            LinkFault::Closed,
        ),
    ];
    for (deed, expected) in table {
        let mut front = Running::start(|_| {});
        let (mut first, mut second) = (front.worker(1), front.worker(1));
        first.welcome();
        second.welcome();
        front.until(|status| status.in_flight.len() == 2);
        let mut left = deed(first);
        let FromFront::LinkEnded { worker: 1, fault, why } = front.hear() else { panic!("it did not end") };
        assert_eq!(fault, expected, "{why}");
        if let Some(worker) = &mut left {
            assert_eq!(worker.next(), None, "the front keeps its end open");
        }
        // The other worker gets all requests.
        for _ in 0..2 {
            let mut client = front.client();
            client.get("/");
            let id = second.request().id();
            second.hello(id);
            assert_eq!(client.answer().status, 200);
        }
    }
}

#[test]
fn a_worker_of_another_version_is_refused() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(1);
    assert_eq!(worker.next(), Some(Frame::Hello));
    let json = br#"{"protocol":999,"package":"9.9","python":"","gil_mode":"","pid":1,"threads":1,"process_group":"g"}"#;
    worker.send(&ToFrontFrame::Welcome(json));
    let FromFront::LinkRefused { worker: 1, why } = front.hear() else { panic!("not refused") };
    assert!(why.contains("999") && why.contains("install the same"), "{why}");
}

#[test]
fn a_worker_that_breaks_the_protocol_loses_only_its_link() {
    let mut front = Running::start(|_| {});
    let mut bad = front.worker(1);
    bad.welcome();
    let mut client = front.client();
    client.get("/");
    bad.request();
    bad.send_bytes(&[0, 0, 0, 0, 1, 0, 0, 0, 99, 0, 0, 0]);
    assert_eq!(client.answer().status, 502);
    let mut good = front.worker(1);
    good.welcome();
    client.get("/");
    let id = good.request().id();
    good.hello(id);
    assert_eq!(client.answer().status, 200);
}

/// Reported: a request whose worker sent a body before its head was never answered.
/// Met with a worker that breaks the protocol.
#[test]
fn a_body_without_a_head_ends_the_link() {
    for end in [false, true] {
        let (_front, worker, mut client, id) = with_request(|_| {});
        worker.send(&ToFrontFrame::Data { id, end, data: b"body" });
        assert_eq!(client.answer().status, 502);
    }
}

/// Reported: a response with tens of thousands of headers was a panic in the front.
/// Met with an application that sets a header per row of a result.
#[test]
fn a_head_with_too_many_headers_is_a_500() {
    let (front, worker, mut client, id) = with_request(|_| {});
    let names: Vec<_> = (0..30_000).map(|n| format!("X-{n}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (&**name, "1")).collect();
    worker.respond(id, 200, &headers, b"body", true);
    assert_eq!(client.answer().status, 500);
    front.until(|status| status.in_flight.values().sum::<u64>() == 0);
}

/// Reported: HEAD of a response without an end kept its request thread for ever.
/// Met with event streams behind a monitor that sends HEAD.
#[test]
fn an_unwanted_response_without_an_end_is_cancelled() {
    use gk_wire::frame::WORKER_ERROR;
    for (method, flags, status) in [("HEAD", 0, 200), ("GET", 0, 204), ("GET", WORKER_ERROR, 500)] {
        let mut front = Running::start(|_| {});
        let mut worker = front.worker(1);
        worker.welcome();
        let mut client = front.client();
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        let id = worker.request().id();
        let mut out = bytes::BytesMut::new();
        gk_wire::response::HeadWriter::begin(&mut out, id, flags, status, b"", 0.0).finish();
        worker.send_bytes(&out);
        assert_eq!(client.head().status, status);
        let (mut credit, piece) = (worker.window(id) as u32, vec![b'x'; 64 * 1024]);
        let mut sent = 0;
        loop {
            while credit >= piece.len() as u32 {
                worker.send(&ToFrontFrame::Data { id, end: false, data: &piece });
                credit -= piece.len() as u32;
                sent += piece.len();
            }
            match worker.next() {
                Some(Frame::Credit { bytes, .. }) => credit += bytes,
                Some(Frame::Cancel { .. }) => break,
                other => panic!("{method} {status}: {other:?}"),
            }
            assert!(sent < 100 << 20, "{method} {status}: the front still takes it");
        }
    }
}

/// Reported: a response of HTTP/1.0 that a stop cut off looked complete.
/// Met behind proxies that speak HTTP/1.0.
#[test]
fn a_stop_that_cuts_a_response_off_does_not_make_it_look_whole() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(1);
    worker.welcome();
    let mut old = front.client();
    old.send("GET / HTTP/1.0\r\n\r\n");
    let id = worker.request().id();
    worker.respond(id, 200, &[], b"part", false);
    assert_eq!(old.head().status, 200);
    front.stop(0.0).unwrap();
    assert!(!old.rest().1, "a proper end of the connection would look like the end of the response");
}

#[test]
fn a_stop_lets_requests_finish_and_refuses_new_connections() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(1);
    worker.welcome();
    let (mut client, mut idle) = (front.client(), front.client());
    client.get("/");
    let id = worker.request().id();
    front.say(&ToFront::Stop { timeout: 20.0 });
    assert!(idle.rest().0.is_empty(), "an idle connection is closed at once");
    // When those have come who are connected already.
    support::eventually(|| std::net::TcpStream::connect(front.address).is_err());
    worker.hello(id);
    let answer = client.answer();
    assert_eq!((answer.text(), answer.header("connection")), ("hello".to_owned(), Some("close")));
    front.join().unwrap();
}

/// Reported of reloads in embedded mode, and met in upgrades: a client that was reading a long response at the time found its connection
/// closed when it asked again.
#[test]
fn a_client_in_the_middle_of_a_response_may_ask_once_more_after_a_handover() {
    let (mut front, mut worker, mut client, id) = with_request(|_| {});
    worker.respond(id, 200, &[("Content-Length", "8")], b"part", false);
    client.stream.peek(&mut [0]).unwrap();
    front.say(&ToFront::HandedOver);
    front.say(&ToFront::Stop { timeout: 20.0 });
    support::eventually(|| std::net::TcpStream::connect(front.address).is_err());
    worker.send(&ToFrontFrame::Data { id, end: true, data: b"rest" });
    let answer = client.answer();
    assert_eq!((answer.text(), answer.header("connection")), ("partrest".to_owned(), None));
    client.get("/again");
    let id = worker.request().id();
    worker.hello(id);
    let answer = client.answer();
    assert_eq!((answer.text(), answer.header("connection")), ("hello".to_owned(), Some("close")));
    front.join().unwrap();
}

#[test]
fn a_front_without_its_supervisor_stops() {
    let mut front = Running::start(|_| {});
    front.abandon();
    front.join().unwrap();
}

#[test]
fn requests_prefer_the_worker_with_a_free_thread() {
    let mut front = Running::start(|_| {});
    let mut a = front.worker(1);
    a.welcome();
    let mut first = front.client();
    first.get("/1");
    let one = a.request().id();
    let mut b = front.worker(1);
    b.welcome();
    let mut second = front.client();
    second.get("/2");
    let two = b.request().id();
    b.hello(two);
    assert_eq!(second.answer().status, 200);
    second.get("/3");
    let three = b.request().id();
    b.hello(three);
    assert_eq!(second.answer().status, 200);
    a.hello(one);
    assert_eq!(first.answer().status, 200);
}

/// Reported: a request that no frame holds ended the link, and every other request on the worker with it.
/// Met with limits on request lines and fields near 1 MiB.
#[test]
fn a_request_longer_than_a_frame_is_a_431_and_disturbs_no_other() {
    let mut front = Running::start(|site| {
        (site.http.limit_request_line, site.http.limit_request_field_size) = (1 << 20, 1 << 20);
    });
    let mut worker = front.worker(4);
    worker.welcome();
    let mut other = front.client();
    other.get("/other");
    let request = worker.request();
    let mut long = front.client();
    let (path, field) = ("p".repeat(60_000), "x".repeat(950_000));
    for _ in 0..3 {
        let mut long = front.client();
        long.send(format!("GET /{path} HTTP/1.1\r\nHost: a\r\nX-Long: {field}\r\n\r\n"));
        assert_eq!(long.answer().status, 431);
    }
    long.get("/after");
    worker.hello(request.id());
    assert_eq!(other.answer().text(), "hello");
    let after = worker.request();
    assert!(matches!(&after, Frame::Request { path, .. } if path == "/after"));
    worker.hello(after.id());
    assert_eq!(long.answer().text(), "hello");
}
