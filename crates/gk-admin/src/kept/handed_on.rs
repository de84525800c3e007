//! What one admin process hands on to the next: counters that stand in no scoreboard any more. It goes through the front as a memory file,
//! so that a process that is killed takes nothing with it.

use crate::kept::counters::Counters;
use crate::kept::counters::busy::BusyTime;
use gk_sys::descriptors;
use gk_telemetry::sample::GroupSample;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;

/// Number of ends of workers by (process group, reason).
pub type Restarts = BTreeMap<(String, String), u64>;

/// The contents of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct HandedOn {
    /// Counters of workers that have ended.
    pub counters: Counters,
    /// Thread-seconds of requests.
    #[serde(default)]
    pub busy: BusyTime,
    restarts: Vec<(String, String, u64)>,
    /// First readings of workers that are older than the front, by worker.
    pub baselines: BTreeMap<u64, Vec<GroupSample>>,
}

impl HandedOn {
    /// From the hub's values.
    pub fn new(
        counters: &Counters,
        busy: &BusyTime,
        restarts: &Restarts,
        baselines: BTreeMap<u64, Vec<GroupSample>>,
    ) -> Self {
        let restarts =
            restarts.iter().map(|((group, reason), count)| (group.clone(), reason.clone(), *count));
        Self { counters: counters.clone(), busy: busy.clone(), restarts: restarts.collect(), baselines }
    }

    /// The ends of workers.
    pub fn restarts(&self) -> Restarts {
        self.restarts.iter().map(|(group, reason, count)| ((group.clone(), reason.clone()), *count)).collect()
    }

    /// The file; `None` when none can be made.
    pub fn write(&self) -> Option<OwnedFd> {
        let json = serde_json::to_vec(self).ok()?;
        descriptors::memory_file("gilkeeper-counters", &json).ok().map(OwnedFd::from)
    }

    /// Reads a file; `None` when it is not understood.
    pub fn read(file: OwnedFd) -> Option<Self> {
        let json = descriptors::read_memory_file(&mut File::from(file)).ok()?;
        serde_json::from_slice(&json).ok()
    }
}
