//! Something that happened to the server, as the supervisor tells the front, the front the admin process, and the pages people.

use serde::{Deserialize, Serialize};

/// Something that happened to the server, for people.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Happened {
    /// Epoch seconds.
    pub at: f64,
    /// What.
    pub what: What,
    /// Process group, where it concerns one.
    pub process_group: Option<String>,
    /// Worker number, where it concerns one.
    pub worker: Option<u64>,
    /// Process id, where it concerns one.
    pub pid: Option<u32>,
    /// Why, in one word: `maximum_requests`, `reload`, `crash` …
    pub reason: Option<String>,
    /// One sentence.
    pub text: String,
}

/// Kinds of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The front began to serve.
    FrontStarted,
    /// A worker's process began.
    WorkerStarted,
    /// A worker takes requests.
    WorkerReady,
    /// A worker takes requests, but an import failed.
    WorkerFailed,
    /// A worker ended as it should.
    WorkerLeft,
    /// A worker ended although nobody wanted it to.
    WorkerCrashed,
    /// A process of another server has stopped reporting.
    WorkerGone,
    /// A reload began.
    ReloadBegun,
    /// New workers serve.
    ReloadDone,
    /// New workers could not serve; the old ones stay.
    ReloadRefused,
    /// A module turned the GIL on again.
    GilReturned,
    /// A request takes long.
    SlowRequest,
    /// A process gives no sign of life.
    ProcessSilent,
    /// Workers die of a route's requests again and again.
    DeadlyRoute,
    /// Certificates were replaced.
    CertificatesReplaced,
    /// New certificates cannot be used; the old ones stay.
    CertificatesRefused,
    /// A certificate is about to expire, or has.
    CertificateExpires,
    /// Exceptions left the application.
    ExceptionRaised,
    /// Of another version.
    #[default]
    #[serde(other)]
    Other,
}

impl What {
    /// The word of the JSON form.
    pub fn word(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::FrontStarted => "front_started",
            Self::WorkerStarted => "worker_started",
            Self::WorkerReady => "worker_ready",
            Self::WorkerFailed => "worker_failed",
            Self::WorkerLeft => "worker_left",
            Self::WorkerCrashed => "worker_crashed",
            Self::WorkerGone => "worker_gone",
            Self::ReloadBegun => "reload_begun",
            Self::ReloadDone => "reload_done",
            Self::ReloadRefused => "reload_refused",
            Self::GilReturned => "gil_returned",
            Self::SlowRequest => "slow_request",
            Self::ProcessSilent => "process_silent",
            Self::DeadlyRoute => "deadly_route",
            Self::CertificatesReplaced => "certificates_replaced",
            Self::CertificatesRefused => "certificates_refused",
            Self::CertificateExpires => "certificate_expires",
            Self::ExceptionRaised => "exception_raised",
        }
    }
}

/// Reasons for which workers end, as events and `gilkeeper_worker_restarts_total` name them.
pub const ENDS: [&str; 17] = [
    "cpu_time_limit",
    "crash",
    "deadlock_timeout",
    "eviction_signal",
    "graceful_signal",
    "graceful_timeout",
    "import_failed",
    "inactivity_timeout",
    "killed",
    "link_lost",
    "maximum_requests",
    "out_of_memory",
    "reload",
    "request_timeout",
    "restart_interval",
    "shutdown_signal",
    "startup_timeout",
];
