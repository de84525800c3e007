//! Sockets of a worker that end or are misused while its process lives: the link with the front, and the control socket. A
//! worker without them can never get a request again, so it has to be replaced, whatever it does.
//!
//! [`answer`] is the table: each fault in each state has an answer by type, so that none can be forgotten.

use super::Plan;
use super::action::Action;
use super::worker::{WorkerHandle, WorkerState};
use gk_sys::signal::SIGTERM;
use gk_wire::control::LinkFault;
use gk_wire::log::Level;
use std::time::Duration;

/// A socket that was closed mostly means that the process has just died: its end is waited for this long.
pub const CLOSED: Duration = Duration::from_secs(1);

/// Time to end for a worker that can be told nothing, where shutdown-timeout sets no bound: without its descriptors it may not even see
/// a signal.
pub(super) const END: Duration = Duration::from_secs(30);

/// Of the log line about a worker that is replaced for a fault.
const CODE: &str = "GK0050";

/// The plan's answer to a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultAnswer {
    /// The end of the process will say more. If it does not come, the worker is replaced.
    AwaitEnd,
    /// The worker is told to stop, and its slot gets another one.
    Replace,
    /// The same, but nothing is asked of the worker any more.
    Kill,
    /// It ends anyway, within the time it has.
    Ends,
}

/// The answer to a fault of a worker in that state.
pub fn answer(state: WorkerState, fault: LinkFault) -> FaultAnswer {
    use WorkerState::{Failed, Leaving, Ready, Starting, Stopping};
    match (state, fault) {
        (Starting | Ready | Failed, LinkFault::Closed) => FaultAnswer::AwaitEnd,
        (Leaving | Stopping, LinkFault::Closed) => FaultAnswer::Ends,
        (Starting | Ready | Failed | Leaving, LinkFault::Broken) => FaultAnswer::Replace,
        (Stopping, LinkFault::Broken) => FaultAnswer::Ends,
        (Starting | Ready | Failed | Leaving | Stopping, LinkFault::Abused) => FaultAnswer::Kill,
    }
}

impl Plan {
    /// A socket of a worker ended or was misused. `why`: half a sentence, as `the link ended: …`.
    pub(super) fn worker_fault(&mut self, worker: u64, fault: LinkFault, why: &str, now: Duration) {
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        match answer(handle.state, fault) {
            FaultAnswer::AwaitEnd => {
                handle.cut.get_or_insert_with(|| (now + CLOSED, why.to_owned()));
            }
            FaultAnswer::Replace => self.replace(worker, CODE, why, false, now),
            FaultAnswer::Kill => self.replace(worker, CODE, why, true, now),
            FaultAnswer::Ends => {}
        }
    }

    /// The control socket of a worker was closed. That stays so until its process ends, so it has to.
    pub(super) fn control_closed(&mut self, worker: u64, now: Duration) {
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        handle.deaf = true;
        if handle.departs() {
            handle.deadline.get_or_insert(now + END);
        }
    }

    /// Replaces the workers whose end did not follow the end of their socket.
    pub(super) fn tick_faults(&mut self, now: Duration) {
        let due = |w: &&WorkerHandle| w.cut.as_ref().is_some_and(|(at, _)| *at <= now);
        let late: Vec<u64> = self.workers.values().filter(due).map(|w| w.worker).collect();
        for worker in late {
            let cut = self.workers.get_mut(&worker).and_then(|handle| handle.cut.take());
            if let Some((_, why)) = cut {
                self.replace(worker, CODE, &why, false, now);
            }
        }
    }

    /// Ends a worker that is of no use any more, and fills its slot. `code`: of the log line.
    pub(super) fn replace(
        &mut self,
        worker: u64,
        code: &'static str,
        why: &str,
        at_once: bool,
        now: Duration,
    ) {
        let Some(handle) = self.workers.get_mut(&worker).filter(|handle| !handle.killed) else { return };
        handle.cut = None;
        handle.killed = at_once;
        let (name, departs, serves) = (handle.name(), handle.departs(), handle.serves());
        let done = if at_once { "it is killed" } else { "it is stopped" };
        let text = format!("{name}: {why}; {done} and replaced");
        self.log_code(Level::Error, code, text.clone());
        if self.is_new_in_reload(worker) {
            // This stops it, too.
            self.refuse_reload(&text, &[], now);
        } else if !departs {
            self.vacate_after_failure(worker, &text, now);
        }
        self.stop_worker(worker, "link_lost", now);
        if at_once {
            self.kill(worker, "is killed");
        } else if serves {
            // The message may not reach it.
            self.out.push(Action::SignalWorker { worker, signal: SIGTERM });
        }
        if let Some(handle) = self.workers.get_mut(&worker).filter(|handle| !handle.killed) {
            handle.deadline.get_or_insert(now + END);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: after a protocol error on its link a worker stayed ready for ever, and its group answered 503.
    /// Met with applications that write to descriptors they do not own.
    #[test]
    fn a_worker_that_serves_never_stays_as_it_is() {
        use FaultAnswer::{AwaitEnd, Ends, Kill, Replace};
        use WorkerState::{Failed, Leaving, Ready, Starting, Stopping};
        let table = [
            (Starting, [AwaitEnd, Replace, Kill]),
            (Ready, [AwaitEnd, Replace, Kill]),
            (Failed, [AwaitEnd, Replace, Kill]),
            (Leaving, [Ends, Replace, Kill]),
            (Stopping, [Ends, Ends, Kill]),
        ];
        for (state, answers) in table {
            let faults = [LinkFault::Closed, LinkFault::Broken, LinkFault::Abused];
            assert_eq!(faults.map(|fault| answer(state, fault)), answers, "{state:?}");
        }
    }
}
