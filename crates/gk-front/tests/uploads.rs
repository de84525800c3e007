//! Request bodies: received long before the answer, sent piece by piece, or read and dropped.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::{AccessLog, LogForm, ReadTimeout};
use gk_wire::frame::{INITIAL_WINDOW, ToFrontFrame};
use std::io::Write;
use support::{Client, Frame, Running};

/// Waits until the front has answered another client's unfinished head with 408, the time for a head after its start: the event
/// that tells that this time has passed.
fn pass_header_timeout(front: &Running) {
    let mut slow = front.client();
    slow.send("GET / HTTP/1.1\r\nHo");
    assert_eq!(slow.answer().status, 408);
}

/// Reported: a request with a small body was answered with 408 while the application worked on it.
/// Met where the application took longer than the `body=` of RequestReadTimeout.
#[test]
fn the_timeout_of_a_body_ends_with_its_last_byte() {
    let mut front = Running::start(|site| {
        site.hosts[0].read_timeouts.body = ReadTimeout::fixed(0.2);
        site.hosts[0].read_timeouts.header = ReadTimeout::fixed(0.6);
    });
    let mut worker = front.worker(2);
    worker.welcome();
    let mut client = front.client();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    // Before the head, and between two pieces.
    client.send(post);
    let id = worker.request().id();
    pass_header_timeout(&front);
    worker.respond(id, 200, &[("Content-Length", "8")], b"half", false);
    assert_eq!(client.head().status, 200);
    pass_header_timeout(&front);
    worker.send(&ToFrontFrame::Data { id, end: true, data: b"full" });
    client.get("/next");
    let id = worker.request().id();
    worker.hello(id);
    let (all, _) = {
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        client.rest()
    };
    let all = String::from_utf8(all).unwrap();
    assert!(all.starts_with("halffullHTTP/1.1 200 OK\r\n"), "{all}");
}

/// Reported: the request of a client that went away after a small body ran on.
/// Met because the connection still counted as receiving its body.
#[test]
fn a_client_that_resets_after_a_small_body_is_cancelled() {
    let mut front = Running::start(|site| site.hosts[0].read_timeouts.body = ReadTimeout::fixed(0.0));
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = front.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    let id = worker.request().id();
    assert!(matches!(worker.next(), Some(Frame::Body { end: true, .. })));
    rustix::net::sockopt::set_socket_linger(&client.stream, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(worker.next(), Some(Frame::Cancel { id }));
}

/// Reported: an application that answers while it reads waited for ever, because the rest of the body was dropped.
/// Met with streaming echoes and proxies.
#[test]
fn the_rest_of_a_body_is_sent_while_the_response_is_under_way() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(1);
    worker.welcome();
    let body: Vec<u8> = (0..2_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut client = front.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    let mut upload = client.stream.try_clone().unwrap();
    let sent = body.clone();
    let sender = std::thread::spawn(move || upload.write_all(&sent).unwrap());
    let answer = std::thread::spawn(move || client.answer());
    // The worker echoes each piece, and grants credit only for what it has echoed.
    let id = worker.request().id();
    let mut begun = false;
    loop {
        let (end, data) = match worker.next() {
            Some(Frame::Body { end, data, .. }) => (end, data),
            Some(Frame::Credit { .. }) => continue,
            other => panic!("no body but {other:?}"),
        };
        if std::mem::replace(&mut begun, true) {
            worker.send(&ToFrontFrame::Data { id, end, data: &data });
        } else {
            worker.respond(id, 200, &[], &data, end);
        }
        if end {
            break;
        }
        worker.send(&ToFrontFrame::Credit { id, bytes: data.len() as u32 });
    }
    sender.join().unwrap();
    assert!(answer.join().unwrap().body == body);
}

/// Reported: a body of 64 KiB reached the application without its first piece.
/// Met where the last piece came alone behind a large one.
#[test]
fn a_body_of_any_length_reaches_the_worker_whole() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = front.client();
    for size in [1, 32 * 1024, 40_000, 65_535, 65_536, 65_537, 72 * 1024, 100_000, 131_072, 131_073] {
        let body: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"));
        client.send(&body);
        let id = worker.request().id();
        let mut came = Vec::new();
        loop {
            match worker.next() {
                Some(Frame::Body { end, data, .. }) => {
                    came.extend(data);
                    if end {
                        break;
                    }
                }
                Some(Frame::Credit { .. }) => {}
                other => panic!("no body but {other:?}"),
            }
        }
        assert!(came == body, "{size}: {} bytes", came.len());
        worker.hello(id);
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn an_upload_ends_with_its_client() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = front.client();
    let length = 4 * INITIAL_WINDOW as usize;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
    client.send(vec![b'x'; length]);
    let id = worker.request().id();
    worker.respond(id, 200, &[], b"first", false);
    client.head();
    rustix::net::sockopt::set_socket_linger(&client.stream, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    loop {
        match worker.next() {
            Some(Frame::Body { end, .. }) => assert!(!end),
            Some(Frame::Cancel { id: cancelled }) => break assert_eq!(cancelled, id),
            other => panic!("{other:?}"),
        }
    }
}

/// Sends the whole of a large body before it reads anything.
fn send_whole(front: &Running, path: &str) -> Client {
    let mut client = front.client();
    client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n"));
    client.send(vec![b'x'; 10_000_000]);
    client
}

/// Reported: an upload to an address that answers 404, 405 or 503 ended in a reset instead of the answer.
/// Met with clients that send the whole body before they read.
#[test]
fn a_client_that_sends_a_refused_body_reads_the_answer() {
    let mut front = Running::start(|site| {
        site.http.limit_request_line = 1000;
        site.hosts[0].base.limit_request_body = 0;
    });
    let _worker = front.hello_worker();
    for (path, status) in [("/a%2fb", 404), ("/..", 400)] {
        let answer = send_whole(&front, path).answer();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{path}");
        assert!(answer.text().ends_with("</html>\n"), "{path}");
    }
    let mut client = front.client();
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    // Without a body there is nothing to read and drop.
    assert_eq!(front.client().get("/a%2fb").answer().header("connection"), None);
}

#[test]
fn a_body_that_cannot_be_stored_is_a_503() {
    let front = Running::start(|site| {
        site.hosts[0].base.limit_request_body = 0;
        site.server_root = site.server_root.join("gone");
    });
    assert_eq!(send_whole(&front, "/").answer().status, 503);
}

/// Reported: a client that reset its connection within a body was taken for a malformed request, and the line of a timed-out
/// body did not say 408. Met with clients whose network fails.
#[test]
fn a_reset_within_a_body_is_logged_as_499_and_a_slow_body_as_408() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log =
        AccessLog { path: Some(path.clone()), format: "%m %>s %X".into(), form: LogForm::Text, when: None };
    let front = Running::start(|site| {
        site.hosts[0].access_logs = vec![log];
        site.hosts[0].read_timeouts.body = ReadTimeout::fixed(0.5);
    });
    let mut slow = front.client();
    slow.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    let mut client = front.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.head().status, 100);
    rustix::net::sockopt::set_socket_linger(&client.stream, Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(slow.answer().status, 408);
    drop(slow);
    support::eventually(|| std::fs::read_to_string(&path).unwrap().lines().count() == 2);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "POST 499 X\nPUT 408 X\n");
}
