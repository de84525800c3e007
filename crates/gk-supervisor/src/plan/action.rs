//! What the supervisor does, as values. Doing it is `perform.rs`'s.

use gk_wire::control::{ToFront, ToWorker};
use gk_wire::log::Level;

/// Something to do.
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
    /// Join the front and this worker with a fresh link.
    Link {
        /// The worker.
        worker: u64,
        /// Its process group.
        group: String,
        /// Its request threads.
        threads: u32,
    },
    /// Send the front a message.
    ToFront(ToFront),
    /// Send the front the (new) current configuration.
    SendSite {
        /// The generation it belongs to.
        generation: u64,
    },
    /// Send a worker a message.
    ToWorker {
        /// The worker.
        worker: u64,
        /// What.
        message: ToWorker,
    },
    /// Send the front a signal.
    SignalFront(i32),
    /// Send a worker a signal.
    SignalWorker {
        /// The worker.
        worker: u64,
        /// Which.
        signal: i32,
    },
    /// Read the configuration again; an `Event::Configured` follows.
    ReadConfiguration,
    /// That configuration is the current one from now on; all others are forgotten.
    Adopt {
        /// Which.
        configuration: u64,
    },
    /// That configuration is not going to be used.
    Forget {
        /// Which.
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
    /// Show these clients how it goes.
    Tell {
        /// Who asked.
        clients: Vec<u64>,
        /// One sentence.
        text: String,
    },
    /// Answer these clients for good.
    Answer {
        /// Who asked.
        clients: Vec<u64>,
        /// It was done.
        ok: bool,
        /// One sentence, with a traceback behind it where an import failed.
        text: String,
    },
    /// Everything serves: say so to the user (once).
    Announce,
    /// End the supervisor: no child is left.
    Exit {
        /// Exit code.
        code: i32,
    },
}

impl Action {
    /// A log record without a code.
    pub fn log(level: Level, text: impl Into<String>) -> Self {
        Self::Log { level, code: None, text: text.into() }
    }
}
