//! The figures of a worker in an interval as datagrams of a process of mod_wsgi, by mod_wsgi's definitions of the phases.
//!
//! Two things are left out although the format has them: NaN and infinity, and the interpreter's name in records of the garbage
//! collector. mod_wsgi-telemetry 1.1.0 cannot serve its pages any more once it has received one of either.

use super::{Datagram, Kind, Value, fields, phases};
use crate::figures::Figures;
use crate::sample::{Collection, Finished, InFlight, WorkerSample};
use crate::saturating::saturating_sum;

/// Most request threads with figures in a record.
const THREADS: usize = 128;
/// Longest name of a host.
const HOST: usize = 127;
/// Longest name of a process group.
const GROUP: usize = 63;

/// The sender.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sender {
    /// `gilkeeper 1.0`.
    pub version: String,
    /// The machine's name.
    pub hostname: String,
    /// Process id of what started the worker.
    pub parent: u32,
    /// The front's process id: it took the connections.
    pub front: u32,
    /// Seconds between two records.
    pub interval: f64,
    /// Seconds from which on a request is slow; 0: none is.
    pub slow: f64,
}

/// A worker in an interval.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interval {
    /// The difference to the interval's beginning.
    pub change: WorkerSample,
    /// Its length in seconds.
    pub period: f64,
    /// User and system CPU seconds of the process.
    pub cpu: (f64, f64),
    /// Resident bytes, now and the most ever.
    pub resident: (u64, u64),
    /// The request threads.
    pub threads: Vec<ThreadInterval>,
}

/// A request thread in an interval. Seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ThreadInterval {
    /// Requests finished.
    pub completed: u64,
    /// Busy, with requests that still run.
    pub busy: f64,
    /// On CPU.
    pub cpu: f64,
    /// Since the request that runs was taken; 0 when idle.
    pub elapsed: f64,
    /// The longest request that finished.
    pub longest: f64,
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Host and process group, which all records of a process have.
fn identity(datagram: &mut Datagram, sender: &Sender, sample: &WorkerSample) {
    datagram.text(fields::HOSTNAME, &sender.hostname, HOST);
    datagram.text(fields::PROCESS_GROUP, &sample.process_group, GROUP);
}

/// The whole identity: versions and the parent as well.
fn full_identity(datagram: &mut Datagram, sender: &Sender, sample: &WorkerSample) {
    datagram.text(fields::MOD_WSGI_VERSION, &sender.version, GROUP);
    datagram.text(fields::PYTHON_VERSION, &sample.python, GROUP);
    identity(datagram, sender, sample);
    datagram.count(fields::PARENT_PID, sender.parent.into());
    if sample.switch_interval > 0 {
        datagram.number(fields::SWITCH_INTERVAL, seconds(sample.switch_interval));
    }
}

/// The figures of the process in the interval. `stamp`: epoch seconds of its end.
pub fn request_metrics(sender: &Sender, interval: &Interval, stamp: f64) -> Datagram {
    let change = &interval.change;
    let figures = change.total();
    let period = interval.period.max(1e-3);
    let mut out = Datagram::new(Kind::RequestMetrics, change.pid, stamp);
    full_identity(&mut out, sender, change);
    out.number(fields::SAMPLE_PERIOD, period);
    out.number(fields::TELEMETRY_INTERVAL, sender.interval);
    out.number(fields::SLOW_THRESHOLD, sender.slow);
    out.count(fields::REQUEST_COUNT, figures.requests);
    out.number(fields::REQUEST_THROUGHPUT, figures.requests as f64 / period);
    let busy: f64 = interval.threads.iter().map(|thread| thread.busy).sum();
    let capacity = period * interval.threads.len().max(1) as f64;
    out.number(fields::CAPACITY_UTILIZATION, (busy / capacity).clamp(0.0, 1.0));
    let (user, system) = interval.cpu;
    out.number(fields::CPU_USER_UTILIZATION, user / period);
    out.number(fields::CPU_SYSTEM_UTILIZATION, system / period);
    out.number(fields::CPU_UTILIZATION, (user + system) / period);
    out.count(fields::MEMORY_RSS, interval.resident.0);
    out.count(fields::MEMORY_MAX_RSS, interval.resident.1);
    out.count(fields::THREADS_MAXIMUM, change.threads.into());
    out.count(fields::THREADS_STARTED, change.threads.into());
    let active = interval.threads.iter().filter(|thread| thread.completed > 0 || thread.elapsed > 0.0);
    out.count(fields::THREADS_ACTIVE, active.count() as u64);
    put_phases(&mut out, &figures);
    out.count(fields::INPUT_BYTES, figures.bytes_in);
    out.count(fields::INPUT_READS, figures.reads);
    out.count(fields::OUTPUT_BYTES, figures.bytes_out);
    out.count(fields::OUTPUT_WRITES, figures.writes);
    for class in 1..=5u16 {
        // Without a status the application failed, which is a 5xx.
        let within = |status: u16| if status == 0 { class == 5 } else { status / 100 == class };
        let counts = figures.statuses.iter().filter(|(status, _)| within(**status)).map(|(_, n)| *n);
        let count = saturating_sum(counts);
        out.count(fields::STATUS_1XX + class - 1, count);
    }
    let threads = &interval.threads[..interval.threads.len().min(THREADS)];
    let row = |get: fn(&ThreadInterval) -> f64| Value::F64s(threads.iter().map(get).collect());
    let completed = |thread: &ThreadInterval| i32::try_from(thread.completed).unwrap_or(i32::MAX);
    out.put(fields::THREADS_COMPLETED, Value::I32s(threads.iter().map(completed).collect()));
    out.put(fields::THREADS_BUSY_TIME, row(|thread| thread.busy));
    out.put(fields::THREADS_CPU_TIME, row(|thread| thread.cpu));
    out.put(fields::THREADS_CURRENT_ELAPSED, row(|thread| thread.elapsed));
    out.put(fields::THREADS_MAX_DURATION, row(|thread| thread.longest));
    out
}

