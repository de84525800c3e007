//! Request bodies: those that are there long before the answer, that are wanted piece by piece, that nobody wants.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::AccessLog;
use gk_wire::frame::{INITIAL_WINDOW, ToFrontFrame};
use std::io::Write;
use support::{Client, Frame, Running};

/// Waits until this front has closed another client's connection for a head that never came whole, `header_timeout` after
/// it was begun: the event for a time that has gone by.
fn a_head_times_out(front: &Running) {
    let mut slow = front.client();
    slow.send("GET / HTTP/1.1\r\nHo");
    assert_eq!(slow.answer().status, 408);
}

#[test]
fn a_body_that_arrived_is_not_waited_for_again() {
    let mut front = Running::start(|site| {
        site.http.body_timeout = 0.2;
        site.http.header_timeout = 0.6;
    });
    let mut worker = front.worker(2);
    worker.welcome();
    let mut client = front.client();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    // Before the head, and between two pieces.
    client.send(post);
    let id = worker.request().id();
    a_head_times_out(&front);
    worker.respond(id, 200, &[("Content-Length", "8")], b"half", false);
    assert_eq!(client.head().status, 200);
    a_head_times_out(&front);
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

#[test]
fn a_client_that_resets_after_a_small_body_is_cancelled() {
    let mut front = Running::start(|site| site.http.body_timeout = 0.0);
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
fn sent_whole(front: &Running, path: &str) -> Client {
    let mut client = front.client();
    client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n"));
    client.send(vec![b'x'; 10_000_000]);
    client
}

#[test]
fn whoever_sends_a_body_that_nobody_wants_reads_the_answer() {
    let mut front = Running::start(|site| {
        site.http.limit_request_line = 1000;
        site.hosts[0].base.limit_request_body = 0;
    });
    let _worker = front.hello_worker();
    for (path, status) in [("/a%2fb", 404), ("/..", 400)] {
        let answer = sent_whole(&front, path).answer();
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{path}");
        assert!(answer.text().ends_with("</html>\n"), "{path}");
    }
    let mut client = front.client();
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    // Without a body there is nothing to be read away.
    assert_eq!(front.client().get("/a%2fb").answer().header("connection"), None);
}

#[test]
fn a_body_that_cannot_be_kept_is_a_503_that_can_be_read() {
    let front = Running::start(|site| {
        site.hosts[0].base.limit_request_body = 0;
        site.server_root = site.server_root.join("gone");
    });
    assert_eq!(sent_whole(&front, "/").answer().status, 503);
}

#[test]
fn a_body_that_was_cut_by_a_reset_or_came_too_slowly_is_logged_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = AccessLog { path: Some(path.clone()), format: "%m %>s %X".into(), json: false };
    let front = Running::start(|site| {
        site.hosts[0].access_logs = vec![log];
        site.http.body_timeout = 0.5;
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
