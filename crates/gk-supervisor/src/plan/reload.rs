//! Reloads: replace workers without losing a request. The new workers are started and must import everything, and the front must take
//! the new configuration ([`offer`]); only then do the old ones drain. After any failure the new ones are stopped and the old ones go on.
//!
//! One reload runs at a time. Requests for further reloads are merged into one that follows.

mod doors;
pub mod last_word;
mod left_over;
mod offer;

use super::action::{Action, Notice};
use super::event::ConfigurationOutline;
use super::worker::{WorkerHandle, WorkerState};
use super::{Group, Plan, ProcessSlot, seconds};
use gk_wire::control::{ImportFailure, ToWorker, What};
use gk_wire::log::Level;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Wait after a changed script: editors and deploys rarely write one file once.
pub const SETTLE: Duration = Duration::from_millis(200);

/// Time limit for new workers of groups without a startup-timeout.
const PATIENCE: Duration = Duration::from_secs(120);

/// The reason of a reload by a changed script.
const CHANGED: &str = "script changed";

/// A request for a reload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadRequest {
    /// The reason, for the log.
    why: String,
    /// Read the configuration again.
    configuration: bool,
    /// The drain window is eviction-timeout.
    evict: bool,
    /// The process groups; `None`: all.
    groups: Option<BTreeSet<String>>,
    clients: Vec<u64>,
}

impl ReloadRequest {
    /// By the signal HUP.
    pub fn hangup() -> Self {
        Self { why: "signal HUP".into(), configuration: true, ..Self::default() }
    }

    /// By the signal USR1.
    pub fn evict() -> Self {
        Self { why: "signal USR1".into(), evict: true, ..Self::default() }
    }

    /// By `gilkeeper reload`.
    pub fn asked(client: u64, group: Option<String>) -> Self {
        let configuration = group.is_none();
        let groups = group.map(|g| BTreeSet::from([g]));
        Self { why: "reload command".into(), configuration, groups, clients: vec![client], evict: false }
    }

    fn changed(groups: BTreeSet<String>) -> Self {
        Self { why: CHANGED.into(), groups: Some(groups), ..Self::default() }
    }

    /// Combines two requests.
    fn merge(&mut self, other: ReloadRequest) {
        self.configuration |= other.configuration;
        self.evict &= other.evict;
        self.groups = match (self.groups.take(), other.groups) {
            (Some(mut a), Some(b)) => {
                a.extend(b);
                Some(a)
            }
            _ => None,
        };
        self.clients.extend(other.clients);
        if self.why != other.why {
            self.why = format!("{}, {}", self.why, other.why);
        }
    }

    fn takes(&self, group: &str) -> bool {
        self.groups.as_ref().is_none_or(|g| g.contains(group))
    }
}

/// A reload in progress.
#[derive(Debug)]
pub struct Reload {
    request: ReloadRequest,
    /// Number of the new generation.
    generation: u64,
    /// The new configuration, if one was read.
    outline: Option<ConfigurationOutline>,
    /// The new workers by group; `None` while the configuration is read.
    new: Option<BTreeMap<String, Vec<u64>>>,
    /// The front has the new configuration, and has not answered yet.
    offered: bool,
    deadline: Option<Duration>,
    /// Process groups with another change during this reload.
    again: BTreeSet<String>,
}

impl Reload {
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Time in which the supervisor did not run does not count.
    pub(super) fn forgive(&mut self, gap: Duration) {
        self.deadline = self.deadline.map(|at| at + gap);
    }

    /// Waits for its workers at least until then.
    pub(super) fn wait_until(&mut self, at: Duration) {
        self.deadline = self.deadline.map(|deadline| deadline.max(at));
    }

    pub(super) fn workers(&self) -> Vec<u64> {
        self.new.iter().flat_map(|new| new.values().flatten()).copied().collect()
    }
}

impl Plan {
    pub(super) fn is_new_in_reload(&self, worker: u64) -> bool {
        self.reload.as_ref().is_some_and(|r| r.workers().contains(&worker))
    }

