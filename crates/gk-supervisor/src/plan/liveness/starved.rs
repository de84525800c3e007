//! A worker that starts on a machine with too much to do: the time in which it waited for a CPU does not count for `startup-timeout`.

use crate::plan::Plan;
use crate::plan::worker::WorkerState;
use std::time::Duration;

/// Longest start, in startup-timeouts: a machine that never has a CPU for the worker does not serve.
const MOST: u32 = 10;

impl Plan {
    /// Workers whose time to become ready is over, with their process ids.
    pub fn late_starts(&self, now: Duration) -> Vec<(u64, u32)> {
        let late = self.workers.values().filter(|worker| worker.state == WorkerState::Starting);
        let late = late.filter(|worker| worker.deadline.is_some_and(|deadline| deadline <= now));
        late.filter_map(|worker| Some((worker.worker, worker.pid?))).collect()
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
}
