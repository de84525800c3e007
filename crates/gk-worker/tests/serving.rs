//! A real worker with a real CPython in this process, and a front made of the codec: the environment of applications and
//! the answer to each of their failures. Each test is a process of its own (nextest), because CPython starts once per
//! process.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use bytes::BytesMut;
use gk_wire::control::{FromWorker, ToWorker};
use gk_wire::frame;
use gk_wire::page;
use gk_wire::setup::WorkerSetup;
use support::{Front, profile, with_other_setup, with_worker};

const APPS: &str = r#"
import sys
CLOSED = []
KEPT = []

class Closing:
    def __init__(self, blocks, fail=None):
        self.blocks, self.fail = iter(blocks), fail
    def __iter__(self):
        return self
    def __next__(self):
        for block in self.blocks:
            return block
        if self.fail:
            raise self.fail
        raise StopIteration
    def close(self):
        CLOSED.append(1)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/environ":
        text = "\n".join(f"{k}={environ[k]!r}" for k in sorted(environ))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.encode("latin-1")]
    if path == "/iter":
        start_response("200 OK", [("X-A", "1"), ("X-A", "2")])
        return Closing([b"one", b"", b"two"])
    if path == "/closed":
        start_response("200 OK", [])
        return [str(len(CLOSED)).encode()]
    if path == "/write":
        write = start_response("200 OK", [])
        write(b"written "); write(b"twice ")
        return [b"and returned"]
    if path == "/raise":
        raise ValueError("before anything")
    if path == "/late":
        start_response("200 OK", [])
        return Closing([b"x"], RuntimeError("mid-body"))
    if path == "/exc_info":
        start_response("200 OK", [("X-First", "1")])
        try:
            raise KeyError("x")
        except KeyError:
            start_response("500 Sorry", [("X-Second", "1")], sys.exc_info())
        return [b"replaced"]
    if path.startswith("/exc_info/"):
        info = {"none": sys.exc_info(), "text": (ValueError, "text", None)}[path[10:]]
        def late():
            yield b"x"
            start_response("500 Sorry", [], info)
        start_response("200 OK", [])
        return late()
    if path.startswith("/after/"):
        length = [("Content-Length", "1")] if path == "/after/length" else []
        write = start_response("200 OK", length)
        class Writes(Closing):
            def close(self):
                try:
                    write(b"late")
                    CLOSED.append(1)
                except RuntimeError as error:
                    if "after the response ended" in str(error):
                        CLOSED.extend((1, 1))
        if path == "/after/failure":
            KEPT.append(write)
            return Closing([], RuntimeError("before any block"))
        if path == "/after/kept":
            write = KEPT.pop()
        return Writes([b"x"])
    if path == "/held":
        import os, time
        while not os.path.exists(environ["QUERY_STRING"]):
            time.sleep(0.001)
        environ["wsgi.input"].read()
    if path == "/exit":
        raise SystemExit(3)
    if path == "/none":
        return None
    if path == "/never":
        return []
    if path == "/str":
        start_response("200 OK", [])
        return ["text"]
    if path == "/badheader":
        start_response("200 OK", [("X", "a\r\nb")])
        return []
    if path == "/triple":
        try:
            start_response("200 OK", [("X", "a", "b")])
        except ValueError:
            start_response("200 OK", [])
        return [b"ValueError"]
    if path == "/echo":
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [body]
    if path == "/lines":
        stream = environ["wsgi.input"]
        got = [stream.readline(3), stream.readline(), stream.read(2), stream.readlines(), stream.read()]
        start_response("200 OK", [])
        return [repr(got).encode()]
    if path == "/short":
        start_response("200 OK", [("Content-Length", "10")])
        return [b"12345"]
    if path == "/long":
        start_response("200 OK", [("Content-Length", "3")])
        return [b"12345"]
    if path == "/big":
        start_response("200 OK", [])
        return (b"x" * 100_000 for _ in range(50))
    if path == "/endless":
        start_response("200 OK", [("X-Events", "1")])
        return Closing(iter(lambda: b"event", None))
    if path == "/empty":
        start_response("200 OK", [("Content-Length", "0")])
        return []
    if path == "/pieces":
        start_response("200 OK", [])
        return Closing([b"", b"one", b"two"])
    if path == "/list":
        start_response("200 OK", [])
        return [b"one", b"two"]
    if path == "/file":
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    if path == "/headers":
        size, count = map(int, environ["QUERY_STRING"].split(","))
        start_response("200 OK", [(f"X-{n}", "x" * size) for n in range(count)])
        return [b"Hello"]
    if path == "/slow":
        import time
        time.sleep(0.3)
    if path == "/group":
        import mod_wsgi
        start_response("200 OK", [])
        return [mod_wsgi.application_group.encode()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]