    pub(super) fn ask_reload(&mut self, request: ReloadRequest, now: Duration) {
        if self.stop.begun() {
            let text = "the server is stopping".to_owned();
            return self.out.push(Action::Answer { clients: request.clients, ok: false, text });
        }
        let unknown = |name: &&String| !self.groups.iter().any(|g| g.spec.name == **name);
        if let Some(name) = request.groups.iter().flatten().find(unknown) {
            let known: Vec<&str> = self.groups.iter().map(|g| g.spec.name.as_str()).collect();
            let text = format!("there is no process group '{name}'; there are: {}", known.join(", "));
            return self.out.push(Action::Answer { clients: request.clients, ok: false, text });
        }
        if self.is_reloading() {
            let text = "another reload is running; this one follows it".to_owned();
            self.out.push(Action::Tell { clients: request.clients.clone(), text });
            match &mut self.queued {
                Some(queued) => queued.merge(request),
                None => self.queued = Some(request),
            }
            return;
        }
        self.begin_reload(request, now);
    }

    fn begin_reload(&mut self, request: ReloadRequest, now: Duration) {
        let text = format!("reload begins: {}", request.why);
        self.note(What::ReloadBegun, text.clone());
        // Of a changed script the log has a line already, and one at the end follows.
        self.log(if request.why == CHANGED { Level::Info } else { Level::Notice }, text);
        self.notify_of_reload(Notice::Reloading(request.why.clone()));
        let read = request.configuration;
        self.changed.retain(|group, _| !request.takes(group));
        self.reload = Some(Reload {
            request,
            generation: self.generation + 1,
            outline: None,
            new: None,
            offered: false,
            deadline: None,
            again: BTreeSet::new(),
        });
        if read {
            self.out.push(Action::ReadConfiguration);
        } else {
            self.start_new_workers(now);
        }
    }

    pub(super) fn configured(&mut self, result: Result<ConfigurationOutline, String>, now: Duration) {
        let Some(reload) = self.reload.as_mut().filter(|r| r.new.is_none()) else {
            if let Ok(outline) = result {
                self.out.push(Action::Forget { configuration: outline.configuration });
            }
            return;
        };
        match result {
            Ok(outline) => {
                let remarks = outline.remarks.clone();
                let clients = reload.request.clients.clone();
                reload.outline = Some(outline);
                for text in remarks {
                    self.log(Level::Warn, text.clone());
                    self.out.push(Action::Tell { clients: clients.clone(), text });
                }
                self.start_new_workers(now);
            }
            Err(text) => self.refuse_reload(&format!("the configuration cannot be used: {text}"), &[], now),
        }
    }

    fn start_new_workers(&mut self, now: Duration) {
        let Some(reload) = &self.reload else { return };
        let (generation, request) = (reload.generation, reload.request.clone());
        let (configuration, specs) = match &reload.outline {
            Some(outline) => (outline.configuration, outline.groups.clone()),
            None => (self.configuration, self.groups.iter().map(|g| g.spec.clone()).collect()),
        };
        let mut new: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut patience = Duration::ZERO;
        for spec in specs.iter().filter(|s| request.takes(&s.name) && !s.service()) {
            patience = patience.max(match spec.startup_timeout {
                t if t > 0.0 => seconds(t),
                _ => PATIENCE,
            });
            for _ in 0..spec.processes {
                let worker = self.spawn(spec, configuration, generation, now);
                new.entry(spec.name.clone()).or_default().push(worker);
            }
        }
        let count = new.values().flatten().count();
        if count > 0 {
            let text = format!("starting {count} new worker{}", if count == 1 { "" } else { "s" });
            self.out.push(Action::Tell { clients: request.clients, text });
        }
        if let Some(reload) = &mut self.reload {
            reload.new = Some(new);
            reload.deadline = Some(now + patience);
        }
        self.take_over_if_ready(now);
    }

    /// A new worker has reported.
    pub(super) fn reload_worker_ready(&mut self, worker: u64, now: Duration) {
        let Some(handle) = self.workers.get(&worker) else { return };
        if handle.state == WorkerState::Failed {
            let what = match handle.gil_returned {
                Some((_, true)) => "has a GIL, which free-threading=required refuses",
                _ => "could not import the application",
            };
            let (text, failed) = (format!("{} {what}", handle.name()), handle.failed.clone());
            return self.refuse_reload(&text, &failed, now);
        }
        self.take_over_if_ready(now);
    }

