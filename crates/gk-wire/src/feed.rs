//! Messages between the front and the admin process: JSON, one message per packet, as in [`crate::control`]. The front
//! never waits for an answer but the first one.

pub mod span;

use crate::certificates::CertificateFacts;
use crate::control::{FrontStatus, Happened, RequestStack};
use crate::setup::LogSetup;
use gk_telemetry::Answered;
use serde::{Deserialize, Serialize};
use span::FrontSpan;

/// Front to admin process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToAdmin {
    /// The present: once a second, and when [`FrontFigures::ready`] changes.
    Figures(FrontFigures),
    /// Answers since the front's start, as clients got them. Once a second for each group that had some: all groups together might not fit
    /// into one packet.
    Answered {
        /// Process group; empty: none.
        process_group: String,
        /// The answers.
        answered: Answered,
    },
    /// Requests of traces that are wanted, a few in each message.
    Spans {
        /// As the front saw them.
        spans: Vec<FrontSpan>,
        /// Those that found no room in the front since the last message.
        lost: u64,
    },
    /// There is a worker. Descriptor: [scoreboard], where it has one.
    Worker(LinkFigures),
    /// A worker's process has ended.
    Exited {
        /// Its number.
        worker: u64,
    },
    /// A worker takes no more requests.
    Leaving {
        /// Its number.
        worker: u64,
        /// Why, in one word.
        reason: String,
    },
    /// Something happened.
    Happened(Happened),
    /// The stack of a running request that was asked for.
    Stack {
        /// Its worker.
        worker: u64,
        /// What it does.
        stack: RequestStack,
    },
    /// The certificates of hosts that speak TLS, at the start and when they change.
    Certificates {
        /// What is told of each.
        facts: Vec<CertificateFacts>,
    },
    /// What an earlier admin process handed on: the first message to a later one. Descriptor: a memory file of the admin process's own.
    Kept,
    /// Log threshold and form after a reload.
    Log(LogSetup),
    /// The server ends: answer with [`FromAdmin::Said`] when everything has been said.
    End,
}

/// Admin process to front.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromAdmin {
    /// It takes connections: the first message.
    Ready,
    /// Answer to [`ToAdmin::Figures`].
    Alive,
    /// It cannot: the first message and the last.
    Refused {
        /// One sentence.
        why: String,
    },
    /// The stack of a running request is wanted: [`ToAdmin::Stack`].
    WantStack {
        /// Its worker.
        worker: u64,
        /// The front's number of the request.
        request: u64,
    },
    /// The front keeps this for the admin process after this one: [`ToAdmin::Kept`]. Descriptor: a memory file.
    Kept {
        /// Workers that have ended and are in it: their scoreboards are not needed any more.
        workers: Vec<u64>,
    },
    /// Answer to [`ToAdmin::End`].
    Said,
}

/// The front's own figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FrontFigures {
    /// Every process group has a worker that imported its applications and takes requests.
    pub ready: bool,
    /// The server was told to be not ready, so that load balancers send their requests elsewhere.
    #[serde(default)]
    pub draining: bool,
    /// Counts up with each reload.
    pub generation: u64,
    /// Connections, requests, queues.
    pub status: FrontStatus,
    /// Access-log lines that were lost.
    pub lost_log_lines: u64,
    /// Error-log lines that were lost.
    #[serde(default)]
    pub lost_error_lines: u64,
    /// Requests refused before their head was understood.
    #[serde(default)]
    pub malformed_requests: u64,
    /// Connections closed because their address had as many as it may.
    #[serde(default)]
    pub refused_connections: u64,
    /// Connections closed because they did not begin with the header of the PROXY protocol.
    #[serde(default)]
    pub unproxied_connections: u64,
    /// Bytes of responses that wait for slow clients, in memory and in files.
    #[serde(default)]
    pub waiting_responses: (u64, u64),
    /// A line for each worker that has a GIL although it is to run without.
    pub remarks: Vec<String>,
    /// A line for each process group without a worker that imported its applications and takes requests.
    pub waiting: Vec<String>,
    /// A line for each worker without a sign of life.
    pub silent: Vec<String>,
    /// Seconds since the supervisor gave a sign of life.
    pub supervisor_silent: u32,
}

/// A link to a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFigures {
    /// Its number.
    pub worker: u64,
    /// Its process id.
    pub pid: u32,
    /// Its process group.
    pub process_group: String,
    /// Its request threads.
    pub threads: u32,
}
