//! A worker that starts on a machine with too much to do: the time in which it waited for a CPU does not count for `startup-timeout`.

use crate::plan::Plan;
use crate::plan::worker::WorkerState;
use std::time::Duration;

/// Longest start, in startup-timeouts: a machine that never has a CPU for the worker does not serve.
const MOST: u32 = 10;

impl Plan {
    /// Workers with a limited time to become ready, with their process ids.
    pub fn starting(&self) -> Vec<(u64, u32)> {
        let starting = self.workers.values().filter(|worker| worker.state == WorkerState::Starting);
        starting.filter(|w| w.deadline.is_some()).filter_map(|w| Some((w.worker, w.pid?))).collect()
    }

    /// A worker's import has waited so long for a CPU since the start of its process.
    pub fn waited_for_cpu(&mut self, worker: u64, waited: Duration) {
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        let Some(deadline) = handle.deadline.as_mut().filter(|_| handle.state == WorkerState::Starting)
        else {
            return;
        };
        let limit = deadline.saturating_sub(handle.started + handle.starved);
        let more = waited.min(limit * (MOST - 1)).saturating_sub(handle.starved);
        *deadline += more;
        handle.starved += more;
        let deadline = *deadline;
        if let Some(reload) = self.reload.as_mut().filter(|reload| reload.workers().contains(&worker)) {
            reload.wait_until(deadline);
        }
    }

    /// Why a worker that starts is late.
    pub(in crate::plan) fn not_ready(&self, worker: u64, name: &str) -> String {
        let handle = self.workers.get(&worker);
        let starved = handle.map(|h| h.starved).unwrap_or_default();
        let limit = handle.and_then(|h| h.deadline?.checked_sub(h.started + starved)).unwrap_or_default();
        if handle.is_some_and(|h| h.front) {
            return format!("{name} was not ready within {} s", limit.as_secs_f64());
        }
        let aside = match starved.as_secs() {
            0 => String::new(),
            s => format!(", beside {s} s in which it waited for a CPU, as this machine has too much to do"),
        };
        format!(
            "{name} was not ready within {} s (startup-timeout){aside}; the error log shows before this where its import was. Raise \
             startup-timeout= if the import needs longer",
            limit.as_secs_f64()
        )
    }
}
