//! Plain requests stand in their thread's slot until the batch ends, and a reader knows of them all the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod support;

use gk_telemetry::{Board, ThreadStage};
use gk_telemetry::{Plain, WorkerSample};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{Words, begin, board};

const ONE: Plain = Plain { queue: 3_000, daemon: 0, application: 5_000, bytes_out: 11 };

/// Requests by every count of them that there is.
fn counts(sample: &WorkerSample) -> [u64; 8] {
    let total = sample.total();
    [
        total.requests,
        total.writes,
        total.bytes_out / ONE.bytes_out,
        total.statuses.values().sum(),
        total.response.count(),
        total.queue.sum / ONE.queue,
        total.cpu.sum / u64::from(ONE.application),
        total.blocked.count(),
    ]
}

fn served(sample: &WorkerSample) -> [u64; 3] {
    let routes: u64 = sample.routes.iter().map(|route| route.requests).sum();
    [routes, sample.slots[0].completed, sample.slots[0].busy / u64::from(ONE.application)]
}

fn serving(board: &Board<Words>) -> impl FnMut(&str, bool) {
    board.set_floor(u64::MAX);
    let group = board.group("");
    let mut writer = board.writer(0).unwrap();
    move |path, last| {
        writer.begin(&begin(group, path));
        writer.finish_plain(ONE);
        if last {
            writer.end_batch();
        }
    }
}

#[test]
fn a_request_counts_before_its_batch_ends() {
    let board = board(1);
    let mut serve = serving(&board);
    // More than there is room for, and a route that changes in between.
    for n in 1..40 {
        serve(if n % 20 < 18 { "/a" } else { "/b" }, false);
        let sample = board.sample(0);
        assert_eq!((counts(&sample), served(&sample)), ([n; 8], [n; 3]));
        assert_eq!(sample.slots[0].state, ThreadStage::Idle);
    }
    drop(serve);
    assert_eq!(counts(&board.sample(0)), [39; 8]);
    // The thread's next writer goes on with what this one left.
    serving(&board)("/a", true);
    let sample = board.sample(0);
    assert_eq!((counts(&sample), served(&sample)), ([40; 8], [40; 3]));
}

#[test]
fn a_reader_counts_none_twice_and_misses_none_while_a_batch_ends() {
    const BATCHES: u64 = 3_000;
    let board = board(1);
    let (readings, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let (mut wrong, mut last) = (0, [0; 8]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut serve = serving(&board);
            for batch in 0..BATCHES {
                let (length, seen) = (batch % 9 + 1, readings.load(Ordering::Acquire));
                for n in 1..=length {
                    serve("/a", n == length);
                    done.fetch_add(1, Ordering::AcqRel);
                }
                // In the product requests take their time; here a reading meets the end of one batch, or of two: now at its
                // beginning, now at its end.
                while readings.load(Ordering::Acquire) == seen {
                    std::hint::spin_loop();
                }
                let from = Instant::now();
                while from.elapsed() < Duration::from_micros(batch % 64) {
                    std::hint::spin_loop();
                }
            }
        });
        while !writer.is_finished() {
            let before = done.load(Ordering::Acquire);
            let sample = board.sample(0);
            let after = done.load(Ordering::Acquire) + 1;
            readings.fetch_add(1, Ordering::AcqRel);
            last = counts(&sample);
            let all = last.into_iter().chain(served(&sample));
            let right = last == [last[0]; 8] && all.into_iter().all(|n| (before..=after).contains(&n));
            wrong += u64::from(!right);
        }
    });
    // A writer that loses the processor for long in the midst of it is not waited for.
    let readings = readings.into_inner();
    assert!(wrong * 20 <= readings, "{wrong} of {readings}");
    let all = (0..BATCHES).map(|batch| batch % 9 + 1).sum();
    assert_eq!(counts(&board.sample(0)), [all; 8], "after {last:?}");
}
