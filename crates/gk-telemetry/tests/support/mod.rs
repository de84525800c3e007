//! A scoreboard in a vector, for tests. What they record and expect stands in each.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test takes what it needs; one that cannot go on may stop"
)]

use gk_telemetry::{Begin, Layout};
use gk_telemetry::{Board, Identity, ThreadStage};
use std::sync::atomic::AtomicU64;

pub type Page = Vec<AtomicU64>;

/// A vector as the words of a page.
pub struct Words(pub Page);

impl std::ops::Deref for Words {
    type Target = [AtomicU64];
    fn deref(&self) -> &[AtomicU64] {
        &self.0
    }
}

/// A page of zeros for so many request threads.
pub fn page(threads: u32) -> Words {
    Words((0..Layout::new(threads).words()).map(|_| AtomicU64::new(0)).collect())
}

/// The scoreboard of a worker with so many of them.
pub fn board(threads: u32) -> Board<Words> {
    let identity = Identity {
        pid: 7,
        worker: 3,
        process_group: "site",
        threads,
        python: "3.14.2",
        ..Identity::default()
    };
    Board::create(page(threads), &identity).unwrap()
}

/// A request of that path begins.
pub fn begin(group: u16, path: &str) -> Begin<'_> {
    Begin {
        request: 1,
        start: 1,
        now: 1,
        cpu: 0,
        queue: 5,
        group,
        method: b"GET",
        uri: path.as_bytes(),
        target: path.as_bytes(),
        state: ThreadStage::Starting,
        id: b"",
        traced: false,
    }
}
