//! The front in the plan: started first, restarted on the same sockets when it dies, linked with every worker that serves.

use super::action::Action;
use super::backoff::Backoff;
use super::event::ProcessEnd;
use super::liveness::signs::Signs;
use super::{
    Plan,
    worker::{FRONT, WorkerState},
};
use gk_sys::signal::SIGKILL;
use gk_wire::control::{FromFront, ToWorker, What};
use gk_wire::log::Level;
use std::time::Duration;

/// Deaths of the front after which the server ends, if none ever accepted connections.
const HOPELESS: u64 = 3;

/// Time that a front has to accept connections.
pub(super) const START: Duration = Duration::from_secs(60);

/// State of the front.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FrontState {
    /// There is none.
    #[default]
    Down,
    /// Its process exists or is about to.
    Starting,
    /// It accepts connections.
    Ready,
    /// It finishes its requests.
    Stopping,
}

impl FrontState {
    /// The word of `gilkeeper status`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
        }
    }
}

/// The supervisor's view of the front.
#[derive(Debug, Default)]
pub struct FrontHandle {
    /// Its state.
    pub state: FrontState,
    /// Its process id.
    pub pid: Option<u32>,
    /// Number of restarts.
    pub restarts: u64,
    /// When it is killed.
    pub(super) deadline: Option<Duration>,
    /// When the next one is started.
    pub(super) due: Option<Duration>,
    /// Its signs of life.
    pub signs: Signs,
    /// It was killed because it gave none.
    pub(super) hung: bool,
    /// When its process was started.
    started: Duration,
    ready: Option<Duration>,
    /// It has said that every process group is served, and its pages say the same.
    pub(super) serves: bool,
    /// It was told to stop, and accepts no more connections.
    pub(super) accepts_no_more: bool,
    proven: bool,
    backoff: Backoff,
}

impl FrontHandle {
    /// Whether it accepts connections.
    pub fn accepts(&self) -> bool {
        self.state == FrontState::Ready
    }

    /// Whether it takes messages.
    pub(super) fn listens(&self) -> bool {
        self.state != FrontState::Down
    }
}

impl Plan {
    pub(super) fn start_front(&mut self, now: Duration) {
        self.front.state = FrontState::Starting;
        self.front.due = None;
        self.front.ready = None;
        self.front.serves = false;
        self.front.accepts_no_more = false;
        self.front.started = now;
        self.front.signs = Signs::default();
        self.front.hung = false;
        self.front.deadline = (self.front_timeout > 0.0).then(|| now + START);
        self.out.push(Action::SpawnFront);
        self.link_all();
    }

    /// Links the front with every worker that serves and is not linked.
    fn link_all(&mut self) {
        let workers: Vec<u64> =
            self.workers.values().filter(|w| w.serves() && w.imported()).map(|w| w.worker).collect();
        for worker in workers {
            if !self.is_new_in_reload(worker) {
                self.link(worker);
            }
        }
        (0..self.groups.len()).for_each(|group| self.link_failed(group));
    }

    pub(super) fn front_not_started(&mut self, why: &str, now: Duration) {
        self.log(Level::Crit, format!("the front could not be started: {why}"));
        self.front_gone(1, now);
    }

    pub(super) fn front_exited(&mut self, ended: &ProcessEnd, now: Duration) {
        let expected = self.front.state == FrontState::Stopping;
        let level = if expected { Level::Info } else { Level::Crit };
        let pid = self.front.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        self.log(level, format!("the front{pid} ended: {}", ended.how));
        self.front_gone(ended.status.unwrap_or(1), now);
    }

    fn front_gone(&mut self, status: i32, now: Duration) {
        let served = self.front.ready.map(|ready| now.saturating_sub(ready));
        self.front.state = FrontState::Down;
        self.front.pid = None;
        self.front.deadline = None;
        for worker in self.workers.values_mut() {
            worker.linked = false;
        }
        if self.stop.begun() {
            return self.front_left(now);
        }
        self.offer_unanswered(served.is_some(), now);
        self.front.restarts += 1;
        if !self.front.proven && (status == 2 || self.front.restarts >= HOPELESS) {
            let code = if status == 2 { 2 } else { 1 };
            return self.give_up("the front cannot be started", code, now);
        }
        let age = now.saturating_sub(self.front.started);
        let delay = match served {
            Some(served) => self.front.backoff.died(age, served, true),
            None => self.front.backoff.never_served(),
        };
        self.front.due = Some(now + delay);
        if !delay.is_zero() {
            self.log(Level::Error, format!("the front is started again in {} s", delay.as_secs_f64()));
        }
    }

    pub(super) fn heard_from_front(&mut self, message: FromFront, now: Duration) {
        self.front_lives(now);
        match message {
            FromFront::Alive => {}
            FromFront::Ready => {
                if self.front.state == FrontState::Starting {
                    self.front.deadline = None;
                    self.front.state = FrontState::Ready;
                    self.front.ready = Some(now);
                    self.front.proven = true;
                    if self.stop.drains() {
                        self.tell_front_of_drain();
                    }
                    self.log(Level::Info, "the front accepts connections");
                    let pid = self.front.pid.unwrap_or(0);
                    let again = if self.front.restarts > 0 { " again" } else { "" };
                    self.note(
                        What::FrontStarted,
                        format!("the front (pid {pid}) accepts connections{again}"),
                    );
                }
            }
            FromFront::Serving => self.front.serves = true,
            FromFront::LinkRefused { worker, why } => self.link_refused(worker, &why, now),
            FromFront::LinkEnded { worker, fault, why } => {
                self.worker_fault(worker, fault, &format!("its link ended: {why}"), now);
            }
            FromFront::GivesNoMore { worker } => self.door_shut(FRONT, worker),
            FromFront::AcceptsNoMore => self.front.accepts_no_more = true,
            FromFront::EndsWithin { seconds } => self.front_ends_within(seconds, now),
            FromFront::Drained { worker } => {
                self.log(Level::Debug, format!("the front gives nothing more to worker {worker}"));
            }
            FromFront::WantStack { worker, request } => {
                self.out.push(Action::ToWorker { worker, message: ToWorker::Stack { request } });
            }
            FromFront::Site { configuration, refused } => {
                self.site_answered(configuration, refused.as_deref(), now);
            }
            // Handled by those who asked for it, and had the certificates sent. Figures of its own a front within a worker has, and tells that.
            FromFront::Status { .. }
            | FromFront::Certificates { .. }
            | FromFront::EmbeddedFigures { .. }
            | FromFront::EmbeddedSpans(_) => {}
        }
    }

    fn link_refused(&mut self, worker: u64, why: &str, now: Duration) {
        let Some(handle) = self.workers.get(&worker) else { return };
        let name = handle.name();
        let serves = handle.serves() || handle.state == WorkerState::Starting;
        self.log(Level::Error, format!("the link with {name} was refused: {why}"));
        if serves {
            // It can never get a request, and the next one may be refused as well.
            let text = format!("the link with {name} was refused: {why}");
            self.vacate_before_service(worker, &text, now);
            self.stop_worker(worker, "link refused", now);
        }
    }

    pub(super) fn tick_front(&mut self, now: Duration) {
        if self.front.due.is_some_and(|due| due <= now) && !self.stop.begun() {
            self.start_front(now);
        }
        if self.front.deadline.is_some_and(|deadline| deadline <= now) {
            self.front.deadline = None;
            let what = if self.front.state == FrontState::Starting { "start" } else { "stop" };
            self.log(Level::Error, format!("the front did not {what} in time and is killed"));
            self.out.push(Action::SignalFront(SIGKILL));
        }
    }
}
