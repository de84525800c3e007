//! Messages between the supervisor and its children: a JSON object per packet of at most [`MAX_PACKET`] bytes, some with descriptors.

mod embedded;
mod figures;

pub use crate::happened::{Happened, What};
pub use embedded::{EmbeddedFigures, EmbeddedSpans};
pub use figures::{AdminProcess, FrontStatus, InterpreterFigures, WorkerFigures};
use serde::{Deserialize, Serialize};

/// Longest packet in bytes; longer texts (tracebacks) are cut by the sender.
pub const MAX_PACKET: usize = 128 * 1024;

/// Supervisor to front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToFront {
    /// A worker is ready. Descriptors: [link socket, worker page, scoreboard]; the scoreboard may be missing.
    Worker {
        /// Its number.
        worker: u64,
        /// Its process group.
        process_group: String,
        /// Its process id.
        pid: u32,
        /// Its request threads.
        threads: u32,
        /// It imported its applications.
        imported: bool,
    },
    /// Dispatch nothing more to this worker, answer with `FromFront::GivesNoMore`, and send `Drain` on its link after its last request.
    DrainWorker {
        /// Its number.
        worker: u64,
        /// Why, in one word.
        #[serde(default)]
        reason: String,
    },
    /// The process of this worker has ended (after its link ended or will end).
    WorkerExited {
        /// Its number.
        worker: u64,
        /// `exit status 1`, `signal 9 (KILL)` …, for the log.
        how: String,
        /// It died: neither it nor the supervisor had decided on its end.
        #[serde(default)]
        died: bool,
    },
    /// Before `Site`: descriptors of its access logs, at most four in one message, in the order of the site's files.
    AccessLogs,
    /// A new configuration (of a reload). Descriptor: [memory file with `FrontSetup`]. The answer is `FromFront::Site`.
    Site {
        /// Its number. 0: the supervisor is of a version that knows no answer.
        #[serde(default)]
        configuration: u64,
    },
    /// Be not ready for load balancers and end each connection with its next response, or take that back. Requests are served.
    Drain {
        /// Whether it is so from now on.
        on: bool,
    },
    /// Other certificates, revocation lists or ticket keys for the same configuration. Descriptor: [memory file with
    /// `certificates::Certificates`]. The answer is `FromFront::Certificates`.
    Certificates,
    /// Stop: close the listeners, finish what is there within so many seconds, then exit.
    Stop {
        /// Seconds.
        timeout: f64,
    },
    /// Before `Stop`: another server has taken over and has an admin process of its own, so this one's ends.
    HandedOver,
    /// Answer with `FromFront::Status`.
    Status {
        /// Returned in the answer.
        token: u64,
    },
    /// Answer with `FromFront::Alive`. Sent once a second, unless an answer is missing.
    Ping {
        /// Workers without a sign of life.
        silent: Vec<Silence>,
    },
    /// Something happened that the pages show.
    Happened(Happened),
    /// A worker that is to run without a GIL has one.
    GilReturned {
        /// Its number.
        worker: u64,
        /// `the module 'x'`, which turned it on.
        module: String,
        /// The configuration refuses that: the worker does not make its process group ready.
        refused: bool,
    },
    /// The figures of a worker that speaks HTTP itself.
    EmbeddedFigures {
        /// Its number.
        worker: u64,
        /// The figures.
        figures: EmbeddedFigures,
    },
    /// Requests of traces that a worker has answered which speaks HTTP itself.
    EmbeddedSpans(EmbeddedSpans),
    /// A running request's stack, which the front asked for or which is slow.
    Stack {
        /// Its worker.
        worker: u64,
        /// What it does.
        stack: RequestStack,
    },
}

/// A worker that gives no sign of life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Its number.
    pub worker: u64,
    /// Seconds since the oldest question without an answer.
    pub seconds: f64,
}

