//! `WSGITelemetryService`: each worker of this server as a process of mod_wsgi, told in datagrams. The admin process speaks
//! for the workers, from their scoreboards; what is not taken at once waits in [`Outbox`], and what finds no room there is
//! dropped and counted. Nothing here waits for the receiver.

use crate::heard::worker::Tracked;
use crate::kept::hub::{Hub, Kept, Turn};
use crate::told::outbox::Outbox;
use gk_config::measurements::Datagrams;
use gk_sys::clock;
use gk_sys::usage::{self, accounts};
use gk_telemetry::datagram::Datagram;
use gk_telemetry::datagram::emit::{self, Interval, Sender, ThreadInterval};
use gk_telemetry::sample::{Finished, WorkerSample};
use gk_wire::control::What;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// Slow requests in flight that are told of a process, each time.
const ACTIVE: usize = 16;
/// Finished slow requests that wait to be told of a process; what comes on top is dropped and counted.
const WAITING: usize = 256;

/// What is told of a worker.
#[derive(Default)]
struct Told {
    pid: u32,
    seq: u32,
    /// The reading before, and when it was: nanoseconds of the monotonic clock, which nobody sets.
    sample: WorkerSample,
    read: u64,
    cpu: (f64, f64),
    /// Nanoseconds on CPU, by request thread.
    threads: Vec<u64>,
    collections: u64,
    slow: Vec<Finished>,
    stopping: bool,
    stopped: bool,
}

/// The sender.
pub struct Emitter {
    sender: Sender,
    outbox: Outbox,
    workers: BTreeMap<u64, Told>,
}

impl Emitter {
    /// Sends to `outbox`. `slow`: `WSGISlowRequests` in seconds; `processes`: the ids of supervisor and front.
    pub fn new(wanted: &Datagrams, slow: f64, processes: (u32, u32), outbox: Outbox) -> Self {
        let sender = Sender {
            version: format!("gilkeeper {}", env!("CARGO_PKG_VERSION")),
            hostname: crate::hostname(),
            parent: processes.0,
            front: processes.1,
            interval: wanted.interval,
            slow,
        };
        Self { sender, outbox, workers: BTreeMap::new() }
    }

    /// After each turn of the hub: who came and who went, and the slow requests that finished.
    pub fn follow(&mut self, hub: &Hub, turn: &Turn, now: f64) {
        for (number, worker) in &hub.workers {
            let Some(sample) = &worker.sample else { continue };
            let told = self.workers.entry(*number).or_insert_with(|| {
                let (pid, read) = (sample.pid, clock::monotonic_nanos());
                let mut told = Told { pid, sample: sample.clone(), read, ..Told::default() };
                let age = now - sample.started as f64 / 1e9;
                if age < 5.0 {
                    // All that it ever did is news.
                    told.sample = WorkerSample::default();
                    told.read = read.saturating_sub((age.max(0.0) * 1e9) as u64);
                } else {
                    told.cpu = usage::cpu_times(sample.pid).unwrap_or_default();
                }
                post(&self.outbox, &mut told, emit::process_started(&self.sender, sample));
                told
            });
            if let Some(reason) = &worker.leaving
                && !told.stopping
            {
                told.stopping = true;
                let active = running(sample);
                let reason = emit::reason(reason);
                post(&self.outbox, told, emit::process_stopping(&self.sender, sample, reason, active, now));
            }
        }
        if self.sender.slow > 0.0 {
            self.gather(&turn.finished);
        }
        for event in &turn.events {
            let (what, number) = (event.happened.what, event.happened.worker);
            if matches!(what, What::WorkerLeft | What::WorkerCrashed)
                && let Some(worker) = number.and_then(|number| hub.workers.get(&number))
            {
                let reason = event.happened.reason.as_deref().unwrap_or("");
                self.end(worker, reason, event.requests.len() as u64, now);
            }
        }
        self.workers.retain(|number, _| hub.workers.contains_key(number));
    }

