//! What can happen to the supervisor, as values. Where events come from (signals, sockets, clocks) is `supervisor.rs`'s.

use gk_wire::control::{FromFront, FromWorker};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Begin: once, first.
    Start,
    /// A timer may be due.
    Tick,
    /// The front's process exists.
    FrontStarted {
        /// Its process id.
        pid: u32,
    },
    /// The front's process could not be made.
    FrontNotStarted {
        /// One sentence.
        why: String,
    },
    /// The front's process has ended.
    FrontExited(Ended),
    /// The front says something.
    FromFront(FromFront),
    /// A worker's process exists.
    WorkerStarted {
        /// Its number.
        worker: u64,
        /// Its process id.
        pid: u32,
    },
    /// A worker's process could not be made.
    WorkerNotStarted {
        /// Its number.
        worker: u64,
        /// `WSGInnnn`, where there is one.
        code: Option<&'static str>,
        /// One sentence.
        why: String,
    },
    /// A worker's process has ended.
    WorkerExited {
        /// Its number.
        worker: u64,
        /// How.
        ended: Ended,
    },
    /// A worker says something.
    FromWorker {
        /// Its number.
        worker: u64,
        /// What.
        message: FromWorker,
    },
    /// The configuration that was asked for has been read.
    Configured(Result<Layout, String>),
    /// The signal HUP.
    Hangup,
    /// The signal USR1: replace every worker gracefully.
    Evict,
    /// The signals TERM and INT; each more of them is more urgent.
    Terminate,
    /// `gilkeeper reload`.
    Reload {
        /// Who asks.
        client: u64,
        /// One process group, or all.
        group: Option<String>,
    },
    /// `gilkeeper stop`.
    Stop {
        /// Who asks.
        client: u64,
        /// Without waiting for requests.
        now: bool,
    },
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// `exit status 1`, `signal 9 (KILL)`, with what is known about the reason.
    pub how: String,
    /// The status it exited with; `None` when a signal ended it.
    pub status: Option<i32>,
}

/// What the plan needs to know of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Number of the configuration, to be named in actions.
    pub configuration: u64,
    /// Process groups in order.
    pub groups: Vec<GroupSpec>,
    /// What the reader should know about it, one sentence each.
    pub remarks: Vec<String>,
}

/// What the plan needs to know of a process group. Timeouts are seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSpec {
    /// Name.
    pub name: String,
    /// Number of processes.
    pub processes: u32,
    /// Request threads of each; 0 is a service script, which gets no link.
    pub threads: u32,
    /// Longest time from process start to readiness; 0: without bound.
    pub startup_timeout: f64,
    /// Drain window.
    pub graceful_timeout: f64,
    /// Drain window of the signal USR1; 0: `graceful_timeout`.
    pub eviction_timeout: f64,
    /// From the order to stop to the kill; 0: never killed.
    pub shutdown_timeout: f64,
}

impl GroupSpec {
    /// Whether it runs a service script and takes no requests.
    pub fn service(&self) -> bool {
        self.threads == 0
    }
}