    fn take_over_if_ready(&mut self, now: Duration) {
        let Some(reload) = &self.reload else { return };
        let ready = |w: &u64| self.workers.get(w).is_some_and(|h| h.state == WorkerState::Ready);
        let all_ready = reload.new.is_some() && reload.workers().iter().all(ready);
        if all_ready && !self.offer(now) {
            self.finish_reload(now);
        }
    }

    /// The new workers take over.
    fn finish_reload(&mut self, now: Duration) {
        let Some(Reload { request, generation, outline, new, .. }) = self.reload.take() else { return };
        let new = new.unwrap_or_default();
        self.generation = generation;
        let old = self.swap(outline, new.clone());
        let reason = if request.evict { "eviction_signal" } else { "reload" };
        // In this order: the new configuration, which the front has by now, the new workers, the end of the old ones. Those that speak HTTP
        // come last: new ones send nothing to old workers.
        for speaking in [false, true] {
            let of = |worker: &u64| self.workers.get(worker).is_some_and(|w| w.embedded == speaking);
            let (new, old): (Vec<u64>, Vec<u64>) = (
                new.values().flatten().copied().filter(of).collect(),
                old.iter().copied().filter(of).collect(),
            );
            new.into_iter().for_each(|worker| self.link(worker));
            self.release(&old, reason, request.evict, now);
        }
        let services = self.restart_services(|name| request.takes(name), reason, now);
        let draining = match old.len() {
            1 => "1 old worker drains".to_owned(),
            several => format!("{several} old workers drain"),
        };
        let restarting = match services {
            0 => String::new(),
            1 => ", 1 service script process restarts".to_owned(),
            several => format!(", {several} service script processes restart"),
        };
        let text = format!("reload done: generation {generation} serves, {draining}{restarting}");
        self.say_last(request.clients, text, now);
    }

    /// Puts the new workers into the slots. Returns the old ones.
    fn swap(
        &mut self,
        outline: Option<ConfigurationOutline>,
        mut new: BTreeMap<String, Vec<u64>>,
    ) -> Vec<u64> {
        let mut old = Vec::new();
        if let Some(outline) = outline {
            self.configuration = outline.configuration;
            self.keep_trying = outline.keep_trying;
            self.front_timeout = outline.front_timeout;
            let (configuration, generation) = (outline.configuration, self.generation);
            self.out.push(Action::Adopt { configuration, generation });
            let mut before = std::mem::take(&mut self.groups);
            for spec in outline.groups {
                let kept = before.iter().position(|g| g.spec.name == spec.name).map(|i| before.remove(i));
                let replaced = new.contains_key(&spec.name);
                self.groups.push(match kept {
                    Some(mut group) if spec.service() && group.spec.service() => {
                        let count = (spec.processes as usize).min(group.slots.len());
                        old.extend(group.slots.drain(count..).filter_map(|s| s.worker));
                        group.slots.resize_with(spec.processes as usize, ProcessSlot::default);
                        Group { spec, ..group }
                    }
                    Some(group) if !replaced && !spec.service() => Group { spec, ..group },
                    Some(group) => {
                        old.extend(group.slots.iter().filter_map(|s| s.worker));
                        Group { proven: true, ..Group::new(spec) }
                    }
                    None => Group { proven: true, ..Group::new(spec) },
                });
            }
            old.extend(before.iter().flat_map(|g| &g.slots).filter_map(|s| s.worker));
        }
        for group in &mut self.groups {
            let Some(workers) = new.remove(&group.spec.name) else { continue };
            for (slot, worker) in group.slots.iter_mut().zip(workers) {
                old.extend(slot.worker);
                *slot = ProcessSlot { worker: Some(worker), ..ProcessSlot::default() };
            }
        }
        old
    }

