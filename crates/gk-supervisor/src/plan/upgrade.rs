//! An upgrade: a new server, often of another version, replaces this one. Both halves are here, as each server may have both.
//!
//! ```text
//! old                                                      new
//!   upgrade ──▶ SpawnSuccessor ── sockets, lock ─────────▶   workers import; its front is not started yet
//!   serves on, as before                                     a front that accepts connections, beside the old one
//!   HandOver                         ◀───────── Serving ──   TakeOver: pid file, socket files, control socket
//!   ── Yours ───────────────────────────────────────────▶   READY for the service manager
//!   accepts no more; answer to the client
//!   service scripts end ── ServicesEnded ────────────────▶   its service scripts start
//!   requests end; exit, or stay for its parent's sake
//! ```
//!
//! Until `Serving`, whatever fails ends the new server and leaves the old one as it is. From then on the new one is the server.

use super::Plan;
use super::action::{Action, Notice};
use super::event::{ProcessEnd, Succession};
use super::seconds;
use gk_sys::signal::{SIGKILL, SIGTERM};
use gk_wire::control::What;
use gk_wire::handover::{ToPredecessor, ToSuccessor};
use gk_wire::log::Level;
use std::time::Duration;

/// Longest start of a new server beside the time that its workers have to import.
const START: Duration = Duration::from_secs(60);
/// Time for the imports of groups without a startup-timeout.
const PATIENCE: Duration = Duration::from_secs(120);
/// Extra time for the old server to end beside its own window.
const SLACK: Duration = Duration::from_secs(5);

/// Both halves of an upgrade.
#[derive(Debug, Default)]
pub struct Upgrade {
    successor: Option<Successor>,
    /// Service scripts have ended, and the successor knows.
    services_told: bool,
    predecessor: Predecessor,
    /// When the end no longer waits for the predecessor.
    patience: Option<Duration>,
    /// This process stays in front of its successor, and gets the signals that are meant for that.
    stays: bool,
    /// Signals TERM and INT that were passed on.
    passed_on: u32,
}

/// The server that is to replace this one.
#[derive(Debug)]
struct Successor {
    pid: u32,
    client: u64,
    /// When it has to serve.
    deadline: Option<Duration>,
    serves: bool,
    /// Why it cannot.
    refused: Option<String>,
}

/// The server that this one replaces.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Predecessor {
    /// There is none, or it has ended.
    #[default]
    None,
    /// It serves. `keep_trying`: that of the configuration, which does not count until then.
    Serves { keep_trying: bool },
    /// It was told that this one serves.
    Told,
    /// It finishes its requests; its service scripts run.
    Leaves,
    /// The same without service scripts.
    LeavesRequests,
}

impl Upgrade {
    pub(super) fn deadline(&self) -> Option<Duration> {
        let successor = self.successor.as_ref().filter(|new| !new.serves).and_then(|new| new.deadline);
        successor.into_iter().chain(self.patience).min()
    }
}

impl Plan {
    /// This process stays as long as its successor runs, because somebody watches it by its process id.
    #[must_use]
    pub fn that_stays(mut self) -> Self {
        self.upgrade.stays = true;
        self
    }

    /// The server before drained, and so does this one.
    #[must_use]
    pub fn that_drains(mut self) -> Self {
        self.stop.drain();
        self
    }

    /// Whether another server has taken over.
    pub fn has_handed_over(&self) -> bool {
        self.upgrade.successor.as_ref().is_some_and(|new| new.serves)
    }

    /// Whether this server has taken the place of another one.
    pub fn has_taken_over(&self) -> bool {
        !matches!(self.upgrade.predecessor, Predecessor::Serves { .. })
    }

    /// Whether the service manager listens to this process.
    pub(super) fn is_main_process(&self) -> bool {
        let waits = matches!(self.upgrade.predecessor, Predecessor::Serves { .. } | Predecessor::Told);
        !waits && !self.has_handed_over()
    }

    /// Whether service scripts of the server before may still run.
    pub(super) fn are_services_held(&self) -> bool {
        !matches!(self.upgrade.predecessor, Predecessor::None | Predecessor::LeavesRequests)
    }

