//! What the hub hands on to the admin process after this one, by way of the front.

use super::Hub;
use crate::kept::handed_on::HandedOn;
use std::os::fd::OwnedFd;

impl Hub {
    /// What the front keeps for the admin process after this one, if it has changed: a memory file, and the workers whose scoreboards
    /// are not needed any more.
    pub fn hand_on(&mut self) -> Option<(OwnedFd, Vec<u64>)> {
        if self.fleet.is_some() || (self.told_of.is_empty() && !self.changed) {
            return None;
        }
        let living = self.workers.values().filter(|worker| !worker.baseline().is_empty());
        let baselines = living.map(|worker| (worker.link.worker, worker.baseline().to_vec())).collect();
        let file = HandedOn::new(&self.retired, &self.busy, self.events.restarts(), baselines).write()?;
        self.changed = false;
        Some((file, std::mem::take(&mut self.told_of)))
    }

    /// The front did not get the file: these workers are in the next one.
    pub fn hand_on_again(&mut self, workers: Vec<u64>) {
        self.told_of.extend(workers);
        self.changed = true;
    }

    /// Takes over what the process before this one has handed on.
    pub(super) fn take_over(&mut self, file: Option<OwnedFd>) {
        if let Some(kept) = file.and_then(HandedOn::read) {
            self.events.restore(kept.restarts());
            (self.retired, self.busy, self.baselines) = (kept.counters, kept.busy, kept.baselines);
        }
    }
}
