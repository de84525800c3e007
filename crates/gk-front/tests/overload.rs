//! More requests than request threads, and workers that die of safe requests.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use support::{Client, FakeWorker, Frame, Running};

/// Reported: of 128 clients at once, three in four met 503, because the queue had 100 places.
#[test]
fn a_burst_is_queued_and_served_in_order() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(1);
    worker.welcome();
    let mut clients: Vec<Client> = (0..200).map(|_| front.client()).collect();
    for (before, client) in (0..).zip(&mut clients) {
        client.get("/");
        front.until(|status| status.queued["g"] == before);
    }
    for client in &mut clients {
        let id = worker.request().id();
        worker.hello(id);
        assert_eq!(client.answer().status, 200);
    }
    front.until(|status| status.queued["g"] == 0 && status.queues["g"] == Default::default());
}

/// `listen-backlog` means what it means for the socket of a mod_wsgi daemon.
#[test]
fn behind_the_backlog_a_request_waits_for_connect_timeout() {
    let mut front = Running::start(|site| {
        site.groups[0].listen_backlog = Some(1);
        site.groups[0].connect_timeout = 0.3;
    });
    let mut worker = front.worker(1);
    worker.welcome();
    let (mut first, mut second, mut third) = (front.client(), front.client(), front.client());
    first.get("/first");
    let held = worker.request().id();
    second.get("/second");
    front.until(|status| status.queued["g"] == 1);
    let answer = third.get("/third").answer();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    front.until(|status| status.queues["g"].no_place == 1 && status.queued["g"] == 1);
    worker.hello(held);
    assert_eq!(first.answer().status, 200);
    let id = worker.request().id();
    worker.hello(id);
    assert_eq!(second.answer().status, 200);
}

/// A front whose only worker has begun this request.
fn begun(request: &str, retry: &str) -> (Running, FakeWorker, Client, u32) {
    let mut front = Running::start(|site| site.groups[0].retry = retry.into());
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = front.client();
    client.send(request);
    let id = worker.request().id();
    (front, worker, client, id)
}

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n";

/// Reported: each kill of a worker under load was a 502 for every request in it.
#[test]
fn a_safe_request_whose_worker_died_is_tried_again() {
    for request in [GET, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let (mut front, worker, mut client, _) = begun(request, "safe");
        front.ended(worker, true);
        let mut second = front.worker(1);
        second.welcome();
        let Frame::Request { id, uri, end: true, .. } = second.request() else { panic!("no request") };
        assert_eq!(uri, if request == GET { "/a?b" } else { "/" });
        second.hello(id);
        assert_eq!(client.head().status, 200, "{request}");
        front.until(|status| status.queues["g"].retried == 1);
    }
}

#[test]
fn a_request_is_tried_again_once_only() {
    let (mut front, worker, mut client, _) = begun(GET, "safe");
    front.ended(worker, true);
    let mut second = front.worker(1);
    second.welcome();
    second.request();
    front.ended(second, true);
    assert_eq!(client.answer().status, 502);
    let mut third = front.worker(1);
    third.welcome();
    // The next frame is another request and not the old one.
    client.get("/other");
    let request = third.request();
    assert!(matches!(&request, Frame::Request { uri, .. } if uri == "/other"), "{request:?}");
    front.until(|status| status.queues["g"].retried == 1);
}

/// Of the requests that a dead worker had, one may be what killed it: at the next worker it does not meet the others.
#[test]
fn requests_of_a_dead_worker_are_tried_again_one_after_the_other() {
    let mut front = Running::start(|_| {});
    let mut first = front.worker(2);
    first.welcome();
    let mut clients = [front.client(), front.client()];
    for client in &mut clients {
        client.send(GET);
        first.request();
    }
    front.ended(first, true);
    let mut second = front.worker(2);
    second.welcome();
    let id = second.request().id();
    front.until(|status| status.in_flight[&2] == 1 && status.queues["g"].retried == 2);
    second.hello(id);
    let id = second.request().id();
    second.hello(id);
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn other_requests_are_not_tried_again() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let with_body = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    // The request, the option, and whether the worker died; one that hung, for example, is ended by the supervisor.
    for (request, retry, died) in
        [(post, "safe", true), (with_body, "safe", true), (GET, "off", true), (GET, "safe", false)]
    {
        let (front, worker, mut client, _) = begun(request, retry);
        front.ended(worker, died);
        assert_eq!(client.answer().status, 502, "{request} {retry} {died}");
        front.until(|status| status.queues["g"].retried == 0);
    }
}

#[test]
fn after_the_head_nothing_is_tried_again() {
    let (front, worker, mut client, id) = begun(GET, "safe");
    worker.respond(id, 200, &[("Content-Length", "10")], b"part", false);
    assert_eq!(client.head().status, 200);
    front.ended(worker, true);
    assert_eq!(client.rest().0, b"part");
    front.until(|status| status.queues["g"].retried == 0);
}
