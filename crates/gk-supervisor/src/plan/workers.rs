//! The workers in the plan: started, heard, told to leave or to stop. `slots.rs` decides when the next one starts.

use super::action::Action;
use super::event::ProcessEnd;
use super::fault;
use super::front::START;
use super::liveness;
use super::liveness::signs::Signs;
use super::worker::{ReadyReport, WorkerHandle, WorkerState};
use super::{Plan, seconds};
use gk_config::site::ProcessGroup;
use gk_sys::signal::{SIGKILL, SIGTERM};
use gk_wire::control::{FromWorker, ImportFailure, LinkFault, ToFront, ToWorker, What};
use gk_wire::log::Level;
use std::time::Duration;

/// Extra time after a worker's own deadline before the supervisor acts: the worker's messages are more precise.
const SLACK: Duration = Duration::from_millis(500);

/// The reason of a worker that loaded no script in time, as it says it.
const STARTUP_TIMEOUT: &str = "startup_timeout";

/// `worker.py` exits with this when its Python has no usable gilkeeper (`EX_CONFIG` of sysexits.h).
pub const EXIT_NO_PACKAGE: i32 = 78;

impl Plan {
    pub(super) fn spawn(
        &mut self,
        spec: &ProcessGroup,
        configuration: u64,
        generation: u64,
        now: Duration,
    ) -> u64 {
        let worker = self.next_worker;
        self.next_worker += 1;
        let handle = WorkerHandle {
            worker,
            group: spec.name.clone(),
            generation,
            pid: None,
            threads: spec.threads,
            embedded: spec.embedded,
            front: spec.is_front(),
            state: WorkerState::Starting,
            started: now,
            ready: None,
            about: None,
            failed: Vec::new(),
            partly: false,
            deadline: self.longest_start(spec).map(|longest| now + longest),
            starved: Duration::ZERO,
            doors: Default::default(),
            linked: false,
            shutdown_timeout: spec.shutdown_timeout,
            graceful_timeout: spec.graceful_timeout(),
            left_over: None,
            signs: Signs::default(),
            longest_silence: self.longest_silence(spec),
            gil_returned: None,
            reason: None,
            cut: None,
            deaf: false,
            killed: false,
            out_of_memory: false,
        };
        self.workers.insert(worker, handle);
        self.out.push(Action::SpawnWorker { worker, group: spec.name.clone(), configuration, generation });
        worker
    }

    /// The time that a process of that group has to become ready. One of several fronts imports nothing, and has as long as the one front.
    fn longest_start(&self, spec: &ProcessGroup) -> Option<Duration> {
        if spec.is_front() {
            return (self.front_timeout > 0.0).then_some(START);
        }
        (spec.startup_timeout > 0.0).then(|| seconds(spec.startup_timeout))
    }

    /// The silence after which a process of that group is replaced. One of several fronts runs no application, so for it `GilkeeperFrontTimeout`
    /// says this, as for the one front.
    fn longest_silence(&self, spec: &ProcessGroup) -> Option<Duration> {
        if spec.is_front() {
            return (self.front_timeout > 0.0).then(|| seconds(self.front_timeout));
        }
        (spec.deadlock_timeout > 0.0).then(|| seconds(spec.deadlock_timeout) + liveness::SLACK)
    }

    pub(super) fn worker_started(&mut self, worker: u64, pid: u32) {
        if let Some(handle) = self.workers.get_mut(&worker) {
            handle.pid = Some(pid);
            let handle = handle.clone();
            let text = format!("{} started", handle.name());
            self.note_worker(What::WorkerStarted, &handle, text.clone());
            self.log(Level::Info, text);
        }
    }

    pub(super) fn worker_not_started(
        &mut self,
        worker: u64,
        code: Option<&'static str>,
        why: &str,
        now: Duration,
    ) {
        let Some(handle) = self.workers.remove(&worker) else { return };
        let text = format!("{} could not be started: {why}", handle.name());
        self.out.push(Action::Log { level: Level::Alert, code, text: text.clone() });
        self.after_death(&handle, &text, true, now);
    }

