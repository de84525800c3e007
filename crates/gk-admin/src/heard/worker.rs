//! One worker as the admin process follows it: its scoreboard, the last reading, what the operating system says of it. Or a
//! process of another server, of which it is told.

use crate::heard::pushes::Server;
use crate::kept::events::Running;
use gk_sys::clock::Moment;
use gk_sys::memory::SharedWords;
use gk_sys::usage::accounts::{self, Accounts, Used};
use gk_telemetry::datagram::receive::{Process, Reading};
use gk_telemetry::portion::ProcessUse;
use gk_telemetry::sample::{Figures, GroupSample, SlotSample, WorkerSample};
use gk_telemetry::{Board, Portion};
use gk_wire::feed::LinkFigures;
use std::os::fd::OwnedFd;

/// Seconds a worker is remembered after its end, so that its last second counts and its requests can be named.
pub const REMEMBERED: f64 = 5.0;
/// Seconds after its start in which all that a worker did is news; and so long before a front its workers may start with it.
const YOUNG: f64 = 5.0;
/// Requests kept as samples in each second, about.
const SAMPLES: f64 = 8.0;

/// Where a process is that is not a worker of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The machine's name.
    pub host: String,
    /// The server there.
    pub instance: String,
    /// `mod_wsgi` or `otlp`: how it is told of.
    pub kind: &'static str,
}

/// What tells of a process of another server.
pub enum Told {
    /// mod_wsgi's datagrams.
    Process(Box<Process>),
    /// OTLP.
    Server(Box<Server>),
}

impl Told {
    /// Seconds between two reports; `None` while that is unknown.
    pub fn interval(&self) -> Option<f64> {
        match self {
            Self::Process(process) => Some(process.interval).filter(|interval| *interval > 0.0),
            Self::Server(server) => server.interval(),
        }
    }

    /// It has said that it ended.
    pub fn ended(&self) -> bool {
        matches!(self, Self::Process(process) if process.ended)
    }

    /// Epoch seconds: readings from then on bring nothing more of what was told so far.
    fn handed_out(&self) -> f64 {
        match self {
            Self::Process(process) => process.handed_out(),
            Self::Server(server) => server.handed_out(),
        }
    }

    fn reading(&self, now: f64) -> Reading {
        match self {
            Self::Process(process) => process.reading(now),
            Self::Server(server) => server.reading(now),
        }
    }
}

/// One worker.
pub struct Tracked {
    /// Who.
    pub link: LinkFigures,
    /// Epoch seconds: this front began.
    began: f64,
    /// Its name in charts: its process id, with the host's name before it when it is elsewhere.
    pub name: String,
    /// Where it is, when it is no worker of this server.
    pub origin: Option<Origin>,
    /// What tells of it then.
    pub told: Option<Told>,
    /// Epoch seconds: it was told of.
    pub heard: f64,
    /// Thread-seconds busy at the last reading of what was told.
    busy: f64,
    scoreboard: Option<OwnedFd>,
    board: Option<Board<SharedWords>>,
    /// The last reading.
    pub sample: Option<WorkerSample>,
    /// Of a worker that was there before this front: what it had done when it was first read.
    before: Vec<GroupSample>,
    /// What the last reading had on top of the one before.
    pub change: WorkerSample,
    /// What the operating system said last.
    pub used: Used,
    accounts: Accounts,
    read: Option<Moment>,
    /// Epoch seconds: the process ended.
    pub gone: Option<f64>,
    /// It ended, and was read for the last time.
    pub closed: bool,
    /// Why it takes no more requests.
    pub leaving: Option<String>,
}

impl Tracked {
    /// A worker with its scoreboard, if there is one. `began`: when this front did, epoch seconds.
    pub fn new(link: LinkFigures, scoreboard: Option<OwnedFd>, began: f64) -> Self {
        Self {
            name: link.pid.to_string(),
            link,
            began,
            origin: None,
            told: None,
            heard: 0.0,
            busy: 0.0,
            scoreboard,
            board: None,
            sample: None,
            before: Vec::new(),
            change: WorkerSample::default(),
            used: Used::default(),
            accounts: Accounts::default(),
            read: None,
            gone: None,
            closed: false,
            leaving: None,
        }
    }

