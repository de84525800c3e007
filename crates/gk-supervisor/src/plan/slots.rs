//! The places of a process group's processes: filled, emptied and filled again. New workers of a reload get their slots when it
//! succeeds (`reload.rs`).

use super::Plan;
use gk_wire::log::Level;
use std::time::Duration;

impl Plan {
    /// Starts a worker for an empty slot.
    pub(super) fn fill(&mut self, group: usize, slot: usize, now: Duration) {
        let spec = self.groups[group].spec.clone();
        let (configuration, generation) = (self.configuration, self.generation);
        let worker = self.spawn(&spec, configuration, generation, now);
        let slot = &mut self.groups[group].slots[slot];
        slot.worker = Some(worker);
        slot.due = None;
        slot.retry = None;
    }

    /// Empties a slot whose process failed; the next one starts after a pause. `why`: one sentence.
    pub(super) fn schedule(
        &mut self,
        (group, slot): (usize, usize),
        age: Duration,
        served: Option<Duration>,
        why: &str,
        now: Duration,
    ) {
        let service = self.groups[group].spec.service();
        let name = self.groups[group].spec.name.clone();
        let over = self.stop.workers_stop() || (self.stop.begun() && service);
        let gone = self.groups[group].slots[slot].worker.take();
        self.groups[group].slots[slot].retry = None;
        if over {
            return;
        }
        if served.is_none() && !service {
            self.groups[group].slots[slot].failed = true;
            if self.has_first_generation_failed(group) {
                return self.give_up_first_generation(group, why, now);
            }
        }
        let alone =
            !self.workers.values().any(|w| w.group == name && Some(w.worker) != gone && w.is_useful());
        let slot = &mut self.groups[group].slots[slot];
        let delay = match served {
            _ if service => slot.backoff.service_ended(served),
            Some(served) => slot.backoff.died(age, served, alone),
            None => slot.backoff.never_served(),
        };
        slot.due = Some(now + delay);
        let failures = slot.backoff.failures();
        if !delay.is_zero() {
            let pause = delay.as_secs_f64();
            let what = match served {
                Some(served) if !service => {
                    format!("its last process served for {:.1} s only", served.as_secs_f64())
                }
                _ => format!("failure {failures} in a row"),
            };
            self.log(
                Level::Warn,
                format!("process group '{name}': {what}, the next process starts in {pause} s"),
            );
        }
        self.link_failed(group);
    }

    /// Empties the slot of a worker that is of no use any more. `why`: one sentence.
    pub(super) fn vacate_after_failure(&mut self, worker: u64, why: &str, now: Duration) {
        let Some(handle) = self.workers.get(&worker) else { return };
        let (age, served) = (now.saturating_sub(handle.started), handle.served(now));
        if let Some(place) = self.slot_of(worker) {
            self.schedule(place, age, served, why, now);
        }
    }

    /// The same for a worker that cannot have served, whatever it said.
    pub(super) fn vacate_before_service(&mut self, worker: u64, why: &str, now: Duration) {
        if let Some(place) = self.slot_of(worker) {
            self.schedule(place, Duration::ZERO, None, why, now);
        }
    }

    /// Empties the slot of a worker that leaves in order; the next one starts at once.
    pub(super) fn vacate(&mut self, worker: u64, now: Duration) {
        if let Some((group, slot)) = self.slot_of(worker) {
            let over = self.stop.workers_stop() || (self.stop.begun() && self.groups[group].spec.service());
            let slot = &mut self.groups[group].slots[slot];
            slot.worker = None;
            slot.retry = None;
            slot.due = (!over).then_some(now);
        }
    }

    pub(super) fn slot_of(&self, worker: u64) -> Option<(usize, usize)> {
        self.groups.iter().enumerate().find_map(|(g, group)| {
            group.slots.iter().position(|s| s.worker == Some(worker)).map(|slot| (g, slot))
        })
    }

    pub(super) fn fill_due(&mut self, now: Duration) {
        for group in 0..self.groups.len() {
            for slot in 0..self.groups[group].slots.len() {
                self.retry_import(group, slot, now);
                if self.groups[group].slots[slot].due.is_some_and(|due| due <= now) {
                    self.fill(group, slot, now);
                }
            }
        }
    }
}
