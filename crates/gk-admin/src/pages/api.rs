//! The JSON answers of the API: durations in seconds, sizes in bytes, ratios from 0 to 1. The present is here; [`ranges`] has the past,
//! [`requests`] single requests.

mod ranges;
mod requests;

pub use ranges::{distribution, history};
pub use requests::{RequestFilter, requests};

use crate::heard::event::Event;
use crate::heard::worker::TrackedWorker;
use crate::kept::hub::Hub;
use crate::kept::tick::{Tick, together};
use crate::pages::shapes;
use gk_telemetry::Portion;
use gk_wire::control::What;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NS: f64 = 1e9;
/// Seconds of the figures that are shown as the present ones.
const MINUTE: f64 = 60.0;

fn seconds(ns: u64) -> f64 {
    ns as f64 / NS
}

/// Seconds of an interval; 0 means that there is none.
fn interval(ns: u64) -> Option<f64> {
    (ns > 0).then(|| seconds(ns))
}

/// `/api/v1/status`, and each message of `/api/v1/stream`.
pub fn status(hub: &Hub, now: f64) -> Value {
    let (front, health) = (hub.front_figures(), hub.health());
    let empty = Tick::default();
    let last = hub.last_minute().last().map_or(&empty, |tick| tick);
    let minute = hub.last_minute().window(MINUTE);
    let failed = failed_imports(hub);
    let workers: Vec<Value> = hub
        .living()
        .map(|worker| {
            let mut value = self::worker(hub, worker, last, now);
            let (state, reason) = state(worker, failed.get(&worker.link.worker).copied());
            (value["state"], value["reason"]) = (state.into(), reason.into());
            value
        })
        .collect();
    let total = together(last.groups.values());
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "t": now,
        "ready": health.ready,
        "waiting": health.waiting,
        "silent": health.silent,
        "generation": front.generation,
        "connections": front.status.connections,
        "requests": front.status.requests,
        "waiting_responses": { "memory": front.waiting_responses.0, "disk": front.waiting_responses.1 },
        "queued": front.status.queued,
        "queues": front.status.queues,
        "lost_log_lines": front.lost_log_lines,
        "lost_error_lines": front.lost_error_lines,
        "limits": {
            "cpus": hub.limits().cpus,
            "memory": hub.limits().memory,
            "memory_used": hub.limits().memory_used,
            "memory_kills": hub.limits().memory_kills,
            "throttled_periods": hub.limits().throttled.map(|(count, _)| count),
            "throttled_seconds": hub.limits().throttled.map(|(_, seconds)| seconds),
        },
        "datagrams": hub.exports().datagrams.as_ref().map(|deliveries| json!({
            "sent": deliveries.sent(), "dropped": deliveries.lost(),
        })),
        "intake": hub.intake().map(|intake| json!({
            "datagrams": intake.datagrams, "refused": intake.refused, "lost": intake.lost,
            "pushes": intake.pushes, "pushes_refused": intake.pushes_refused, "crowded": intake.crowded,
        })),
        "certificates": hub.certificates().iter().map(|one| json!({
            "file": one.file, "host": one.host, "names": one.names, "not_before": one.not_before, "not_after": one.not_after,
            "seconds_left": (one.not_after as f64 - now).floor(),
        })).collect::<Vec<_>>(),
        "server": hub.own_processes().iter().map(|one| json!({
            "process": one.name, "pid": one.pid, "cpu_seconds": one.used.cpu, "resident": one.used.resident,
        })).collect::<Vec<_>>(),
        "total": total.point(),
        "heat": shapes::heat(&total, hub.intake().is_some()),
        "minute": window(&together(minute.values())),
        "groups": groups(hub, last, &minute),
        "workers": workers,
    })
}

/// Figures of the last minute, as far as it was seen.
fn window(portion: &Portion) -> Value {
    json!({ "span": portion.span, "point": portion.point(), "answered": shapes::answers(&portion.answered) })
}

/// The sentences about workers whose imports failed, by worker.
fn failed_imports(hub: &Hub) -> BTreeMap<u64, &str> {
    let failed = hub.events().newest(500).filter(|event| event.happened.what == What::WorkerFailed);
    failed.filter_map(|event| Some((event.happened.worker?, event.happened.text.as_str()))).collect()
}

/// The state of a living worker, and the reason where there is one.
fn state<'a>(worker: &'a TrackedWorker, failed: Option<&'a str>) -> (&'static str, Option<&'a str>) {
    let Some(sample) = &worker.sample else { return ("starting", None) };
    let busy = sample.slots.iter().filter(|slot| slot.serves()).count();
    match (worker.leaving(), failed) {
        (Some(reason), _) => ("leaving", Some(reason)),
        (None, Some(why)) => ("import failed", Some(why)),
        (None, None) if worker.origin.is_none() && sample.started > 0 && sample.import == 0 => {
            ("starting", None)
        }
        (None, None) if busy > 0 && busy == sample.slots.len() => ("all threads busy", None),
        (None, None) if busy > 0 => ("busy", None),
        (None, None) => ("idle", None),
    }
}

