//! Setup of a child process: the JSON in the memory file at descriptor 4. The supervisor writes it.

pub mod certificates;
pub mod passing;

use crate::log::{Area, Form, Level};
use certificates::Certificates;
pub use gk_options::ProcessGroup;
pub use gk_options::kind::duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Descriptor of the control socket in a child.
pub const CONTROL_FD: i32 = 3;
/// Descriptor of the setup file in a child.
pub const SETUP_FD: i32 = 4;
/// A worker's scoreboard: a memory file with as many words as `gk_telemetry::Layout` says for its threads. There is one
/// when [`WorkerSetup::scoreboard`] is set.
pub const SCOREBOARD_FD: i32 = 5;
/// First listening socket in the front. A worker that speaks HTTP itself has its own behind its scoreboard.
pub const FIRST_LISTENER_FD: i32 = 5;

/// Words of the memory file of lost log lines: the front's descriptor after the listening sockets and the access logs.
pub const LOST_LINES: usize = 2;
/// Number of the word that counts lost lines of the error log.
pub const LOST_ERROR_LINES: usize = 0;
/// Number of the word that counts lost lines of the access logs.
pub const LOST_ACCESS_LINES: usize = 1;

/// The admin pages' listening socket in the admin process, when [`AdminSetup::pages`] is set.
pub const PAGES_FD: i32 = 5;

/// For the front. `site` is a `gk_config::site::Site` as JSON (this crate does not know that type).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontSetup {
    /// The site.
    pub site: serde_json::Value,
    /// Log threshold and form.
    pub log: LogSetup,
    /// The listening sockets, in the order of their descriptors.
    pub listeners: Vec<ListenerSetup>,
    /// The admin page's socket is the last listener.
    pub admin: bool,
    /// Command of the admin process: a program and its arguments.
    #[serde(default)]
    pub admin_command: Vec<String>,
    /// Counts up with each reload.
    pub generation: u64,
    /// Folder that the front's user may write in: bodies of requests, history, token.
    pub folder: std::path::PathBuf,
    /// Of the hosts that speak TLS.
    #[serde(default)]
    pub certificates: Certificates,
    /// 32 random bytes that all fronts of this server have: the secret of the nonces of `AuthType Digest`. Empty: a front makes its own.
    #[serde(default)]
    pub secret: Vec<u8>,
}

/// For the admin process, from the front. `measurements` is a `gk_config::measurements::Measurements` as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdminSetup {
    /// Descriptor [`PAGES_FD`] is the pages' listening socket; without one there are none, and figures are sent only.
    pub pages: bool,
    /// Directory that names this server.
    pub server_root: std::path::PathBuf,
    /// Directory of the history and the token.
    pub folder: std::path::PathBuf,
    /// Where figures are sent, and the pages' TLS.
    pub measurements: serde_json::Value,
    /// Log threshold and form.
    pub log: LogSetup,
    /// The front's process id.
    pub front: u32,
    /// The front's start, in epoch seconds.
    pub front_started: f64,
    /// The supervisor's.
    pub supervisor: u32,
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSetup {
    /// Its address after binding: `127.0.0.1:8000`, `[::]:8000` or `unix:/path`.
    pub address: String,
    /// The admin pages speak TLS on it. Of the others the site says it.
    pub tls: bool,
}

/// Log thresholds and form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSetup {
    /// Lowest level written.
    pub level: Level,
    /// Lowest levels of areas that have one of their own.
    #[serde(default)]
    pub areas: BTreeMap<Area, Level>,
    /// Written form.
    #[serde(default)]
    pub form: Form,
}

impl LogSetup {
    /// Lowest level that a process of that area writes.
    pub fn level_of(&self, area: Area) -> Level {
        self.areas.get(&area).copied().unwrap_or(self.level)
    }
}

/// For one worker process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerSetup {
    /// Number of this worker, never used twice in a supervisor's life.
    pub worker: u64,
    /// The process group with all its options; a random number up to `maximum_requests_jitter` is in `maximum_requests`.
    pub group: ProcessGroup,
    /// Log threshold and form.
    pub log: LogSetup,
    /// `python-path=`, else `WSGIPythonPath`: `site.addsitedir` each, new entries to the front.
    pub python_path: Vec<String>,
    /// Of the main interpreter and all that share its GIL, in seconds.
    pub switch_interval: Option<f64>,
    /// The process was started without a GIL.
    pub without_gil: bool,
    /// Then it is not ready when a module turns the GIL back on (`free-threading=required`).
    pub gil_refused: bool,
    /// Scripts to import before `Ready`.
    pub imports: Vec<Import>,
    /// Interpreter settings in file order: (application-group selector, options).
    pub interpreters: Vec<InterpreterSetup>,
    /// `WSGIDestroyInterpreter`.
    pub destroy_interpreter: bool,
    /// `WSGISlowRequests`: requests whose application takes longer are kept, with a stack; seconds, 0: none.
    #[serde(default)]
    pub slow_requests: f64,
    /// `GilkeeperHolders`: waits for the GIL that last this long are booked to lines of the application; seconds, negative: the
    /// switch interval; `None`: no wait is.
    #[serde(default)]
    pub holders: Option<f64>,
    /// `GilkeeperLogConfig`: a dictionary for applications' own logging, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_config: Option<String>,
    /// Descriptor [`SCOREBOARD_FD`] is the worker's scoreboard. Without one nothing is measured.
    #[serde(default)]
    pub scoreboard: bool,
    /// Nobody reads it from outside: there is no admin process, so no samples of requests are kept.
    #[serde(default)]
    pub unread: bool,
    /// Embedded mode: it speaks HTTP itself.
    #[serde(default)]
    pub embedded: Option<EmbeddedSetup>,
    /// Requests come from the fronts within other workers, too.
    #[serde(default)]
    pub several_fronts: bool,
}

/// The HTTP side of a worker that speaks HTTP itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddedSetup {
    /// As for the front, without admin pages. Certificates come with the first link.
    pub front: FrontSetup,
    /// Number of the descriptors behind the worker's own: listening sockets, access logs, counts of lost lines, and with several processes
    /// both ends of the queue of [`passing`] and its words.
    pub descriptors: u32,
}

/// A script imported at start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Script file, or `package.module` when `module`.
    pub script: String,
    /// `script` is a module name.
    pub module: bool,
    /// Application group; "" is the main interpreter.
    pub application_group: String,
    /// A callable that must be there: a name, or an expression such as `create_app()`.
    pub callable: Option<String>,
    /// Without `application` its `app` will do.
    #[serde(default)]
    pub lone_app: bool,
    /// Its file is watched from the start, before a request has asked for it.
    pub reloading: bool,
}

/// Options of one interpreter scope that matches this worker's process group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InterpreterSetup {
    /// Selector; `None` matches every application group.
    pub application_group: Option<String>,
    /// Number of the block's selectors: more beat fewer, later beats earlier.
    pub specificity: u8,
    /// `WSGIPerInterpreterGIL`.
    pub per_interpreter_gil: Option<bool>,
    /// `WSGISwitchInterval`, seconds.
    pub switch_interval: Option<f64>,
    /// Additional `sys.path` entries.
    pub python_path: Vec<String>,
    /// `WSGIRestrictStdin`.
    pub restrict_stdin: Option<bool>,
    /// `WSGIRestrictStdout`.
    pub restrict_stdout: Option<bool>,
    /// `WSGIRestrictSignal`.
    pub restrict_signal: Option<bool>,
}
