//! Workers that were stopped: their processes do not end, and do nothing.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{FakeWorker, Frame, Running};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

/// A worker that answers until its link ends. Returns the number of its answers.
fn serve(mut worker: FakeWorker) -> Arc<AtomicU64> {
    let served = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&served);
    std::thread::spawn(move || {
        while let Some(frame) = worker.next() {
            if let Frame::Request { id, .. } = frame
                && worker.start()
            {
                worker.beat();
                count.fetch_add(1, Ordering::Release);
                worker.hello(id);
            }
        }
    });
    served
}

/// Reported: a worker that was stopped was given a request for each of its threads, and they waited until it went on. Met with processes
/// in a debugger, and with machines that swap.
#[test]
fn requests_that_a_stopped_worker_has_not_begun_go_to_others() {
    let mut front = Running::start(|_| {});
    let (mut stopped, mut other) = (front.worker(2), front.worker(2));
    stopped.welcome();
    other.welcome();
    let served = serve(other);
    let mut clients: Vec<_> = (0..4).map(|_| front.client()).collect();
    for _ in 0..2 {
        clients.iter_mut().for_each(|client| {
            client.send(POST);
        });
        clients.iter_mut().for_each(|client| assert_eq!(client.answer().text(), "hello"));
    }
    // A client may have its answer before the worker has counted it.
    support::eventually(|| served.load(Ordering::Acquire) == 8);
    // It goes on: what it finds was taken back, and then there is something for it again.
    let back = serve(stopped);
    let mut asked = 8;
    support::eventually(|| {
        clients.iter_mut().for_each(|client| {
            client.send(POST);
        });
        clients.iter_mut().for_each(|client| assert_eq!(client.answer().text(), "hello"));
        asked += 4;
        back.load(Ordering::Acquire) > 0
    });
    support::eventually(|| served.load(Ordering::Acquire) + back.load(Ordering::Acquire) == asked);
}

/// Reported: a request in a worker that was stopped waited for it, although another one could have answered.
#[test]
fn a_safe_request_that_a_stopped_worker_has_begun_is_tried_again_once_it_is_silent() {
    let mut front = Running::start(|_| {});
    let mut stopped = front.worker(2);
    stopped.welcome();
    let (mut safe, mut changing) = (front.client(), front.client());
    safe.get("/");
    let begun = stopped.request().id();
    changing.send(POST);
    let kept = stopped.request().id();
    stopped.beat();
    let mut other = front.worker(2);
    other.welcome();
    let served = serve(other);
    assert_eq!(safe.answer().text(), "hello");
    assert_eq!(served.load(Ordering::Acquire), 1);
    // A late answer is thrown away, and a request that may change something has waited.
    stopped.hello(begun);
    stopped.hello(kept);
    assert_eq!(changing.answer().text(), "hello");
    assert_eq!(served.load(Ordering::Acquire), 1);
    safe.get("/again");
    assert_eq!(safe.answer().text(), "hello");
}
