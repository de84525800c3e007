//! A scoreboard whose worker is in the hands of somebody else: any words may stand on it, and the reader goes on.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

use gk_telemetry::{Board, Identity, Layout};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const THREADS: u32 = 70;

fn words() -> Vec<AtomicU64> {
    (0..Layout::new(THREADS).words()).map(|_| AtomicU64::new(0)).collect()
}

/// The words after the magic one and the number of threads, which say that it is a scoreboard at all.
fn fill(board: &[AtomicU64], word: impl Fn(u64) -> u64) {
    for (index, place) in board.iter().enumerate().skip(2) {
        place.store(word(index as u64), Relaxed);
    }
}

/// Numbers without a pattern.
fn scrambled(index: u64) -> u64 {
    (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

#[test]
fn any_words_are_read() {
    let written = words();
    let identity = Identity {
        pid: 1,
        worker: 1,
        process_group: "hostile",
        threads: THREADS,
        python: "3.14.0",
        started: 1,
        slow: 0,
        unread: false,
    };
    Board::create(&written[..], &identity).unwrap();
    /// Name, and the word at an index.
    type Pattern = (&'static str, fn(u64) -> u64);
    let patterns: [Pattern; 5] = [
        ("all bits", |_| u64::MAX),
        ("odd", |_| 1),
        ("the sign", |_| 1 << 63),
        ("scrambled", scrambled),
        ("odd and scrambled", |index| scrambled(index) | 1),
    ];
    let mut before = None;
    for (what, pattern) in patterns {
        fill(&written, pattern);
        let board = Board::open(&written[..]).unwrap();
        let begun = Instant::now();
        let sample = board.sample(0);
        // Each thread's words say that they are being written.
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
        for after in [sample.last, u64::MAX, u64::MAX - 1] {
            let _ = board.sample(after);
            let _ = board.collections(after);
        }
        let total = sample.total();
        if let Some(before) = before.replace(sample.clone()) {
            let change = sample.since(&before);
            let _ = (change.total(), total.since(&before.total()));
        }
        serde_json::to_string(&sample).unwrap();
    }
}