fn groups(hub: &Hub, last: &Tick, minute: &BTreeMap<String, Portion>) -> BTreeMap<String, Value> {
    let labels = hub.labels();
    let group = |(name, portion): (&String, &Portion)| {
        let about = hub.about(name);
        let value = json!({
            "point": portion.point(),
            "heat": shapes::heat(portion, hub.intake().is_some()),
            "minute": minute.get(name).map(window),
            "label": labels.get(name),
            "processes": about.processes,
            "gil_mode": hub.gil_enabled(name).map(|_| about.gil),
            "gil_enabled": hub.gil_enabled(name),
            "gil_wait_exact": about.exact,
            "switch_interval": interval(about.switch_interval),
        });
        (name.clone(), value)
    };
    last.groups.iter().filter(|(name, _)| !name.is_empty()).map(group).collect()
}

fn worker(hub: &Hub, worker: &TrackedWorker, last: &Tick, now: f64) -> Value {
    let front = hub.front_figures();
    let link = &worker.link;
    let group = last.groups.get(&link.process_group);
    let portion = group.and_then(|group| group.workers.get(&worker.name)).copied().unwrap_or_default();
    let span = group.map_or(1.0, |group| group.span.max(0.001));
    let Some(sample) = &worker.sample else {
        return json!({ "worker": link.worker, "pid": link.pid, "name": worker.name, "process_group": link.process_group });
    };
    let applications: Vec<Value> = worker
        .change
        .groups
        .iter()
        .zip(&sample.groups)
        .map(|(change, all)| {
            json!({
                "application_group": all.name,
                "gil_mode": all.gil_mode,
                "switch_interval": interval(all.switch_interval),
                "import_seconds": seconds(all.import),
                "requests": all.figures.requests,
                "requests_now": change.figures.requests as f64 / span,
                "gil_wait_now": seconds(change.figures.gil_application.saturating_add(change.figures.gil_server)) / span,
                "gil_waits_now": change.figures.waits as f64 / span,
                "cpu_now": seconds(change.figures.cpu.sum) / span,
                "gc": {
                    "pause_seconds": seconds(all.gc.pause),
                    "longest_seconds": seconds(all.gc.longest),
                    "collections": all.gc.collections,
                    "collected": all.gc.collected,
                    "uncollectable": all.gc.uncollectable,
                },
            })
        })
        .collect();
    let slots: Vec<Value> = sample.slots.iter().map(|slot| json!({
        "thread": slot.thread, "state": slot.state, "completed": slot.completed, "busy_seconds": seconds(slot.busy),
        "request": slot.request.as_ref().map(|request| &request.path),
    })).collect();
    json!({
        "worker": link.worker,
        "pid": link.pid,
        "name": worker.name,
        "host": worker.origin.as_ref().map(|origin| &origin.host),
        "instance": worker.origin.as_ref().map(|origin| &origin.instance),
        "source": worker.origin.as_ref().map_or("here", |origin| origin.kind),
        "process_group": link.process_group,
        "threads": sample.threads,
        "in_flight": front.status.in_flight.get(&link.worker).copied().unwrap_or(0),
        "busy": sample.slots.iter().filter(|slot| slot.serves()).count(),
        "python": sample.python,
        "uptime": (sample.started > 0).then(|| now - seconds(sample.started)),
        "import_seconds": seconds(sample.import),
        "gil_mode": worker.gil_enabled().map(|_| sample.gil_mode),
        "gil_enabled": worker.gil_enabled(),
        "gil_returned": (!sample.gil_module.is_empty()).then_some(&sample.gil_module),
        "gil_wait_exact": worker.is_measured().then_some(sample.exact),
        "gil_wait_why": (worker.is_measured() && !sample.exact).then_some(&sample.why),
        "lock_waits_known": sample.locks,
        "lock_waits_why": (sample.locks == Some(false)).then_some(&sample.locks_why),
        "switch_interval": interval(sample.switch_interval),
        "requests": sample.total().requests,
        "requests_now": portion.requests as f64 / span,
        "busy_now": portion.busy / span,
        "cpu_now": portion.cpu / span,
        "gil_wait_now": portion.gil_wait / span,
        "cpu_seconds": worker.used.cpu,
        "resident": worker.used.resident,
        "switches": worker.used.switches,
        "run_delay_seconds": worker.used.run_delay,
        "lost": sample.lost,
        "applications": applications,
        "slots": slots,
    })
}

/// `/api/v1/events`, newest first.
pub fn events(hub: &Hub) -> Value {
    json!({ "events": hub.events().newest(200).collect::<Vec<&Event>>() })
}
