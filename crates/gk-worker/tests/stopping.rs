//! Requests that still run while a worker stops: what they answer before the end of the process reaches the front.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use bytes::BytesMut;
use gk_wire::control::{FromWorker, ToWorker};
use gk_wire::frame::{self, ToFrontFrame};
use gk_wire::page;
use gk_wire::setup::WorkerSetup;
use std::sync::atomic::Ordering;
use support::{Front, with_other_setup, with_worker};

const APPS: &str = r#"
import itertools, os, threading, time
import gilkeeper

ended, told = threading.Event(), []

@gilkeeper.subscribe_shutdown
def stop(name, shutdown_reason, **event):
    told.append(shutdown_reason)
    ended.set()

def application(environ, start_response):
    path = environ["PATH_INFO"]
    flag = environ["QUERY_STRING"]
    if path == "/stream":
        start_response("200 OK", [])
        def events():
            yield b"first "
            ended.wait()
            yield b"last " + repr(told).encode()
        return events()
    if path == "/endless":
        start_response("200 OK", [])
        def events():
            try:
                for number in itertools.count():
                    time.sleep(0.001)
                    yield b"event"
            finally:
                open(flag, "w").close()
        return events()
    while flag and not os.path.exists(flag):
        time.sleep(0.001)
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    if path == "/list":
        return [b"done"]
    if path == "/several":
        return [b"do", b"ne"]
    if path == "/pieces":
        return iter([b"do", b"ne"])
    if path == "/long":
        return [b"x" * 1_000_000]
    return [str(len(body)).encode()]
"#;

/// Stops the worker once `count` requests run, and returns when it has told so.
fn stop(front: &Front, count: u32) {
    while front.page.word(page::STARTED).load(Ordering::Acquire) < u64::from(count) {
        std::thread::yield_now();
    }
    front.tell(&ToWorker::Stop { reason: "request_timeout".to_owned() });
    front.messages_until(|m| matches!(m, FromWorker::Stopping { .. }));
}

/// Waits until a thread begins the request that was sent last. `false`: it was given back, as no thread came for it in time.
fn is_begun(front: &mut Front) -> bool {
    while front.page.word(page::STARTED).load(Ordering::Acquire) < u64::from(front.next) {
        let mut piece = [0; 4096];
        let got = front.receiver.pull(&mut piece).unwrap();
        front.buffer.extend_from_slice(&piece[..got]);
        let mut rest = &front.buffer[..];
        while let Some((header, payload, used)) = frame::split(rest).unwrap() {
            if let ToFrontFrame::Return { id } = ToFrontFrame::decode(header, payload).unwrap()
                && id == front.next
            {
                return false;
            }
            rest = &rest[used..];
        }
        std::thread::yield_now();
    }
    true
}

/// Reported: a request that ran longer than request-timeout and ended before its process did was answered with a head and
/// no body. Met wherever a worker stops while a request runs: reloads after graceful-timeout, `stop --now`, limits of CPU time.
#[test]
fn a_response_that_is_ready_before_the_worker_ends_is_whole() {
    let cases =
        [("/list", "done"), ("/several", "done"), ("/pieces", "done"), ("/long", ""), ("/body", "65537")];
    // One more thread than requests: it is idle and reads the link for the others.
    let code = with_worker(cases.len() as u32 + 1, APPS, "", move |front| {
        front.message();
        let (mut ids, mut late) = (Vec::new(), BytesMut::new());
        for (path, _) in cases {
            let flag = front.directory.join(&path[1..]);
            let path = format!("{path}?{}", flag.display());
            let body = vec![b'x'; if path.starts_with("/body") { frame::CHUNK + 1 } else { 0 }];
            let method = if body.is_empty() { "GET" } else { "POST" };
            // One by one. On a busy machine one may be given back all the same.
            loop {
                let mut out = BytesMut::new();
                let id = front.request(&path, method, &body, &mut out);
                if !body.is_empty() {
                    // The last frame, of one byte, comes after the stop.
                    late = out.split_off(out.len() - frame::HEADER_LEN - 1);
                }
                front.send(&out);
                if is_begun(front) {
                    ids.push(id);
                    break;
                }
            }
        }
        stop(front, cases.len() as u32);
        front.send(&late);
        for ((path, text), id) in cases.iter().zip(ids) {
            // One after the other, as what nobody waits for is dropped on the way.
            std::fs::write(front.directory.join(&path[1..]), "").unwrap();
            let answer = front.answer(id);
            assert!(!answer.aborted && answer.status == 200, "{path}: {}", answer.status);
            let expected = if *path == "/long" { "x".repeat(1_000_000) } else { (*text).to_owned() };
            assert!(answer.text() == expected, "{path}: {} bytes", answer.body.len());
        }
    });
    assert_eq!(code, 0);
}

#[test]
fn an_endless_response_is_broken_off_before_the_process_is_ended() {
    let short = |setup: &mut WorkerSetup| setup.group.shutdown_timeout = 2.0;
    let code = with_other_setup(1, APPS, "", short, |front| {
        front.message();
        let (mut out, closed) = (BytesMut::new(), front.directory.join("closed"));
        let id = front.request(&format!("/endless?{}", closed.display()), "GET", b"", &mut out);
        front.send(&out);
        stop(front, 1);
        assert!(front.answer(id).aborted);
        assert!(closed.exists(), "close() was called");
    });
    assert_eq!(code, 0, "the thread came back");
}

/// Reported: an open stream held up the stop of the server, because the application heard of it only when its requests had ended. Met
/// with server-sent events and long polls, at every stop of a container.
#[test]
fn a_stream_hears_of_the_stop_while_it_runs_and_ends_by_itself() {
    let code = with_worker(2, APPS, "", |front| {
        front.message();
        let mut out = BytesMut::new();
        let id = front.request("/stream", "GET", b"", &mut out);
        front.send(&out);
        while front.page.word(page::STARTED).load(Ordering::Acquire) < 1 {
            std::thread::yield_now();
        }
        let stopping = ToWorker::Stopping { reason: "shutdown_signal".to_owned() };
        front.tell(&stopping);
        front.tell(&stopping);
        assert_eq!(front.answer(id).text(), "first last ['shutdown_signal']");
        // Requests are served until `Stop`, and nobody is told twice.
        let (mut out, flag) = (BytesMut::new(), front.directory.join("flag"));
        std::fs::write(&flag, "").unwrap();
        let id = front.request(&format!("/list?{}", flag.display()), "GET", b"", &mut out);
        front.send(&out);
        assert_eq!(front.answer(id).text(), "done");
        front.tell(&ToWorker::Stop { reason: "shutdown_signal".to_owned() });
        front.messages_until(|m| matches!(m, FromWorker::Stopping { .. }));
    });
    assert_eq!(code, 0);
}
