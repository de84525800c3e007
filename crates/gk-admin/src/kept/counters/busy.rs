//! Thread-seconds of requests as they passed, by what the requests did. The histograms of finished requests grow when a request ends; these
//! grow while it runs, so that ten threads that are stuck are ten seconds in every second.

use gk_telemetry::Portion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names of the parts, in `/metrics`.
pub const PARTS: [&str; 4] = ["cpu", "gil_wait", "runnable", "blocked"];

/// Seconds of each part, by process group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BusyTime(BTreeMap<String, [f64; 4]>);

impl BusyTime {
    /// Adds a second. Whether anything passed in it.
    pub fn add(&mut self, groups: &BTreeMap<String, Portion>) -> bool {
        let mut passed = false;
        for (name, portion) in groups {
            let spent = portion.spent();
            if spent.iter().all(|seconds| *seconds <= 0.0) {
                continue;
            }
            passed = true;
            let sums = self.0.entry(name.clone()).or_default();
            sums.iter_mut().zip(spent).for_each(|(sum, seconds)| *sum += seconds.max(0.0));
        }
        passed
    }

    /// The sums of a process group; zeros where no request has run.
    pub fn of(&self, process_group: &str) -> [f64; 4] {
        self.0.get(process_group).copied().unwrap_or_default()
    }

    /// The process groups in which requests have run.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