"#;

#[test]
fn a_worker_serves_and_every_failure_has_its_answer() {
    let code = with_worker(2, APPS, "", |front| {
        let ready = front.message();
        assert!(matches!(&ready, FromWorker::Ready { failed, .. } if failed.is_empty()), "{ready:?}");

        let hello = front.get("/");
        assert_eq!(
            (hello.status, hello.text().as_str(), hello.header("content-length")),
            (200, "Hello", Some("5"))
        );

        let environ = front.get("/environ?a=%20").text();
        for line in [
            "PATH_INFO='/environ'",
            "QUERY_STRING='a=%20'",
            "HTTP_HOST='localhost:8000'",
            "SERVER_PORT='8000'",
            "SERVER_PROTOCOL='HTTP/1.1'",
            "SERVER_SOFTWARE='Gilkeeper'",
            "mod_wsgi.process_group='app'",
            "mod_wsgi.application_group=''",
            "mod_wsgi.request_start=1.5",
            "wsgi.multithread=True",
            "wsgi.multiprocess=False",
            "wsgi.run_once=False",
            "wsgi.url_scheme='http'",
            "wsgi.version=(1, 0)",
        ] {
            assert!(environ.lines().any(|l| l == line), "{line} not in\n{environ}");
        }

        let iter = front.get("/iter");
        assert_eq!((iter.text().as_str(), iter.headers.len()), ("onetwo", 2));
        assert_eq!(front.get("/write").text(), "written twice and returned");
        assert_eq!(front.get("/raise").status, 500);
        assert!(front.get("/raise").flags & frame::WORKER_ERROR != 0);
        let late = front.get("/late");
        assert_eq!((late.status, late.text().as_str(), late.aborted), (200, "x", true));
        let replaced = front.get("/exc_info");
        assert_eq!(
            (replaced.status, replaced.header("x-second"), replaced.header("x-first")),
            (500, Some("1"), None)
        );
        for path in ["/exit", "/none", "/never", "/str", "/badheader"] {
            assert_eq!(front.get(path).status, 500, "{path}");
        }
        assert_eq!(front.get("/triple").text(), "ValueError");
        assert_eq!(front.get("/closed").text(), "2");
        assert!(front.get("/short").aborted);
        assert_eq!(front.get("/long").text(), "123");
        assert_eq!(front.get("/big").body.len(), 5_000_000);
        let body: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        assert_eq!(front.post("/echo", &body).body, body);
        assert_eq!(
            front.post("/lines", b"abcdef\nxy\nlast\nline").text(),
            r"[b'abc', b'def\n', b'xy', [b'\n', b'last\n', b'line'], b'']"
        );
        let started = front.page.word(page::STARTED).load(std::sync::atomic::Ordering::Acquire);
        assert_eq!(started, u64::from(front.next), "every request was counted as started");
    });
    assert_eq!(code, 0);
}

#[test]
fn a_wrong_exc_info_is_a_type_error() {
    let code = with_worker(1, APPS, "", |front| {
        front.message();
        for path in ["/exc_info/none", "/exc_info/text"] {
            let late = front.get(path);
            assert_eq!((late.status, late.text().as_str(), late.aborted), (200, "x", true), "{path}");
        }
        assert_eq!(front.get("/").text(), "Hello");
    });
    assert_eq!(code, 0);
}

#[test]
fn nothing_is_sent_after_the_end() {
    let code = with_worker(1, APPS, "", |front| {
        front.message();
        let closed = |front: &mut Front| front.get("/closed").text();
        assert_eq!(front.get("/after/chunks").text(), "x");
        assert_eq!(closed(front), "2", "it is told that this is too late");
        // Bytes beyond the length are dropped, as before the end.
        assert_eq!(front.get("/after/length").text(), "x");
        assert_eq!(closed(front), "3");
        assert_eq!(front.get("/after/failure").status, 500);
        assert_eq!(front.get("/after/kept").text(), "x");
        assert_eq!(closed(front), "6", "the failed response takes nothing more");
    });
    assert_eq!(code, 0);
}

