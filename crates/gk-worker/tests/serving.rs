//! One real worker with a real CPython in this process, and a front made of the codec: what applications see and what each
//! of their failures gives. Each test is a process of its own (nextest), because CPython starts once per process.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

use bytes::BytesMut;
use gk_sys::fds;
use gk_sys::page::SharedPage;
use gk_wire::control::{self, FromWorker, ToWorker};
use gk_wire::frame::{self, ToFrontFrame, ToWorkerFrame};
use gk_wire::log::Level;
use gk_wire::page;
use gk_wire::request::{Numbers, Profile, RequestWriter, Texts};
use gk_wire::response::HeadView;
use gk_wire::setup::{Import, LogSetup, Timers, WorkerSetup};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

struct Answer {
    status: u16,
    flags: u8,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    aborted: bool,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

struct Front {
    socket: OwnedFd,
    control: OwnedFd,
    page: SharedPage,
    buffer: BytesMut,
    next: u32,
}

impl Front {
    fn send(&self, frames: &BytesMut) {
        let mut sent = 0;
        while sent < frames.len() {
            sent += fds::send(&self.socket, &frames[sent..], &[]).unwrap();
        }
    }

    fn message(&self) -> FromWorker {
        let mut packet = vec![0; control::MAX_PACKET];
        let got = fds::receive(&self.control, &mut packet, true).unwrap();
        control::decode(&packet[..got.bytes]).unwrap()
    }

    fn tell(&self, message: &ToWorker) {
        fds::send(&self.control, &control::encode(message), &[]).unwrap();
    }

