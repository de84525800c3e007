//! The end of the server: first the front (it closes the listeners and finishes its requests), then the workers, then the
//! supervisor.
//!
//! ```text
//!   TERM, INT, `stop`      front: Stop(window) ── gone ──▶ workers: Stop ── shutdown-timeout ──▶ KILL ──▶ exit
//!   once more, `--now`     front and workers: Stop now   ── shutdown-timeout ──▶ KILL ──▶ exit
//!   once more              KILL ──▶ exit
//! ```

use super::action::Action;
use super::front::FrontState;
use super::imports::EXIT_NOT_IMPORTED;
use super::{Plan, seconds};
use gk_sys::signal::SIGKILL;
use gk_wire::control::ToFront;
use gk_wire::log::Level;
use std::time::Duration;

/// Extra time after the front's own window before the supervisor kills it.
const SLACK: Duration = Duration::from_secs(1);
/// The window for `graceful-timeout=0`, practically without bound. A second signal ends it.
const WITHOUT_BOUND: Duration = Duration::from_secs(1 << 29);

/// Urgency of the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    #[default]
    None,
    /// Running requests may finish.
    Graceful,
    /// No time for requests, but for shutdown callbacks.
    Now,
    /// Everything is killed.
    Kill,
}

/// Progress of the end.
#[derive(Debug, Default)]
pub struct Stop {
    urgency: Urgency,
    workers: bool,
    done: bool,
    code: i32,
    /// Why the server gave up.
    why: Option<String>,
    clients: Vec<u64>,
}

impl Stop {
    /// Whether it has begun.
    pub(super) fn begun(&self) -> bool {
        self.urgency > Urgency::None
    }

    /// Whether the workers were told to stop.
    pub(super) fn workers_stop(&self) -> bool {
        self.workers
    }
}

impl Plan {
    pub(super) fn terminate(&mut self, now: Duration) {
        let next = match self.stop.urgency {
            Urgency::None => Urgency::Graceful,
            Urgency::Graceful => Urgency::Now,
            Urgency::Now | Urgency::Kill => Urgency::Kill,
        };
        self.raise(next, now);
    }

    pub(super) fn ask_stop(&mut self, client: u64, at_once: bool, now: Duration) {
        self.stop.clients.push(client);
        self.out.push(Action::Tell { clients: vec![client], text: "stopping".into() });
        self.raise(if at_once { Urgency::Now } else { Urgency::Graceful }, now);
    }

    /// Ends a server that cannot work at all.
    pub(super) fn give_up(&mut self, why: &str, code: i32, now: Duration) {
        if !self.stop.begun() {
            let text = format!("giving up: {why}");
            match code {
                EXIT_NOT_IMPORTED => self.log_code(Level::Alert, "GK0052", text),
                _ => self.log(Level::Emerg, text),
            }
            self.stop.code = code;
            self.stop.why = Some(why.to_owned());
        }
        self.raise(Urgency::Now, now);
    }

    fn raise(&mut self, urgency: Urgency, now: Duration) {
        if urgency <= self.stop.urgency {
            return;
        }
        let first = !self.stop.begun();
        self.stop.urgency = urgency;
        if first {
            self.log(Level::Notice, "the server stops");
            self.cancel_reloads(now);
            self.forget_due_services();
            self.forget_retries();
            self.front.due = None;
        }
        match urgency {
            Urgency::None => {}
            Urgency::Graceful => self.stop_front(self.longest_window(), now),
            Urgency::Now => {
                self.stop_front(Some(Duration::ZERO), now);
                self.stop_workers(now);
            }
            Urgency::Kill => self.kill_all(now),
        }
    }

    /// The longest graceful-timeout of the groups; `None`: without bound.
    fn longest_window(&self) -> Option<Duration> {
        let serving = self.groups.iter().filter(|g| !g.spec.service());
        let windows = serving.map(|g| g.spec.graceful_timeout);
        windows.map(|w| (w > 0.0).then(|| seconds(w))).try_fold(Duration::ZERO, |most, w| Some(most.max(w?)))
    }

    fn stop_front(&mut self, window: Option<Duration>, now: Duration) {
        if self.front.state == FrontState::Down {
            return self.stop_workers(now);
        }
        self.front.state = FrontState::Stopping;
        self.front.deadline = window.map(|window| now + window + SLACK);
        let timeout = window.unwrap_or(WITHOUT_BOUND).as_secs_f64();
        self.out.push(Action::ToFront(ToFront::Stop { timeout }));
    }

    /// The front is gone: no more requests can arrive.
    pub(super) fn front_left(&mut self, now: Duration) {
        self.stop_workers(now);
    }

    fn stop_workers(&mut self, now: Duration) {
        if std::mem::replace(&mut self.stop.workers, true) {
            return;
        }
        for slot in self.groups.iter_mut().flat_map(|g| &mut g.slots) {
            slot.due = None;
        }
        let all: Vec<u64> = self.workers.keys().copied().collect();
        for worker in all {
            self.stop_worker(worker, "shutdown_signal", now);
        }
    }

    fn kill_all(&mut self, now: Duration) {
        if self.front.state != FrontState::Down {
            self.front.deadline = None;
            self.out.push(Action::SignalFront(SIGKILL));
        }
        self.stop_workers(now);
        let all: Vec<u64> = self.workers.keys().copied().collect();
        for worker in all {
            self.kill(worker, "was asked to end at once");
        }
    }

    pub(super) fn tick_stop(&mut self, _now: Duration) {
        let gone = self.front.state == FrontState::Down && self.workers.is_empty();
        if self.stop.begun() && self.stop.workers && gone && !self.stop.done {
            self.stop.done = true;
            for slot in self.groups.iter_mut().flat_map(|g| &mut g.slots) {
                slot.due = None;
            }
            let (clients, text) = (std::mem::take(&mut self.stop.clients), "stopped".to_owned());
            self.log(Level::Notice, "the server has stopped");
            self.out.push(Action::Answer { clients, ok: true, text });
            let why = self.stop.why.take();
            self.out.push(Action::Exit { code: self.stop.code, why });
        }
    }
}