#[test]
fn a_body_or_room_that_never_comes_is_not_waited_for_at_the_end() {
    let short = |setup: &mut WorkerSetup| setup.group.shutdown_timeout = 2.0;
    let code = with_other_setup(1, APPS, "", short, |front| {
        front.message();
        front.get("/");
        let (mut out, flag) = (BytesMut::new(), front.directory.join("flag"));
        let path = format!("/held?{}", flag.display());
        let held = front.request(&path, "POST", &vec![b'x'; frame::CHUNK + 1], &mut out);
        // The body's last frame, of one byte, does not come.
        out.truncate(out.len() - frame::HEADER_LEN - 1);
        front.send(&out);
        while front.page.word(page::STARTED).load(std::sync::atomic::Ordering::Acquire) < u64::from(held) {
            std::thread::yield_now();
        }
        // The only thread is in Python while the worker is stopped: nobody reads, so nobody is told.
        front.tell(&ToWorker::Stop { reason: "shutdown_signal".to_owned() });
        front.messages_until(|m| matches!(m, FromWorker::Stopping { .. }));
        std::fs::write(flag, "").unwrap();
    });
    assert_eq!(code, 0, "the thread came back");
}

#[test]
fn a_worker_whose_link_broke_leaves() {
    with_worker(1, APPS, "", |front| {
        front.message();
        front.get("/");
        front.send(&BytesMut::from(&[0xff; frame::HEADER_LEN][..]));
        let messages = front.messages_until(|m| matches!(m, FromWorker::Leaving { .. }));
        assert_eq!(messages.last(), Some(&FromWorker::Leaving { reason: "link_lost".to_owned() }));
    });
}

#[test]
fn another_application_group_is_another_interpreter_and_ends_cleanly() {
    let code = with_worker(3, APPS, "second", |front| {
        front.message();
        assert_eq!(front.get("/group").text(), "second");
        assert_eq!(front.get("/").text(), "Hello");
        let mut out = BytesMut::new();
        let ids: Vec<u32> = (0..50).map(|_| front.request("/", "GET", b"", &mut out)).collect();
        front.send(&out);
        // Responses of one link may come in any order; the last one asked for is waited for, the rest are dropped on the way.
        assert_eq!(front.answer(ids[49]).text(), "Hello");
    });
    assert_eq!(code, 0);
}

#[test]
fn a_script_that_is_no_file_is_not_an_error_of_the_server() {
    with_worker(1, APPS, "", |front| {
        let directory = front.directory.clone();
        front.set_profile(2, &profile(&directory.join("gone.py"), ""));
        assert_eq!(front.get("/").status, 404);
        front.set_profile(3, &profile(&directory, ""));
        assert_eq!(front.get("/").status, 403);
        // It is looked for again each time.
        std::fs::write(directory.join("gone.py"), APPS).unwrap();
        front.profile = 2;
        assert_eq!(front.get("/").text(), "Hello");
    });
}

#[test]
fn a_signal_to_the_worker_makes_it_leave_and_another_is_the_applications() {
    let source = APPS.replace(
        "CLOSED = []",
        "CLOSED = []\nimport mod_wsgi\nmod_wsgi.subscribe_signals(lambda name, **e: CLOSED.append((name, e)))",
    );
    let code = with_worker(1, &source, "", |front| {
        front.messages_until(|m| matches!(m, FromWorker::Ready { .. }));
        let kill = |signal| rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
        kill(rustix::process::Signal::USR2);
        while front.get("/closed").text() != "1" {
            std::thread::yield_now();
        }
        kill(rustix::process::Signal::USR1);
        let messages = front.messages_until(|m| matches!(m, FromWorker::Leaving { .. }));
        assert_eq!(messages.last(), Some(&FromWorker::Leaving { reason: "graceful_signal".to_owned() }));
        // It goes on serving until the front drains it.
        assert_eq!(front.get("/").text(), "Hello");
    });
    assert_eq!(code, 0);
}

