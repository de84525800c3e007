//! Messages of `gilkeeper status`, `reload`, `drain` and `stop` to a running server over `SERVER_ROOT/control.sock`: one JSON line
//! up, JSON lines down; the last one has `done`.

use crate::certificates::CertificateFacts;
use serde::{Deserialize, Serialize};

/// File name of the control socket inside the server root.
pub const CONTROL_SOCKET: &str = "control.sock";

/// Lock file inside the server root. It holds the supervisor's process id.
pub const LOCK_FILE: &str = "server.lock";

/// Folder inside the server root with the files of a front that runs as another user than the supervisor: history, token,
/// bodies of requests. The front of the supervisor's own user has these in the server root.
pub const FRONT_FOLDER: &str = "front";

/// A command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// What runs.
    Status,
    /// Read the configuration again and replace every worker, or one group's.
    Reload {
        /// `None`: all.
        process_group: Option<String>,
    },
    /// Say "not ready" to load balancers and let go of their connections, while requests are served.
    Drain {
        /// Seconds until the answer.
        wait: f64,
        /// Take it back.
        undo: bool,
    },
    /// Replace the server by another one, which takes over its sockets.
    Upgrade {
        /// Program of the new server, and arguments before `serve`.
        program: Vec<String>,
    },
    /// End the server.
    Stop {
        /// Without waiting for requests.
        now: bool,
    },
}

impl Command {
    /// Its word on the command line.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Reload { .. } => "reload",
            Self::Drain { .. } => "drain",
            Self::Upgrade { .. } => "upgrade",
            Self::Stop { .. } => "stop",
        }
    }
}

/// A line of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    /// Something to show while it goes on.
    Progress {
        /// One sentence.
        text: String,
    },
    /// The status.
    Status {
        /// The figures.
        status: Box<Status>,
    },
    /// The command is done.
    Done {
        /// Whether it did what was asked.
        ok: bool,
        /// One sentence, with a traceback behind it where an import failed.
        text: String,
    },
}

/// State of a running server. `gilkeeper status --format json` prints it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Package version.
    pub version: String,
    /// Process id of the supervisor.
    pub pid: u32,
    /// Seconds since the supervisor started.
    pub uptime: f64,
    /// Counts up with each reload.
    pub generation: u64,
    /// It was told to drain: it serves, and says to load balancers that it is not ready.
    #[serde(default)]
    pub draining: bool,
    /// Addresses for clients.
    pub listen: Vec<String>,
    /// Address of the admin pages.
    pub admin: Option<String>,
    /// The front.
    pub front: Option<Front>,
    /// The workers.
    pub workers: Vec<Worker>,
    /// The certificates of hosts that speak TLS.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
}

/// A certificate in a status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// What is told of it.
    #[serde(flatten)]
    pub facts: CertificateFacts,
    /// Whole days until it expires; negative once it has.
    pub days_left: i64,
}

/// The front in a status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Front {
    /// Process id.
    pub pid: u32,
    /// `starting`, `ready`, `stopping`.
    pub state: String,
    /// Number of restarts after a crash.
    pub restarts: u64,
    /// Seconds without a sign of life.
    pub silent: f64,
    /// Processes that accept connections in its place, in embedded mode and with several fronts; `None`: it accepts them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepting: Option<u32>,
    /// It did not answer in time: its figures are not known, and are zero here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unanswered: bool,
    /// Its figures.
    #[serde(flatten)]
    pub figures: crate::control::FrontStatus,
}

/// A worker in a status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// Number.
    pub worker: u64,
    /// Process id.
    pub pid: u32,
    /// Process group's name.
    pub process_group: String,
    /// `starting`, `ready`, `failed` (an import failed; it answers 500), `leaving`, `stopping`.
    pub state: String,
    /// `shared`, `own` (an interpreter has its own GIL) or `free-threading`.
    pub gil_mode: String,
    /// Module that turned the GIL back on in a worker that is to run without it: `the module 'x'`.
    pub gil_returned: Option<String>,
    /// One of several fronts: it speaks HTTP, and runs no application.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub front: bool,
    /// Python's version.
    pub python: String,
    /// Effective seconds of the main interpreter, `None` without a GIL.
    pub switch_interval: Option<f64>,
    /// Request threads.
    pub threads: u32,
    /// Busy request threads.
    pub busy: u32,
    /// Requests finished.
    pub requests: u64,
    /// It did not answer in time: `busy`, `requests` and what its interpreters do are not known, and are zero or empty here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unanswered: bool,
    /// Seconds since it started.
    pub uptime: f64,
    /// Seconds without a sign of life.
    pub silent: f64,
    /// Generation it belongs to.
    pub generation: u64,
    /// Application groups that have an interpreter.
    pub application_groups: Vec<String>,
    /// Its interpreters, by application group.
    pub interpreters: Vec<crate::control::InterpreterFigures>,
    /// `eager` or `application`; "" before CPython 3.15, which has no lazy imports.
    #[serde(default)]
    pub lazy_imports: String,
    /// Requests that import a module or wait for the import lock just now, each in words.
    #[serde(default)]
    pub importing: Vec<String>,
}
