//! Single requests with the process they run in: those in flight, and those that finished.

use gk_telemetry::sample::{Finished, InFlight};
use serde::{Deserialize, Serialize};

/// A request in flight.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of `InFlight`")]
pub struct RunningRequest {
    pub request: u64,
    pub thread: u32,
    pub method: String,
    pub path: String,
    pub route: String,
    pub application_group: String,
    /// Seconds since the front received its head.
    pub seconds: f64,
}

impl RunningRequest {
    /// The request of a thread's slot. `now`: epoch seconds.
    pub fn new(request: &InFlight, thread: u32, now: f64) -> Self {
        Self {
            request: request.request,
            thread,
            method: request.method.clone(),
            path: request.path.clone(),
            route: request.route.clone(),
            application_group: request.application_group.clone(),
            seconds: (now - request.start as f64 / 1e9).max(0.0),
        }
    }
}

/// A finished request with the process it ran in.
#[derive(Debug, Clone)]
pub struct FinishedRequest {
    /// Process group.
    pub process_group: String,
    /// Process id.
    pub pid: u32,
    /// The request.
    pub finished: Finished,
}

impl FinishedRequest {
    /// Seconds in its process, which are compared with `WSGISlowRequests`.
    pub fn seconds(&self) -> f64 {
        self.finished.record.daemon.saturating_add(self.finished.record.application) as f64 / 1e9
    }
}