    pub(super) fn succession(&mut self, event: Succession, now: Duration) {
        match event {
            Succession::Asked { client, program } => self.ask_upgrade(client, program, now),
            Succession::Started { pid } => {
                if let Some(new) = &mut self.upgrade.successor {
                    new.pid = pid;
                }
            }
            Succession::NotStarted { why } => {
                self.forget_process();
                self.refuse_upgrade(&why);
            }
            Succession::FromSuccessor(ToPredecessor::Refused { why }) => {
                if let Some(new) = &mut self.upgrade.successor {
                    new.refused.get_or_insert(why);
                }
            }
            Succession::FromSuccessor(ToPredecessor::Serving) => self.hand_over(now),
            // For the process that stays in front, which follows it.
            Succession::FromSuccessor(ToPredecessor::Successor { .. }) => {}
            Succession::Ended(ended) => self.successor_ended(&ended),
            Succession::Inherit => self.inherit(now),
            Succession::FromPredecessor(message) => self.heard_from_predecessor(message, now),
            Succession::PredecessorGone => self.predecessor_gone(now),
        }
    }

    // The old server.

    fn ask_upgrade(&mut self, client: u64, program: Vec<String>, now: Duration) {
        let refused = match &self.upgrade.successor {
            _ if self.stop.begun() => Some("the server is stopping".to_owned()),
            Some(new) => Some(format!("another upgrade is running: pid {} starts", new.pid)),
            None if !self.announced => {
                Some("the server does not serve yet; ask again when it does".to_owned())
            }
            None => None,
        };
        if let Some(text) = refused {
            return self.out.push(Action::Answer { clients: vec![client], ok: false, text });
        }
        let imports = self.groups.iter().map(|group| match group.spec.startup_timeout {
            t if t > 0.0 => seconds(t),
            _ => PATIENCE,
        });
        let deadline = Some(now + imports.max().unwrap_or(PATIENCE) + START);
        self.log(Level::Notice, format!("upgrade begins: {} serve …", program.join(" ")));
        let text = "starting the new server; the old one serves until that is ready".to_owned();
        self.out.push(Action::Tell { clients: vec![client], text });
        self.upgrade.successor = Some(Successor { pid: 0, client, deadline, serves: false, refused: None });
        self.out.push(Action::SpawnSuccessor { program, draining: self.drains() });
    }

    /// There is no process of the successor that a signal could reach.
    fn forget_process(&mut self) {
        if let Some(new) = &mut self.upgrade.successor {
            new.pid = 0;
        }
    }

    /// The upgrade fails; this server goes on.
    pub(super) fn refuse_upgrade(&mut self, why: &str) {
        let Some(new) = self.upgrade.successor.take_if(|new| !new.serves) else { return };
        if new.pid != 0 {
            self.out.push(Action::SignalSuccessor(SIGKILL));
        }
        let text = format!("upgrade refused, the old server stays: {why}");
        self.note(What::ReloadRefused, text.clone());
        self.log(Level::Error, text.clone());
        self.out.push(Action::Answer { clients: vec![new.client], ok: false, text });
    }

    fn hand_over(&mut self, now: Duration) {
        let Some(new) = self.upgrade.successor.as_mut().filter(|new| !new.serves) else { return };
        new.serves = true;
        let (client, pid) = (new.client, new.pid);
        // The service manager hears of the new process before that says anything itself.
        self.out.push(Action::HandOver);
        self.out.push(Action::ToSuccessor(ToSuccessor::Yours));
        self.retire(now);
        // The new ones wait for their end.
        let services = self.workers.values().filter(|w| w.service()).map(|w| w.worker);
        for worker in services.collect::<Vec<_>>() {
            self.stop_worker(worker, "upgrade", now);
        }
        let text = format!("upgrade done: pid {pid} serves, the old processes finish their requests");
        self.say_last(vec![client], text, now);
    }

    fn successor_ended(&mut self, ended: &ProcessEnd) {
        let Some(new) = &self.upgrade.successor else { return };
        if !new.serves {
            let how = format!("the new server ended: {}", ended.how);
            let why = new.refused.clone().unwrap_or(how);
            self.forget_process();
            return self.refuse_upgrade(&why);
        }
        // Whoever watches this process learns how the server ended.
        self.log(Level::Crit, format!("the server that took over ended: {}", ended.how));
        self.stop.set_code(ended.status.unwrap_or(1));
    }

    /// A signal to end may be meant for the successor, which nobody else knows. A second one is meant for both.
    pub(super) fn pass_on_signal(&mut self) -> bool {
        if !self.has_handed_over() || !self.upgrade.stays {
            return false;
        }
        self.out.push(Action::SignalSuccessor(SIGTERM));
        self.upgrade.passed_on += 1;
        self.upgrade.passed_on == 1
    }

