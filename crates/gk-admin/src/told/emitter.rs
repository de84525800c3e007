//! `WSGITelemetryService`: reports each worker of this server as a process of mod_wsgi, in datagrams. The admin process makes them
//! from the workers' scoreboards and puts them into the [`Outbox`]. Nothing here waits for the receiver.

use crate::heard::requests::FinishedRequest;
use crate::heard::worker::TrackedWorker;
use crate::kept::hub::{Hub, Second};
use crate::told::outbox::Outbox;
use gk_config::measurements::Datagrams;
use gk_sys::clock;
use gk_sys::usage::{self, accounts};
use gk_telemetry::datagram::Datagram;
use gk_telemetry::datagram::emit::{self, Interval, Sender, ThreadInterval};
use gk_telemetry::sample::{Finished, WorkerSample};
use gk_wire::control::What;
use std::collections::BTreeMap;

/// Most slow requests in flight in one report of a process.
const ACTIVE: usize = 16;
/// Finished slow requests of a process that wait for its next report; further ones are dropped and counted.
const WAITING: usize = 256;

/// Age in seconds below which everything a worker has done goes into its first report.
const YOUNG: f64 = 5.0;

/// A worker that is reported: the state of its last report.
#[derive(Default)]
struct ReportedWorker {
    pid: u32,
    seq: u32,
    /// The reading, and its time in nanoseconds of the monotonic clock.
    sample: WorkerSample,
    read: u64,
    /// CPU seconds of the process, user and system.
    cpu: (f64, f64),
    /// Nanoseconds on CPU by request thread.
    threads: Vec<u64>,
    /// Number of garbage collections.
    collections: u64,
    /// Slow requests for the next report.
    slow: Vec<Finished>,
    /// Its end has been announced, and has been reported.
    stopping: bool,
    stopped: bool,
}

/// Reports all workers.
pub struct Emitter {
    sender: Sender,
    outbox: Outbox,
    workers: BTreeMap<u64, ReportedWorker>,
}

impl Emitter {
    /// Sends to `outbox`. `slow`: `WSGISlowRequests` in seconds; `processes`: the ids of supervisor and front.
    pub fn new(export: &Datagrams, slow: f64, processes: (u32, u32), outbox: Outbox) -> Self {
        let sender = Sender {
            version: format!("gilkeeper {}", env!("CARGO_PKG_VERSION")),
            hostname: crate::hostname(),
            parent: processes.0,
            front: processes.1,
            interval: export.interval,
            slow,
        };
        Self { sender, outbox, workers: BTreeMap::new() }
    }

    /// After each second of the hub: reports workers that have started or ended, and collects slow requests.
    pub fn follow(&mut self, hub: &Hub, second: &Second, now: f64) {
        for (number, worker) in hub.workers() {
            let Some(sample) = &worker.sample else { continue };
            let reported = self.workers.entry(*number).or_insert_with(|| {
                let mut reported = first_state(sample, now);
                post(&self.outbox, &mut reported, emit::process_started(&self.sender, sample));
                reported
            });
            if let Some(reason) = worker.leaving()
                && !reported.stopping
            {
                reported.stopping = true;
                let active = running(sample);
                let reason = emit::reason(reason);
                post(
                    &self.outbox,
                    reported,
                    emit::process_stopping(&self.sender, sample, reason, active, now),
                );
            }
        }
        if self.sender.slow > 0.0 {
            self.collect_slow(&second.finished);
        }
        for event in &second.events {
            let (what, number) = (event.happened.what, event.happened.worker);
            if matches!(what, What::WorkerLeft | What::WorkerCrashed)
                && let Some(worker) = number.and_then(|number| hub.workers().get(&number))
            {
                let reason = event.happened.reason.as_deref().unwrap_or("");
                self.end(worker, reason, event.requests.len() as u64, now);
            }
        }
        self.workers.retain(|number, _| hub.workers().contains_key(number));
    }

    /// Keeps the slow requests of a second for the next report.
    fn collect_slow(&mut self, finished: &[FinishedRequest]) {
        for request in finished.iter().filter(|request| request.seconds() >= self.sender.slow) {
            let mut workers = self.workers.values_mut();
            let Some(reported) = workers.find(|reported| reported.pid == request.pid) else { continue };
            if reported.slow.len() < WAITING {
                reported.slow.push(request.finished.clone());
            } else {
                self.outbox.deliveries().count_lost();
            }
        }
    }

    /// Once per interval: reports the figures of all workers.
    pub fn report(&mut self, hub: &Hub, now: f64) {
        for worker in hub.living() {
            if let Some(reported) = self.workers.get_mut(&worker.link.worker) {
                report(&self.sender, &self.outbox, reported, worker, now);
            }
        }
    }

    /// Reports the last figures of a worker, then its end.
    fn end(&mut self, worker: &TrackedWorker, reason: &str, active: u64, now: f64) {
        let Some(reported) = self.workers.get_mut(&worker.link.worker) else { return };
        if std::mem::replace(&mut reported.stopped, true) {
            return;
        }
        report(&self.sender, &self.outbox, reported, worker, now);
        let Some(sample) = &worker.sample else { return };
        let reason = worker.leaving().filter(|_| reason.is_empty()).unwrap_or(reason);
        let stopped = emit::process_stopped(&self.sender, sample, emit::reason(reason), active, now);
        post(&self.outbox, reported, stopped);
    }

