//! Workers that could not import their applications. Where nobody else serves their process group, they answer 500 to each
//! request; another one tries the import after a growing pause. The first generation does not try for ever: a server that was
//! started with an application it cannot import says so and ends.
//!
//! A process group may have several applications. A worker that imported some of them serves these, and tries the others with
//! each request for them; it makes room only where another process has them all.

mod gil;

use super::Plan;
use super::worker::{WorkerHandle, WorkerState};
use gk_wire::log::Level;
use std::time::Duration;

/// Exit code of a server whose first generation cannot be imported.
pub const EXIT_NOT_IMPORTED: i32 = 3;

/// What says why in one line: where a traceback follows, its last line only.
pub fn in_short(why: &str) -> String {
    let mut lines = why.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    lines.next_back().map_or_else(|| first.to_owned(), |last| format!("{first}: {}", last.trim()))
}

/// Pause before another look at whether anybody has all applications.
const AGAIN: Duration = Duration::from_secs(1);

impl Plan {
    /// A worker of the running generation reported failed imports.
    pub(super) fn import_failed(&mut self, worker: u64, now: Duration) {
        let Some(handle) = self.workers.get(&worker).filter(|handle| !handle.service()) else { return };
        let mut why = format!("{} could not import its application", handle.name());
        for failure in &handle.failed {
            why.push_str(&format!("\n{}:\n{}", failure.script, failure.traceback.trim_end()));
        }
        let Some((group, slot)) = self.slot_of(worker) else { return };
        self.groups[group].slots[slot].failed = true;
        if self.has_first_generation_failed(group) {
            return self.give_up_first_generation(group, &why, now);
        }
        let name = self.groups[group].spec.name.clone();
        if !self.stop.begun() {
            let slot = &mut self.groups[group].slots[slot];
            let pause = slot.backoff.never_served();
            slot.retry = Some(now + pause);
            let text =
                format!("process group '{name}': the import is tried again in {} s", pause.as_secs_f64());
            self.log(Level::Warn, text);
        }
        self.link_failed(group);
    }

    /// Whether no process of the group came to serve since the server started, although each has been tried.
    pub(super) fn has_first_generation_failed(&self, group: usize) -> bool {
        let group = &self.groups[group];
        let first = self.generation == 1 && self.reload.is_none() && !group.proven;
        first && !self.keep_trying && !self.stop.begun() && group.slots.iter().all(|slot| slot.failed)
    }

    pub(super) fn give_up_first_generation(&mut self, group: usize, why: &str, now: Duration) {
        let name = &self.groups[group].spec.name;
        let text = format!("process group '{name}' cannot serve (--keep-trying goes on all the same): {why}");
        self.give_up(&text, EXIT_NOT_IMPORTED, now);
    }

    /// Lets the front send requests to the workers of a group that could not import, if nobody else serves or may soon serve it.
    pub(super) fn link_failed(&mut self, group: usize) {
        let slots = self.groups[group].slots.iter();
        let workers: Vec<&WorkerHandle> = slots.filter_map(|slot| self.worker_of(slot)).collect();
        if workers.iter().any(|w| w.state == WorkerState::Starting || w.is_useful()) {
            return;
        }
        let failed = workers.into_iter().filter(|w| w.serves() && !w.imported());
        for worker in failed.map(|w| w.worker).collect::<Vec<_>>() {
            self.link(worker);
        }
    }

    /// Replaces a worker that could not import when its pause is over.
    pub(super) fn retry_import(&mut self, group: usize, slot: usize, now: Duration) {
        let slot = &mut self.groups[group].slots[slot];
        if slot.retry.is_none_or(|at| at > now) {
            return;
        }
        slot.retry = None;
        let Some(handle) = slot.worker.and_then(|worker| self.workers.get(&worker)) else { return };
        if handle.partly {
            let other = |w: &&WorkerHandle| w.group == handle.group && w.worker != handle.worker;
            if self.workers.values().filter(other).any(|w| w.state == WorkerState::Starting) {
                slot.retry = Some(now + AGAIN);
                return;
            }
            if !self.workers.values().filter(other).any(WorkerHandle::is_useful) {
                return;
            }
        }
        let worker = handle.worker;
        self.vacate(worker, now);
        self.drain(worker, "import_failed", false, now);
    }

    /// The server stops: nothing is tried again.
    pub(super) fn forget_retries(&mut self) {
        self.groups.iter_mut().flat_map(|g| &mut g.slots).for_each(|slot| slot.retry = None);
    }
}
