//! Actions of the supervisor, as values. `perform.rs` carries them out.

use gk_wire::control::{ToFront, ToWorker};
use gk_wire::handover::{ToPredecessor, ToSuccessor};
use gk_wire::log::Level;
use std::time::Duration;

/// An action.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Start a front with the current configuration.
    SpawnFront,
    /// Start a worker.
    SpawnWorker {
        /// Its number.
        worker: u64,
        /// Its process group.
        group: String,
        /// The configuration it is started from.
        configuration: u64,
        /// Its generation.
        generation: u64,
    },
    /// Connect the front and this worker with a new link.
    Link {
        /// The worker.
        worker: u64,
        /// Its process group.
        group: String,
        /// Its request threads.
        threads: u32,
        /// It imported its applications.
        imported: bool,
    },
    /// Send the front a message.
    ToFront(ToFront),
    /// Send the front a configuration. Its answer is `FromFront::Site`.
    SendSite {
        /// The configuration's number.
        configuration: u64,
        /// The generation it belongs to.
        generation: u64,
    },
    /// Send a worker a message.
    ToWorker {
        /// The worker.
        worker: u64,
        /// The message.
        message: ToWorker,
    },
    /// Send the front a signal.
    SignalFront(i32),
    /// Send a worker a signal.
    SignalWorker {
        /// The worker.
        worker: u64,
        /// The signal.
        signal: i32,
    },
    /// Look whether a debugger holds a process that gives no sign of life; an `Event::LookedForDebugger` follows.
    LookForDebugger {
        /// `None`: the front.
        worker: Option<u64>,
    },
    /// Close the listening sockets for clients: the server stops.
    CloseListeners,
    /// Read the configuration again; an `Event::Configured` follows.
    ReadConfiguration,
    /// Make a configuration the current one and forget all others.
    Adopt {
        /// Its number.
        configuration: u64,
        /// The generation it belongs to.
        generation: u64,
    },
    /// Forget a configuration that will not be used.
    Forget {
        /// Its number.
        configuration: u64,
    },
    /// Write to the error log.
    Log {
        /// Severity.
        level: Level,
        /// `WSGInnnn`, where there is one.
        code: Option<&'static str>,
        /// One sentence, or a sentence and a traceback.
        text: String,
    },
    /// Send these clients a line of progress.
    Tell {
        /// The clients that asked.
        clients: Vec<u64>,
        /// One sentence.
        text: String,
    },
    /// Send these clients their final answer.
    Answer {
        /// The clients that asked.
        clients: Vec<u64>,
        /// Whether it succeeded.
        ok: bool,
        /// One sentence, followed by the traceback of a failed import.
        text: String,
    },
    /// Tell the user that everything serves (once).
    Announce,
    /// Tell the service manager.
    Notify(Notice),
    /// Start the server that is to replace this one.
    SpawnSuccessor {
        /// Program, and arguments before `serve`.
        program: Vec<String>,
        /// Load balancers are to send their requests elsewhere, from it, too.
        draining: bool,
    },
    /// Send it a message.
    ToSuccessor(ToSuccessor),
    /// Send it a signal.
    SignalSuccessor(i32),
    /// It serves: control socket, pid file and socket files are its own, and the service manager is told.
    HandOver,
    /// Take these from the server that this one replaces.
    TakeOver,
    /// Send that server a message.
    ToPredecessor(ToPredecessor),
    /// End the supervisor: no child is left.
    Exit {
        /// Exit code.
        code: i32,
        /// Why the server gave up, the last words on standard error.
        why: Option<String>,
    },
}

/// A notice for the service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It serves.
    Ready,
    /// A reload begins: half a sentence says why.
    Reloading(String),
    /// A reload has ended, one way or the other.
    Reloaded(String),
    /// It ends.
    Stopping,
    /// Something to read in the status of the service.
    Status(String),
    /// It is at work and needs so much more time.
    Extend(Duration),
    /// A sign of life.
    Watchdog,
}

impl Action {
    /// A log record without a code.
    pub fn log(level: Level, text: impl Into<String>) -> Self {
        Self::Log { level, code: None, text: text.into() }
    }
}
