//! Everything the pages show, in one place: the workers, the last minute, events, the slowest requests, the totals for
//! `/metrics`. Changed once a second by [`Hub::turn`], read by requests.

use crate::heard::feed::{Feed, News};
use crate::heard::fleet::Fleet;
use crate::heard::worker::{REMEMBERED, Tracked};
use crate::kept::events::{Event, Events};
use crate::kept::tick::{Recent, Tick};
use crate::told::otlp::Pushes;
use crate::told::outbox::Counts;
use crate::told::statsd::Packets;
use gk_sys::usage::accounts::{self, Limits};
use gk_telemetry::Portion;
use gk_telemetry::label::{About, Label, label};
use gk_telemetry::sample::{Figures, Finished};
use gk_wire::control::{RequestStack, What};
use gk_wire::feed::ToAdmin;
use std::cell::OnceCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Stacks that wait to be looked at.
const STACKS: usize = 16;
/// Finished requests kept, whatever they are; and so many slow and failed ones beside them, which samples do not push out.
const KEPT: usize = 400;
/// Most groups with totals of their own.
const TOTALS: usize = 8192;
/// The name of all others.
pub(crate) const OTHERS: &str = "(others)";
/// Seconds a label looks back.
const LABEL: f64 = 10.0;

/// A finished request with the process it ran in.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Process group.
    pub process_group: String,
    /// Process id.
    pub pid: u32,
    /// The request.
    pub finished: Finished,
}

/// Counters of everything that ever ran, by (process group, application group).
pub type Totals = BTreeMap<(String, String), Figures>;

/// What went to exports, each where it is in use.
#[derive(Default)]
pub struct Sent {
    /// mod_wsgi's datagrams.
    pub datagrams: Option<Arc<Counts>>,
    /// OTLP.
    pub otlp: Option<Arc<Pushes>>,
    /// statsd.
    pub statsd: Option<Arc<Packets>>,
}

/// Everything the pages show.
pub struct Hub {
    /// The front's process id.
    pub front: u32,
    /// The front's own figures.
    pub feed: Feed,
    news: Receiver<News>,
    /// Epoch seconds: it was looked at first.
    began: Option<f64>,
    /// Workers by number.
    pub workers: BTreeMap<u64, Tracked>,
    /// The last minute.
    pub recent: Recent,
    /// Events.
    pub events: Events,
    /// What happened since the last turn.
    heard: Vec<Event>,
    /// Stacks that were asked for and not looked at yet, by worker.
    stacks: VecDeque<(u64, RequestStack)>,
    /// The server ends.
    end: bool,
    /// Requests kept: slow ones, failed ones and samples, oldest first.
    pub kept: VecDeque<Kept>,
    /// The slow and the failed ones alone, oldest first.
    pub noted: VecDeque<Kept>,
    /// `WSGISlowRequests` in seconds; 0: no request is slow.
    pub slow: f64,
    /// Of workers that are gone.
    retired: Totals,
    /// The control group's limits, once somebody has asked in this second.
    limits: OnceCell<Limits>,
    /// It is told of processes of other servers.
    pub listens: bool,
    /// Those processes.
    pub fleet: Fleet,
    /// What went to exports.
    pub sent: Sent,
}

/// What a turn gave.
pub struct Turn {
    /// The second.
    pub tick: Arc<Tick>,
    /// What happened meanwhile.
    pub events: Vec<Event>,
    /// Requests of this server's workers that finished meanwhile, of those that were kept.
    pub finished: Vec<Kept>,
    /// The server ends; wants to be told when everything has been said.
    pub end: bool,
}

