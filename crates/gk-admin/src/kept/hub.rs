//! The present, in one place: workers, the last minute, events, the last requests and counters. Written by messages of the front,
//! reports of other servers and, once a second, [`Hub::advance`]; read by pages and exports.

mod handing_on;
mod shared;

pub use shared::SharedHub;

use crate::heard::event::Event;
use crate::heard::fleet::{Fleet, Intake};
use crate::heard::pushes::GroupPush;
use crate::heard::requests::FinishedRequest;
use crate::heard::worker::{TrackedWorker, Workers};
use crate::kept::answers::Answers;
use crate::kept::counters::Counters;
use crate::kept::counters::busy::BusyTime;
use crate::kept::deliveries::ExportCounters;
use crate::kept::events::Events;
use crate::kept::exceptions::Exceptions;
use crate::kept::health::Health;
use crate::kept::holders::HolderCounters;
use crate::kept::own_processes::{OwnProcess, own_processes};
use crate::kept::requests::FinishedRequests;
use crate::kept::tick::{LastMinute, Tick};
use crate::kept::traces::{TracedRequest, Traces};
use gk_sys::usage::control_group::{self, Limits};
use gk_telemetry::label::{About, Label, label};
use gk_telemetry::sample::GroupSample;
use gk_telemetry::{Answered, Portion};
use gk_wire::certificates::CertificateFacts;
use gk_wire::control::{Happened, RequestStack, What};
use gk_wire::feed::{FrontFigures, ToAdmin};
use std::cell::OnceCell;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Stacks that wait for their reader.
const STACKS: usize = 16;
/// Seconds that a label looks back.
const LABEL: f64 = 10.0;

/// The front, as its admin process was started for it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Front {
    /// Process id.
    pub pid: u32,
    /// Epoch seconds of its start.
    pub started: f64,
}

/// The present.
pub struct Hub {
    /// Process id of the supervisor; 0: there is none.
    supervisor: u32,
    front: Front,
    front_figures: FrontFigures,
    /// Seconds since the last figures of the front, as far as this process ran itself.
    front_silent: u32,
    answers: Answers,
    workers: Workers,
    /// Processes of other servers; `None` where there are workers of this server.
    fleet: Option<Fleet>,
    last_minute: LastMinute,
    events: Events,
    exceptions: Exceptions,
    /// Events of the front since the last second.
    new_events: Vec<Event>,
    requests: FinishedRequests,
    /// Counters of workers that have ended.
    retired: Counters,
    /// Thread-seconds of requests, of all workers.
    busy: BusyTime,
    /// Workers that have been added to these since the front was told; and whether anything else that it keeps has changed.
    told_of: Vec<u64>,
    changed: bool,
    /// First readings that an earlier admin process took, by worker.
    baselines: BTreeMap<u64, Vec<GroupSample>>,
    /// Lines that held a GIL while others waited.
    holders: HolderCounters,
    /// Stacks that the front has sent and nobody has read yet, by worker.
    stacks: VecDeque<(u64, RequestStack)>,
    /// The control group's limits, if they have been read in this second.
    limits: OnceCell<Limits>,
    exports: ExportCounters,
    /// Of hosts that speak TLS.
    certificates: Vec<CertificateFacts>,
    /// Requests of traces.
    pub traces: Traces,
}

/// Result of [`Hub::advance`].
pub struct Second {
    /// Figures.
    pub tick: Arc<Tick>,
    /// Events.
    pub events: Vec<Event>,
    /// Finished requests of this server's workers, as far as the workers kept them.
    pub finished: Vec<FinishedRequest>,
    /// Requests of traces that are complete.
    pub traced: Vec<TracedRequest>,
}

impl Hub {
    /// For the workers of this server. `slow`: `WSGISlowRequests` in seconds.
    pub fn of_this_server(front: Front, slow: f64) -> Self {
        Self::new(front, None, FinishedRequests::of_this_server(slow))
    }

    /// For processes of other servers.
    pub fn of_other_servers() -> Self {
        let front = Front { pid: std::process::id(), started: 0.0 };
        let mut hub = Self::new(front, Some(Fleet::default()), FinishedRequests::of_other_servers());
        hub.front_figures.ready = true;
        hub
    }

    fn new(front: Front, fleet: Option<Fleet>, requests: FinishedRequests) -> Self {
        Self {
            supervisor: 0,
            front,
            front_figures: FrontFigures::default(),
            front_silent: 0,
            answers: Answers::default(),
            workers: Workers::new(),
            fleet,
            last_minute: LastMinute::default(),
            events: Events::default(),
            exceptions: Exceptions::default(),
            new_events: Vec::new(),
            requests,
            retired: Counters::default(),
            busy: BusyTime::default(),
            told_of: Vec::new(),
            changed: false,
            baselines: BTreeMap::new(),
            holders: HolderCounters::default(),
            stacks: VecDeque::new(),
            limits: OnceCell::new(),
            exports: ExportCounters::default(),
            certificates: Vec::new(),
            traces: Traces::default(),
        }
    }

