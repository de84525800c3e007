//! The end of the server. The applications hear of it at once and end what they can. The front closes the listeners and finishes
//! its requests, until their time is over; then the workers stop, then the supervisor.
//!
//! ```text
//!   TERM, INT, `stop`      front: Stop(window), workers: Stopping ── front gone, or window over ──▶ workers: Stop
//!                                                       workers: Stop ── shutdown-timeout ──▶ KILL ──▶ exit
//!   once more, `--now`     front and workers: Stop now   ── shutdown-timeout ──▶ KILL ──▶ exit
//!   once more              KILL ──▶ exit
//! ```
//!
//! In embedded mode (`embedded.rs`) the workers finish the requests, and the front, which has none, is stopped after them.
//!
//! Where another server has taken over, requests that wait in the front have that time from when a worker gets them, and the front says
//! how much longer it may take (`EndsWithin`).
//!
//! So the longest stop is the longest `graceful-timeout` and the longest `shutdown-timeout` together.

mod embedded;

use super::action::{Action, Notice};
use super::front::FrontState;
use super::imports::{self, EXIT_NOT_IMPORTED};
use super::worker::WorkerHandle;
use super::{Plan, seconds};
use gk_sys::signal::SIGKILL;
use gk_wire::control::{ToFront, ToWorker};
use gk_wire::handover::ToSuccessor;
use gk_wire::log::Level;
use std::time::Duration;

/// Extra time after the front's own window before the supervisor kills it: it cuts off connections and reports to its exports
/// meanwhile. The workers do not wait for that.
const SLACK: Duration = Duration::from_secs(2);
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
    /// When the workers stop although the front has not ended.
    due: Option<Duration>,
    done: bool,
    code: i32,
    /// Why the server gave up.
    why: Option<String>,
    clients: Vec<u64>,
    draining: bool,
    /// Clients of `drain`, and when they are answered.
    drained: Vec<(u64, Duration)>,
}

impl Stop {
    /// Whether it has begun.
    pub(super) fn begun(&self) -> bool {
        self.urgency > Urgency::None
    }

    /// Whether requests still have time.
    pub(super) fn is_graceful(&self) -> bool {
        self.urgency == Urgency::Graceful && !self.workers
    }

    /// When the workers stop at the latest, and when clients that wait for the drain are answered.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Duration> {
        self.due.filter(|_| !self.workers).into_iter().chain(self.drained.iter().map(|(_, due)| *due))
    }

    /// Whether load balancers are to send their requests elsewhere.
    pub(super) fn drains(&self) -> bool {
        self.draining
    }

    /// Load balancers are to send their requests elsewhere, from the start on.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether nothing is left.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// The exit code.
    pub(super) fn set_code(&mut self, code: i32) {
        self.code = code;
    }

    /// Whether the workers were told to stop.
    pub(super) fn workers_stop(&self) -> bool {
        self.workers
    }
}

impl Plan {
    /// Whether load balancers are to send their requests elsewhere.
    pub fn drains(&self) -> bool {
        self.stop.drains()
    }