/// Front to supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromFront {
    /// It accepts connections.
    Ready,
    /// Every process group has a worker that takes requests and imported its applications, and the admin pages say so. Said once.
    Serving,
    /// Answer to `ToFront::Ping`.
    Alive,
    /// Answer to `ToFront::Site`.
    Site {
        /// The number of the configuration.
        configuration: u64,
        /// Why it is not in force, one sentence; the one before it stays.
        refused: Option<String>,
    },
    /// Answer to `ToFront::Certificates`.
    Certificates {
        /// Their number.
        number: u64,
        /// Why they are not in force, one sentence; those before them stay.
        refused: Option<String>,
    },
    /// The link handshake with a worker failed.
    LinkRefused {
        /// The worker.
        worker: u64,
        /// One sentence.
        why: String,
    },
    /// The link with a worker has ended before its process was reported to have ended. The front has dropped its end.
    LinkEnded {
        /// The worker.
        worker: u64,
        /// How.
        fault: LinkFault,
        /// One sentence.
        why: String,
    },
    /// Answer to `ToFront::DrainWorker`: from now on no request is given to this worker.
    GivesNoMore {
        /// The worker.
        worker: u64,
    },
    /// After `ToFront::Stop`: it accepts no more connections, and takes none from other processes.
    AcceptsNoMore,
    /// After `ToFront::Stop`, where other processes serve on: requests that waited have begun, and the end may take that long from now.
    EndsWithin {
        /// The time.
        seconds: f64,
    },
    /// The front sent `Drain` to this worker: its last request has ended.
    Drained {
        /// The worker.
        worker: u64,
    },
    /// Answer to `ToFront::Status`.
    Status {
        /// The question's.
        token: u64,
        /// The figures.
        status: FrontStatus,
    },
    /// Of a front within a worker, after `Alive`.
    EmbeddedFigures {
        /// The figures.
        figures: EmbeddedFigures,
    },
    /// Of a front within a worker, after its figures.
    EmbeddedSpans(EmbeddedSpans),
    /// The stack of a running request is wanted: `ToFront::Stack`.
    WantStack {
        /// Its worker.
        worker: u64,
        /// The front's number of the request.
        request: u64,
    },
}

/// How a worker's socket ended while its process may still live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkFault {
    /// The worker closed it, or died.
    Closed,
    /// The worker sent what is no message, damaged the shared memory, or the socket failed.
    Broken,
    /// The worker sent more than any worker has reason to: it is killed.
    Abused,
}

/// Supervisor to worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToWorker {
    /// A link to a (new) front. Descriptors: [link socket, worker page]; for a worker that speaks HTTP itself also [memory file with
    /// `certificates::Certificates`]. Such a worker accepts connections from its first link on.
    Link {
        /// The front: the number of the worker whose HTTP side it is, 0 for the front process.
        #[serde(default)]
        front: u64,
    },
    /// For a worker that speaks HTTP itself: `ToFront::Certificates`.
    Certificates,
    /// The same: `ToFront::Drain`.
    Drain {
        /// Whether it is so from now on.
        on: bool,
    },
    /// The same, with the message's descriptors: about workers of other process groups, which get requests from this one's front, too.
    ForFront {
        /// The message.
        message: ToFront,
    },
    /// Leave: announce it on the link, serve what the front sends until its `Drain`, then exit. After `timeout`
    /// seconds (0: without bound) stop anyway.
    Leave {
        /// For log and status.
        reason: String,
        /// Seconds.
        timeout: f64,
    },
    /// The server stops: run the shutdown callbacks now, so that streams and threads may end by themselves, and serve what the
    /// front sends until `Stop`.
    Stopping {
        /// What the callbacks are told.
        reason: String,
    },
    /// Stop now: run the shutdown callbacks that have not run, and exit within shutdown-timeout.
    Stop {
        /// For log and status.
        reason: String,
    },
    /// The reload that followed from its last `FromWorker::ScriptChanged` was refused: it serves on, with the code it has.
    ReloadRefused,
    /// Its process group is gone from the configuration, so that no newer process answers the requests that it is still sent: it serves them
    /// with the code it has, also where that has changed.
    NoSuccessors,
    /// Write the Python stacks of the busy request threads to the log.
    DumpStacks,
    /// Answer with `FromWorker::Stack`, if this request still runs.
    Stack {
        /// The front's number of the request.
        request: u64,
    },
    /// Answer with `FromWorker::Alive`. Sent once a second, unless an answer is missing.
    Ping,
    /// Answer with `FromWorker::Status`.
    Status {
        /// Returned in the answer.
        token: u64,
    },
    /// Watch these source files, too: a new worker that is not to serve has read them.
    Watch {
        /// What it said.
        files: Vec<SourceFile>,
    },
}