    pub(super) fn worker_exited(&mut self, worker: u64, ended: &ProcessEnd, now: Duration) {
        let Some(mut handle) = self.workers.remove(&worker) else { return };
        handle.out_of_memory = ended.out_of_memory;
        let text = format!("{} ended: {}", handle.name(), ended.how);
        // A service script that has finished is no crash.
        let through = handle.service() && handle.ready.is_some() && ended.status == Some(0);
        if through {
            handle.goes("the service script ended");
        }
        // A leaving worker still serves: a foreign signal ends its requests.
        let crashed = handle.state == WorkerState::Leaving && ended.status.is_none() && !handle.killed;
        let departed = handle.departs() && !crashed;
        let level = match handle.killed || departed {
            true => Level::Info,
            false if through => Level::Notice,
            false => Level::Error,
        };
        self.log(level, text.clone());
        let what = if departed || through { What::WorkerLeft } else { What::WorkerCrashed };
        self.note_worker(what, &handle, text.clone());
        if handle.linked {
            let died = level == Level::Error;
            self.out.push(Action::ToFront(ToFront::WorkerExited { worker, how: ended.how.clone(), died }));
        }
        self.after_death(&handle, &text, ended.status == Some(EXIT_NO_PACKAGE), now);
    }

    /// `hopeless`: the next attempt would fail in the same way.
    fn after_death(&mut self, handle: &WorkerHandle, text: &str, hopeless: bool, now: Duration) {
        if self.is_new_in_reload(handle.worker) {
            return self.refuse_reload(text, &handle.failed, now);
        }
        let proven = self.groups.iter().any(|g| g.spec.name == handle.group && g.proven);
        if hopeless && !proven && self.generation == 1 && !self.stop.begun() {
            return self.give_up(&format!("a process group cannot be started: {text}"), 2, now);
        }
        if handle.service() && handle.departs() {
            return self.vacate(handle.worker, now);
        }
        if let Some(place) = self.slot_of(handle.worker) {
            let age = now.saturating_sub(handle.started);
            self.schedule(place, age, handle.served(now), text, now);
        }
    }

    pub(super) fn heard_from_worker(&mut self, worker: u64, message: FromWorker, now: Duration) {
        self.worker_lives(worker, now);
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        match message {
            FromWorker::Alive => {}
            FromWorker::Ready { python, gil_mode, switch_interval, failed, imported } => {
                if handle.state != WorkerState::Starting {
                    return;
                }
                let refused = handle.gil_returned.as_ref().is_some_and(|(_, refused)| *refused);
                let good = failed.is_empty() && !refused;
                handle.state = if good { WorkerState::Ready } else { WorkerState::Failed };
                handle.partly = !failed.is_empty() && imported > 0;
                handle.ready = Some(now);
                handle.deadline = None;
                handle.about = Some(ReadyReport { python, gil_mode, switch_interval });
                handle.failed = failed;
                self.worker_ready(worker, now);
            }
            FromWorker::GilReturned { module, refused } => {
                self.gil_returned(worker, module, refused, now);
            }
            FromWorker::ScriptChanged { script } => {
                if handle.serves() {
                    let group = handle.group.clone();
                    self.script_changed(worker, &group, &script, now);
                }
            }
            FromWorker::Tried { files } => {
                let group = handle.group.clone();
                let others =
                    self.workers.values().filter(|w| w.group == group && w.worker != worker && w.serves());
                for worker in others.map(|w| w.worker).collect::<Vec<_>>() {
                    let message = ToWorker::Watch { files: files.clone() };
                    self.out.push(Action::ToWorker { worker, message });
                }
            }
            FromWorker::Leaving { reason } => {
                handle.goes(&reason);
                if !handle.departs() {
                    let name = handle.name();
                    self.log(Level::Info, format!("{name} leaves: {reason}"));
                    self.worker_leaves(worker, &reason, now);
                }
            }
            FromWorker::Stopping { reason } => {
                handle.goes(&reason);
                self.worker_stops(worker, &reason, now);
            }
            // A worker that is not asked to speak HTTP has no clients.
            FromWorker::EmbeddedFigures { figures } if handle.embedded => {
                self.out.push(Action::ToFront(ToFront::EmbeddedFigures { worker, figures }));
            }
            FromWorker::EmbeddedSpans(spans) if handle.embedded => {
                self.out.push(Action::ToFront(ToFront::EmbeddedSpans(spans)));
            }
            FromWorker::Stack(stack) => self.out.push(Action::ToFront(ToFront::Stack { worker, stack })),
            // Its process may have ended, which is told in another way.
            FromWorker::LinkEnded { worker: other, fault, why }
                if handle.embedded && fault != LinkFault::Closed =>
            {
                let why = format!("its link to the front within worker {worker} ended: {why}");
                self.worker_fault(other, fault, &why, now);
            }
            FromWorker::AcceptsNoMore if handle.embedded => self.door_shut(worker, worker),
            FromWorker::EndsWithin { seconds: left } if handle.embedded => {
                self.leaves_within(worker, left, now)
            }
            FromWorker::GivesNoMore { worker: other } if handle.embedded => self.door_shut(worker, other),
            FromWorker::EmbeddedFigures { .. }
            | FromWorker::EmbeddedSpans(_)
            | FromWorker::LinkEnded { .. }
            | FromWorker::AcceptsNoMore
            | FromWorker::EndsWithin { .. }
            | FromWorker::GivesNoMore { .. } => {}
            // Handled by `status.rs`, which asked for it.
            FromWorker::Status { .. } => {}
        }
    }