    /// Reads everything. `now`: epoch seconds. Nothing comes of the first reading: there is nothing to compare it with,
    /// unless the process is so young that everything is news. Nothing comes of a process that is gone, once it was read
    /// after its end; of one that is told of, once its last interval has been handed out.
    pub fn read(&mut self, now: f64) -> Option<Portion> {
        if self.closed {
            return None;
        }
        if let Some(told) = &self.told {
            let late = self.gone.is_some_and(|gone| now - gone > REMEMBERED);
            self.closed = self.gone.is_some() && (late || now >= told.handed_out());
            let reading = told.reading(if late { f64::INFINITY } else { now });
            return Some(self.take(reading));
        }
        self.closed = self.gone.is_some();
        let span = self.span();
        let used = self.accounts.read(self.link.pid).unwrap_or(Used { resident: 0, ..self.used });
        let before = std::mem::replace(&mut self.used, used);
        self.open();
        let sample = match &self.board {
            Some(board) => board.sample(self.sample.as_ref().map_or(0, |sample| sample.last)),
            // No scoreboard (yet): what the operating system says is shown all the same.
            None => WorkerSample {
                pid: self.link.pid,
                worker: self.link.worker,
                process_group: self.link.process_group.clone(),
                threads: self.link.threads,
                why: "the worker has no scoreboard".into(),
                ..WorkerSample::default()
            },
        };
        let started = sample.started as f64 / 1e9;
        let young = now - started < YOUNG;
        if self.sample.is_none() && started < self.began - YOUNG {
            self.before.clone_from(&sample.groups);
        }
        let earlier = match (self.sample.take(), young) {
            (Some(earlier), _) => earlier,
            (None, true) => WorkerSample::default(),
            (None, false) => sample.clone(),
        };
        let (known, span) = (span.is_some() || young, span.unwrap_or(1.0));
        self.change = sample.since(&earlier);
        let busy = busy(&sample, &earlier, span);
        let process = ProcessUse {
            cpu: if known { (used.cpu - before.cpu).clamp(0.0, span * 1e3) } else { 0.0 },
            resident: used.resident,
            switches: used.switches.saturating_sub(before.switches),
            run_delay: (used.run_delay - before.run_delay).max(0.0),
        };
        self.aim();
        self.sample = Some(sample);
        known.then(|| Portion::of_worker(&self.name, &self.change, process, busy, span))
    }

    /// A reading of what was told.
    fn take(&mut self, reading: Reading) -> Portion {
        let span = self.span().unwrap_or(1.0);
        let earlier = self.sample.take().unwrap_or_default();
        let Reading { mut sample, cpu, busy, resident } = reading;
        (sample.worker, sample.pid) = (self.link.worker, self.link.pid);
        self.change = sample.since(&earlier);
        self.link.threads = sample.threads;
        let process = ProcessUse { cpu: (cpu - self.used.cpu).max(0.0), resident, ..ProcessUse::default() };
        self.used = Used { cpu, resident, ..self.used };
        let worked = (busy - std::mem::replace(&mut self.busy, busy)).max(0.0);
        self.sample = Some(sample);
        Portion::of_worker(&self.name, &self.change, process, worked, span)
    }

    /// Seconds since the reading before, by the clock that nobody sets.
    fn span(&mut self) -> Option<f64> {
        let now = Moment::now();
        self.read.replace(now).map(|before| (now.since(before) as f64 / 1e9).max(0.001))
    }

    /// What the operating system says now, without remembering it.
    pub fn used_now(&self) -> Option<Used> {
        self.accounts.clone().read(self.link.pid)
    }