    /// Reports the end of every worker, since the server stops.
    pub fn finish(&mut self, hub: &Hub, now: f64) {
        for worker in hub.workers().values() {
            let Some(sample) = &worker.sample else { continue };
            let active = running(sample);
            if let Some(reported) = self.workers.get_mut(&worker.link.worker)
                && !std::mem::replace(&mut reported.stopping, true)
            {
                let stopping = emit::process_stopping(&self.sender, sample, "shutdown_signal", active, now);
                post(&self.outbox, reported, stopping);
            }
            self.end(worker, "shutdown_signal", active, now);
        }
    }
}

/// State before the first report of a worker.
fn first_state(sample: &WorkerSample, now: f64) -> ReportedWorker {
    let (pid, read) = (sample.pid, clock::monotonic_nanos());
    let age = now - sample.started as f64 / 1e9;
    if age < YOUNG {
        let read = read.saturating_sub((age.max(0.0) * 1e9) as u64);
        return ReportedWorker { pid, read, ..ReportedWorker::default() };
    }
    let cpu = usage::cpu_times(pid).unwrap_or_default();
    ReportedWorker { pid, read, cpu, sample: sample.clone(), ..ReportedWorker::default() }
}

/// Number of requests in flight.
fn running(sample: &WorkerSample) -> u64 {
    sample.slots.iter().filter(|slot| slot.request.is_some()).count() as u64
}

fn post(outbox: &Outbox, reported: &mut ReportedWorker, mut datagram: Datagram) {
    reported.seq = reported.seq.wrapping_add(1);
    datagram.seq = reported.seq;
    outbox.put(datagram.encode());
}

/// Reports what a worker did since its last report.
fn report(sender: &Sender, outbox: &Outbox, reported: &mut ReportedWorker, worker: &TrackedWorker, now: f64) {
    let Some(board) = worker.board() else { return };
    let before = std::mem::take(&mut reported.sample);
    let sample = board.sample(before.last);
    let pid = worker.link.pid;
    let read = clock::monotonic_nanos();
    let period = (read.saturating_sub(reported.read) as f64 / 1e9).max(0.001);
    reported.read = read;
    let cpu = usage::cpu_times(pid).unwrap_or(reported.cpu);
    let earlier = std::mem::replace(&mut reported.cpu, cpu);
    let resident = (worker.used.resident, usage::most_resident(pid).unwrap_or(worker.used.resident));
    let interval = Interval {
        change: sample.since(&before),
        period,
        cpu: ((cpu.0 - earlier.0).max(0.0), (cpu.1 - earlier.1).max(0.0)),
        resident,
        threads: threads(reported, pid, &before, &sample, period),
    };
    let datagram = emit::request_metrics(sender, &interval, now);
    post(outbox, reported, datagram);
    for finished in std::mem::take(&mut reported.slow) {
        post(outbox, reported, emit::slow_completed(sender, pid, &finished, now));
    }
    if sender.slow > 0.0 {
        let monotonic = clock::monotonic_nanos();
        let in_flight = sample.slots.iter().filter_map(|slot| {
            let request = slot.request.as_ref()?;
            let elapsed = monotonic.saturating_sub(request.begun) as f64 / 1e9;
            (elapsed >= sender.slow).then_some((slot.thread, request, elapsed))
        });
        for (thread, request, elapsed) in in_flight.take(ACTIVE) {
            post(outbox, reported, emit::slow_active(sender, pid, thread, request, elapsed, now));
        }
    }
    post(outbox, reported, emit::gc_snapshot(&sample, now));
    let (collections, last) = board.collections(reported.collections);
    reported.collections = last;
    for one in collections {
        post(outbox, reported, emit::gc_event(pid, &one, now));
    }
    reported.sample = sample;
}

/// The request threads in the interval that ends now.
fn threads(
    reported: &mut ReportedWorker,
    pid: u32,
    before: &WorkerSample,
    now: &WorkerSample,
    period: f64,
) -> Vec<ThreadInterval> {
    let monotonic = clock::monotonic_nanos();
    let seconds = |ns: u64| ns as f64 / 1e9;
    reported.threads.resize(now.slots.len(), 0);
    let one = |(index, slot): (usize, &gk_telemetry::sample::SlotSample)| {
        let earlier = before.slots.get(index);
        let (completed, busy) = earlier.map_or((0, 0), |slot| (slot.completed, slot.busy));
        let elapsed = |slot: &gk_telemetry::sample::SlotSample, at: u64| {
            slot.request.as_ref().map_or(0, |request| at.saturating_sub(request.begun))
        };
        let was = earlier.map_or(0, |slot| elapsed(slot, monotonic.saturating_sub((period * 1e9) as u64)));
        let runs = elapsed(slot, monotonic);
        let on_cpu = accounts::of_thread(pid, slot.tid).unwrap_or(reported.threads[index]);
        // There is nothing to compare the first reading of a thread with.
        let used =
            if reported.threads[index] == 0 { 0 } else { on_cpu.saturating_sub(reported.threads[index]) };
        reported.threads[index] = on_cpu;
        let longest = now.finished.iter().filter(|one| one.thread == slot.thread);
        let longest = longest.map(|one| one.record.daemon + one.record.application).max().unwrap_or(0);
        let done = slot.completed.saturating_sub(completed);
        let mean = slot.busy.saturating_sub(busy).checked_div(done).unwrap_or(0);
        ThreadInterval {
            completed: done,
            busy: seconds((slot.busy + runs).saturating_sub(busy + was)).min(period),
            cpu: seconds(used).min(period),
            elapsed: seconds(runs),
            longest: seconds(longest.max(mean)),
        }
    };
    now.slots.iter().enumerate().map(one).collect()
}