    fn worker_ready(&mut self, worker: u64, now: Duration) {
        let Some(handle) = self.workers.get(&worker) else { return };
        let (name, serves_all) = (handle.name(), handle.state == WorkerState::Ready);
        if let Some(group) = self.groups.iter_mut().find(|g| g.spec.name == handle.group) {
            group.proven |= handle.imported();
        }
        let (what, level, text) = if serves_all {
            (What::WorkerReady, Level::Info, format!("{name} is ready"))
        } else {
            let text = match &handle.gil_returned {
                Some((_, true)) => {
                    format!("{name} serves, but with a GIL, which free-threading=required refuses")
                }
                _ => format!("{name} could not import {}", scripts(&handle.failed)),
            };
            (What::WorkerFailed, Level::Error, text)
        };
        let handle = handle.clone();
        self.note_worker(what, &handle, text.clone());
        self.log(level, text);
        if self.stop.is_graceful() {
            self.tell_of_stop(worker);
        }
        if self.is_new_in_reload(worker) {
            self.reload_worker_ready(worker, now);
        } else if handle.imported() {
            self.link(worker);
        } else {
            self.import_failed(worker, now);
        }
    }

    pub(super) fn link(&mut self, worker: u64) {
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        if self.front.listens() && handle.threads > 0 && !handle.linked {
            handle.linked = true;
            handle.doors.extend(handle.embedded.then_some(worker));
            let (group, threads, imported) = (handle.group.clone(), handle.threads, handle.imported());
            self.out.push(Action::Link { worker, group, threads, imported });
            self.tell_front_of_gil(worker);
            self.tell_embedded_of_drain(worker);
        }
    }

    /// The worker said that it leaves. The front hears it on the link and drains the worker.
    fn worker_leaves(&mut self, worker: u64, reason: &str, now: Duration) {
        if self.is_new_in_reload(worker) {
            let text = "a new worker left before it could take over";
            return self.refuse_reload(text, &[], now);
        }
        let window = self.window(worker, false);
        if reason == STARTUP_TIMEOUT {
            // Its first request waited for an import in vain, and that of the next process may do the same.
            self.vacate_before_service(worker, "no script could be loaded within startup-timeout", now);
        } else {
            self.vacate(worker, now);
        }
        if let Some(handle) = self.workers.get_mut(&worker) {
            handle.state = WorkerState::Leaving;
            handle.cut = None;
            handle.deadline = window.map(|w| now + w + SLACK);
        }
    }

    /// The worker said that it stops; shutdown-timeout bounds the rest.
    fn worker_stops(&mut self, worker: u64, reason: &str, now: Duration) {
        let Some(handle) = self.workers.get(&worker) else { return };
        let (name, state) = (handle.name(), handle.state);
        if state == WorkerState::Stopping {
            return;
        }
        self.log(Level::Info, format!("{name} stops: {reason}"));
        if self.is_new_in_reload(worker) {
            return self.refuse_reload(&format!("{name} stopped: {reason}"), &[], now);
        }
        match state {
            WorkerState::Starting => {
                self.vacate_after_failure(worker, &format!("{name} stopped: {reason}"), now);
            }
            WorkerState::Ready | WorkerState::Failed => self.vacate(worker, now),
            // Its slot has another one already.
            WorkerState::Leaving | WorkerState::Stopping => {}
        }
        self.expect_end(worker, now);
    }