impl Hub {
    /// Empty.
    pub fn new(feed: Feed, news: Receiver<News>) -> Self {
        Self {
            front: std::process::id(),
            feed,
            news,
            began: None,
            workers: BTreeMap::new(),
            recent: Recent::default(),
            events: Events::default(),
            heard: Vec::new(),
            stacks: VecDeque::new(),
            end: false,
            kept: VecDeque::new(),
            noted: VecDeque::new(),
            slow: 0.0,
            retired: Totals::new(),
            limits: OnceCell::new(),
            listens: false,
            fleet: Fleet::default(),
            sent: Sent::default(),
        }
    }

    /// Reads everything. `now`: epoch seconds.
    pub fn turn(&mut self, now: f64) -> Turn {
        self.hear(now);
        let mut events = std::mem::take(&mut self.heard);
        events.extend(self.listen(now));
        let end = std::mem::take(&mut self.end);
        self.limits = OnceCell::new();
        let mut groups: BTreeMap<String, Portion> = BTreeMap::new();
        let mut all = Vec::new();
        for worker in self.workers.values_mut() {
            if let Some(portion) = worker.read(now) {
                groups.entry(worker.link.process_group.clone()).or_default().join(&portion);
            }
            for finished in worker.change.finished.drain(..) {
                let (process_group, pid) = (worker.link.process_group.clone(), worker.link.pid);
                all.push(Kept { process_group, pid, finished });
            }
        }
        for kept in &all {
            self.keep(kept.clone());
        }
        self.forget(now);
        for (name, queued) in self.feed.figures().status.queued {
            if let Some(portion) = groups.get_mut(&name) {
                portion.queued = queued;
            }
        }
        let tick = Arc::new(Tick { t: now, groups });
        self.recent.push(Arc::clone(&tick));
        for event in &events {
            self.events.push(event.clone());
        }
        Turn { tick, events, finished: all, end }
    }

    /// Keeps a finished request.
    pub(crate) fn keep(&mut self, kept: Kept) {
        if self.is_noted(&kept) {
            push(&mut self.noted, kept.clone());
        }
        push(&mut self.kept, kept);
    }

    /// It was slow, or it failed. Of other servers only such requests are told.
    fn is_noted(&self, kept: &Kept) -> bool {
        self.listens || kept.finished.record.error || (self.slow > 0.0 && kept.seconds() >= self.slow)
    }

    /// Requests kept, each once: the slow and the failed ones, then the samples, both oldest first.
    pub fn all_kept(&self) -> impl Iterator<Item = &Kept> {
        self.noted.iter().chain(self.kept.iter().filter(|kept| !self.is_noted(kept)))
    }

    /// Takes what was told; a worker is known from then on, and its scoreboard open.
    pub fn hear(&mut self, now: f64) {
        self.began.get_or_insert(now);
        while let Ok(news) = self.news.try_recv() {
            let event = self.take(news, now);
            self.heard.extend(event);
        }
        self.workers.values_mut().for_each(Tracked::open);
    }

    /// The stack of that request, once it has come.
    pub fn stack(&mut self, worker: u64, request: u64, now: f64) -> Option<RequestStack> {
        self.hear(now);
        let at = self.stacks.iter().position(|(of, stack)| *of == worker && stack.request == request)?;
        self.stacks.remove(at).map(|(_, stack)| stack)
    }

    fn take(&mut self, news: News, now: f64) -> Option<Event> {
        match news.message {
            ToAdmin::Worker(link) => {
                let began = *self.began.get_or_insert(now);
                self.workers.insert(link.worker, Tracked::new(link, news.scoreboard, began));
                None
            }
            ToAdmin::Exited { worker } => {
                if let Some(tracked) = self.workers.get_mut(&worker) {
                    tracked.gone.get_or_insert(now);
                }
                None
            }
            ToAdmin::Leaving { worker, reason } => {
                if let Some(tracked) = self.workers.get_mut(&worker) {
                    tracked.leaving.get_or_insert(reason);
                }
                None
            }
            ToAdmin::Stack { worker, stack } => {
                self.stacks.push_back((worker, stack));
                if self.stacks.len() > STACKS {
                    self.stacks.pop_front();
                }
                None
            }
            ToAdmin::End => {
                self.end = true;
                None
            }
            // The process takes these itself.
            ToAdmin::Figures(_) | ToAdmin::Log(_) => None,
            ToAdmin::Happened(happened) => {
                let mut event = Event { happened, requests: Vec::new() };
                if event.happened.what == What::WorkerCrashed
                    && let Some(number) = event.happened.worker
                    && let Some(tracked) = self.workers.get_mut(&number)
                {
                    tracked.open();
                    tracked.gone.get_or_insert(now);
                    event.requests = tracked.running(event.happened.at);
                }
                Some(event)
            }
        }
    }

