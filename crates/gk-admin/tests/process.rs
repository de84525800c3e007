//! The admin process from the front's side: its answers, its requests, its end. Here it is a thread of the test; the tests of the
//! whole product end the process and wait for the next one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

#[allow(dead_code, reason = "the hub's tests need more of it")]
mod support;

use gk_admin::{Parts, serve};
use gk_config::measurements::{AdminTls, Measurements};
use gk_messages::{decode, encode};
use gk_sys::descriptors;
use gk_telemetry::Record;
use gk_wire::control::{FrontStatus, MAX_PACKET, RequestStack};
use gk_wire::feed::{FromAdmin, FrontFigures, LinkFigures, ToAdmin};
use gk_wire::setup::{AdminSetup, LogSetup};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The front's side.
struct Front {
    socket: OwnedFd,
    pages: SocketAddr,
    process: JoinHandle<Result<(), String>>,
}

impl Front {
    fn start(server_root: &Path) -> Self {
        Self::start_with(server_root, Measurements::default())
    }

    fn start_with(server_root: &Path, measurements: Measurements) -> Self {
        Self::start_since(server_root, measurements, gk_sys::clock::epoch_seconds())
    }

    /// As the front that started at `started`, in epoch seconds.
    fn start_since(server_root: &Path, measurements: Measurements, started: f64) -> Self {
        let (socket, theirs) = descriptors::packet_pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pages = listener.local_addr().unwrap();
        let setup = AdminSetup {
            pages: true,
            server_root: server_root.to_owned(),
            folder: server_root.to_owned(),
            measurements: serde_json::to_value(measurements).unwrap(),
            log: LogSetup::default(),
            front: std::process::id(),
            front_started: started,
            supervisor: std::process::id(),
        };
        let parts = Parts { setup, front: theirs, pages: Some(listener.into()) };
        Self { socket, pages, process: std::thread::spawn(move || serve(parts)) }
    }

    /// The process has answered, and has its first figures: from then on it accepts connections.
    fn begins(&self) {
        assert_eq!(self.receive(), Some(FromAdmin::Ready));
        self.send(&ToAdmin::Figures(FrontFigures::default()), None);
        assert_eq!(self.receive(), Some(FromAdmin::Alive));
    }

    fn send(&self, message: &ToAdmin, descriptor: Option<&OwnedFd>) {
        let along: Vec<BorrowedFd<'_>> = descriptor.iter().map(|fd| fd.as_fd()).collect();
        descriptors::send(&self.socket, &encode(message), &along).unwrap();
    }

    /// The next message of the process; `None` when it has closed its socket.
    fn receive(&self) -> Option<FromAdmin> {
        let mut buffer = vec![0; MAX_PACKET];
        let got = descriptors::receive(&self.socket, &mut buffer, true).unwrap();
        (got.bytes > 0).then(|| decode(&buffer[..got.bytes]).unwrap())
    }

