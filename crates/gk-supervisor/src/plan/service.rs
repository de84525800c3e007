//! Service scripts in the plan: processes without request threads. They have nothing to drain and may hold a port or a
//! lock that only one process can hold. So the old one ends before the new one starts, and no reload waits for either.

use super::Plan;
use super::backoff::Backoff;
use std::time::Duration;

impl Plan {
    /// Restarts the service scripts of these process groups: running ones are told to end. Returns their number.
    pub(super) fn restart_services(
        &mut self,
        takes: impl Fn(&str) -> bool,
        reason: &str,
        now: Duration,
    ) -> usize {
        let (mut running, held) = (Vec::new(), self.are_services_held());
        let mut count = 0;
        for group in self.groups.iter_mut().filter(|g| g.spec.service() && takes(&g.spec.name)) {
            for slot in &mut group.slots {
                count += 1;
                slot.backoff = Backoff::default();
                match slot.worker {
                    // It keeps its slot until it ends; then the slot is filled again.
                    Some(worker) => running.push(worker),
                    None if held => {}
                    None => slot.due = Some(now),
                }
            }
        }
        for worker in running {
            self.stop_worker(worker, reason, now);
        }
        count
    }

    /// The server stops: from now on, service scripts that end are not restarted.
    pub(super) fn forget_due_services(&mut self) {
        for group in self.groups.iter_mut().filter(|g| g.spec.service()) {
            group.slots.iter_mut().for_each(|slot| slot.due = None);
        }
    }
}
