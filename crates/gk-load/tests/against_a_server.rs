//! The generator against a small test server that records when each request came and went: the counts, and that latencies of an
//! open loop start at the moment a request was due.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use gk_load::{Failure, Load, Moment, Pace, Report, Request, Target, replay, run};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The server's record of a request.
#[derive(Debug, Clone)]
struct Seen {
    line: String,
    cookie: String,
    body: Vec<u8>,
    came: Instant,
    went: Instant,
}

/// Answers a request, given its number and its line: the bytes, and whether the connection ends.
type Answer = Box<dyn Fn(usize, &str) -> (Vec<u8>, bool) + Send + Sync>;

struct Server {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Serves one request at a time, all connections together: a stalled one holds up everybody.
fn serve(answer: impl Fn(usize, &str) -> (Vec<u8>, bool) + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let (all, answer): (_, Arc<Answer>) = (Arc::clone(&seen), Arc::new(Box::new(answer)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
            std::thread::spawn(move || connection(&stream.unwrap(), &all, &answer));
        }
    });
    Server { address, seen }
}

fn connection(stream: &TcpStream, all: &Mutex<Vec<Seen>>, answer: &Answer) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut line, mut cookie, mut length) = (String::new(), String::new(), 0);
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let came = Instant::now();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            match name {
                "Content-Length" => length = value.parse().ok()?,
                "Cookie" => cookie = value.to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut all = all.lock().unwrap();
        let (bytes, close) = answer(all.len(), line.trim());
        (&*stream).write_all(&bytes).ok()?;
        all.push(Seen { line: line.trim().to_owned(), cookie, body, came, went: Instant::now() });
        if close {
            return None;
        }
    }
}

fn load(server: &Server, seconds: f64) -> Load {
    let target = Target::parse(&format!("http://{}/", server.address)).unwrap();
    Load::new(target, Duration::from_secs_f64(seconds))
}

fn done(load: &Load) -> Report {
    run(load, |_| true).unwrap()
}

#[test]
fn requests_arrive_as_described() {
    let server = serve(|_, _| {
        (b"HTTP/1.1 200 OK\r\nSet-Cookie: s=1; Path=/\r\nContent-Length: 2\r\n\r\nok".to_vec(), false)
    });
    let mut load = load(&server, 0.2);
    (load.connections, load.keep_cookies) = (2, true);
    let post = Request { method: "POST".into(), weight: 1, body: b"x=1".to_vec(), ..Request::get("/b") };
    load.requests = vec![Request { weight: 3, ..Request::get("/a?q") }, post];
    let report = done(&load);
    let seen = server.seen.lock().unwrap().clone();
    assert!(report.responses > 10 && report.failed() == 0, "{report:?}");
    assert!(seen.len() as u64 >= report.responses && seen.len() as u64 <= report.responses + 2);
    let posts: Vec<&Seen> = seen.iter().filter(|one| one.line == "POST /b HTTP/1.1").collect();
    assert!((posts.len() as f64 / seen.len() as f64 - 0.25).abs() < 0.1);
    assert!(posts.iter().all(|one| one.body == b"x=1"));
    // The first request of each connection has none; their interleaving depends on the machine.
    let (with, without): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|one| one.cookie == "s=1");
    assert!(without.iter().all(|one| one.cookie.is_empty()) && (1..=2).contains(&without.len()));
    assert_eq!(with.len() + without.len(), seen.len());
    assert_eq!(report.statuses, [(200, report.responses)].into());
}

#[test]
fn failures_are_counted_by_kind() {
    let cases: [(Vec<u8>, bool, Failure); 3] = [
        (Vec::new(), true, Failure::Closed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".to_vec(), true, Failure::Cut),
        (b"220 smtp.example ready\r\n\r\n".to_vec(), false, Failure::Malformed),
    ];
    for (bytes, close, kind) in cases {
        // Every other one is fine.
        let server = serve(move |n, _| if n % 2 == 0 { (bytes.clone(), close) } else { (ok("ok"), false) });
        let report = done(&load(&server, 0.2));
        let failed = report.failures.get(&kind).copied().unwrap_or(0);
        assert!(failed > 0 && failed.abs_diff(report.responses) <= 2, "{kind:?}: {report:?}");
        assert_eq!(report.failures.len(), 1, "{kind:?}");
    }
    let server = serve(|_, line| {
        let status = if line.contains("/missing") { "404 Not Found" } else { "200 OK" };
        (format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes(), false)
    });
    let mut some = load(&server, 0.1);
    some.requests = vec![Request::get("/"), Request::get("/missing")];
    let report = done(&some);
    assert_eq!(report.failed(), report.statuses[&404]);
    assert_eq!(report.complaints(), [format!("{} with status 404", report.statuses[&404])]);
}

#[test]
fn without_keep_alive_each_request_has_a_connection() {
    let server = serve(|_, _| (ok("x"), true));
    let mut load = load(&server, 0.2);
    (load.keep_alive, load.connections) = (false, 4);
    let report = done(&load);
    assert!(report.responses > 10 && report.failed() == 0, "{report:?}");
}

#[test]
fn a_server_that_does_not_answer_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server { address: listener.local_addr().unwrap().to_string(), seen: Arc::default() };
    let mut load = load(&server, 1.0);
    load.timeout = Duration::from_millis(100);
    let report = done(&load);
    assert!(report.failures[&Failure::Timeout] >= 2 && report.responses == 0, "{report:?}");
    drop(listener);
    assert!(run(&load, |_| true).unwrap_err().starts_with("no connection to 127.0.0.1:"));
}