/// The eight phases: mean, least, greatest, buckets. Each block of fields has them in the same order.
fn put_phases(out: &mut Datagram, figures: &Figures) {
    for (index, (_, phase)) in (0u16..).zip(phases::of(figures)) {
        let mean = seconds(phase.sum) / figures.requests.max(1) as f64;
        out.number(fields::SERVER_TIME + index, if figures.requests == 0 { 0.0 } else { mean });
        if figures.requests > 0 {
            out.number(fields::SERVER_TIME_MIN + index, seconds(phase.least));
            out.number(fields::SERVER_TIME_MAX + index, seconds(phase.greatest));
        }
        let bucket = |count: &u64| i32::try_from(*count).unwrap_or(i32::MAX);
        let row = phase.buckets.iter().map(bucket).collect();
        out.put(fields::SERVER_TIME_BUCKETS + index, Value::I32s(row));
    }
}

/// A process serves since `sample.started`.
pub fn process_started(sender: &Sender, sample: &WorkerSample) -> Datagram {
    let mut out = Datagram::new(Kind::ProcessStarted, sample.pid, seconds(sample.started));
    full_identity(&mut out, sender, sample);
    out
}

/// The fields that both datagrams of a process's end begin with.
fn end(kind: Kind, sender: &Sender, sample: &WorkerSample, reason: &str, stamp: f64) -> Datagram {
    let mut out = Datagram::new(kind, sample.pid, stamp);
    identity(&mut out, sender, sample);
    out.text(fields::SHUTDOWN_REASON, reason, GROUP);
    out
}

/// A process takes no more requests. `active`: number of its running requests.
pub fn process_stopping(
    sender: &Sender,
    sample: &WorkerSample,
    reason: &str,
    active: u64,
    stamp: f64,
) -> Datagram {
    let mut out = end(Kind::ProcessStopping, sender, sample, reason, stamp);
    out.count(fields::ACTIVE_AT_DECISION, active);
    out
}

/// A process has ended. `active`: requests that ended with it.
pub fn process_stopped(
    sender: &Sender,
    sample: &WorkerSample,
    reason: &str,
    active: u64,
    stamp: f64,
) -> Datagram {
    let mut out = end(Kind::ProcessStopped, sender, sample, reason, stamp);
    out.number(fields::PROCESS_UPTIME, (stamp - seconds(sample.started)).max(0.0));
    out.count(fields::LIFETIME_REQUEST_COUNT, sample.total().requests);
    out.count(fields::ACTIVE_AT_EXIT, active);
    out.count(fields::GRACEFUL_DRAIN, u64::from(active == 0));
    out
}

/// The reason in mod_wsgi's word for it; mod_wsgi-telemetry's pages colour by it.
pub fn reason(ours: &str) -> &str {
    match ours {
        "reload" | "script_changed" | "script_reload" => "script_reload",
        "stop" | "shutdown" | "" => "shutdown_signal",
        other => other,
    }
}