    /// Its counters by application group, as this front counts them: they begin at zero, as the front's own do, and what is gone
    /// with another front is missed by nobody who looks at their growth.
    pub fn counted(&self) -> impl Iterator<Item = (&str, Figures)> {
        self.sample.iter().flat_map(|sample| &sample.groups).map(|group| {
            let before = self.before.iter().find(|before| before.name == group.name);
            let figures =
                before.map_or_else(|| group.figures.clone(), |before| group.figures.since(&before.figures));
            (group.name.as_str(), figures)
        })
    }

    /// Whether a GIL is in force; `None` where nothing says so: without a scoreboard, or when the other server did not tell.
    pub fn gil_enabled(&self) -> Option<bool> {
        let known = match &self.told {
            None => self.board.is_some(),
            Some(Told::Process(_)) => true,
            Some(Told::Server(server)) => server.tells_gil(),
        };
        self.sample.as_ref().filter(|_| known).map(|sample| sample.gil_enabled)
    }

    /// Its scoreboard.
    pub fn board(&self) -> Option<&Board<SharedWords>> {
        self.board.as_ref()
    }

    /// Reads the scoreboard without remembering it; `None` while there is none.
    pub fn look(&self) -> Option<WorkerSample> {
        let board = self.board.as_ref()?;
        Some(board.sample(self.sample.as_ref().map_or(0, |sample| sample.last)))
    }

    /// Opens the scoreboard as soon as the worker has begun it.
    pub fn open(&mut self) {
        if self.board.is_none()
            && let Some(fd) = &self.scoreboard
            && let Ok(words) = SharedWords::map(fd)
            && let Ok(board) = Board::open(words)
        {
            self.board = Some(board);
            self.scoreboard = None;
        }
    }

    /// Has the worker keep only the slowest few requests of a second.
    fn aim(&self) {
        let Some(board) = &self.board else { return };
        let response = self.change.total().response;
        let count = response.count() as f64;
        let floor = if count <= SAMPLES { None } else { response.quantile(1.0 - SAMPLES / count) };
        board.set_floor(floor.map_or(0, |ns| ns as u64));
    }

    /// The requests in flight; of a process that died, those that ran when it did.
    pub fn running(&self, now: f64) -> Vec<Running> {
        // A scoreboard outlives its process. Looking at it takes nothing away from the next reading.
        let fresh = self.look();
        let slots = fresh
            .iter()
            .chain(self.sample.iter().filter(|_| fresh.is_none()))
            .flat_map(|sample| &sample.slots);
        slots.filter_map(|slot| Some(Running::new(slot.request.as_ref()?, slot.thread, now))).collect()
    }

    /// CPU seconds that a slot's request has used so far, where that is known.
    pub fn cpu_so_far(&self, slot: &SlotSample) -> Option<f64> {
        let request = slot.request.as_ref()?;
        if request.cpu_begun == 0 || slot.tid == 0 {
            return None;
        }
        let now = accounts::of_thread(self.link.pid, slot.tid)?;
        Some(now.saturating_sub(request.cpu_begun) as f64 / 1e9)
    }
}

/// Thread-seconds busy between two readings, with what belongs to requests that still run.
fn busy(now: &WorkerSample, before: &WorkerSample, span: f64) -> f64 {
    let monotonic = gk_sys::clock::monotonic_nanos();
    let so_far = |slot: &SlotSample, at: u64| {
        let running = slot.request.as_ref().map_or(0, |request| at.saturating_sub(request.begun));
        (slot.busy + running) as f64 / 1e9
    };
    let earlier = monotonic.saturating_sub((span * 1e9) as u64);
    let one = |slot: &SlotSample| {
        let before = before.slots.iter().find(|before| before.thread == slot.thread);
        let before = before.map_or(0.0, |before| so_far(before, earlier));
        (so_far(slot, monotonic) - before).clamp(0.0, span)
    };
    now.slots.iter().map(one).sum()
}
