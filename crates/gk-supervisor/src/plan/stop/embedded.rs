//! Embedded mode in the plan: workers have the clients, and the front process only tells of them. So at a stop these workers leave
//! first, each when its own connections have ended; the front is stopped when they are gone, and then the workers of other process groups,
//! which had requests from them.

use super::super::action::Action;
use super::super::front::FrontState;
use super::super::worker::{WorkerHandle, WorkerState};
use super::super::{Plan, seconds};
use gk_wire::control::ToWorker;
use std::time::Duration;

/// Extra time after a worker's own window before it is stopped: its messages are more precise.
const SLACK: Duration = Duration::from_millis(500);

impl Plan {
    /// The server stops: every worker closes its listeners and finishes its requests. No other one takes its place.
    pub(in crate::plan) fn let_embedded_leave(&mut self, window: Option<Duration>, now: Duration) {
        for slot in self.groups.iter_mut().filter(|g| g.spec.embedded).flat_map(|g| &mut g.slots) {
            (slot.worker, slot.due, slot.retry) = (None, None, None);
        }
        // Where another server has taken over, an idle connection may send one more request.
        let reason = if self.has_handed_over() { "handed_over" } else { "shutdown_signal" };
        let of_clients = |w: &&WorkerHandle| w.embedded;
        let all: Vec<u64> = self.workers.values().filter(of_clients).map(|w| w.worker).collect();
        for worker in all {
            let Some(handle) = self.workers.get_mut(&worker) else { continue };
            if !handle.reads_messages() {
                self.stop_worker(worker, reason, now);
                continue;
            }
            handle.goes(reason);
            handle.state = WorkerState::Leaving;
            handle.deadline = window.map(|window| now + window + SLACK);
            let timeout = window.map_or(0.0, |window| window.as_secs_f64());
            let message = ToWorker::Leave { reason: reason.to_owned(), timeout };
            self.out.push(Action::ToWorker { worker, message });
        }
    }

    /// Requests that waited in a worker have begun since it leaves, as another one has taken its place.
    pub(in crate::plan) fn leaves_within(&mut self, worker: u64, left: f64, now: Duration) {
        let until = now + seconds(left);
        let leaving = self.workers.get_mut(&worker).filter(|handle| handle.state == WorkerState::Leaving);
        if let Some(deadline) = leaving.and_then(|handle| handle.deadline.as_mut()) {
            *deadline = (*deadline).max(until + SLACK);
        }
        self.workers_stay(until);
    }

    /// Stops the front once the last worker with clients is gone.
    pub(in crate::plan) fn stop_front_of_embedded(&mut self, now: Duration) {
        if !self.embedded() || !self.stop.begun() || self.workers.values().any(|worker| worker.embedded) {
            return;
        }
        match self.front.state {
            FrontState::Starting | FrontState::Ready => self.stop_front(Some(Duration::ZERO), now),
            FrontState::Down => self.front_left(now),
            FrontState::Stopping => {}
        }
    }

    /// Whether clients are still served although the front is gone.
    pub(in crate::plan) fn embedded_serve_on(&self) -> bool {
        self.stop.is_graceful() && self.workers.values().any(|worker| worker.embedded)
    }

    /// A worker that takes connections hears what load balancers are told.
    pub(in crate::plan) fn tell_embedded_of_drain(&mut self, worker: u64) {
        let is_embedded = self.workers.get(&worker).is_some_and(|worker| worker.embedded);
        if is_embedded && self.stop.drains() {
            self.out.push(Action::ToWorker { worker, message: ToWorker::Drain { on: true } });
        }
    }

    /// All of them hear it.
    pub(in crate::plan) fn tell_every_embedded_of_drain(&mut self) {
        let on = self.stop.drains();
        let of_clients = |w: &&WorkerHandle| w.embedded && w.reads_messages() && w.linked;
        let all: Vec<u64> = self.workers.values().filter(of_clients).map(|w| w.worker).collect();
        for worker in all {
            self.out.push(Action::ToWorker { worker, message: ToWorker::Drain { on } });
        }
    }
}
