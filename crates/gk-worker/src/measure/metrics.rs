//! `request_metrics()` and `process_metrics()` of the application: the scoreboard's figures as JSON with mod_wsgi's keys.

use gk_sys::memory::SharedWords;
use gk_sys::{clock, usage};
use gk_telemetry::Board;
use gk_telemetry::Figures;
use gk_telemetry::datagram::phases;
use gk_telemetry::sample::{SlotSample, WorkerSample};
use serde_json::{Map, Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Start of the window of `request_metrics`; `None` before `start_recording_metrics()`.
#[derive(Default)]
pub(super) struct MetricsWindow(Mutex<Option<Snapshot>>);

/// Figures at one moment.
struct Snapshot {
    sample: WorkerSample,
    /// Monotonic nanoseconds.
    at: u64,
    /// User and system CPU seconds of the process.
    cpu: (f64, f64),
    /// Nanoseconds of CPU by request thread.
    threads: Vec<u64>,
}

impl Snapshot {
    /// Reads the scoreboard. `last`: number of the newest request that is known already.
    fn now(board: &Board<SharedWords>, last: u64) -> Self {
        let sample = board.sample(last);
        let threads = sample.slots.iter().map(|slot| usage::thread_cpu(slot.tid).unwrap_or(0)).collect();
        let usage = usage::own();
        Self { sample, at: clock::monotonic_nanos(), cpu: (usage.user, usage.system), threads }
    }
}

impl MetricsWindow {
    fn begin(&self) -> MutexGuard<'_, Option<Snapshot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `start_recording_metrics()`.
    pub(super) fn start_recording(&self, board: &Board<SharedWords>) {
        *self.begin() = Some(Snapshot::now(board, 0));
    }

    /// `request_metrics()`: the window since the last call; null before `start_recording_metrics()`.
    pub(super) fn request_metrics(&self, board: &Board<SharedWords>) -> Value {
        let mut begin = self.begin();
        let Some(before) = begin.as_ref() else { return Value::Null };
        let now = Snapshot::now(board, before.sample.last);
        let value = between(before, &now);
        *begin = Some(now);
        value
    }

    /// `process_metrics()`: since the process began.
    pub(super) fn process_metrics(&self, board: &Board<SharedWords>) -> Value {
        if self.begin().is_none() {
            return Value::Null;
        }
        let sample = board.sample(0);
        let usage = usage::own();
        let (begun, now) = (sample.started as f64 / 1e9, clock::epoch_seconds());
        let busy: u64 = sample.slots.iter().map(|slot| slot.busy).sum();
        let threads: Vec<Value> = sample
            .slots
            .iter()
            .map(|slot| json!({"thread_id": slot.thread, "request_count": slot.completed}))
            .collect();
        json!({
            "pid": sample.pid,
            "restart_time": begun,
            "current_time": now,
            "running_time": (now - begun).max(0.0) as u64,
            "request_count": sample.slots.iter().map(|slot| slot.completed).sum::<u64>(),
            "request_busy_time": seconds(busy),
            "request_threads": sample.threads,
            "active_requests": sample.slots.iter().filter(|slot| slot.request.is_some()).count(),
            "cpu_user_time": usage.user,
            "cpu_system_time": usage.system,
            "cpu_time": usage.user + usage.system,
            "memory_rss": usage::resident(sample.pid),
            "memory_max_rss": usage.max_resident,
            "threads": threads,
        })
    }
}

fn between(before: &Snapshot, now: &Snapshot) -> Value {
    let period = seconds(now.at.saturating_sub(before.at)).max(1e-9);
    let figures = now.sample.since(&before.sample).total();
    let stop = clock::epoch_seconds();
    let elapsed = |moment: &Snapshot, slot: &SlotSample| {
        slot.request.as_ref().map_or(0, |request| moment.at.saturating_sub(request.begun))
    };
    let mut busy = Vec::new();
    let mut cpu = Vec::new();
    let mut completed = Vec::new();
    let mut current = Vec::new();
    let mut longest = Vec::new();
    for (index, (slot, old)) in now.sample.slots.iter().zip(&before.sample.slots).enumerate() {
        // A running request counts from the start of the window if it began before.
        let here = (slot.busy + elapsed(now, slot)).saturating_sub(old.busy + elapsed(before, old));
        busy.push(seconds(here));
        cpu.push(seconds(now.threads[index].saturating_sub(before.threads[index])));
        completed.push(slot.completed - old.completed.min(slot.completed));
        current.push(seconds(elapsed(now, slot)));
        let kept = now.sample.finished.iter().filter(|one| one.thread == slot.thread);
        longest.push(seconds(kept.map(|one| one.record.daemon + one.record.application).max().unwrap_or(0)));
    }
    let threads = now.sample.threads;
    let active = completed.iter().zip(&current).filter(|(done, now)| **done > 0 || **now > 0.0).count();
    let (user, system) = (now.cpu.0 - before.cpu.0, now.cpu.1 - before.cpu.1);
    let usage = usage::own();
    let mut value = json!({
        "pid": now.sample.pid,
        "start_time": stop - period,
        "stop_time": stop,
        "sample_period": period,
        "request_count": figures.requests,
        "request_throughput": figures.requests as f64 / period,
        "request_threads_maximum": threads,
        "request_threads_started": threads,
        "request_threads_active": active,
        "capacity_utilization": busy.iter().sum::<f64>() / (period * f64::from(threads.max(1))),
        "request_threads_completed": completed,
        "request_threads_buckets": completed,
        "request_threads_busy_time": busy,
        "request_threads_cpu_time": cpu,
        "request_threads_current_elapsed": current,
        "request_threads_max_duration": longest,
        "gil_wait_count": figures.waits,
        "gil_wait_exact": now.sample.exact,
        "gil_wait_server_time": mean(figures.gil_server, figures.requests),
        "input_bytes": figures.bytes_in,
        "input_reads": figures.reads,
        "output_bytes": figures.bytes_out,
        "output_writes": figures.writes,
        "cpu_user_utilization": user / period,
        "cpu_system_utilization": system / period,
        "cpu_utilization": (user + system) / period,
        "cpu_user_time": user / period,
        "cpu_system_time": system / period,
        "cpu_time": (user + system) / period,
        "memory_rss": usage::resident(now.sample.pid),
        "memory_max_rss": usage.max_resident,
    });
    if let Value::Object(keys) = &mut value {
        put_phases(keys, &figures);
        for class in 1..=5u16 {
            let within = |status: u16| if status == 0 { class == 5 } else { status / 100 == class };
            let count: u64 = figures.statuses.iter().filter(|(s, _)| within(**s)).map(|(_, n)| n).sum();
            keys.insert(format!("status_{class}xx"), count.into());
        }
    }
    value
}

/// The eight phases: mean, least, greatest, buckets.
fn put_phases(keys: &mut Map<String, Value>, figures: &Figures) {
    let n = figures.requests;
    for (name, phase) in phases::of(figures) {
        let micros = |ns: u64| (n > 0).then_some(ns / 1000);
        keys.insert(name.to_owned(), mean(phase.sum, n).into());
        keys.insert(format!("{name}_min_us"), micros(phase.least).into());
        keys.insert(format!("{name}_max_us"), micros(phase.greatest).into());
        keys.insert(format!("{name}_buckets"), phase.buckets.to_vec().into());
    }
}

fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { seconds(sum) / count as f64 }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
