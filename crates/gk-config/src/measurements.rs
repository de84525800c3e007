//! What is measured, as the directives ask for it.

use serde::{Deserialize, Serialize};

/// `GilkeeperMeasurements` and its relatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// `GilkeeperMeasurements` (default true): the workers have scoreboards.
    pub on: bool,
    /// `WSGISlowRequests`: requests whose application takes longer are kept with a stack; seconds, 0: none.
    pub slow_requests: f64,
}

impl Default for Measurements {
    fn default() -> Self {
        Self { on: true, slow_requests: 0.0 }
    }
}
