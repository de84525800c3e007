//! Counters go on from one admin process to the next, whatever has ended between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

#[expect(dead_code, reason = "it takes scoreboards alone")]
mod support;

use gk_admin::kept::hub::{Front, Hub};
use gk_admin::told::prometheus;
use gk_telemetry::Record;
use gk_wire::control::{Happened, What};
use gk_wire::feed::{LinkFigures, ToAdmin};
use std::os::fd::OwnedFd;

/// A front that is an hour old, and its admin process.
fn hub() -> Hub {
    Hub::of_this_server(Front { pid: 1, started: gk_sys::clock::epoch_seconds() - 3_600.0 }, 0.0)
}

/// The counters of a page: requests, those with an exception of a type, crashes.
fn counters(hub: &Hub) -> [f64; 3] {
    let page = prometheus::page(hub, false);
    let of = |start: &str, part: &str| {
        let lines = page.lines().filter(|line| line.starts_with(start) && line.contains(part));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    [
        of("gilkeeper_requests_total", "code="),
        of("gilkeeper_request_exceptions_total", "type=\"ValueError\""),
        of("gilkeeper_worker_restarts_total", "reason=\"crash\""),
    ]
}

/// A worker `ago` seconds old that has served `requests`; its scoreboard.
fn worker(number: u64, ago: f64, requests: u64) -> (ToAdmin, OwnedFd) {
    let (file, board, _) = support::scoreboard(ago, 0);
    board.group("");
    for _ in 0..requests {
        support::begin(&board, (0.0, 0.1), 0, "/", 1, 0);
        board.raised(0, "ValueError");
        board.finish(0, &Record { status: 500, error: true, exception: true, ..Record::default() });
    }
    let link =
        LinkFigures { worker: number, pid: std::process::id(), process_group: "site".into(), threads: 2 };
    (ToAdmin::Worker(link), file)
}

fn crash(hub: &mut Hub, worker: u64, now: f64) {
    let happened = Happened {
        what: What::WorkerCrashed,
        worker: Some(worker),
        process_group: Some("site".into()),
        ..Happened::default()
    };
    hub.receive(ToAdmin::Happened(happened), None, now);
    hub.receive(ToAdmin::Exited { worker }, None, now);
}

/// Reported: `increase()` over a restart of the admin process was wrong, since it forgot what workers had done that ended before.
#[test]
fn ended_workers_count_in_the_next_process_too() {
    let mut first = hub();
    let mut now = gk_sys::clock::epoch_seconds();
    for (number, requests) in [(1, 7), (2, 5)] {
        let (message, file) = worker(number, 60.0, requests);
        first.receive(message, Some(file), now);
    }
    // Older than the front: what it did before does not count.
    let (old, file) = worker(3, 7_200.0, 11);
    let scoreboard = file.try_clone().unwrap();
    first.receive(old.clone(), Some(file), now);
    first.advance(now);
    assert_eq!(counters(&first), [12.0, 12.0, 0.0]);
    let (kept, ended) = first.hand_on().unwrap();
    assert_eq!(ended, [] as [u64; 0], "the first reading of the old worker");
    assert!(first.hand_on().is_none(), "nothing has changed");
    drop(kept);
    crash(&mut first, 1, now);
    let mut told = Vec::new();
    let mut last = None;
    for _ in 0..10 {
        now += 1.0;
        first.advance(now);
        if let Some((file, ended)) = first.hand_on() {
            told.extend(ended);
            last = Some(file);
        }
    }
    assert_eq!(told, [1]);
    let before = counters(&first);
    assert_eq!(before, [12.0, 12.0, 1.0]);
    drop(first);

    // Worker 2 ends while no process looks; the front has its scoreboard still.
    let mut second = hub();
    second.receive(ToAdmin::Kept, last, now);
    let (message, file) = worker(2, 60.0, 5);
    second.receive(message, Some(file), now);
    second.receive(old, Some(scoreboard), now);
    second.receive(ToAdmin::Exited { worker: 2 }, None, now);
    second.advance(now + 1.0);
    assert_eq!(counters(&second), before);
    for second_of in 2..12 {
        second.advance(now + f64::from(second_of));
    }
    assert_eq!(counters(&second), before);
    let (_, ended) = second.hand_on().unwrap();
    assert_eq!(ended, [2]);
}

#[test]
fn a_file_that_is_not_understood_is_none() {
    let mut hub = hub();
    let file = gk_sys::descriptors::memory_file("test", b"nonsense").unwrap();
    hub.receive(ToAdmin::Kept, Some(file.into()), 1.0);
    hub.receive(ToAdmin::Kept, None, 1.0);
    assert_eq!(counters(&hub), [0.0; 3]);
}

/// The seconds of a process group's threads on a page.
fn busy(hub: &Hub) -> f64 {
    let page = prometheus::page(hub, false);
    let lines = page
        .lines()
        .filter(|line| line.starts_with("gilkeeper_busy_thread_seconds_total{process_group=\"site\""));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Reported: threads that were stuck showed nothing in `/metrics` until their requests ended. Met in Grafana, where a deadlock looked as idle
/// as the night.
#[test]
fn time_is_counted_as_it_passes_and_goes_on_in_the_next_process() {
    let mut worker = support::Worker::in_hub(hub(), 60.0, 0);
    worker.board.group("");
    worker.second();
    assert_eq!(busy(&worker.hub), 0.0);
    let began = std::time::Instant::now();
    worker.begin(0, "/stays", 9, 0.0, 0);
    while busy(&worker.hub) < 0.01 {
        assert!(began.elapsed().as_secs() < 60, "nothing is booked");
        worker.second();
    }
    let (file, _) = worker.hub.hand_on().unwrap();
    let before = busy(&worker.hub);
    // One thread cannot have been busy for longer than the clock says.
    assert!(before <= began.elapsed().as_secs_f64() + 0.01, "{before}");
    worker.board.finish(0, &Record { status: 200, blocked: 1_000_000, ..Record::default() });
    worker.second();
    assert!(busy(&worker.hub) >= before, "a counter never falls");
    let mut next = hub();
    next.receive(ToAdmin::Kept, Some(file), worker.now);
    assert!((busy(&next) - before).abs() < 1e-6);
}
