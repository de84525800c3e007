//! The plan: `handle(event, now)` changes the state and returns actions. Pure: no clock, no process, no socket. `now` is the time
//! since the supervisor started. Split by noun: [`workers`], `slots`, `imports`, `fault`, [`liveness`], `service`, [`front`],
//! [`reload`], [`upgrade`], [`stop`], [`notices`].

pub mod action;
mod backoff;
pub mod event;
mod fault;
pub mod front;
pub(crate) mod imports;
pub mod liveness;
pub mod notices;
pub mod reload;
mod service;
mod slots;
pub mod stop;
pub mod upgrade;
pub mod worker;
pub mod workers;

use action::{Action, Notice};
use backoff::Backoff;
use event::{ConfigurationOutline, Event};
use front::FrontHandle;
use gk_config::site::ProcessGroup;
use gk_wire::control::{Happened, LinkFault, What};
use gk_wire::log::Level;
use gk_wire::setup::duration as seconds;
use std::collections::BTreeMap;
use std::time::Duration;
use worker::WorkerHandle;

/// The state of the server as the supervisor knows it.
#[derive(Debug)]
pub struct Plan {
    /// The current configuration's number.
    configuration: u64,
    /// Counts up with each reload.
    generation: u64,
    groups: Vec<Group>,
    workers: BTreeMap<u64, WorkerHandle>,
    next_worker: u64,
    front: FrontHandle,
    reload: Option<reload::Reload>,
    /// Of the reload or the upgrade whose new processes serve.
    last_word: Option<reload::last_word::LastWord>,
    /// The reload that follows the running one.
    queued: Option<reload::ReloadRequest>,
    /// A first generation that cannot be imported is tried again.
    keep_trying: bool,
    /// Seconds; 0: never.
    front_timeout: f64,
    questions: liveness::Questions,
    /// Process groups with a changed script, and when to reload them.
    changed: BTreeMap<String, Duration>,
    stop: stop::Stop,
    upgrade: upgrade::Upgrade,
    notices: notices::Notices,
    announced: bool,
    out: Vec<Action>,
    /// Happenings for the admin pages. The caller adds the time.
    happened: Vec<Happened>,
}

/// A process group with its slots.
#[derive(Debug)]
struct Group {
    spec: ProcessGroup,
    slots: Vec<ProcessSlot>,
    /// One of its workers has imported its applications.
    proven: bool,
}

/// The place of one process of a group.
#[derive(Debug, Default)]
struct ProcessSlot {
    worker: Option<u64>,
    /// When an empty slot is filled.
    due: Option<Duration>,
    /// Its worker could not import: when another one tries.
    retry: Option<Duration>,
    /// A process of it never came to serve.
    failed: bool,
    backoff: Backoff,
}

impl Group {
    fn new(spec: ProcessGroup) -> Self {
        let slots = (0..spec.processes).map(|_| ProcessSlot::default()).collect();
        Self { spec, slots, proven: false }
    }
}

impl Plan {
    /// A plan for that configuration. Nothing happens before `Event::Start`.
    pub fn new(outline: ConfigurationOutline) -> Self {
        Self {
            configuration: outline.configuration,
            generation: 1,
            groups: outline.groups.into_iter().map(Group::new).collect(),
            workers: BTreeMap::new(),
            next_worker: 1,
            front: FrontHandle::default(),
            reload: None,
            last_word: None,
            queued: None,
            keep_trying: outline.keep_trying,
            front_timeout: outline.front_timeout,
            questions: liveness::Questions::default(),
            changed: BTreeMap::new(),
            stop: stop::Stop::default(),
            upgrade: upgrade::Upgrade::default(),
            notices: notices::Notices::default(),
            announced: false,
            out: Vec::new(),
            happened: Vec::new(),
        }
    }

    /// Takes an event and returns the actions, in order.
    pub fn handle(&mut self, event: Event, now: Duration) -> Vec<Action> {
        self.notice_own_sleep(now);
        match event {
            Event::Start => self.start(now),
            Event::Tick => {}
            Event::FrontStarted { pid } => self.front.pid = Some(pid),
            Event::FrontNotStarted { why } => self.front_not_started(&why, now),
            Event::FrontExited(ended) => self.front_exited(&ended, now),
            Event::FromFront(message) => self.heard_from_front(message, now),
            Event::WorkerStarted { worker, pid } => self.worker_started(worker, pid),
            Event::WorkerNotStarted { worker, code, why } => self.worker_not_started(worker, code, &why, now),
            Event::WorkerExited { worker, ended } => self.worker_exited(worker, &ended, now),
            Event::FromWorker { worker, message } => self.heard_from_worker(worker, message, now),
            Event::WorkerFault { worker, fault, why } => {
                self.worker_fault(worker, fault, &why, now);
                if fault == LinkFault::Closed {
                    self.control_closed(worker, now);
                }
            }
            Event::LookedForDebugger { worker, found } => self.looked_for_debugger(worker, found, now),
            Event::Configured(result) => self.configured(result, now),
            Event::Hangup => self.ask_reload(reload::ReloadRequest::hangup(), now),
            Event::Evict => self.ask_reload(reload::ReloadRequest::evict(), now),
            Event::Reload { client, group } => {
                self.ask_reload(reload::ReloadRequest::asked(client, group), now)
            }
            Event::Drain { client, wait, undo } => self.ask_drain(client, wait, undo, now),
            Event::Terminate => self.terminate(now),
            Event::Stop { client, now: at_once } => self.ask_stop(client, at_once, now),
            Event::Succession(event) => self.succession(event, now),
        }
        self.tick(now);
        self.announce();
        self.tick_notices(now);
        std::mem::take(&mut self.out)
    }