    /// Status and text of a page.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.pages).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    fn until(&self, path: &str, wanted: impl Fn(u16, &str) -> bool) {
        let begun = Instant::now();
        loop {
            let (status, answer) = self.get(path);
            if wanted(status, &answer) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{path}: {answer}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The front is gone.
    fn end(self) -> Result<(), String> {
        drop(self.socket);
        self.process.join().unwrap()
    }
}

fn worker() -> ToAdmin {
    let process_group = "site".into();
    ToAdmin::Worker(LinkFigures { worker: 4, pid: std::process::id(), process_group, threads: 2 })
}

#[test]
fn the_pages_show_the_messages_of_the_front() {
    let root = tempfile::tempdir().unwrap();
    let front = Front::start(root.path());
    front.begins();
    assert_eq!((front.get("/healthz").0, front.get("/readyz").0), (200, 503));
    let status = FrontStatus { connections: 7, ..FrontStatus::default() };
    front.send(&ToAdmin::Figures(FrontFigures { ready: true, status, ..FrontFigures::default() }), None);
    front.until("/readyz", |status, _| status == 200);
    assert_eq!(front.receive(), Some(FromAdmin::Alive));
    let (made, board, _) = support::scoreboard(0.0, 0);
    board.set_exact(true, "");
    front.send(&worker(), Some(&made));
    front.until("/api/v1/status", |_, answer| answer.contains(r#""process_group":"site""#));
    assert!(front.get("/api/v1/status").1.contains(r#""connections":7"#));
    assert!(front.get("/metrics").1.contains("gilkeeper_ready 1"));
    assert!(front.get("/").1.contains("Gilkeeper"));
    assert_eq!(front.get("/none").0, 404);
    front.send(&ToAdmin::End, None);
    assert_eq!(front.receive(), Some(FromAdmin::Said));
    assert_eq!(front.end(), Ok(()));
}

/// Reported: the front was stopped for 18 s, and the health checks answered 200.
#[test]
fn a_silent_front_is_no_health_until_it_speaks_again() {
    let root = tempfile::tempdir().unwrap();
    let front = Front::start(root.path());
    front.begins();
    let figures = ToAdmin::Figures(FrontFigures { ready: true, ..FrontFigures::default() });
    front.send(&figures, None);
    front.until("/readyz", |status, _| status == 200);
    front.until("/healthz", |status, text| status == 503 && text.contains("the front (pid "));
    let (status, text) = front.get("/readyz");
    assert!(status == 503 && text.contains("gives no sign of life for"), "{text}");
    assert!(front.get("/metrics").1.contains("gilkeeper_ready 0"));
    front.send(&figures, None);
    front.until("/healthz", |status, _| status == 200);
    assert_eq!(front.end(), Ok(()));
}

/// Reported: a test of the whole product failed when its workers were more than five seconds old. Met by everybody whose admin
/// process ended and was started again: the counters in `/metrics` fell to zero, since the new process took its own start for
/// the front's.
#[test]
fn counters_go_on_in_a_new_admin_process_of_the_same_front() {
    // Seconds since the start of the front and of the worker; how many of the worker's 40 requests count.
    for (front, worker, counted) in [(3_600.0, 600.0, 40), (600.0, 600.0, 40), (600.0, 3_600.0, 0)] {
        let root = tempfile::tempdir().unwrap();
        let started = gk_sys::clock::epoch_seconds() - front;
        let process = Front::start_since(root.path(), Measurements::default(), started);
        process.begins();
        let (made, board, now) = support::scoreboard(worker, 0);
        board.group("");
        for request in 0..40 {
            support::begin(&board, (now, 0.0), 0, "/", request, 0);
            board.finish(0, &Record { status: 200, ..Record::default() });
        }
        process.send(&self::worker(), Some(&made));
        process.until("/metrics", |_, page| page.contains("gilkeeper_threads{"));
        let page = process.get("/metrics").1;
        let line = page.lines().find(|line| line.starts_with("gilkeeper_requests_total{"));
        let count = line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap());
        assert_eq!(count, counted, "a front of {front} s and a worker of {worker} s");
        assert_eq!(process.end(), Ok(()));
    }
}

#[test]
fn a_stack_comes_from_the_front() {
    let root = tempfile::tempdir().unwrap();
    let front = Front::start(root.path());
    front.begins();
    front.send(&worker(), None);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| front.get("/api/v1/stack?worker=4&request=9"));
        assert_eq!(front.receive(), Some(FromAdmin::WantStack { worker: 4, request: 9 }));
        let stack =
            RequestStack { request: 9, stack: "File \"site.wsgi\"".into(), ..RequestStack::default() };
        front.send(&ToAdmin::Stack { worker: 4, stack }, None);
        let (status, answer) = asked.join().unwrap();
        assert!(status == 200 && answer.contains("site.wsgi"), "{answer}");
    });
    assert_eq!(front.end(), Ok(()));
}

#[test]
fn the_front_learns_why_the_process_cannot_serve() {
    let root = tempfile::tempdir().unwrap();
    let none = root.path().join("none.pem");
    let admin_tls = Some(AdminTls { certificate: none.clone(), key: none, client_authorities: None });
    let front = Front::start_with(root.path(), Measurements { admin_tls, ..Measurements::default() });
    let Some(FromAdmin::Refused { why }) = front.receive() else { panic!("it was not refused") };
    assert!(why.contains("none.pem"), "{why}");
    assert_eq!(front.receive(), None);
    assert_eq!(front.end(), Err(why));
}

/// Reported: a client that opened every connection of the admin port shut the health checks out, and a supervisor or load balancer
/// took the server for dead. Met where something on the machine leaks connections, or means to.
#[test]
fn a_client_with_all_connections_shuts_no_health_check_out() {
    let root = tempfile::tempdir().unwrap();
    let front = Front::start(root.path());
    front.begins();
    let status = FrontStatus::default();
    front.send(&ToAdmin::Figures(FrontFigures { ready: true, status, ..FrontFigures::default() }), None);
    front.until("/readyz", |status, _| status == 200);
    // More than there are places of either kind.
    let begun = Instant::now();
    let mut idle: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(front.pages).unwrap()).collect();
    for path in ["/healthz", "/readyz", "/healthz"] {
        assert_eq!(front.get(path).0, 200, "{path}");
    }
    if begun.elapsed() < Duration::from_secs(4) {
        assert_eq!(front.get("/api/v1/status").0, 503);
    }
    // Idle connections end in seconds, and with them the shortage.
    front.until("/api/v1/status", |status, _| status == 200);
    for stream in &mut idle {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut byte = [0];
        assert!(matches!(stream.read(&mut byte), Ok(0) | Err(_)));
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(front.end(), Ok(()));
}

#[test]
fn with_token_always_a_loopback_address_asks_for_it() {
    let root = tempfile::tempdir().unwrap();
    let front = Front::start_with(root.path(), Measurements { admin_token: true, ..Measurements::default() });
    front.begins();
    for (path, status) in
        [("/", 401), ("/metrics", 401), ("/api/v1/status", 401), ("/healthz", 200), ("/readyz", 503)]
    {
        assert_eq!(front.get(path).0, status, "{path}");
    }
    let token = std::fs::read_to_string(root.path().join("admin.token")).unwrap();
    assert_eq!(front.get(&format!("/?token={}", token.trim())).0, 303);
    assert_eq!(front.end(), Ok(()));
}
