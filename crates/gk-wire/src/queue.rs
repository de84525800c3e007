//! The figures of a process group's queue, from the front to the supervisor's status and the admin pages.

use serde::{Deserialize, Serialize};

/// The queue of a process group. Counters are since the front started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueFigures {
    /// A request was refused for want of capacity in the last ten seconds.
    pub overloaded: bool,
    /// Bytes of memory that the waiting requests hold.
    pub held: u64,
    /// Requests refused because of `queue-memory`.
    pub full: u64,
    /// Requests refused after `queue-timeout`.
    pub timed_out: u64,
    /// Requests refused after `connect-timeout` without a worker.
    pub no_worker: u64,
    /// Requests refused after `connect-timeout` behind `listen-backlog` others.
    pub no_place: u64,
    /// Requests tried again because their worker died.
    pub retried: u64,
    /// Routes whose requests workers die of.
    pub deadly: Vec<DeadlyRoute>,
}

impl QueueFigures {
    /// Adds those of another queue of the same process group.
    pub fn add(&mut self, other: &Self) {
        self.overloaded |= other.overloaded;
        self.held += other.held;
        self.full += other.full;
        self.timed_out += other.timed_out;
        self.no_worker += other.no_worker;
        self.no_place += other.no_place;
        self.retried += other.retried;
        self.deadly.extend(other.deadly.iter().cloned());
    }
}

/// A route whose requests workers die of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadlyRoute {
    /// Method and start of the path.
    pub route: String,
    /// Workers that died of it lately.
    pub deaths: u32,
}
