//! Counting at the edges of the measured interval, and connections with an early response; against small test servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use gk_load::engine::{Engine, Shared};
use gk_load::request::Prepared;
use gk_load::{Load, Pace, Report, Request, Target, run};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

const BODY: usize = 1000;

/// Answers a request after its head was read; `false` ends the connection.
type Answer = fn(&mut BufReader<&TcpStream>, usize) -> bool;

/// Returns the address it listens on.
fn serve(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let stream = stream.unwrap();
                let mut reader = BufReader::new(&stream);
                while head(&mut reader).is_some_and(|length| answer(&mut reader, length)) {}
            });
        }
    });
    address
}

/// Reads a head; returns the length of the body.
fn head(reader: &mut BufReader<&TcpStream>) -> Option<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().ok()?,
            None if line.trim().is_empty() => return Some(length),
            _ => {}
        }
    }
}

fn fine(reader: &mut BufReader<&TcpStream>, _: usize) -> bool {
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n{}", "x".repeat(BODY));
    reader.get_mut().write_all(response.as_bytes()).is_ok()
}

fn mute(reader: &mut BufReader<&TcpStream>, _: usize) -> bool {
    reader.read(&mut [0]).is_ok_and(|count| count > 0)
}

/// Refuses the body without reading it, and keeps the connection.
fn too_large(reader: &mut BufReader<&TcpStream>, length: usize) -> bool {
    let said = reader.get_mut().write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").is_ok();
    // The refused body is read at the end, so that a following request would be understood.
    said && std::io::copy(&mut reader.take(length as u64), &mut std::io::sink()).is_ok()
}

/// The same, and ends the connection at once.
fn too_large_and_gone(reader: &mut BufReader<&TcpStream>, _: usize) -> bool {
    let _ = reader.get_mut().write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    false
}

fn load(address: SocketAddr, seconds: f64) -> Load {
    Load::new(Target::parse(&format!("http://{address}/")).unwrap(), Duration::from_secs_f64(seconds))
}

fn done(load: &Load) -> Report {
    run(load, |_| true).unwrap()
}

#[test]
fn due_requests_are_sent_even_when_the_generator_wakes_after_the_end() {
    let address = serve(fine);
    let second = 1_000_000_000;
    let shared = Shared {
        requests: vec![Prepared::new(&Request::get("/"), "h", true)],
        cycle: vec![0],
        address,
        keep_alive: true,
        keep_cookies: false,
        timeout: 60 * second,
        start: Instant::now() - Duration::from_secs(2),
        begin: second / 2,
        end: AtomicU64::new(second),
    };
    let report = Engine::new(&shared, Pace::Rate(100.0), 0, 1, 4).unwrap().run().unwrap();
    assert_eq!((report.responses, report.unsent, report.failed()), (50, 0, 0));
    assert_eq!(report.seconds, 0.5);
}

#[test]
fn a_closed_loop_invents_no_timeouts() {
    let address = serve(mute);
    let load = Load { timeout: Duration::from_secs(60), connections: 3, ..load(address, 0.1) };
    let report = done(&load);
    assert_eq!((report.responses, report.failed(), report.unanswered), (0, 0, 3), "{report:?}");
    let page = gk_load::text::page(&report, "x", false);
    assert!(page.contains("3 still under way") && page.contains("nothing was answered"), "{page}");
}

#[test]
fn a_slow_rate_lasts_for_the_whole_duration() {
    let address = serve(fine);
    let load = Load { pace: Pace::Rate(10.0), connections: 2, threads: 2, ..load(address, 0.55) };
    let report = done(&load);
    assert_eq!((report.responses, report.seconds, report.unsent), (6, 0.55, 0));
}

#[test]
fn bytes_are_those_of_the_measured_time() {
    let address = serve(fine);
    let load = Load { warm_up: Duration::from_millis(400), connections: 2, ..load(address, 0.1) };
    let report = done(&load);
    let each = BODY as u64 + 41;
    let counted = report.responses * each;
    assert!(report.responses > 10, "{report:?}");
    // In each connection a response may cross an edge of the interval.
    assert!(report.bytes.abs_diff(counted) <= 4 * each, "{} of {counted}", report.bytes);
}

#[test]
fn a_response_that_comes_early_is_counted_and_ends_the_connection() {
    for answer in [too_large as Answer, too_large_and_gone] {
        let address = serve(answer);
        let mut load = load(address, 0.2);
        load.requests =
            vec![Request { method: "POST".into(), body: vec![b'x'; 8 << 20], ..Request::get("/") }];
        let report = done(&load);
        assert!(report.responses > 0 && report.failures.is_empty(), "{report:?}");
        assert_eq!(report.statuses, [(413, report.responses)].into());
        // On a connection with a partly written request, the server would take the next one for the rest of it.
        assert_eq!(report.unanswered, 0);
    }
}

#[test]
fn the_first_address_that_answers_is_taken() {
    let address = serve(fine);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut load = load(address, 0.1);
    load.target.addresses = vec![closed, address];
    assert!(done(&load).responses > 0);
    load.target.addresses = vec![closed, closed];
    let why = run(&load, |_| true).unwrap_err();
    assert!(why.starts_with(&format!("no connection to {closed}: ")), "{why}");
}

#[test]
fn durations_beyond_all_measure_are_refused() {
    let address = serve(fine);
    for change in [
        (|l: &mut Load| l.duration = Duration::MAX) as fn(&mut Load),
        |l| l.warm_up = Duration::MAX,
        |l| l.timeout = Duration::MAX,
    ] {
        let mut load = load(address, 0.1);
        change(&mut load);
        let why = run(&load, |_| false).unwrap_err();
        assert!(why.contains("at most 86400 s"), "{why}");
    }
}