#[test]
fn requests_behind_a_slow_one_are_given_back_unless_they_began() {
    let code = with_worker(1, APPS, "", |front| {
        front.message();
        front.get("/");
        let mut out = BytesMut::new();
        let slow = front.request("/slow", "GET", b"", &mut out);
        let behind = [(); 2].map(|()| front.request("/echo", "POST", b"sent again elsewhere", &mut out));
        front.send(&out);
        // Given back while the slow one runs: no status, and never begun.
        assert_eq!(behind.map(|id| front.answer(id).status), [0, 0]);
        let started =
            |front: &Front| front.page.word(page::STARTED).load(std::sync::atomic::Ordering::Acquire);
        assert_eq!(started(front), u64::from(slow));
        assert_eq!(front.answer(slow).text(), "Hello");
        assert_eq!(front.post("/echo", b"again").text(), "again");
        assert_eq!(started(front), u64::from(front.next), "an ordinal, not a count");
    });
    assert_eq!(code, 0);
}

#[test]
fn head_is_answered_with_the_first_block_and_an_unwanted_response_is_not_produced_for_ever() {
    let code = with_worker(1, APPS, "", |front| {
        front.message();
        for (path, length) in [("/", Some("5")), ("/pieces", None), ("/list", None), ("/empty", Some("0"))] {
            let (got, wanted) = (front.head(path), front.get(path));
            assert_eq!((got.status, got.body.len()), (200, 0), "{path}");
            assert_eq!(got.header("content-length"), length, "{path}");
            assert_eq!(got.headers, wanted.headers, "{path}");
        }
        let size = std::fs::metadata(front.directory.join("app.py")).unwrap().len().to_string();
        assert_eq!(front.head("/file").header("content-length"), Some(&*size));

        let mut out = BytesMut::new();
        let endless = front.request("/endless", "HEAD", b"", &mut out);
        front.send(&out);
        assert_eq!(front.head_of(endless).status, 200);
        let mut out = BytesMut::new();
        frame::ToWorkerFrame::Cancel { id: endless }.encode(&mut out);
        front.send(&out);
        assert!(front.answer(endless).aborted);
        // The only thread is free again, and the iterable was closed: it and those of HEAD and GET of /pieces.
        assert_eq!(front.get("/closed").text(), "3");
    });
    assert_eq!(code, 0);
}

#[test]
fn a_head_that_no_frame_holds_is_an_error_of_its_own_request() {
    let code = with_worker(1, APPS, "", |front| {
        front.message();
        for query in ["1100000,1", "1000,2000", "0,70000", "0,16385"] {
            let answer = front.get(&format!("/headers?{query}"));
            assert_eq!((answer.status, answer.flags & frame::WORKER_ERROR != 0), (500, true), "{query}");
        }
        for query in ["1000000,1", "0,16384"] {
            assert_eq!(front.get(&format!("/headers?{query}")).text(), "Hello", "{query}");
        }
    });
    assert_eq!(code, 0);
}

/// Reported: what a stopped worker had been given waited until it went on. Now the front takes it back, and it must not be run twice.
#[test]
fn a_request_that_the_front_took_back_is_not_begun() {
    use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
    let code = with_worker(1, APPS, "", |front| {
        front.message();
        assert_eq!(front.get("/pieces").status, 200);
        let closed = front.get("/closed").text();
        let begun = front.page.word(page::STARTED).load(Acquire);
        front.page.word(page::VOID).store(begun + 2, Release);
        let mark = begun | page::TAKEN_BACK;
        front.page.word(page::STARTED).compare_exchange(begun, mark, AcqRel, Acquire).unwrap();
        let mut out = BytesMut::new();
        for body in [&b""[..], b"sent again elsewhere"] {
            front.request("/pieces", "POST", body, &mut out);
        }
        front.send(&out);
        assert_eq!(front.post("/echo", b"new").text(), "new");
        assert_eq!(front.get("/closed").text(), closed, "neither was run");
        assert_eq!(front.page.word(page::STARTED).load(Acquire), u64::from(front.next));
        // The beat is counted each millisecond in which a request runs, so these short ones may all fall between two.
        while front.page.word(page::BEAT).load(Acquire) == 0 {
            assert_eq!(front.get("/pieces").status, 200);
        }
        // It had returned what was taken back, and has nothing else: it sees the mark all the same.
        let begun = front.page.word(page::STARTED).load(Acquire);
        let mark = begun | page::TAKEN_BACK;
        front.page.word(page::STARTED).compare_exchange(begun, mark, AcqRel, Acquire).unwrap();
        let mut out = BytesMut::new();
        frame::ToWorkerFrame::Credit { id: 0, bytes: 0 }.encode(&mut out);
        front.send(&out);
        while front.page.word(page::STARTED).load(Acquire) != begun {
            std::thread::yield_now();
        }
    });
    assert_eq!(code, 0);
}