    /// Takes in a message of the front with the scoreboard that came with it; `now` in epoch seconds.
    pub fn receive(&mut self, message: ToAdmin, scoreboard: Option<OwnedFd>, now: f64) {
        match message {
            ToAdmin::Figures(figures) => {
                self.front_figures = figures;
                self.front_silent = 0;
            }
            ToAdmin::Answered { process_group, answered } => {
                self.answers.take(process_group, answered);
            }
            ToAdmin::Worker(link) => {
                let mut worker = TrackedWorker::new(link, scoreboard, self.front.started);
                worker.open_scoreboard();
                if let Some(baseline) = self.baselines.remove(&worker.link.worker) {
                    worker.set_baseline(baseline);
                }
                self.workers.insert(worker.link.worker, worker);
            }
            ToAdmin::Exited { worker } => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.end(now);
                }
            }
            ToAdmin::Leaving { worker, reason } => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.leave(reason);
                }
            }
            ToAdmin::Stack { worker, stack } => {
                self.stacks.push_back((worker, stack));
                if self.stacks.len() > STACKS {
                    self.stacks.pop_front();
                }
            }
            ToAdmin::Happened(happened) => self.happened(happened, now),
            ToAdmin::Certificates { facts } => self.certificates = facts,
            ToAdmin::Spans { spans, lost } => self.traces.hear(spans, lost),
            ToAdmin::Kept => self.take_over(scoreboard),
            // These concern the process.
            ToAdmin::Log(_) | ToAdmin::End => {}
        }
    }

    /// An event. A crash gets the requests that were running.
    fn happened(&mut self, happened: Happened, now: f64) {
        let mut event = Event { happened, requests: Vec::new() };
        if event.happened.what == What::WorkerCrashed
            && let Some(number) = event.happened.worker
            && let Some(worker) = self.workers.get_mut(&number)
        {
            worker.open_scoreboard();
            worker.end(now);
            event.requests = worker.running(event.happened.at);
        }
        self.new_events.push(event);
    }

    /// Takes in a telemetry datagram of another server. `sender`: the sending process's id if the kernel gives it.
    pub fn datagram(&mut self, bytes: &[u8], sender: Option<u32>, now: f64) {
        let Some(fleet) = &mut self.fleet else { return };
        if let Some(finished) = fleet.datagram(&mut self.workers, bytes, sender, now) {
            self.requests.push(finished);
        }
    }

    /// Takes in an OTLP push of another server.
    pub fn push(&mut self, groups: Vec<GroupPush>, now: f64) {
        if let Some(fleet) = &mut self.fleet {
            fleet.push(&mut self.workers, groups, now);
        }
    }

    /// Counts an OTLP request that could not be read.
    pub fn refuse_push(&mut self) {
        if let Some(fleet) = &mut self.fleet {
            fleet.refuse_push();
        }
    }

    /// Reads all workers, once a second; `now` in epoch seconds.
    pub fn advance(&mut self, now: f64) -> Second {
        if self.fleet.is_none() {
            self.front_silent = self.front_silent.saturating_add(1);
        }
        let mut events = std::mem::take(&mut self.new_events);
        if let Some(fleet) = &mut self.fleet {
            events.extend(fleet.advance(&mut self.workers, now));
        }
        self.limits = OnceCell::new();
        let mut groups: BTreeMap<String, Portion> = BTreeMap::new();
        let mut finished = Vec::new();
        for worker in self.workers.values_mut() {
            let is_known = worker.has_been_read();
            if let Some(portion) = worker.read(now) {
                groups.entry(worker.link.process_group.clone()).or_default().join(&portion);
                self.exceptions.add(worker);
            }
            self.changed |= !is_known && !worker.baseline().is_empty();
            self.holders.add(&worker.link.process_group, &worker.change);
            let noted = finished.len();
            for request in std::mem::take(&mut worker.change.finished) {
                let (process_group, pid) = (worker.link.process_group.clone(), worker.link.pid);
                finished.push(FinishedRequest { process_group, pid, finished: request });
            }
            self.traces.measure(worker, &finished[noted..]);
        }
        for request in &finished {
            self.exceptions.note(request);
            self.requests.push(request.clone());
        }
        events.extend(self.exceptions.events(now));
        self.forget(now);
        self.changed |= self.busy.add(&groups);
        let before = self.last_minute.last().map(|tick| tick.t);
        self.answers.add(&mut groups, (before, now), self.front.started);
        for (name, queued) in &self.front_figures.status.queued {
            if let Some(portion) = groups.get_mut(name) {
                portion.queued = *queued;
            }
        }
        let tick = Arc::new(Tick { t: now, groups });
        self.last_minute.push(Arc::clone(&tick));
        for event in &events {
            self.changed |= self.events.push(event.clone());
        }
        Second { tick, events, finished, traced: self.traces.complete() }
    }

    /// Answers to clients by process group since the front's start; the name of those of no group is empty.
    pub fn answered(&self) -> &BTreeMap<String, Answered> {
        self.answers.all()
    }

    /// Removes the workers that ended a while ago; their counters stay.
    fn forget(&mut self, now: f64) {
        let (retired, told_of) = (&mut self.retired, &mut self.told_of);
        self.workers.retain(|_, worker| {
            let forget = worker.can_be_forgotten(now);
            if forget {
                retired.add(worker);
                told_of.push(worker.link.worker);
            }
            !forget
        });
    }

    /// Takes the stack of a request, once the front has sent it.
    pub fn take_stack(&mut self, worker: u64, request: u64) -> Option<RequestStack> {
        let at = self.stacks.iter().position(|(of, stack)| *of == worker && stack.request == request)?;
        self.stacks.remove(at).map(|(_, stack)| stack)
    }

    /// Opens the scoreboards that workers have created since the last look.
    pub fn open_scoreboards(&mut self) {
        self.workers.values_mut().for_each(TrackedWorker::open_scoreboard);
    }

    /// Registers the counters of the exports in use.
    pub fn set_exports(&mut self, exports: ExportCounters) {
        self.exports = exports;
    }

    /// Names the supervisor's process id.
    pub fn set_supervisor(&mut self, pid: u32) {
        self.supervisor = pid;
    }

    /// What the server's own processes use.
    pub fn own_processes(&self) -> Vec<OwnProcess> {
        own_processes(self.supervisor, self.front.pid)
    }

    /// The front's process id.
    pub fn front(&self) -> u32 {
        self.front.pid
    }

    /// The front's last figures.
    pub fn front_figures(&self) -> &FrontFigures {
        &self.front_figures
    }

    /// The certificates of hosts that speak TLS.
    pub fn certificates(&self) -> &[CertificateFacts] {
        &self.certificates
    }

    /// Readiness, and who gives no sign of life.
    pub fn health(&self) -> Health {
        Health::new(&self.front_figures, self.front.pid, self.front_silent)
    }

    /// Workers by number, with those that ended a moment ago.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Workers that have not ended, from their first reading on: who sees one also finds its counters.
    pub fn living(&self) -> impl Iterator<Item = &TrackedWorker> {
        self.workers.values().filter(|worker| worker.is_alive() && worker.has_been_read())
    }

    /// The last minute.
    pub fn last_minute(&self) -> &LastMinute {
        &self.last_minute
    }

    /// The last events.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The last finished requests.
    pub fn requests(&self) -> &FinishedRequests {
        &self.requests
    }

    /// Counters of what other servers have sent; `None` where there are workers of this server.
    pub fn intake(&self) -> Option<&Intake> {
        self.fleet.as_ref().map(Fleet::intake)
    }

    /// Counters of the exports in use.
    pub fn exports(&self) -> &ExportCounters {
        &self.exports
    }

    /// Counters and histograms of all workers, those that have ended included.
    pub fn counters(&self) -> Counters {
        let mut counters = self.retired.clone();
        self.workers.values().for_each(|worker| counters.add(worker));
        counters
    }

    /// Counters of workers that have ended.
    pub fn retired(&self) -> &Counters {
        &self.retired
    }

    /// Thread-seconds of requests as they passed.
    pub fn busy_time(&self) -> &BusyTime {
        &self.busy
    }

    /// Lines that held a GIL while others waited, since the start.
    pub fn holders(&self) -> &HolderCounters {
        &self.holders
    }

    /// The control group's limits.
    pub fn limits(&self) -> &Limits {
        self.limits.get_or_init(control_group::limits)
    }

    fn living_in(&self, group: &str) -> impl Iterator<Item = &TrackedWorker> {
        self.living().filter(move |worker| worker.link.process_group == group)
    }

    /// Facts of a process group beside its figures.
    pub fn about(&self, group: &str) -> About {
        let queue = self.front_figures.status.queues.get(group);
        let mut about = About {
            cpus: self.limits().cpus,
            gil_enabled: true,
            exact: true,
            overloaded: queue.is_some_and(|queue| queue.overloaded),
            ..About::default()
        };
        for worker in self.living_in(group) {
            about.processes += 1;
            let Some(sample) = worker.sample.as_ref().filter(|_| worker.is_measured()) else { continue };
            let first = sample.groups.first();
            about.gil = first.map_or(sample.gil_mode, |first| first.gil_mode);
            about.gil_enabled = worker.gil_enabled().unwrap_or(true);
            about.exact &= sample.exact;
            about.locks_known |= sample.locks == Some(true);
            about.locks_unknown |= sample.locks == Some(false);
            about.switch_interval = first.map_or(sample.switch_interval, |first| first.switch_interval);
        }
        about
    }

    /// Whether a GIL is in force in one of the group's processes; `None` where no process says so.
    pub fn gil_enabled(&self, group: &str) -> Option<bool> {
        self.living_in(group).filter_map(TrackedWorker::gil_enabled).max()
    }

    /// Labels by process group.
    pub fn labels(&self) -> BTreeMap<String, Label> {
        let window = self.last_minute.window(LABEL);
        let of = |(name, portion): (&String, &Portion)| {
            let mut label = label(portion, &self.about(name));
            if self.fleet.is_some() {
                // The number of CPUs of another machine is unknown here.
                label.advice.clear();
            }
            (name.clone(), label)
        };
        // What belongs to no group has no limit.
        window.iter().filter(|(name, _)| !name.is_empty()).map(of).collect()
    }
}