    /// Lets go of workers that ended a while ago; their counters stay in the totals.
    fn forget(&mut self, now: f64) {
        let old = |worker: &Tracked| worker.closed && worker.gone.is_some_and(|gone| now - gone > REMEMBERED);
        let numbers: Vec<u64> = self.workers.iter().filter(|(_, w)| old(w)).map(|(n, _)| *n).collect();
        for number in numbers {
            if let Some(worker) = self.workers.remove(&number) {
                add(&mut self.retired, &worker);
            }
        }
    }

    /// Counters and histograms since the front began, with those of workers that are gone.
    pub fn totals(&self) -> Totals {
        let mut totals = self.retired.clone();
        self.workers.values().for_each(|worker| add(&mut totals, worker));
        totals
    }

    /// Counters of workers that are gone.
    pub fn retired(&self) -> &Totals {
        &self.retired
    }

    /// The control group's limits.
    pub fn limits(&self) -> Limits {
        *self.limits.get_or_init(accounts::limits)
    }

    /// What is known of a group beside its figures.
    pub fn about(&self, group: &str) -> About {
        let mut about =
            About { cpus: self.limits().cpus, gil_enabled: true, exact: true, ..About::default() };
        for worker in self.workers.values().filter(|w| w.link.process_group == group && w.gone.is_none()) {
            about.processes += 1;
            let Some(sample) = &worker.sample else { continue };
            let first = sample.groups.first();
            about.gil = first.map_or(sample.gil_mode, |first| first.gil_mode);
            about.gil_enabled = worker.gil_enabled().unwrap_or(true);
            about.exact &= sample.exact;
            about.switch_interval = first.map_or(sample.switch_interval, |first| first.switch_interval);
        }
        about
    }

    /// Whether a GIL is in force in a process of the group, as far as one of them says.
    pub fn gil_enabled(&self, group: &str) -> Option<bool> {
        let living = self.workers.values().filter(|w| w.link.process_group == group && w.gone.is_none());
        living.filter_map(Tracked::gil_enabled).max()
    }

    /// Labels by process group.
    pub fn labels(&self) -> BTreeMap<String, Label> {
        let window = self.recent.window(LABEL);
        let of = |(name, portion): (&String, &Portion)| {
            let mut label = label(portion, &self.about(name));
            if self.listens {
                // How many CPUs another machine has is not known here.
                label.advice.clear();
            }
            (name.clone(), label)
        };
        window.iter().map(of).collect()
    }
}

impl Kept {
    /// Seconds in its process: what is compared with `WSGISlowRequests`.
    pub fn seconds(&self) -> f64 {
        (self.finished.record.daemon + self.finished.record.application) as f64 / 1e9
    }
}

fn push(list: &mut VecDeque<Kept>, kept: Kept) {
    list.push_back(kept);
    if list.len() > KEPT {
        list.pop_front();
    }
}

fn add(totals: &mut Totals, worker: &Tracked) {
    for (name, figures) in worker.counted() {
        let mut key = (worker.link.process_group.clone(), name.to_owned());
        // Other servers may make up names without end.
        if totals.len() >= TOTALS && !totals.contains_key(&key) {
            key = (OTHERS.into(), String::new());
        }
        totals.entry(key).or_default().merge(&figures);
    }
}