    fn request(&mut self, path: &str, method: &str, body: &[u8], out: &mut BytesMut) -> u32 {
        self.next += 1;
        let numbers = Numbers {
            profile: 1,
            version: 11,
            https: false,
            server_port: 8000,
            remote_port: 5000,
            request_id: u64::from(self.next),
            connection_id: 1,
            request_start: 1.5,
            queue_start: 2.5,
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let texts = Texts {
            method: method.as_bytes(),
            uri: path.as_bytes(),
            script_name: b"",
            path_info: path.as_bytes(),
            query: query.as_bytes(),
            server_name: b"localhost",
            server_addr: b"127.0.0.1",
            remote_addr: b"127.0.0.1",
        };
        let mut writer = RequestWriter::begin(out, self.next, body.is_empty(), &numbers, &texts);
        writer.pair(b"HTTP_HOST", b"localhost:8000");
        writer.finish();
        for (index, piece) in body.chunks(frame::CHUNK).enumerate() {
            let end = (index + 1) * frame::CHUNK >= body.len();
            ToWorkerFrame::Body { id: self.next, end, data: piece }.encode(out);
        }
        self.next
    }

    /// Reads until the response of `id` is over, giving credit for what it reads.
    fn answer(&mut self, id: u32) -> Answer {
        let mut answer = Answer { status: 0, flags: 0, headers: vec![], body: vec![], aborted: false };
        loop {
            while let Some((header, payload, used)) = frame::split(&self.buffer).unwrap() {
                let mut over = false;
                let mut credit = 0;
                match ToFrontFrame::decode(header, payload).unwrap() {
                    ToFrontFrame::Head { id: of, flags, payload } if of == id => {
                        let head = HeadView::decode(payload).unwrap();
                        answer.status = head.status;
                        answer.flags = flags;
                        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                        answer.headers = head.headers().map(|(n, v)| (text(n), text(v))).collect();
                        over = flags & frame::END != 0;
                    }
                    ToFrontFrame::Data { id: of, end, data } if of == id => {
                        answer.body.extend_from_slice(data);
                        credit = data.len() as u32;
                        over = end;
                    }
                    ToFrontFrame::Abort { id: of, .. } if of == id => {
                        answer.aborted = true;
                        over = true;
                    }
                    ToFrontFrame::Return { id: of } if of == id => over = true,
                    _ => {}
                }
                let _ = self.buffer.split_to(used);
                if credit > 0 {
                    let mut out = BytesMut::new();
                    ToWorkerFrame::Credit { id, bytes: credit }.encode(&mut out);
                    self.send(&out);
                }
                if over {
                    return answer;
                }
            }
            let mut piece = vec![0; 65536];
            let got = fds::receive(&self.socket, &mut piece, true).unwrap();
            assert!(got.bytes > 0, "the worker ended while a response was awaited");
            self.buffer.extend_from_slice(&piece[..got.bytes]);
        }
    }

    fn get(&mut self, path: &str) -> Answer {
        let mut out = BytesMut::new();
        let id = self.request(path, "GET", b"", &mut out);
        self.send(&out);
        self.answer(id)
    }

    fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        let mut out = BytesMut::new();
        let id = self.request(path, "POST", b"", &mut BytesMut::new());
        self.next -= 1;
        assert_eq!(self.request(path, "POST", body, &mut out), id);
        self.send(&out);
        self.answer(id)
    }
}

fn setup(threads: u32, script: &Path) -> WorkerSetup {
    WorkerSetup {
        worker: 1,
        process_group: "app".to_owned(),
        processes: 1,
        multiprocess: false,
        threads,
        stack_size: None,
        log: LogSetup { level: Level::Warn, json: false },
        display_name: None,
        home: None,
        python_path: vec![],
        switch_interval: None,
        imports: vec![Import {
            script: script.display().to_string(),
            module: false,
            application_group: String::new(),
            callable: Some("application".to_owned()),
            reloading: true,
        }],
        interpreters: vec![],
        destroy_interpreter: true,
        timers: Timers { shutdown_timeout: 5.0, ..Timers::default() },
        locale: None,
    }
}

/// Runs a worker on this thread (Python's main thread) and `with` on another, which gets the front's end.
fn with_worker(
    threads: u32,
    source: &str,
    group: &str,
    with: impl FnOnce(&mut Front) + Send + 'static,
) -> i32 {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("app.py");
    std::fs::write(&script, source).unwrap();
    let setup = setup(threads, &script);
    let (supervisor, control) = fds::packet_pair().unwrap();
    let (socket, theirs) = fds::stream_pair().unwrap();
    let page = SharedPage::create().unwrap();
    let profile = Profile {
        script: script.display().to_string(),
        module: false,
        callable: "application".to_owned(),
        application_group: group.to_owned(),
        script_reloading: true,
        ignore_activity: false,
        sendfile: true,
        environ: vec![("SERVER_SOFTWARE".to_owned(), "Gilkeeper".to_owned())],
    };
    let front = std::thread::spawn(move || {
        let mut front = Front {
            socket,
            control: supervisor,
            page: SharedPage::map(&page).unwrap(),
            buffer: BytesMut::new(),
            next: 0,
        };
        fds::send(&front.control, &control::encode(&ToWorker::Link), &[theirs.as_fd(), page.as_fd()])
            .unwrap();
        drop(theirs);
        let mut out = BytesMut::new();
        let hello = gk_wire::frame::Hello {
            protocol: gk_wire::PROTOCOL_VERSION,
            package: gk_wire::PACKAGE_VERSION.to_owned(),
            pid: 1,
        };
        ToWorkerFrame::Hello(&serde_json::to_vec(&hello).unwrap()).encode(&mut out);
        ToWorkerFrame::Profile { number: 1, json: &serde_json::to_vec(&profile).unwrap() }.encode(&mut out);
        front.send(&out);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| with(&mut front)));
        front.tell(&ToWorker::Stop { reason: "shutdown_signal".to_owned() });
        (outcome, front)
    });
    let code = gk_python::entry::embed(|py| gk_worker::run_with(py, control, setup));
    let (outcome, _front) = front.join().unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    code
}

const APPS: &str = r#"
import sys
CLOSED = []

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
        let started = front.page.word(gk_wire::page::STARTED).load(std::sync::atomic::Ordering::Acquire);
        assert_eq!(started, u64::from(front.next), "every request was counted as started");
    });
    assert_eq!(code, 0);
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