/// A slow request that finished. The server has no other clock for CPU than the thread's own: all of it counts as user time.
pub fn slow_completed(sender: &Sender, pid: u32, one: &Finished, stamp: f64) -> Datagram {
    let r = &one.record;
    let mut out = Datagram::new(Kind::SlowRequest, pid, stamp);
    out.count(fields::SLOW_RECORD_STATE, 1);
    out.number(fields::SLOW_START_STAMP, seconds(one.start + r.server + r.queue));
    out.number(fields::SLOW_DURATION, seconds(r.daemon + r.application));
    out.count(fields::SLOW_THREAD_ID, one.thread.into());
    out.count(fields::SLOW_SERVER_PID, sender.front.into());
    out.count(fields::SLOW_INPUT_BYTES, r.bytes_in);
    out.count(fields::SLOW_INPUT_READS, r.reads);
    out.count(fields::SLOW_OUTPUT_BYTES, r.bytes_out);
    out.count(fields::SLOW_OUTPUT_WRITES, r.writes);
    out.number(fields::SLOW_CPU_USER_TIME, seconds(r.cpu));
    out.number(fields::SLOW_CPU_SYSTEM_TIME, 0.0);
    out.number(fields::SLOW_SERVER_TIME, seconds(r.server));
    out.number(fields::SLOW_QUEUE_TIME, seconds(r.queue));
    out.number(fields::SLOW_DAEMON_TIME, seconds(r.daemon));
    out.number(fields::SLOW_APPLICATION_TIME, seconds(r.application));
    out.number(fields::SLOW_GIL_WAIT_TIME, seconds(r.gil_wait()));
    out.count(fields::SLOW_GIL_WAIT_COUNT, r.waits);
    out.number(fields::SLOW_INPUT_READ_TIME, seconds(r.input));
    out.number(fields::SLOW_OUTPUT_WRITE_TIME, seconds(r.output));
    out.count(fields::SLOW_STATUS, r.status.into());
    named(&mut out, one.request, &one.method, &one.path);
    out
}

/// A slow request that runs. `elapsed`: seconds since its thread took it.
pub fn slow_active(
    sender: &Sender,
    pid: u32,
    thread: u32,
    one: &InFlight,
    elapsed: f64,
    stamp: f64,
) -> Datagram {
    let taken = stamp - elapsed;
    let mut out = Datagram::new(Kind::SlowRequest, pid, stamp);
    out.count(fields::SLOW_RECORD_STATE, 0);
    out.number(fields::SLOW_START_STAMP, taken);
    out.number(fields::SLOW_DURATION, elapsed);
    out.count(fields::SLOW_THREAD_ID, thread.into());
    out.count(fields::SLOW_SERVER_PID, sender.front.into());
    let queue = seconds(one.queue);
    out.number(fields::SLOW_SERVER_TIME, (taken - queue - seconds(one.start)).max(0.0));
    out.number(fields::SLOW_QUEUE_TIME, queue);
    out.number(fields::SLOW_DAEMON_TIME, 0.0);
    out.number(fields::SLOW_APPLICATION_TIME, elapsed);
    out.number(fields::SLOW_GIL_WAIT_TIME, seconds(one.gil_wait));
    out.count(fields::SLOW_GIL_WAIT_COUNT, one.waits);
    out.count(fields::SLOW_STATUS, 0);
    named(&mut out, one.request, &one.method, &one.path);
    out
}

/// The request's number, which is `mod_wsgi.request_id` and `%L` in the logs, and what was asked for.
fn named(out: &mut Datagram, request: u64, method: &str, path: &str) {
    out.text(fields::SLOW_LOG_ID, &request.to_string(), 63);
    out.text(fields::SLOW_METHOD, method, 15);
    out.text(fields::SLOW_PATH_INFO, path, 511);
}

/// Counters of the garbage collectors of all interpreters together.
pub fn gc_snapshot(sample: &WorkerSample, stamp: f64) -> Datagram {
    let mut out = Datagram::new(Kind::GcSnapshot, sample.pid, stamp);
    for generation in 0..3u16 {
        let each = sample.groups.iter().map(|group| group.gc.collections[usize::from(generation)]);
        let sum = saturating_sum(each);
        out.count(fields::GC_COLLECTIONS0 + generation, sum);
    }
    out
}

/// One garbage collection.
pub fn gc_event(pid: u32, one: &Collection, stamp: f64) -> Datagram {
    let mut out = Datagram::new(Kind::GcEvent, pid, stamp);
    out.number(fields::GC_EVENT_START, seconds(one.start));
    out.number(fields::GC_EVENT_DURATION, seconds(one.pause));
    out.count(fields::GC_EVENT_GENERATION, one.generation.into());
    out.count(fields::GC_EVENT_COLLECTED, one.collected);
    out.count(fields::GC_EVENT_UNCOLLECTABLE, one.uncollectable);
    out
}
