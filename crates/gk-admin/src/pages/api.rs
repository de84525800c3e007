//! The JSON answers of the API: durations in seconds, sizes in bytes, ratios from 0 to 1.

use crate::heard::event::Event;
use crate::heard::requests::FinishedRequest;
use crate::heard::worker::TrackedWorker;
use crate::kept::history::{HistoryQuery, Past};
use crate::kept::hub::Hub;
use crate::kept::tick::{Tick, together};
use gk_telemetry::figures::{FIGURES, Figure, Shown, Unit};
use gk_telemetry::histogram::edges;
use gk_telemetry::{Histogram, Portion};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NS: f64 = 1e9;

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
    let workers: Vec<Value> = hub.living().map(|worker| self::worker(hub, worker, last, now)).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "t": now,
        "ready": health.ready,
        "waiting": health.waiting,
        "silent": health.silent,
        "generation": front.generation,
        "connections": front.status.connections,
        "requests": front.status.requests,
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
        "total": together(last.groups.values()).point(),
        "groups": groups(hub, last),
        "workers": workers,
    })
}

fn groups(hub: &Hub, last: &Tick) -> BTreeMap<String, Value> {
    let labels = hub.labels();
    let group = |(name, portion): (&String, &Portion)| {
        let about = hub.about(name);
        let value = json!({
            "point": portion.point(),
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
        "gil_wait_exact": sample.exact,
        "gil_wait_why": (!sample.exact).then_some(&sample.why),
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

/// `/api/v1/requests`, of one process group or of all.
pub fn requests(hub: &Hub, now: f64, group: Option<&str>) -> Value {
    let wanted = |name: &str| group.is_none_or(|group| group == name);
    let mut in_flight: Vec<Value> = Vec::new();
    for worker in hub.living().filter(|worker| wanted(&worker.link.process_group)) {
        for slot in worker.sample.iter().flat_map(|sample| &sample.slots) {
            let Some(request) = &slot.request else { continue };
            in_flight.push(json!({
                "request": request.request, "thread": slot.thread, "state": slot.state,
                "pid": worker.link.pid, "worker": worker.link.worker, "process_group": worker.link.process_group,
                "application_group": request.application_group, "route": request.route,
                "method": request.method, "path": request.path,
                "start": seconds(request.start),
                "seconds": (now - seconds(request.start)).max(0.0),
                "queue": seconds(request.queue),
                "gil_wait": seconds(request.gil_wait), "gil_waits": request.waits,
                "cpu": worker.cpu_so_far(slot),
            }));
        }
    }
    let mut slowest: Vec<&FinishedRequest> =
        hub.requests().all().filter(|request| wanted(&request.process_group)).collect();
    slowest.sort_by_key(|request| std::cmp::Reverse(request.finished.record.response));
    let recent = hub.requests().newest().filter(|request| wanted(&request.process_group));
    let window = hub.last_minute().window(60.0);
    let window = together(window.iter().filter(|(name, _)| wanted(name)).map(|(_, portion)| portion));
    json!({
        "t": now,
        "in_flight": in_flight,
        "slowest": slowest.into_iter().take(100).map(finished).collect::<Vec<_>>(),
        "recent": recent.take(100).map(finished).collect::<Vec<_>>(),
        "window": window.span,
        "routes": window.routes,
        "pairs": window.pairs,
    })
}

fn finished(request: &FinishedRequest) -> Value {
    let (finished, record) = (&request.finished, &request.finished.record);
    let mut value = json!({
        "request": finished.request, "thread": finished.thread, "pid": request.pid, "process_group": request.process_group,
        "application_group": finished.application_group, "route": finished.route,
        "method": finished.method, "path": finished.path, "status": record.status,
        "start": seconds(finished.start),
        "longest_gil_wait": seconds(finished.longest_wait),
        "culprit": (finished.longest_wait > 0).then_some(&finished.culprit),
    });
    let shown = |row: &Figure| match (row.of_request?(record), row.unit) {
        (Shown::Flag(flag), _) => Some(Value::from(flag)),
        (Shown::Number(ns), Unit::Nanoseconds) => Some(seconds(ns).into()),
        (Shown::Number(count), _) => Some(count.into()),
    };
    for (row, name) in FIGURES.iter().filter_map(|row| Some((row, row.request?))) {
        value[name] = shown(row).into();
    }
    value
}

/// `/api/v1/events`, newest first.
pub fn events(hub: &Hub) -> Value {
    json!({ "events": hub.events().newest(200).collect::<Vec<&Event>>() })
}

/// `/api/v1/history`.
pub fn history(past: &Past, query: &HistoryQuery) -> Value {
    let point = |tick: &Tick| {
        let all = together(tick.groups.values());
        let span = all.span.max(0.001);
        let workers: BTreeMap<&String, Value> = all
            .workers
            .iter()
            .map(|(name, worker)| {
                let value = json!({
                    "worker": worker.worker, "requests": worker.requests as f64 / span, "busy": worker.busy / span,
                    "cpu": worker.cpu / span, "resident": worker.resident, "gil_wait": worker.gil_wait / span,
                });
                (name, value)
            })
            .collect();
        json!({ "t": tick.t, "point": all.point(), "workers": workers })
    };
    json!({
        "from": query.from,
        "to": query.to,
        "step": query.step,
        "points": past.ticks.iter().map(point).collect::<Vec<_>>(),
        "events": past.events,
    })
}

/// `/api/v1/distribution`: the figures of the GIL page.
pub fn distribution(past: &Past, query: &HistoryQuery, application: Option<&str>) -> Value {
    let all = past.portion();
    let mut names: Vec<&String> = all.applications.keys().collect();
    names.sort();
    let figures = match application {
        Some(name) => all.applications.get(name).cloned().unwrap_or_default(),
        None => all.total(),
    };
    json!({
        "from": query.from,
        "to": query.to,
        "span": all.span,
        "application_groups": names,
        "requests": figures.requests,
        "gil_wait_seconds": seconds(figures.gil_application.saturating_add(figures.gil_server)),
        "gil_waits": figures.waits,
        "single_wait": shape(&figures.single_wait),
        "gil_wait": shape(&figures.gil_wait),
        "response": shape(&figures.response),
        "cpu": shape(&figures.cpu),
        "blocked": shape(&figures.blocked),
        "routes": all.routes,
        "pairs": all.pairs,
    })
}

/// A histogram: buckets as [lower edge, upper edge, count], and percentiles.
fn shape(histogram: &Histogram) -> Value {
    let buckets: Vec<(f64, Option<f64>, u64)> = histogram
        .filled()
        .map(|(bucket, count)| {
            let (low, high) = edges(bucket);
            (seconds(low), (high != u64::MAX).then(|| seconds(high)), count)
        })
        .collect();
    let quantile = |q: f64| histogram.quantile(q).map(|ns| ns / NS);
    json!({
        "count": histogram.count(), "mean": histogram.mean() / NS,
        "p50": quantile(0.5), "p90": quantile(0.9), "p95": quantile(0.95), "p99": quantile(0.99),
        "max": quantile(1.0), "buckets": buckets,
    })
}
