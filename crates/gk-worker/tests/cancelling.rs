//! Requests that their clients took back before a real worker began them. Each test is a process of its own (nextest), because CPython
//! starts once per process.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use bytes::BytesMut;
use gk_wire::frame::ToWorkerFrame;
use gk_wire::page::{SERVICE, STARTED};
use std::sync::atomic::Ordering::Acquire;
use support::{Front, with_worker};

/// Counts its calls; `/wait` answers once the file `go` is there.
const COUNTING: &str = r#"
import os, time
CALLS = []

def application(environ, start_response):
    CALLS.append(environ["PATH_INFO"])
    if environ["PATH_INFO"] == "/wait":
        while not os.path.exists(os.path.join(os.path.dirname(__file__), "go")):
            time.sleep(0.001)
    body = " ".join(CALLS).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"#;

fn cancel(id: u32, out: &mut BytesMut) {
    ToWorkerFrame::Cancel { id }.encode(out);
}

/// Reported: requests of HTTP/2 that were taken back kept a worker busy, and made its mean time of a request too short.
#[test]
fn a_request_that_is_taken_back_before_it_is_begun_costs_no_thread_anything() {
    let code = with_worker(1, COUNTING, "", |front: &mut Front| {
        front.message();
        assert_eq!(front.get("/first").text(), "/first");
        while front.page.word(SERVICE).load(Acquire) == 0 {
            std::thread::yield_now();
        }
        let (service, begun) =
            (front.page.word(SERVICE).load(Acquire), front.page.word(STARTED).load(Acquire));
        // They come together with the news that nobody wants them, behind each other and beside one that somebody wants.
        let mut out = BytesMut::new();
        let gone: Vec<u32> = (0..50).map(|_| front.request("/gone", "GET", b"", &mut out)).collect();
        gone.iter().for_each(|id| cancel(*id, &mut out));
        front.send(&out);
        for id in gone {
            let answer = front.answer(id);
            assert_eq!((answer.status, answer.aborted), (0, false), "it is given back");
        }
        assert_eq!(front.page.word(STARTED).load(Acquire), begun, "none was begun");
        assert_eq!(front.page.word(SERVICE).load(Acquire), service);
        assert_eq!(front.get("/second").text(), "/first /second");
        // The only thread is busy, and nobody waits for the link.
        let mut out = BytesMut::new();
        let waiting = front.request("/wait", "GET", b"", &mut out);
        front.send(&out);
        while front.page.word(STARTED).load(Acquire) != u64::from(waiting) {
            std::thread::yield_now();
        }
        let mut out = BytesMut::new();
        let gone = front.request("/gone", "GET", b"", &mut out);
        cancel(gone, &mut out);
        front.send(&out);
        assert_eq!(front.answer(gone).status, 0);
        std::fs::write(front.directory.join("go"), "").unwrap();
        assert_eq!(front.answer(waiting).text(), "/first /second /wait");
        assert_eq!(front.get("/third").text(), "/first /second /wait /third");
    });
    assert_eq!(code, 0);
}