    /// The reload fails: the new workers go, the old ones stay.
    pub(super) fn refuse_reload(&mut self, why: &str, failed: &[ImportFailure], now: Duration) {
        let Some(reload) = self.reload.take() else { return };
        for worker in reload.workers() {
            self.stop_worker(worker, "reload refused", now);
        }
        self.take_back_offer(reload.offered);
        if let Some(outline) = &reload.outline {
            self.out.push(Action::Forget { configuration: outline.configuration });
        }
        self.tell_of_refusal(&reload);
        let mut text = format!("reload refused, the old workers stay: {why}");
        self.note(What::ReloadRefused, text.clone());
        self.notify_of_reload(Notice::Reloaded(text.clone()));
        for failure in failed {
            text.push_str(&format!("\n{}:\n{}", failure.script, failure.traceback.trim_end()));
        }
        self.log(Level::Error, text.clone());
        self.out.push(Action::Answer { clients: reload.request.clients, ok: false, text });
        // A change during the refused reload may be the repair.
        for group in reload.again {
            self.changed.entry(group).or_insert(now + SETTLE);
        }
        self.next_reload(now);
    }

    /// Requests wait in the old workers for the end of the reload, if a script has changed. With another change during the reload
    /// they wait for the next one.
    fn tell_of_refusal(&mut self, reload: &Reload) {
        let new = reload.workers();
        let waits = |w: &&WorkerHandle| {
            let group = &w.group;
            reload.request.takes(group)
                && !reload.again.contains(group)
                && w.serves()
                && !w.service()
                && !new.contains(&w.worker)
        };
        let told: Vec<u64> = self.workers.values().filter(waits).map(|w| w.worker).collect();
        for worker in told {
            self.out.push(Action::ToWorker { worker, message: ToWorker::ReloadRefused });
        }
    }

    fn next_reload(&mut self, now: Duration) {
        if let Some(request) = self.queued.take() {
            // Checked again, because a group may have been removed meanwhile.
            self.ask_reload(request, now);
        }
    }

    /// The server stops.
    pub(super) fn cancel_reloads(&mut self, now: Duration) {
        self.changed.clear();
        let queued = self.queued.take();
        if self.reload.is_some() {
            self.refuse_reload("the server is stopping", &[], now);
        }
        if let Some(request) = queued {
            let text = "the server is stopping".to_owned();
            self.out.push(Action::Answer { clients: request.clients, ok: false, text });
        }
        self.say_last_now(now);
        self.changed.clear();
    }

    pub(super) fn script_changed(&mut self, worker: u64, group: &str, script: &str, now: Duration) {
        if self.stop.begun() {
            return;
        }
        let new = self.is_new_in_reload(worker);
        if self.workers.get(&worker).is_some_and(|w| w.left_over.is_some()) {
            return;
        }
        match &mut self.reload {
            // An old worker may report the same change late; its report counts only if this reload is refused.
            Some(reload) if reload.request.takes(group) && !new => {
                reload.again.insert(group.to_owned());
            }
            _ => {
                if !self.changed.contains_key(group) {
                    self.log(Level::Notice, format!("{script} changed: process group '{group}' is reloaded"));
                    self.changed.insert(group.to_owned(), now + SETTLE);
                }
            }
        }
    }

    pub(super) fn tick_reload(&mut self, now: Duration) {
        if let Some(reload) =
            self.reload.as_ref().filter(|reload| reload.deadline.is_some_and(|at| at <= now))
        {
            let why = match reload.offered {
                true => "the front did not answer in time whether it can use the new configuration",
                false => "the new workers were not ready in time",
            };
            self.refuse_reload(why, &[], now);
        }
        if !self.is_reloading() && !self.stop.begun() {
            let due: BTreeSet<String> =
                self.changed.iter().filter(|(_, at)| **at <= now).map(|(group, _)| group.clone()).collect();
            if !due.is_empty() {
                self.changed.retain(|group, _| !due.contains(group));
                let known = due.into_iter().filter(|name| self.groups.iter().any(|g| g.spec.name == *name));
                let known: BTreeSet<String> = known.collect();
                if !known.is_empty() {
                    self.begin_reload(ReloadRequest::changed(known), now);
                }
            }
        }
    }
}
