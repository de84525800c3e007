//! One worker: its scoreboard, the last reading of it, and its use of the operating system. A process of another server is
//! tracked in the same way, from its reports.

use crate::heard::reports::{Origin, Reports};
use crate::heard::requests::RunningRequest;
use gk_sys::clock::Moment;
use gk_sys::memory::SharedWords;
use gk_sys::usage::accounts::{self, Accounts, Used};
use gk_telemetry::datagram::receive::Reading;
use gk_telemetry::portion::ProcessUse;
use gk_telemetry::profile::CallTreeSample;
use gk_telemetry::sample::{Finished, GroupSample, SlotSample, WorkerSample};
use gk_telemetry::{Board, Figures, Portion};
use gk_wire::feed::LinkFigures;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// Seconds for which a worker is remembered after its end: its last second counts, and its requests can be named.
pub const REMEMBERED: f64 = 5.0;
/// Age in seconds below which everything a worker has done counts as new. Workers may also start this long before their front.
const YOUNG: f64 = 5.0;
/// Seconds below which a request in flight is not asked for its CPU time.
const MOMENT: f64 = 0.01;
/// Approximate number of requests that a worker keeps as samples per second.
const SAMPLES: f64 = 8.0;

/// Workers by number.
pub type Workers = BTreeMap<u64, TrackedWorker>;

/// A worker, or a process of another server.
pub struct TrackedWorker {
    /// Its number, process id, process group and threads.
    pub link: LinkFigures,
    /// Epoch seconds of the front's start.
    front_started: f64,
    /// Name in charts: the process id, with the host's name before it for a process of another server.
    pub name: String,
    /// Location of a process of another server; `None` for a worker of this one.
    pub origin: Option<Origin>,
    /// Reports of a process of another server.
    pub(super) reports: Option<Reports>,
    /// Epoch seconds of the last report.
    pub(super) reported: f64,
    /// Busy thread-seconds in the last reading of the reports.
    busy: f64,
    /// Thread-seconds of the requests that were in flight at the last reading: [`TrackedWorker::in_flight`].
    in_flight: [f64; 4],
    scoreboard: Option<OwnedFd>,
    board: Option<Board<SharedWords>>,
    /// Ordinal of the last request that was read for traces.
    traced: u64,
    /// The last reading.
    pub sample: Option<WorkerSample>,
    /// First reading of a worker that is older than the front. Its counters are counted from there.
    baseline: Vec<GroupSample>,
    /// Difference between the last two readings.
    pub change: WorkerSample,
    /// Figures of the operating system at the last reading.
    pub used: Used,
    accounts: Accounts,
    read: Option<Moment>,
    /// Epoch seconds of the process's end.
    pub(super) gone: Option<f64>,
    /// The process has ended and has been read for the last time.
    pub(super) closed: bool,
    /// Reason why it takes no more requests.
    pub(super) leaving: Option<String>,
}

impl TrackedWorker {
    /// A worker with its scoreboard, if it has one. `front_started`: epoch seconds.
    pub fn new(link: LinkFigures, scoreboard: Option<OwnedFd>, front_started: f64) -> Self {
        Self {
            name: link.pid.to_string(),
            link,
            front_started,
            origin: None,
            reports: None,
            reported: 0.0,
            busy: 0.0,
            in_flight: [0.0; 4],
            scoreboard,
            board: None,
            traced: 0,
            sample: None,
            baseline: Vec::new(),
            change: WorkerSample::default(),
            used: Used::default(),
            accounts: Accounts::default(),
            read: None,
            gone: None,
            closed: false,
            leaving: None,
        }
    }

    /// A process of another server; `now` in epoch seconds.
    pub(super) fn remote(
        link: LinkFigures,
        name: String,
        origin: Origin,
        reports: Reports,
        now: f64,
    ) -> Self {
        let (origin, reports) = (Some(origin), Some(reports));
        Self { name, origin, reports, reported: now, ..Self::new(link, None, now) }
    }

