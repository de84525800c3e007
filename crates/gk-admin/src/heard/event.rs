//! An event for people: the start or end of a process, a reload, a crash with the requests that were running.

use crate::heard::requests::RunningRequest;
use gk_wire::control::Happened;
use serde::{Deserialize, Serialize};

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Kind, time and text.
    #[serde(flatten)]
    pub happened: Happened,
    /// The requests that were running when a process died.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RunningRequest>,
}
