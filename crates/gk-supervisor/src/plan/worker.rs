//! The supervisor's view of one worker process: a state machine. The process itself is `gk-worker`'s.
//!
//! ```text
//!              Ready, no failed import
//!   Starting ──────────────────────────▶ Ready ───┐  it says Leaving,
//!      │  │                                │      ├─ or it is replaced ─▶ Leaving
//!      │  └─── Ready, an import failed ─▶ Failed ─┘                         │
//!      │                                   │                                │ window over,
//!      │ startup-timeout, reload refused   │ it says Stopping,              │ it says Stopping
//!      ▼                                   ▼ server stops                   ▼
//!      └──────────────────────────────▶ Stopping ◀──────────────────────────┘
//!                                          │ shutdown-timeout: KILL
//!        any state ── process ends ──▶   (gone)
//! ```
//!
//! `Failed` serves too (each request tries the import again and gets its 500), but a reload never accepts it. A worker whose
//! GIL came back although the configuration refuses that is `Failed`, too.

use super::liveness::signs::Signs;
use gk_wire::control::ImportFailure;
use std::collections::BTreeSet;
use std::time::Duration;

/// The front process among the doors to a worker, beside the numbers of workers that speak HTTP.
pub const FRONT: u64 = 0;

/// State of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// The process exists or is about to; it has not reported.
    Starting,
    /// It imported everything.
    Ready,
    /// It serves, but an import failed.
    Failed,
    /// It gets no new requests and finishes those it has.
    Leaving,
    /// It was told to stop, or said that it stops.
    Stopping,
}

impl WorkerState {
    /// The word of `gilkeeper status`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Leaving => "leaving",
            Self::Stopping => "stopping",
        }
    }
}

/// A worker's report about itself when it became ready.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadyReport {
    /// Python's version.
    pub python: String,
    /// `shared`, `own` or `free-threading`.
    pub gil_mode: String,
    /// Seconds.
    pub switch_interval: Option<f64>,
}

/// The supervisor's view of one worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerHandle {
    /// Its number.
    pub worker: u64,
    /// Its process group's name.
    pub group: String,
    /// The generation it belongs to.
    pub generation: u64,
    /// Its process id, once there is one.
    pub pid: Option<u32>,
    /// Request threads.
    pub threads: u32,
    /// It speaks HTTP itself.
    pub embedded: bool,
    /// It is one of several fronts, and runs no application.
    pub front: bool,
    /// Its state.
    pub state: WorkerState,
    /// When it was started.
    pub started: Duration,
    /// When it reported, if it did.
    pub ready: Option<Duration>,
    /// That report.
    pub about: Option<ReadyReport>,
    /// The imports that failed.
    pub failed: Vec<ImportFailure>,
    /// Others succeeded.
    pub partly: bool,
    /// When the next, harder step is due; the state says which.
    pub deadline: Option<Duration>,
    /// Part of that time, at its start, in which it waited for a CPU.
    pub starved: Duration,
    /// Those through whom something new reaches it: itself, if it accepts connections; else, once it leaves, the numbers of the fronts that
    /// have not said yet that they give it nothing more.
    pub doors: BTreeSet<u64>,
    /// The front knows it.
    pub linked: bool,
    /// Seconds, of its process group.
    pub shutdown_timeout: f64,
    /// The same, for a group that the configuration in force does not have.
    pub graceful_timeout: f64,
    /// The generation from which on nobody else has its process group: it serves what fronts of earlier generations send.
    pub left_over: Option<u64>,
    /// Its signs of life.
    pub signs: Signs,
    /// Silence after which it is replaced; `None`: never.
    pub longest_silence: Option<Duration>,
    /// The module that turned its GIL back on against the configuration, and whether free threading is required.
    pub gil_returned: Option<(String, bool)>,
    /// Why it leaves or stops; the first reason counts.
    pub reason: Option<String>,
    /// A socket of it was closed: when it is replaced if its process does not end before, and why.
    pub cut: Option<(Duration, String)>,
    /// Its control socket was closed: it can be told nothing.
    pub deaf: bool,
    /// We killed it: its end needs no explanation.
    pub killed: bool,
    /// The kernel killed it for want of memory.
    pub out_of_memory: bool,
}

impl WorkerHandle {
    /// The word of `gilkeeper status` for its state. One that only serves what earlier fronts send leaves after them.
    pub fn word(&self) -> &'static str {
        match self.left_over {
            Some(_) if self.serves() => WorkerState::Leaving.word(),
            _ => self.state.word(),
        }
    }

    /// Whether it can be given requests.
    pub fn serves(&self) -> bool {
        matches!(self.state, WorkerState::Ready | WorkerState::Failed)
    }

    /// Whether it does what it is there for.
    pub fn is_useful(&self) -> bool {
        self.serves() && self.imported() && self.cut.is_none()
    }

    /// Whether its main thread waits for messages: not while it starts or ends, and a service script never does.
    pub fn reads_messages(&self) -> bool {
        let running = matches!(self.state, WorkerState::Ready | WorkerState::Failed | WorkerState::Leaving);
        running && !self.service() && !self.killed
    }

    /// Whether it runs a service script and takes no requests.
    pub fn service(&self) -> bool {
        self.threads == 0
    }

    /// Records why it leaves or stops.
    pub fn goes(&mut self, reason: &str) {
        self.reason.get_or_insert_with(|| reason.to_owned());
    }

    /// Whether its end is expected.
    pub fn departs(&self) -> bool {
        matches!(self.state, WorkerState::Leaving | WorkerState::Stopping)
    }

    /// Whether it reported and imported everything.
    pub fn imported(&self) -> bool {
        self.ready.is_some() && self.failed.is_empty()
    }

    /// Time for which it served; `None`: never, or only errors.
    pub fn served(&self, now: Duration) -> Option<Duration> {
        let serves = self.failed.is_empty() || self.service();
        self.ready.filter(|_| serves).map(|ready| now.saturating_sub(ready))
    }

    /// `worker 7 (pid 4711) of process group 'x'`.
    pub fn name(&self) -> String {
        match self.pid {
            Some(pid) => format!("worker {} (pid {pid}) of process group '{}'", self.worker, self.group),
            None => format!("worker {} of process group '{}'", self.worker, self.group),
        }
    }
}
