//! Workers of a process group that a reload has taken out of the configuration, or made embedded. No newer process answers what an earlier
//! configuration routes to them: requests under way and, as long as an earlier process that speaks HTTP has clients, what these send next.
//! So they leave when the last of those processes has, which its own `graceful-timeout` bounds.

use super::super::Plan;
use super::super::action::Action;
use super::super::worker::WorkerHandle;
use gk_wire::control::ToWorker;
use std::time::Duration;

/// The reason that such a worker gives.
const REASON: &str = "reload";

impl Plan {
    /// Lets the old workers of a reload leave: at once, or after those who send them requests.
    pub(super) fn release(&mut self, old: &[u64], reason: &str, evicted: bool, now: Duration) {
        let generation = self.generation;
        for worker in old {
            if self.has_no_successors(*worker) {
                // Before anything else: its requests do not wait for new code.
                self.out.push(Action::ToWorker { worker: *worker, message: ToWorker::NoSuccessors });
                if self.speakers_before(generation) {
                    self.workers.get_mut(worker).into_iter().for_each(|w| w.left_over = Some(generation));
                    continue;
                }
            }
            self.drain(*worker, reason, evicted, now);
        }
    }

    /// Whether no process of the configuration in force answers what was routed to the worker's process group.
    fn has_no_successors(&self, worker: u64) -> bool {
        let Some(handle) = self.workers.get(&worker).filter(|w| w.serves() && !w.embedded && !w.service())
        else {
            return false;
        };
        let same = |spec: &gk_config::site::ProcessGroup| {
            spec.name == handle.group && !spec.embedded && !spec.service()
        };
        !self.groups.iter().any(|group| same(&group.spec))
    }

    /// Whether processes of earlier generations still speak HTTP.
    fn speakers_before(&self, generation: u64) -> bool {
        self.workers.values().any(|worker| worker.embedded && worker.generation < generation)
    }

    /// Those who sent them requests may have left.
    pub(in crate::plan) fn tick_left_over(&mut self, now: Duration) {
        let through = |w: &&WorkerHandle| {
            w.serves() && w.left_over.is_some_and(|generation| !self.speakers_before(generation))
        };
        let through: Vec<u64> = self.workers.values().filter(through).map(|w| w.worker).collect();
        for worker in through {
            self.drain(worker, REASON, false, now);
        }
    }
}