    /// Reads everything; `now` in epoch seconds. The first reading gives `None`, as there is none to compare it with, unless
    /// the process is so young that everything counts as new. A process that has ended gives `None` after one more reading;
    /// a process of another server after its last interval has been handed out.
    pub fn read(&mut self, now: f64) -> Option<Portion> {
        if self.closed {
            return None;
        }
        if let Some(reports) = &self.reports {
            let late = self.gone.is_some_and(|gone| now - gone > REMEMBERED);
            self.closed = self.gone.is_some() && (late || now >= reports.handed_out());
            let reading = reports.reading(if late { f64::INFINITY } else { now });
            return Some(self.apply(reading));
        }
        self.closed = self.gone.is_some();
        let span = self.span();
        let used = self.accounts.read(self.link.pid).unwrap_or(Used { resident: 0, ..self.used });
        let before = std::mem::replace(&mut self.used, used);
        self.open_scoreboard();
        let sample = match &self.board {
            Some(board) => board.sample(self.sample.as_ref().map_or(0, |sample| sample.last)),
            // Without a scoreboard, or before the worker has created it, the operating system's figures are shown alone.
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
        if self.sample.is_none() && self.baseline.is_empty() && started < self.front_started - YOUNG {
            self.baseline.clone_from(&sample.groups);
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
        self.limit_samples();
        let open = self.in_flight(&sample);
        let before = std::mem::replace(&mut self.in_flight, open);
        self.sample = Some(sample);
        known.then(|| {
            let mut portion = Portion::of_worker(&self.name, &self.change, process, busy, span);
            portion.spend_in_flight(std::array::from_fn(|part| open[part] - before[part]));
            portion
        })
    }

    /// Thread-seconds of the requests in flight so far: on CPU, waiting for the GIL, runnable (not known yet), blocked.
    fn in_flight(&self, sample: &WorkerSample) -> [f64; 4] {
        let now = gk_sys::clock::monotonic_nanos();
        let mut all = [0.0; 4];
        for slot in sample.slots.iter().filter(|_| self.is_alive()) {
            let Some(request) = &slot.request else { continue };
            let elapsed = now.saturating_sub(request.begun) as f64 / 1e9;
            // A request that has just begun tells nothing, and asking would cost a system call.
            let on_cpu =
                if elapsed < MOMENT { 0.0 } else { self.cpu_so_far(slot).unwrap_or(0.0).min(elapsed) };
            let gil_wait = (request.gil_wait as f64 / 1e9).min(elapsed - on_cpu);
            all[0] += on_cpu;
            all[1] += gil_wait;
            all[3] += elapsed - on_cpu - gil_wait;
        }
        all
    }

    /// Takes over a reading of the reports.
    fn apply(&mut self, reading: Reading) -> Portion {
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

    /// Seconds since the reading before, by the monotonic clock.
    fn span(&mut self) -> Option<f64> {
        let now = Moment::now();
        self.read.replace(now).map(|before| (now.since(before) as f64 / 1e9).max(0.001))
    }

    /// Figures of the operating system at this moment; the last reading stays as it is.
    pub fn used_now(&self) -> Option<Used> {
        self.accounts.clone().read(self.link.pid)
    }

    /// Counters by application group. Those of a worker that is older than the front begin at zero, as the front's own do:
    /// whoever scrapes them sees one reset instead of a sum that has lost the workers which the last front saw end.
    pub fn counters(&self) -> impl Iterator<Item = (&str, Figures)> {
        self.sample.iter().flat_map(|sample| &sample.groups).map(|group| {
            let baseline = self.baseline.iter().find(|baseline| baseline.name == group.name);
            let figures = baseline
                .map_or_else(|| group.figures.clone(), |baseline| group.figures.since(&baseline.figures));
            (group.name.as_str(), figures)
        })
    }

    /// First reading of a worker that is older than the front; empty for a younger one.
    pub(crate) fn baseline(&self) -> &[GroupSample] {
        &self.baseline
    }

    /// Counts from a first reading that an earlier admin process took.
    pub(crate) fn set_baseline(&mut self, baseline: Vec<GroupSample>) {
        self.baseline = baseline;
    }

    /// The process has not ended.
    pub fn is_alive(&self) -> bool {
        self.gone.is_none()
    }

    /// [`read`](Self::read) has been called, so its counters are known.
    pub fn has_been_read(&self) -> bool {
        self.sample.is_some()
    }

    /// Reason why it takes no more requests.
    pub fn leaving(&self) -> Option<&str> {
        self.leaving.as_deref()
    }

    /// Its process has ended; `now` in epoch seconds.
    pub(crate) fn end(&mut self, now: f64) {
        self.gone.get_or_insert(now);
    }

    /// It takes no more requests.
    pub(crate) fn leave(&mut self, reason: String) {
        self.leaving.get_or_insert(reason);
    }

    /// It ended a while ago, and its last reading has been taken.
    pub(crate) fn can_be_forgotten(&self, now: f64) -> bool {
        self.closed && self.gone.is_some_and(|gone| now - gone > REMEMBERED)
    }

    /// Whether a GIL is in force; `None` where that is unknown: without a scoreboard, or when the reports do not contain it.
    pub fn gil_enabled(&self) -> Option<bool> {
        let known = self.reports.as_ref().map_or(self.board.is_some(), Reports::tells_gil);
        self.sample.as_ref().filter(|_| known).map(|sample| sample.gil_enabled)
    }

    /// Whether it tells what its requests do: it has a scoreboard, or reports. One of several fronts has no requests.
    pub fn is_measured(&self) -> bool {
        self.board.is_some() || self.reports.is_some()
    }

    /// Its scoreboard.
    pub fn board(&self) -> Option<&Board<SharedWords>> {
        self.board.as_ref()
    }

    /// The requests that were kept for traces since the last call, and how many of them were overwritten before.
    pub(crate) fn take_traced(&mut self) -> (Vec<Finished>, u64) {
        let (Some(board), Some(sample)) = (&self.board, &self.sample) else { return (Vec::new(), 0) };
        let (finished, last, lost) = board.traced(self.traced, &sample.routes);
        self.traced = last;
        (finished, lost)
    }

    /// Reads the scoreboard; the last reading stays as it is. `None` while there is no scoreboard.
    pub fn peek(&self) -> Option<WorkerSample> {
        let board = self.board.as_ref()?;
        Some(board.sample(self.sample.as_ref().map_or(0, |sample| sample.last)))
    }

    /// Opens the scoreboard once the worker has created it.
    pub fn open_scoreboard(&mut self) {
        if self.board.is_none()
            && let Some(fd) = &self.scoreboard
            && let Ok(words) = SharedWords::map(fd)
            && let Ok(board) = Board::open(words)
        {
            self.board = Some(board);
            self.scoreboard = None;
        }
    }

    /// Wants a profile of the worker until that monotonic time in nanoseconds.
    pub fn want_profile(&self, until: u64) {
        if let Some(board) = &self.board {
            board.want_profile(until);
        }
    }

    /// The worker's tree of calls, where there is a scoreboard.
    pub fn calls(&self) -> Option<CallTreeSample> {
        self.board.as_ref()?.read_calls()
    }

    /// A profile runs in the worker, which lives.
    pub fn is_profiled(&self) -> bool {
        self.is_alive() && self.board.as_ref().is_some_and(Board::profile_runs)
    }

    /// Sets the worker's threshold for samples, so that it keeps about [`SAMPLES`] of the slowest requests per second.
    fn limit_samples(&self) {
        let Some(board) = &self.board else { return };
        let response = self.change.total().response;
        let count = response.count() as f64;
        let floor = if count <= SAMPLES { None } else { response.quantile(1.0 - SAMPLES / count) };
        board.set_floor(floor.map_or(0, |ns| ns as u64));
    }

    /// The requests in flight; for a process that died, those it was serving at that moment.
    pub fn running(&self, now: f64) -> Vec<RunningRequest> {
        // The scoreboard outlives its process.
        let fresh = self.peek();
        let slots = fresh
            .iter()
            .chain(self.sample.iter().filter(|_| fresh.is_none()))
            .flat_map(|sample| &sample.slots);
        slots.filter_map(|slot| Some(RunningRequest::new(slot.request.as_ref()?, slot.thread, now))).collect()
    }

    /// CPU seconds of the request in a slot so far, where that is known.
    pub fn cpu_so_far(&self, slot: &SlotSample) -> Option<f64> {
        let request = slot.request.as_ref()?;
        if request.cpu_begun == 0 || slot.tid == 0 {
            return None;
        }
        let now = accounts::of_thread(self.link.pid, slot.tid)?;
        Some(now.saturating_sub(request.cpu_begun) as f64 / 1e9)
    }
}

/// Busy thread-seconds between two readings, including those of requests that are still running.
fn busy(now: &WorkerSample, before: &WorkerSample, span: f64) -> f64 {
    let monotonic = gk_sys::clock::monotonic_nanos();
    let so_far = |slot: &SlotSample, at: u64| {
        let running = slot.request.as_ref().map_or(0, |request| at.saturating_sub(request.begun));
        slot.busy.saturating_add(running) as f64 / 1e9
    };
    let earlier = monotonic.saturating_sub((span * 1e9) as u64);
    let one = |slot: &SlotSample| {
        let before = before.slots.iter().find(|before| before.thread == slot.thread);
        let before = before.map_or(0.0, |before| so_far(before, earlier));
        (so_far(slot, monotonic) - before).clamp(0.0, span)
    };
    now.slots.iter().map(one).sum()
}
