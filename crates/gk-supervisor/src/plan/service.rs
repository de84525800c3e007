//! Service scripts in the plan: processes without request threads. They have nothing to drain and may hold what only one
//! process can hold, so a new one is started when the old one has ended, and no reload waits for either.

use super::Plan;
use super::backoff::Backoff;
use std::time::Duration;

impl Plan {
    /// Has the service scripts of these process groups begin anew: those that run are told to end. Gives their number.
    pub(super) fn restart_services(
        &mut self,
        takes: impl Fn(&str) -> bool,
        reason: &str,
        now: Duration,
    ) -> usize {
        let mut running = Vec::new();
        let mut count = 0;
        for group in self.groups.iter_mut().filter(|g| g.spec.service() && takes(&g.spec.name)) {
            for slot in &mut group.slots {
                count += 1;
                slot.backoff = Backoff::default();
                match slot.worker {
                    // It keeps its slot: its end fills that anew.
                    Some(worker) => running.push(worker),
                    None => slot.due = Some(now),
                }
            }
        }
        for worker in running {
            self.stop_worker(worker, reason, now);
        }
        count
    }

    /// The server stops: a service script that ends by itself from now on is not started again.
    pub(super) fn forget_due_services(&mut self) {
        for group in self.groups.iter_mut().filter(|g| g.spec.service()) {
            group.slots.iter_mut().for_each(|slot| slot.due = None);
        }
    }
}
