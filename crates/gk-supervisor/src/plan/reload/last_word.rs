//! What a reload or an upgrade says last, and what that waits for. `doors.rs` says when.

use std::collections::BTreeSet;
use std::time::Duration;

/// The last word.
#[derive(Debug)]
pub struct LastWord {
    /// The clients that asked.
    pub(super) clients: Vec<u64>,
    /// One sentence.
    pub(super) text: String,
    /// The old workers.
    pub(super) old: BTreeSet<u64>,
    /// The front is an old process, too.
    pub(super) front: bool,
    /// When it waits no longer.
    pub(super) deadline: Duration,
}

impl LastWord {
    pub(in crate::plan) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Time in which the supervisor did not run does not count.
    pub(in crate::plan) fn forgive(&mut self, gap: Duration) {
        self.deadline += gap;
    }
}