    /// The finished slow requests of this turn.
    fn gather(&mut self, finished: &[Kept]) {
        for kept in finished.iter().filter(|kept| kept.seconds() >= self.sender.slow) {
            let Some(told) = self.workers.values_mut().find(|told| told.pid == kept.pid) else { continue };
            if told.slow.len() < WAITING {
                told.slow.push(kept.finished.clone());
            } else {
                self.outbox.counts().dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Once in each interval: figures of all workers.
    pub fn tell(&mut self, hub: &Hub, now: f64) {
        for (number, worker) in &hub.workers {
            if worker.gone.is_none()
                && let Some(told) = self.workers.get_mut(number)
            {
                report(&self.sender, &self.outbox, told, worker, now);
            }
        }
    }

    /// A worker has ended: its last figures, then its end.
    fn end(&mut self, worker: &Tracked, reason: &str, active: u64, now: f64) {
        let Some(told) = self.workers.get_mut(&worker.link.worker) else { return };
        if std::mem::replace(&mut told.stopped, true) {
            return;
        }
        report(&self.sender, &self.outbox, told, worker, now);
        let Some(sample) = &worker.sample else { return };
        let reason = worker.leaving.as_deref().filter(|_| reason.is_empty()).unwrap_or(reason);
        post(
            &self.outbox,
            told,
            emit::process_stopped(&self.sender, sample, emit::reason(reason), active, now),
        );
    }

    /// The server stops: every worker ends with it.
    pub fn finish(&mut self, hub: &Hub, now: f64) {
        for worker in hub.workers.values() {
            let Some(sample) = &worker.sample else { continue };
            let active = running(sample);
            if let Some(told) = self.workers.get_mut(&worker.link.worker)
                && !std::mem::replace(&mut told.stopping, true)
            {
                let stopping = emit::process_stopping(&self.sender, sample, "shutdown_signal", active, now);
                post(&self.outbox, told, stopping);
            }
            self.end(worker, "shutdown_signal", active, now);
        }
    }
}

fn running(sample: &WorkerSample) -> u64 {
    sample.slots.iter().filter(|slot| slot.request.is_some()).count() as u64
}

fn post(outbox: &Outbox, told: &mut Told, mut datagram: Datagram) {
    told.seq = told.seq.wrapping_add(1);
    datagram.seq = told.seq;
    outbox.put(datagram.encode());
}

/// What a worker did since the last time.
fn report(sender: &Sender, outbox: &Outbox, told: &mut Told, worker: &Tracked, now: f64) {
    let Some(board) = worker.board() else { return };
    let before = std::mem::take(&mut told.sample);
    let sample = board.sample(before.last);
    let pid = worker.link.pid;
    let read = clock::monotonic_nanos();
    let period = (read.saturating_sub(told.read) as f64 / 1e9).max(0.001);
    told.read = read;
    let cpu = usage::cpu_times(pid).unwrap_or(told.cpu);
    let earlier = std::mem::replace(&mut told.cpu, cpu);
    let resident = (worker.used.resident, usage::most_resident(pid).unwrap_or(worker.used.resident));
    let interval = Interval {
        change: sample.since(&before),
        period,
        cpu: ((cpu.0 - earlier.0).max(0.0), (cpu.1 - earlier.1).max(0.0)),
        resident,
        threads: threads(told, pid, &before, &sample, period),
    };
    let datagram = emit::request_metrics(sender, &interval, now);
    post(outbox, told, datagram);
    for finished in std::mem::take(&mut told.slow) {
        post(outbox, told, emit::slow_completed(sender, pid, &finished, now));
    }
    if sender.slow > 0.0 {
        let monotonic = clock::monotonic_nanos();
        let in_flight = sample.slots.iter().filter_map(|slot| {
            let request = slot.request.as_ref()?;
            let elapsed = monotonic.saturating_sub(request.begun) as f64 / 1e9;
            (elapsed >= sender.slow).then_some((slot.thread, request, elapsed))
        });
        for (thread, request, elapsed) in in_flight.take(ACTIVE) {
            post(outbox, told, emit::slow_active(sender, pid, thread, request, elapsed, now));
        }
    }
    post(outbox, told, emit::gc_snapshot(&sample, now));
    let (collections, last) = board.collections(told.collections);
    told.collections = last;
    for one in collections {
        post(outbox, told, emit::gc_event(pid, &one, now));
    }
    told.sample = sample;
}

/// The request threads in the interval that ends now.
fn threads(
    told: &mut Told,
    pid: u32,
    before: &WorkerSample,
    now: &WorkerSample,
    period: f64,
) -> Vec<ThreadInterval> {
    let monotonic = clock::monotonic_nanos();
    let seconds = |ns: u64| ns as f64 / 1e9;
    told.threads.resize(now.slots.len(), 0);
    let one = |(index, slot): (usize, &gk_telemetry::sample::SlotSample)| {
        let earlier = before.slots.get(index);
        let (completed, busy) = earlier.map_or((0, 0), |slot| (slot.completed, slot.busy));
        let elapsed = |slot: &gk_telemetry::sample::SlotSample, at: u64| {
            slot.request.as_ref().map_or(0, |request| at.saturating_sub(request.begun))
        };
        let was = earlier.map_or(0, |slot| elapsed(slot, monotonic.saturating_sub((period * 1e9) as u64)));
        let runs = elapsed(slot, monotonic);
        let on_cpu = accounts::of_thread(pid, slot.tid).unwrap_or(told.threads[index]);
        // The first look at a thread has nothing to compare with.
        let used = if told.threads[index] == 0 { 0 } else { on_cpu.saturating_sub(told.threads[index]) };
        told.threads[index] = on_cpu;
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