    // The new server.

    fn inherit(&mut self, now: Duration) {
        let keep_trying = std::mem::take(&mut self.keep_trying);
        self.upgrade.predecessor = Predecessor::Serves { keep_trying };
        // The front comes last: what it accepts is this server's.
        for group in 0..self.groups.len() {
            if !self.groups[group].spec.service() {
                (0..self.groups[group].slots.len()).for_each(|slot| self.fill(group, slot, now));
            }
        }
    }

    /// This server serves.
    pub(super) fn take_over(&mut self) {
        if let Predecessor::Serves { keep_trying } = self.upgrade.predecessor {
            self.keep_trying = keep_trying;
            self.upgrade.predecessor = Predecessor::Told;
            self.out.push(Action::TakeOver);
            self.out.push(Action::ToPredecessor(ToPredecessor::Serving));
        }
    }

    fn heard_from_predecessor(&mut self, message: ToSuccessor, now: Duration) {
        match (message, self.upgrade.predecessor) {
            (ToSuccessor::Yours, Predecessor::Told) => {
                self.upgrade.predecessor = Predecessor::Leaves;
                self.become_main_process();
            }
            (ToSuccessor::ServicesEnded, Predecessor::Leaves) => {
                self.upgrade.predecessor = Predecessor::LeavesRequests;
                self.start_services(now);
            }
            (ToSuccessor::Ended, _) => self.predecessor_gone(now),
            _ => {}
        }
    }

    fn predecessor_gone(&mut self, now: Duration) {
        // It is no news for the service manager, which watches that server.
        if matches!(self.upgrade.predecessor, Predecessor::Serves { .. }) {
            return self.give_up("the server that this one was to replace has ended", 1, now);
        }
        match std::mem::take(&mut self.upgrade.predecessor) {
            Predecessor::None | Predecessor::Serves { .. } => {}
            before => {
                if before == Predecessor::Told {
                    self.become_main_process();
                }
                if before != Predecessor::LeavesRequests {
                    self.start_services(now);
                }
            }
        }
        self.upgrade.patience = None;
    }

    fn become_main_process(&mut self) {
        if !self.stop.begun() {
            self.notify(Notice::Ready);
        }
    }

    fn start_services(&mut self, now: Duration) {
        if self.stop.begun() {
            return;
        }
        for group in 0..self.groups.len() {
            for slot in 0..self.groups[group].slots.len() {
                if self.groups[group].spec.service() && self.groups[group].slots[slot].worker.is_none() {
                    self.fill(group, slot, now);
                }
            }
        }
    }

    /// This server ends, and the one before still finishes requests: a service manager would kill it with this process.
    pub(super) fn wait_for_predecessor(&mut self, window: Option<Duration>, now: Duration) {
        if matches!(self.upgrade.predecessor, Predecessor::Leaves | Predecessor::LeavesRequests) {
            self.upgrade.patience = Some(now + window.unwrap_or(PATIENCE) + SLACK);
        }
    }

    /// This server ends and waits for nobody.
    pub(super) fn leave_predecessor(&mut self) {
        self.upgrade.patience = None;
    }

    /// Whether the end waits for the server before.
    pub(super) fn waits_for_predecessor(&self) -> bool {
        self.upgrade.patience.is_some()
    }

    pub(super) fn tick_upgrade(&mut self, now: Duration) {
        if matches!(self.upgrade.predecessor, Predecessor::Serves { .. })
            && !self.stop.begun()
            && !self.front.listens()
            && self.front.due.is_none()
            && self.has_imported()
        {
            self.start_front(now);
        }
        if self.upgrade.deadline().is_some_and(|deadline| deadline <= now) {
            self.upgrade.patience = None;
            let late = "it did not serve in time (startup-timeout and a minute)";
            if self.upgrade.successor.as_ref().is_some_and(|new| new.deadline.is_some_and(|at| at <= now)) {
                self.refuse_upgrade(late);
            }
        }
        let services = self.workers.values().any(|worker| worker.service());
        if self.has_handed_over() && !services && !std::mem::replace(&mut self.upgrade.services_told, true) {
            self.out.push(Action::ToSuccessor(ToSuccessor::ServicesEnded));
        }
    }
}