    pub(super) fn terminate(&mut self, now: Duration) {
        if self.pass_on_signal() {
            return;
        }
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

    /// Requests are served on, and load balancers learn that they should send them elsewhere. The answer comes when they have had
    /// the time for it.
    pub(super) fn ask_drain(&mut self, client: u64, wait: Duration, undo: bool, now: Duration) {
        if self.stop.begun() {
            let text = "the server stops".to_owned();
            return self.out.push(Action::Answer { clients: vec![client], ok: true, text });
        }
        self.stop.draining = !undo;
        self.log(
            Level::Notice,
            if undo {
                "the server is ready again for load balancers"
            } else {
                "the server drains: it is not ready for load balancers, and serves"
            },
        );
        self.tell_front_of_drain();
        if undo {
            let waiting = std::mem::take(&mut self.stop.drained);
            let text = "ready again".to_owned();
            let clients = waiting.into_iter().map(|(client, _)| client).chain([client]).collect();
            return self.out.push(Action::Answer { clients, ok: true, text });
        }
        self.stop.drained.push((client, now + wait));
    }

    /// A new front hears it, too.
    pub(super) fn tell_front_of_drain(&mut self) {
        if self.front.listens() {
            self.out.push(Action::ToFront(ToFront::Drain { on: self.stop.draining }));
        }
        self.tell_every_embedded_of_drain();
    }

    /// Answers the clients of `drain` whose time is over; all of them at a stop.
    fn tick_drain(&mut self, now: Duration) {
        let stops = self.stop.begun();
        let (over, waiting) =
            std::mem::take(&mut self.stop.drained).into_iter().partition(|(_, due)| stops || *due <= now);
        self.stop.drained = waiting;
        let over: Vec<(u64, Duration)> = over;
        if !over.is_empty() {
            let clients = over.into_iter().map(|(client, _)| client).collect();
            self.out.push(Action::Answer { clients, ok: true, text: "drained".to_owned() });
        }
    }

    /// Ends a server that cannot work at all.
    pub(super) fn give_up(&mut self, why: &str, code: i32, now: Duration) {
        if !self.stop.begun() {
            // The worker has logged its traceback.
            let short = imports::in_short(why);
            let text = format!("giving up: {short}");
            match code {
                // Nothing ends but the attempt, and the lines stand in the log of the server that serves on.
                _ if !self.has_taken_over() => {
                    let text = format!("the new server of the upgrade gives up: {short}");
                    self.log(Level::Error, text);
                }
                EXIT_NOT_IMPORTED => self.log_code(Level::Alert, "GK0052", text),
                _ => self.log(Level::Emerg, text),
            }
            self.stop.code = code;
            self.stop.why = Some(why.to_owned());
        }
        self.raise(Urgency::Now, now);
        self.notify(Notice::Status(format!("giving up: {}", why.lines().next().unwrap_or_default())));
    }

    fn raise(&mut self, urgency: Urgency, now: Duration) {
        if urgency <= self.stop.urgency {
            return;
        }
        let first = !self.stop.begun();
        self.stop.urgency = urgency;
        // What is cut off, somebody has asked for.
        let level = if urgency == Urgency::Graceful || first { Level::Notice } else { Level::Warn };
        self.log(level, self.stop_words(urgency, first));
        if first {
            self.begin_stop(now);
            self.cancel_reloads(now);
            self.forget_due_services();
            self.forget_retries();
            self.front.due = None;
        }
        match urgency {
            Urgency::None => {}
            Urgency::Graceful => {
                let window = self.longest_window();
                self.stop.due = window.map(|window| now + window);
                if !self.embedded() {
                    self.stop_front(window, now);
                }
                if !self.stop.workers {
                    let all: Vec<u64> = self.workers.keys().copied().collect();
                    all.into_iter().for_each(|worker| self.tell_of_stop(worker));
                }
                if self.embedded() {
                    self.let_embedded_leave(window, now);
                }
            }
            Urgency::Now => {
                self.leave_predecessor();
                self.stop_front(Some(Duration::ZERO), now);
                self.stop_workers(now);
            }
            Urgency::Kill => {
                self.leave_predecessor();
                self.kill_all(now);
            }
        }
    }

    /// What begins, with the times of the configuration.
    fn stop_words(&self, urgency: Urgency, first: bool) -> String {
        let longest = self.groups.iter().map(|g| g.spec.shutdown_timeout);
        let longest = longest.map(|s| if s > 0.0 { s } else { f64::INFINITY }).fold(0.0, f64::max);
        let end = match longest.is_finite() {
            true => format!("the applications have {longest} s to end (shutdown-timeout)"),
            false => "the applications have any time to end (shutdown-timeout)".to_owned(),
        };
        let begin = match first {
            true if self.has_handed_over() => "another server has taken over",
            true => "the server stops",
            false => "asked again to stop",
        };
        match urgency {
            Urgency::Graceful => {
                let each = if self.has_handed_over() { " each" } else { "" };
                let requests = self
                    .longest_window()
                    .map_or("any time".to_owned(), |w| format!("{} s{each}", w.as_secs_f64()));
                format!(
                    "{begin}: running requests have {requests} (graceful-timeout), then {end}; a second signal cuts them off"
                )
            }
            Urgency::None | Urgency::Now => {
                format!(
                    "{begin}, at once: running requests are cut off, {end}; a further signal kills every process"
                )
            }
            Urgency::Kill => format!("{begin}: every process is killed"),
        }
    }

    fn begin_stop(&mut self, now: Duration) {
        self.out.push(Action::CloseListeners);
        if self.has_handed_over() {
            if self.front.listens() {
                self.out.push(Action::ToFront(ToFront::HandedOver));
            }
            return;
        }
        self.notify(Notice::Stopping);
        self.refuse_upgrade("the server is stopping");
        self.wait_for_predecessor(self.longest_window(), now);
    }

    /// Another server has taken over: the requests that are here are finished.
    pub(super) fn retire(&mut self, now: Duration) {
        self.raise(Urgency::Graceful, now);
    }

    /// The longest time that requests of a group have; `None`: without bound. Where another server has taken over nobody waits for this one.
    fn longest_window(&self) -> Option<Duration> {
        let replaced = self.has_handed_over();
        let serving = self.groups.iter().filter(|g| !g.spec.service() && !g.spec.is_front());
        let windows =
            serving.map(|g| if replaced { g.spec.graceful_timeout() } else { g.spec.stop_timeout() });
        windows.map(|w| (w > 0.0).then(|| seconds(w))).try_fold(Duration::ZERO, |most, w| Some(most.max(w?)))
    }

    /// Tells a worker that serves that the server stops. A service script hears it as SIGTERM, after the requests, which may need
    /// it.
    pub(super) fn tell_of_stop(&mut self, worker: u64) {
        if self.workers.get(&worker).is_some_and(WorkerHandle::reads_messages) {
            let message = ToWorker::Stopping { reason: "shutdown_signal".to_owned() };
            self.out.push(Action::ToWorker { worker, message });
        }
    }

    pub(super) fn stop_front(&mut self, window: Option<Duration>, now: Duration) {
        if self.front.state == FrontState::Down {
            return self.stop_workers(now);
        }
        self.front.state = FrontState::Stopping;
        self.front.deadline = window.map(|window| now + window + SLACK);
        let timeout = window.unwrap_or(WITHOUT_BOUND).as_secs_f64();
        self.out.push(Action::ToFront(ToFront::Stop { timeout }));
    }

    /// Requests that waited in the front have begun since another server took over.
    pub(super) fn front_ends_within(&mut self, left: f64, now: Duration) {
        let until = now + seconds(left);
        if let Some(deadline) =
            self.front.deadline.as_mut().filter(|_| self.front.state == FrontState::Stopping)
        {
            *deadline = (*deadline).max(until + SLACK);
        }
        self.workers_stay(until);
    }

    /// Workers stop after requests that have begun since another server took over.
    fn workers_stay(&mut self, until: Duration) {
        if self.has_handed_over()
            && let Some(due) = &mut self.stop.due
        {
            *due = (*due).max(until);
        }
    }

    /// The front is gone: no more requests can arrive.
    pub(super) fn front_left(&mut self, now: Duration) {
        if self.embedded_serve_on() {
            return;
        }
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

    pub(super) fn tick_stop(&mut self, now: Duration) {
        self.tick_drain(now);
        if self.stop.due.is_some_and(|due| due <= now && !self.stop.workers) {
            self.log(Level::Warn, "requests still run at the end of their time: they are cut off");
            self.stop_workers(now);
        }
        self.stop_front_of_embedded(now);
        let gone =
            self.front.state == FrontState::Down && self.workers.is_empty() && !self.waits_for_predecessor();
        if self.stop.begun() && self.stop.workers && gone && !self.stop.done {
            self.stop.done = true;
            for slot in self.groups.iter_mut().flat_map(|g| &mut g.slots) {
                slot.due = None;
            }
            let (clients, text) = (std::mem::take(&mut self.stop.clients), "stopped".to_owned());
            let server = if self.has_handed_over() { "the replaced server" } else { "the server" };
            self.log(Level::Notice, format!("{server} has stopped"));
            self.out.push(Action::Answer { clients, ok: true, text });
            if self.has_handed_over() {
                self.out.push(Action::ToSuccessor(ToSuccessor::Ended));
            }
            let why = self.stop.why.take();
            self.out.push(Action::Exit { code: self.stop.code, why });
        }
    }
}
