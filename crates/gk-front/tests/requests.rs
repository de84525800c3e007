//! A front between raw-socket clients and fake workers: what goes to the worker, what comes back.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use support::{Frame, Running};

#[test]
fn a_get_goes_through_a_worker_and_back() {
    let mut front = Running::start(|_| {});
    let mut worker = front.worker(2);
    worker.welcome();
    let mut client = front.client();
    client.get("/a%20b/c?x=1");
    assert!(matches!(worker.next(), Some(Frame::Profile(..))));
    let request = worker.request();
    let Frame::Request { end, method, uri, path, .. } = &request else { unreachable!() };
    assert_eq!((*end, &**method, &**uri, &**path), (true, "GET", "/a%20b/c?x=1", "/a b/c"));
    assert_eq!(request.get("HTTP_HOST"), Some("example.org"));
    assert_eq!(request.get("QUERY_STRING"), Some("x=1"));
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