    /// Happenings since the last call, for the admin pages. Without the time.
    pub fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// Latest time for the next `Event::Tick`.
    pub fn next_deadline(&self) -> Option<Duration> {
        let slots = self.groups.iter().flat_map(|g| &g.slots).flat_map(|s| [s.due, s.retry]).flatten();
        let cut = |w: &WorkerHandle| w.cut.as_ref().map(|(at, _)| *at);
        let workers = self.workers.values().flat_map(|w| [w.deadline, cut(w)]).flatten();
        let changed = if !self.is_reloading() { self.changed.values().copied().min() } else { None };
        let reload = self.reload.as_ref().and_then(reload::Reload::deadline);
        slots
            .chain(workers)
            .chain(changed)
            .chain(reload)
            .chain(self.last_word.as_ref().map(reload::last_word::LastWord::deadline))
            .chain(self.front.deadline)
            .chain(self.front.due)
            .chain(self.stop.deadlines())
            .chain(self.questions_due())
            .chain(self.upgrade.deadline())
            .chain(self.notices_due())
            .min()
    }

    /// The workers, for status.
    pub fn workers(&self) -> impl Iterator<Item = &WorkerHandle> {
        self.workers.values()
    }

    /// The front, for status.
    pub fn front(&self) -> &FrontHandle {
        &self.front
    }

    /// Workers that accept connections, where they do so in the place of the front; `None`: it does.
    pub fn accepting(&self, is_silent: impl Fn(&WorkerHandle) -> bool) -> Option<u32> {
        let accepts = |w: &&WorkerHandle| w.embedded && w.linked && w.serves() && !is_silent(w);
        self.embedded().then(|| self.workers.values().filter(accepts).count() as u32)
    }

    /// Counts up with each reload.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn start(&mut self, now: Duration) {
        self.start_front(now);
        for group in 0..self.groups.len() {
            for slot in 0..self.groups[group].slots.len() {
                self.fill(group, slot, now);
            }
        }
    }

    fn tick(&mut self, now: Duration) {
        self.tick_front(now);
        self.tick_faults(now);
        self.tick_liveness(now);
        self.tick_left_over(now);
        self.tick_workers(now);
        self.tick_last_word(now);
        self.tick_reload(now);
        self.tick_upgrade(now);
        self.tick_stop(now);
    }

    /// Announces once, when the front accepts connections, every process group has a worker that imported its applications,
    /// and the others have at least tried. Service scripts do not count. The front says last that it serves, so that whoever hears of
    /// it finds `/readyz` ready.
    fn announce(&mut self) {
        let serves = self.front.accepts() && self.front.serves;
        if !self.announced && !self.stop.begun() && serves && self.has_imported() {
            self.announced = true;
            self.take_over();
            self.out.push(Action::Announce);
            self.notify(Notice::Ready);
        }
    }

    /// Whether every process group has a worker that imported its applications, and the others have at least tried.
    fn has_imported(&self) -> bool {
        let imported = |slot: &ProcessSlot| {
            self.worker_of(slot).is_some_and(|worker| worker.serves() && worker.imported())
        };
        let serves = |group: &Group| {
            group.slots.iter().any(imported) && group.slots.iter().all(|slot| slot.failed || imported(slot))
        };
        self.groups.iter().filter(|g| !g.spec.service()).all(serves)
    }

    /// Whether there are workers that speak HTTP themselves.
    fn embedded(&self) -> bool {
        self.groups.iter().any(|group| group.spec.embedded)
    }

    fn worker_of(&self, slot: &ProcessSlot) -> Option<&WorkerHandle> {
        slot.worker.and_then(|worker| self.workers.get(&worker))
    }

    fn note(&mut self, what: What, text: impl Into<String>) {
        self.happened.push(Happened { what, text: text.into(), ..Happened::default() });
    }

    fn note_worker(&mut self, what: What, handle: &WorkerHandle, text: impl Into<String>) {
        let process_group = Some(handle.group.clone());
        let (worker, pid) = (Some(handle.worker), handle.pid);
        let reason = match what {
            What::WorkerCrashed if handle.out_of_memory => Some("out_of_memory".to_owned()),
            What::WorkerCrashed => Some("crash".to_owned()),
            What::WorkerLeft => handle.reason.clone(),
            _ => None,
        };
        self.happened.push(Happened { at: 0.0, what, process_group, worker, pid, reason, text: text.into() });
    }

    fn log_code(&mut self, level: Level, code: &'static str, text: impl Into<String>) {
        self.out.push(Action::Log { level, code: Some(code), text: text.into() });
    }

    fn log(&mut self, level: Level, text: impl Into<String>) {
        self.out.push(Action::log(level, text));
    }
}

#[cfg(test)]
mod tests;