    /// Drains a worker: the front is told first, so that it sends nothing more.
    pub(super) fn drain(&mut self, worker: u64, reason: &str, evicted: bool, now: Duration) {
        let window = self.window(worker, evicted);
        let sent = self.note_senders(worker);
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        handle.goes(reason);
        if !handle.serves() || handle.service() {
            return self.stop_worker(worker, reason, now);
        }
        handle.state = WorkerState::Leaving;
        handle.deadline = window.map(|w| now + w + SLACK);
        let (linked, reason) = (handle.linked, handle.reason.clone().unwrap_or_else(|| reason.to_owned()));
        if (linked && self.front.listens()) || sent {
            self.out.push(Action::ToFront(ToFront::DrainWorker { worker, reason: reason.clone() }));
        }
        let timeout = window.map_or(0.0, |w| w.as_secs_f64());
        let message = ToWorker::Leave { reason, timeout };
        self.out.push(Action::ToWorker { worker, message });
    }

    /// The drain window; `None`: without bound.
    fn window(&self, worker: u64, evicted: bool) -> Option<Duration> {
        let handle = self.workers.get(&worker)?;
        let group = self.groups.iter().find(|g| g.spec.name == handle.group);
        let eviction = group.map_or(0.0, |g| if evicted { g.spec.eviction_timeout } else { 0.0 });
        let graceful = group.map_or(handle.graceful_timeout, |g| g.spec.graceful_timeout());
        let window = if eviction > 0.0 { eviction } else { graceful };
        (window > 0.0).then(|| seconds(window))
    }

    /// Tells a worker to stop now.
    pub(super) fn stop_worker(&mut self, worker: u64, reason: &str, now: Duration) {
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        if handle.state == WorkerState::Stopping {
            return;
        }
        handle.goes(reason);
        let (starting, service) = (handle.state == WorkerState::Starting, handle.service());
        if !service {
            let message = ToWorker::Stop { reason: reason.to_owned() };
            self.out.push(Action::ToWorker { worker, message });
        }
        if starting || service {
            // It may be inside an import and read no messages. A service script gets no messages at all.
            self.out.push(Action::SignalWorker { worker, signal: SIGTERM });
        }
        self.expect_end(worker, now);
    }

    fn expect_end(&mut self, worker: u64, now: Duration) {
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        handle.state = WorkerState::Stopping;
        // It ends in order, so that a socket which was closed before needs no other answer.
        handle.cut = None;
        let timeout = handle.shutdown_timeout;
        handle.deadline = match timeout > 0.0 {
            true => Some(now + seconds(timeout) + SLACK),
            false => handle.deaf.then_some(now + fault::END),
        };
    }

    pub(super) fn tick_workers(&mut self, now: Duration) {
        let due = |w: &&WorkerHandle| w.deadline.is_some_and(|deadline| deadline <= now);
        let late: Vec<(u64, WorkerState, String)> =
            self.workers.values().filter(due).map(|w| (w.worker, w.state, w.name())).collect();
        for (worker, state, name) in late {
            match state {
                WorkerState::Starting => {
                    let text = self.not_ready(worker, &name);
                    self.log(Level::Error, format!("{text}; it is stopped"));
                    if self.is_new_in_reload(worker) {
                        self.refuse_reload(&text, &[], now);
                    } else {
                        self.vacate_after_failure(worker, &text, now);
                        self.stop_worker(worker, STARTUP_TIMEOUT, now);
                    }
                }
                WorkerState::Leaving => {
                    self.log(Level::Warn, format!("{name} had not ended when its drain window was over"));
                    self.stop_worker(worker, "graceful_timeout", now);
                }
                WorkerState::Stopping => self.kill(worker, "did not stop within shutdown-timeout"),
                WorkerState::Ready | WorkerState::Failed => self.clear_deadline(worker),
            }
        }
        if !self.stop.workers_stop() {
            self.fill_due(now);
        }
    }

    fn clear_deadline(&mut self, worker: u64) {
        if let Some(handle) = self.workers.get_mut(&worker) {
            handle.deadline = None;
        }
    }

    pub(super) fn kill(&mut self, worker: u64, why: &str) {
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        handle.goes("killed");
        handle.deadline = None;
        if !std::mem::replace(&mut handle.killed, true) {
            let name = handle.name();
            self.log(Level::Error, format!("{name} {why} and is killed"));
        }
        self.out.push(Action::SignalWorker { worker, signal: SIGKILL });
    }
}

/// The scripts of failed imports, with commas.
fn scripts(failed: &[ImportFailure]) -> String {
    failed.iter().map(|failure| &*failure.script).collect::<Vec<_>>().join(", ")
}
