//! Signs of life. A process that hangs, or was stopped, does not end, so its end cannot tell of it. Once a second the front and
//! every worker that reads messages are asked for a sign; the age of the oldest question without an answer is the silence of a
//! process. The front is told who is silent, for the admin pages.
//!
//! The supervisor itself may have been stopped, or the whole machine: then nobody could answer, and that time does not count.

pub mod signs;
mod starved;

use super::Plan;
use super::action::Action;
use super::front::FrontState;
use super::seconds;
use super::worker::{WorkerHandle, WorkerState};
use gk_sys::signal::SIGKILL;
use gk_wire::control::{Silence, ToFront, ToWorker, What};
use gk_wire::log::Level;
use signs::TOLD;
use std::time::Duration;

/// Between two questions.
pub const EVERY: Duration = Duration::from_secs(1);
/// A longer time without any event means that the supervisor did not run.
const ASLEEP: Duration = Duration::from_secs(3);
/// Extra time after a worker's own deadlock-timeout: its own log lines are more precise.
pub const SLACK: Duration = Duration::from_secs(5);

/// When somebody was last asked, and when anything last happened.
#[derive(Debug, Default)]
pub(super) struct Questions {
    due: Duration,
    last_event: Duration,
}

impl Plan {
    /// Any event: notices that the supervisor itself did not run.
    pub(super) fn notice_own_sleep(&mut self, now: Duration) {
        let gap = now.saturating_sub(std::mem::replace(&mut self.questions.last_event, now));
        if gap <= ASLEEP {
            return;
        }
        // What the others said meanwhile is not read yet, so nobody is late before that.
        self.front.signs.forgive(gap);
        let later = |at: Option<Duration>| at.map(|at| at + gap);
        self.front.deadline = later(self.front.deadline);
        for worker in self.workers.values_mut() {
            worker.signs.forgive(gap);
            worker.deadline = later(worker.deadline);
            if let Some((at, _)) = &mut worker.cut {
                *at += gap;
            }
            if worker.state == WorkerState::Starting {
                worker.started += gap;
            }
        }
        if let Some(reload) = &mut self.reload {
            reload.forgive(gap);
        }
        if let Some(word) = &mut self.last_word {
            word.forgive(gap);
        }
    }

    /// When the next questions are due, if there is anybody to ask.
    pub(super) fn questions_due(&self) -> Option<Duration> {
        // Those that start have nothing to answer, but without a look every second nobody would know a gap from a quiet time.
        let anybody = !self.workers.is_empty() || self.front.state == FrontState::Ready;
        anybody.then_some(self.questions.due)
    }

    pub(super) fn tick_liveness(&mut self, now: Duration) {
        if self.questions_due().is_none_or(|due| due > now) {
            return;
        }
        self.questions.due = now + EVERY;
        self.look_at_front(now);
        self.look_at_workers(now);
        if self.front.state == FrontState::Ready && self.front.signs.ask(now) {
            let of =
                |w: &WorkerHandle| Silence { worker: w.worker, seconds: w.signs.silence(now).as_secs_f64() };
            let silent = self.workers.values().filter(|w| w.signs.silence(now) >= TOLD).map(of).collect();
            self.out.push(Action::ToFront(ToFront::Ping { silent }));
        }
        for worker in self.workers.values_mut().filter(|w| w.reads_messages()) {
            if worker.signs.ask(now) {
                let message = ToWorker::Ping;
                self.out.push(Action::ToWorker { worker: worker.worker, message });
            }
        }
    }

    fn look_at_front(&mut self, now: Duration) {
        if self.front.state != FrontState::Ready || self.front.hung {
            return;
        }
        let silence = self.front.signs.silence(now);
        if self.front.signs.tells(now) {
            let pid = self.front.pid.unwrap_or(0);
            let text = format!("the front (pid {pid}) gives no sign of life for {} s", silence.as_secs());
            self.log_code(Level::Warn, "GK0051", text.clone());
            self.note(What::ProcessSilent, text);
        }
        if self.front_timeout > 0.0 && silence >= seconds(self.front_timeout) {
            self.out.push(Action::LookForDebugger { worker: None });
        }
    }

    fn look_at_workers(&mut self, now: Duration) {
        let silent = |w: &&WorkerHandle| w.reads_messages() && w.signs.silence(now) >= TOLD;
        for worker in self.workers.values().filter(silent).map(|w| w.worker).collect::<Vec<_>>() {
            let Some(handle) = self.workers.get_mut(&worker) else { continue };
            let silence = handle.signs.silence(now);
            let told = handle.signs.tells(now);
            let handle = handle.clone();
            if told {
                let text = format!("{} gives no sign of life for {} s", handle.name(), silence.as_secs());
                self.log_code(Level::Warn, "GK0051", text.clone());
                self.note_worker(What::ProcessSilent, &handle, text);
            }
            if handle.longest_silence.is_some_and(|longest| silence >= longest) {
                self.out.push(Action::LookForDebugger { worker: Some(worker) });
            }
        }
    }

    /// A process that is silent for too long was looked at. One in a debugger is left alone.
    pub(super) fn looked_for_debugger(&mut self, worker: Option<u64>, found: bool, now: Duration) {
        let signs = match worker {
            None => Some((&mut self.front.signs, "the front".to_owned())),
            Some(worker) => self.workers.get_mut(&worker).map(|w| {
                let name = w.name();
                (&mut w.signs, name)
            }),
        };
        let Some((signs, name)) = signs else { return };
        let silence = signs.silence(now).as_secs();
        if found {
            signs.begin_again(now);
            return self.log(Level::Warn, format!("{name} is in a debugger and is left alone"));
        }
        match worker {
            Some(worker) => {
                let why = format!("it gives no sign of life for {silence} s");
                self.replace(worker, "GK0051", &why, true, now);
            }
            None if self.front.state == FrontState::Ready => {
                self.front.hung = true;
                let text = format!(
                    "the front gives no sign of life for {silence} s (GilkeeperFrontTimeout): it is killed and replaced"
                );
                self.log_code(Level::Crit, "GK0051", text);
                self.out.push(Action::SignalFront(SIGKILL));
            }
            None => {}
        }
    }

    pub(super) fn front_lives(&mut self, now: Duration) {
        if let Some(silence) = self.front.signs.came(now) {
            let text = format!("the front gives signs of life again, after {} s", silence.as_secs());
            self.log(Level::Notice, text);
        }
    }

    pub(super) fn worker_lives(&mut self, worker: u64, now: Duration) {
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        if let Some(silence) = handle.signs.came(now) {
            let text = format!("{} gives signs of life again, after {} s", handle.name(), silence.as_secs());
            self.log(Level::Notice, text);
        }
    }
}
