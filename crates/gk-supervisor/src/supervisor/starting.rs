//! The workers that start: how long the main thread of each, which runs its imports, was kept waiting for a CPU.

use crate::plan::Plan;
use gk_sys::usage::kept_waiting::{BETWEEN_LOOKS, KeptWaiting};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct StartingWorkers {
    /// By worker and process id.
    waits: BTreeMap<(u64, u32), KeptWaiting>,
    last: Duration,
}

impl StartingWorkers {
    /// Tells the plan, before it judges who is late.
    pub(super) fn look(&mut self, plan: &mut Plan, now: Duration) {
        let starting = plan.starting();
        self.waits.retain(|worker, _| starting.contains(worker));
        for (worker, pid) in starting {
            let waits = self.waits.entry((worker, pid)).or_insert_with(|| KeptWaiting::of_main_thread(pid));
            plan.waited_for_cpu(worker, waits.look());
        }
        self.last = now;
    }

    /// When the next look is due.
    pub(super) fn due(&self) -> Option<Duration> {
        (!self.waits.is_empty()).then_some(self.last + BETWEEN_LOOKS)
    }
}