#[test]
fn an_ended_load_keeps_what_was_measured() {
    let server = serve(|_, _| (ok("x"), false));
    let mut moments = Vec::new();
    let load = Load { warm_up: Duration::from_millis(50), ..load(&server, 60.0) };
    let report = run(&load, |moment| {
        if !matches!(moment, Moment::Running(_)) {
            moments.push(moment);
        }
        !matches!(moment, Moment::Running(seconds) if seconds > 0.2)
    });
    let report = report.unwrap();
    assert_eq!(moments, [Moment::Begin, Moment::End]);
    assert!(report.responses > 0 && report.seconds > 0.1 && report.seconds < 30.0, "{report:?}");
}

/// The share `q` of sorted values.
fn quantile(values: &[f64], q: f64) -> f64 {
    values[((values.len() as f64 * q) as usize).min(values.len() - 1)]
}

/// The reference is the server's own record: request k was due k / rate after the schedule began, and ended when the server recorded
/// it. A stall of known length in the middle delays the requests that were due during it.
#[test]
fn an_open_loop_counts_from_the_moment_a_request_was_due() {
    const RATE: f64 = 500.0;
    const STALL: Duration = Duration::from_millis(300);
    let server = serve(|n, _| {
        if n == 400 {
            let end = Instant::now() + STALL;
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        }
        (ok("x"), false)
    });
    let mut load = load(&server, 2.0);
    (load.pace, load.connections) = (Pace::Rate(RATE), 8);
    let report = done(&load);
    let mut seen = server.seen.lock().unwrap().clone();
    seen.sort_by_key(|one| one.came);
    assert_eq!((report.responses, report.unsent, report.failed()), (1000, 0, 0));
    // No request is sent before it is due: each arrival bounds the begin of the schedule.
    let due = |k: usize| Duration::from_secs_f64(k as f64 / RATE);
    let began = seen.iter().enumerate().filter_map(|(k, one)| one.came.checked_sub(due(k))).min().unwrap();
    let mut went: Vec<Instant> = seen.iter().map(|one| one.went).collect();
    went.sort();
    let late = |(k, went): (usize, &Instant)| went.duration_since(began + due(k)).as_secs_f64();
    let mut reference: Vec<f64> = went.iter().enumerate().map(late).collect();
    reference.sort_by(f64::total_cmp);
    for q in [0.9, 0.95, 0.99, 0.999] {
        let (ours, theirs) = (report.quantile(q).unwrap(), quantile(&reference, q));
        assert!(
            (ours / theirs - 1.0).abs() < 0.1,
            "p{}: {ours} s, the server's record says {theirs} s",
            q * 100.0
        );
    }
    // One request in 1000 was slow itself; about 150 were due during it.
    assert!(report.quantile(0.9).unwrap() > 0.05);
    assert!(report.quantile(0.5).unwrap() < 0.05);
}

#[test]
fn a_log_is_replayed_at_its_times() {
    let server = serve(|_, _| (ok("x"), false));
    let text = "h - - [21/Nov/2026:10:00:00 +0000] \"GET /1 HTTP/1.1\" 200 1\n\
                h - - [21/Nov/2026:10:00:00 +0000] \"HEAD /2 HTTP/1.1\" 200 1\n\
                h - - [21/Nov/2026:10:00:02 +0000] \"GET /3 HTTP/1.1\" 200 1\n";
    let read = replay::read(text, 10.0).unwrap();
    let mut load = load(&server, 30.0);
    load.requests = read.requests;
    load.pace = Pace::Schedule(Arc::new(read.schedule));
    let begun = Instant::now();
    let report = done(&load);
    assert!(report.seconds < 10.0, "it ends with the log");
    let seen = server.seen.lock().unwrap().clone();
    let lines: Vec<&str> = seen.iter().map(|one| one.line.as_str()).collect();
    assert_eq!(lines[0], "GET /1 HTTP/1.1");
    assert!(seen.last().unwrap().came.duration_since(begun) >= Duration::from_millis(200));
}