/// A source file that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its path.
    pub path: String,
    /// Its modification time when it was read: nanoseconds since 1970.
    pub read: Option<u64>,
}

/// Worker to supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromWorker {
    /// Python runs and every import was tried. The worker serves whether or not imports failed.
    Ready {
        /// `major.minor.micro`, with `t` for a free-threaded build.
        python: String,
        /// `shared`, `own` or `free-threading`.
        gil_mode: String,
        /// Effective seconds, `None` without a GIL.
        switch_interval: Option<f64>,
        /// The imports that failed.
        failed: Vec<ImportFailure>,
        /// Number of imports that succeeded.
        #[serde(default)]
        imported: u32,
    },
    /// Answer to `ToWorker::Ping`.
    Alive,
    /// Before a `Ready` with failures, where changes are watched: what its imports read last; the repair may be in these.
    Tried {
        /// The files.
        files: Vec<SourceFile>,
    },
    /// A module turned the GIL back on in a process that is to run without it. Logged by the worker.
    GilReturned {
        /// `the module 'x'`.
        module: String,
        /// The configuration refuses that: the worker is not ready any more.
        refused: bool,
    },
    /// A script it loaded, or a source file that it imported and that is watched, has another modification time now.
    ScriptChanged {
        /// The file.
        script: String,
    },
    /// It is leaving of its own accord (limit or timer): start a replacement.
    Leaving {
        /// `maximum_requests`, `restart_interval`, `inactivity_timeout`, `request_timeout`, `cpu_time_limit` …
        reason: String,
    },
    /// It has begun to stop.
    Stopping {
        /// The first reason recorded wins.
        reason: String,
    },
    /// Answer to `ToWorker::Status`.
    Status {
        /// The question's.
        token: u64,
        /// The figures.
        status: WorkerFigures,
    },
    /// Once a second, from a worker that speaks HTTP itself.
    EmbeddedFigures {
        /// The figures.
        figures: EmbeddedFigures,
    },
    /// From a worker that speaks HTTP itself: requests of traces, if there were some in the last second.
    EmbeddedSpans(EmbeddedSpans),
    /// From a worker that speaks HTTP itself: its front's `FromFront::LinkEnded` of a worker of another process group.
    LinkEnded {
        /// The other worker.
        worker: u64,
        /// How.
        fault: LinkFault,
        /// One sentence.
        why: String,
    },
    /// From a worker that speaks HTTP itself, after `ToWorker::Leave`: it accepts no more connections, and takes none from other processes.
    AcceptsNoMore,
    /// The same: its front's `FromFront::EndsWithin`.
    EndsWithin {
        /// The time.
        seconds: f64,
    },
    /// The same: its front gives no more requests to that worker of another process group.
    GivesNoMore {
        /// The other worker.
        worker: u64,
    },
    /// A request became slow, or its stack was asked for.
    Stack(RequestStack),
}

/// The Python stack of a running request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestStack {
    /// The front's number of the request.
    pub request: u64,
    /// Its id; empty on a site without them.
    pub id: String,
    /// Request thread, from 1.
    pub thread: u32,
    /// Application group.
    pub application_group: String,
    /// Method.
    pub method: String,
    /// Path without query string.
    pub path: String,
    /// Seconds it has been running in its thread.
    pub seconds: f64,
    /// Python's text, the innermost frame last, cut to 16 KiB.
    pub stack: String,
    /// It was not asked for: the request became slow.
    pub slow: bool,
}

/// An import that failed, with its traceback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFailure {
    /// Script or module.
    pub script: String,
    /// Application group.
    pub application_group: String,
    /// Python's traceback, cut to 16 KiB.
    pub traceback: String,
}
