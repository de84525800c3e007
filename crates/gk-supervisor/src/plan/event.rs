//! Events of the supervisor, as values. `supervisor.rs` makes them from signals, sockets and clocks.

use gk_config::site::ProcessGroup;
use gk_wire::control::{FromFront, FromWorker, LinkFault};
use gk_wire::handover::{ToPredecessor, ToSuccessor};
use std::time::Duration;

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Start of the server: once, first.
    Start,
    /// A timer may be due.
    Tick,
    /// The front's process exists.
    FrontStarted {
        /// Its process id.
        pid: u32,
    },
    /// The front's process could not be started.
    FrontNotStarted {
        /// One sentence.
        why: String,
    },
    /// The front's process has ended.
    FrontExited(ProcessEnd),
    /// A message from the front.
    FromFront(FromFront),
    /// A worker's process exists.
    WorkerStarted {
        /// Its number.
        worker: u64,
        /// Its process id.
        pid: u32,
    },
    /// A worker's process could not be started.
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
        /// How it ended.
        ended: ProcessEnd,
    },
    /// A message from a worker.
    FromWorker {
        /// Its number.
        worker: u64,
        /// The message.
        message: FromWorker,
    },
    /// A worker's control socket has ended or was misused, while its process may live.
    WorkerFault {
        /// Its number.
        worker: u64,
        /// How.
        fault: LinkFault,
        /// Half a sentence: `its control socket was closed`.
        why: String,
    },
    /// Answer to `Action::LookForDebugger`.
    LookedForDebugger {
        /// `None`: the front.
        worker: Option<u64>,
        /// A debugger holds the process.
        found: bool,
    },
    /// The configuration has been read again.
    Configured(Result<ConfigurationOutline, String>),
    /// The signal HUP.
    Hangup,
    /// The signal USR1: replace every worker gracefully.
    Evict,
    /// The signals TERM and INT; each further one is more urgent.
    Terminate,
    /// `gilkeeper reload`.
    Reload {
        /// The client that asks.
        client: u64,
        /// One process group, or all.
        group: Option<String>,
    },
    /// `gilkeeper drain`.
    Drain {
        /// The client that asks.
        client: u64,
        /// Time until the answer.
        wait: Duration,
        /// Take it back.
        undo: bool,
    },
    /// `gilkeeper stop`.
    Stop {
        /// The client that asks.
        client: u64,
        /// Do not wait for requests.
        now: bool,
    },
    /// Of an upgrade.
    Succession(Succession),
}

/// Events of an upgrade: another server replaces this one, or this one another.
#[derive(Debug, Clone, PartialEq)]
pub enum Succession {
    /// `gilkeeper upgrade`.
    Asked {
        /// The client that asks.
        client: u64,
        /// Program of the new server, and arguments before `serve`.
        program: Vec<String>,
    },
    /// The new server's process exists.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// It could not be started.
    NotStarted {
        /// One sentence.
        why: String,
    },
    /// A message of it.
    FromSuccessor(ToPredecessor),
    /// Its process has ended.
    Ended(ProcessEnd),
    /// In place of [`Event::Start`]: this server replaces another one.
    Inherit,
    /// A message of the server that is replaced.
    FromPredecessor(ToSuccessor),
    /// That server has closed its end.
    PredecessorGone,
}

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEnd {
    /// `exit status 1`, `signal 9 (KILL)`, with the reason if it is known.
    pub how: String,
    /// The status it exited with; `None` when a signal ended it.
    pub status: Option<i32>,
    /// The kernel killed it for want of memory.
    pub out_of_memory: bool,
}

/// The part of a configuration that the plan needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationOutline {
    /// Number of the configuration, used in actions.
    pub configuration: u64,
    /// Process groups in order.
    pub groups: Vec<ProcessGroup>,
    /// A first generation that cannot be imported is tried again; otherwise the server ends.
    pub keep_trying: bool,
    /// Seconds without a sign of life after which the front is replaced (0: never).
    pub front_timeout: f64,
    /// Remarks for the user, one sentence each.
    pub remarks: Vec<String>,
}
