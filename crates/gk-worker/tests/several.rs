//! A worker that several fronts send requests to.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use bytes::BytesMut;
use gk_wire::control::{FromWorker, ToWorker};
use gk_wire::frame::{self, ToFrontFrame, ToWorkerFrame};
use gk_wire::page;
use std::sync::atomic::Ordering;
use support::{Front, with_other_setup};

const APPS: &str = r#"
import os, time

def application(environ, start_response):
    flag = environ["QUERY_STRING"]
    if environ["PATH_INFO"] == "/begun":
        open(flag + ".begun", "w").close()
    while flag and not os.path.exists(flag):
        time.sleep(0.001)
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/long":
        return [b"x" * 1_000_000]
    return [str(len(body)).encode()]
"#;

fn served(threads: u32, with: impl FnOnce(&mut Front, &mut Front) + Send + 'static) -> i32 {
    with_other_setup(
        threads,
        APPS,
        "",
        |setup| setup.several_fronts = true,
        |front| {
            let mut other = front.beside(7);
            with(front, &mut other);
        },
    )
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !condition() {
        assert!(std::time::Instant::now() < end, "{what}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// The next frame of the worker.
fn next(front: &mut Front) -> (u32, Option<&'static str>) {
    loop {
        if let Some((header, payload, used)) = frame::split(&front.buffer).unwrap() {
            let kind = match ToFrontFrame::decode(header, payload).unwrap() {
                ToFrontFrame::Leaving { .. } => Some("leaving"),
                _ => None,
            };
            let id = header.id;
            let _ = front.buffer.split_to(used);
            return (id, kind);
        }
        let mut piece = vec![0; 65536];
        let got = front.receiver.receive(&mut piece, true).unwrap();
        assert!(got > 0, "the worker ended");
        front.buffer.extend_from_slice(&piece[..got]);
    }
}

#[test]
fn each_front_gets_its_answers() {
    let code = served(2, |one, two| {
        for round in 1..=20_usize {
            assert_eq!(one.get("/").text(), "0");
            assert_eq!(two.post("/", &vec![b'x'; round * 10_000]).text(), (round * 10_000).to_string());
            assert_eq!(one.get("/long").body.len(), 1_000_000);
        }
        // Many at once on both.
        let (mut first, mut second) = (BytesMut::new(), BytesMut::new());
        let asked = (0..200).map(|_| (one.request("/", "GET", b"", &mut first), "/")).collect();
        let others = (0..200).map(|_| (two.request("/", "GET", b"", &mut second), "/")).collect();
        one.send(&first);
        two.send(&second);
        one.await_all(asked);
        two.await_all(others);
    });
    assert_eq!(code, 0);
}

/// A request that ends when there is the file: its id, its frame and the file.
fn held_up(front: &mut Front) -> (u32, BytesMut, String) {
    let flag = front.directory.join("flag").display().to_string();
    let mut out = BytesMut::new();
    let id = front.request(&format!("/?{flag}"), "GET", b"", &mut out);
    (id, out, flag)
}

#[test]
fn a_front_sees_what_others_keep_busy() {
    let code = served(2, |one, two| {
        let (id, out, flag) = held_up(one);
        one.send(&out);
        until("the other front sees one", || two.page.word(page::LOAD).load(Ordering::Relaxed) == 1);
        assert_eq!(one.page.word(page::LOAD).load(Ordering::Relaxed), 0);
        std::fs::write(&flag, "").unwrap();
        assert_eq!(one.answer(id).status, 200);
        until("and sees it end", || two.page.word(page::LOAD).load(Ordering::Relaxed) == 0);
    });
    assert_eq!(code, 0);
}

/// Met: a mark stayed when the last request ended, and the front that read it held a client off for nobody.
#[test]
fn a_worker_that_falls_idle_tells_of_nobody_who_waits() {
    let code = served(1, |one, two| {
        let (id, out, flag) = held_up(one);
        one.page.word(page::WAITS).store(7, Ordering::Relaxed);
        one.page.word(page::HOLDS).store(9, Ordering::Relaxed);
        one.send(&out);
        let told = |of: &Front| {
            [page::WAITS_ELSEWHERE, page::HOLDS_ELSEWHERE]
                .map(|word| of.page.word(word).load(Ordering::Relaxed))
        };
        until("the other front hears of both", || told(two) == [7, 9]);
        std::fs::write(&flag, "").unwrap();
        assert_eq!(one.answer(id).status, 200);
        until("and that nobody is left", || told(two) == [0, 0]);
    });
    assert_eq!(code, 0);
}

#[test]
fn a_front_that_is_gone_takes_only_its_requests() {
    let code = with_other_setup(
        1,
        APPS,
        "",
        |setup| setup.several_fronts = true,
        |front| {
            let flag = front.directory.join("flag").display().to_string();
            {
                let mut other = front.beside(7);
                let mut out = BytesMut::new();
                let first = other.request(&format!("/begun?{flag}"), "GET", b"", &mut out);
                other.send(&out);
                until("it runs", || std::path::Path::new(&format!("{flag}.begun")).exists());
                // These wait behind it.
                let mut out = BytesMut::new();
                let last = (0..3).map(|_| other.request("/", "GET", b"", &mut out)).last();
                other.send(&out);
                assert_eq!(last, Some(first + 3));
                // Its end closes the socket.
            }
            std::fs::write(&flag, "").unwrap();
            (0..5).for_each(|_| assert_eq!(front.get("/").text(), "0"));
            // Another one of the same number may come.
            assert_eq!(front.beside(7).get("/").text(), "0");
            until("nothing of it counts", || front.page.word(page::LOAD).load(Ordering::Relaxed) == 0);
        },
    );
    assert_eq!(code, 0);
}

#[test]
fn a_worker_leaves_when_every_front_has_drained_it() {
    let code = served(1, |one, two| {
        assert_eq!(one.get("/").status, 200);
        assert_eq!(two.get("/").status, 200);
        one.tell(&ToWorker::Leave { reason: "reload".to_owned(), timeout: 0.0 });
        assert_eq!(next(one).1, Some("leaving"));
        assert_eq!(next(two).1, Some("leaving"));
        let mut drain = BytesMut::new();
        ToWorkerFrame::Drain.encode(&mut drain);
        one.send(&drain);
        // The other one has a request more.
        assert_eq!(two.get("/").status, 200);
        two.send(&drain);
        one.messages_until(|message| matches!(message, FromWorker::Stopping { .. }));
    });
    assert_eq!(code, 0);
}
