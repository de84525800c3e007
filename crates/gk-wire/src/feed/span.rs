//! A request as the front saw it, for its span in a trace. What a worker measured of it is on the scoreboard, under the same number.

use gk_telemetry::Reason;
use serde::{Deserialize, Serialize};

/// A finished request of a trace that is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontSpan {
    /// The front's number of the request.
    pub request: u64,
    /// Its id.
    pub id: String,
    /// Number of the trace, 32 hexadecimal digits.
    pub trace: String,
    /// Number of this span, 16 hexadecimal digits.
    pub span: String,
    /// Number of the span that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// `tracestate` of whoever asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// It is sampled; otherwise it was slow or failed.
    pub sampled: bool,
    /// Its process group; empty: none.
    pub process_group: String,
    /// Method.
    pub method: String,
    /// Path without query string.
    pub path: String,
    /// `Host`.
    pub host: String,
    /// Over TLS.
    pub https: bool,
    /// `1.1`, `2`.
    pub version: String,
    /// Address of the client.
    pub client: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// Status that the client got; 499: none.
    pub status: u16,
    /// Who answered, or why the front did.
    pub reason: Reason,
    /// Epoch seconds: the front had the head.
    pub start: f64,
    /// Seconds from there to the head of the response; `None`: there was none.
    pub head: Option<f64>,
    /// Seconds from there to the last byte of the response.
    pub end: f64,
}
