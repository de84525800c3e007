//! Single requests: those in flight, and those that were kept.

use super::seconds;
use crate::heard::requests::FinishedRequest;
use crate::kept::hub::Hub;
use crate::kept::tick::together;
use crate::pages::shapes;
use gk_telemetry::figures::{FIGURES, Figure, Shown, Unit};
use serde_json::{Value, json};

/// The requests that are wanted. Every empty field lets all pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestFilter {
    /// A process group.
    pub group: Option<String>,
    /// A part of the path.
    pub path: Option<String>,
    /// A route.
    pub route: Option<String>,
    /// A status, `404`, or a class of them, `5`. Requests in flight have none.
    pub status: Option<u16>,
    /// The front's number of the request, or its id.
    pub id: Option<String>,
    /// Epoch seconds between which it ended.
    pub ended: Option<(f64, f64)>,
}

impl RequestFilter {
    fn group(&self, name: &str) -> bool {
        self.group.as_ref().is_none_or(|group| group == name)
    }

    fn request(&self, (number, id): (u64, &str), path: &str, route: &str) -> bool {
        let named = |wanted: &String| wanted == id || wanted.parse() == Ok(number);
        self.route.as_ref().is_none_or(|wanted| wanted == route)
            && self.id.as_ref().is_none_or(named)
            && self.path.as_ref().is_none_or(|part| path.contains(part.as_str()))
    }

    fn finished(&self, request: &FinishedRequest) -> bool {
        let (finished, record) = (&request.finished, &request.finished.record);
        let status = self
            .status
            .is_none_or(|wanted| record.status == wanted || (wanted < 10 && record.status / 100 == wanted));
        let end = seconds(finished.start) + seconds(record.response);
        let ended = self.ended.is_none_or(|(from, to)| (from..=to).contains(&end));
        status
            && ended
            && self.group(&request.process_group)
            && self.request((finished.request, &finished.id), &finished.path, &finished.route)
    }
}

/// `/api/v1/requests`.
pub fn requests(hub: &Hub, now: f64, filter: &RequestFilter) -> Value {
    let wanted = |name: &str| filter.group(name);
    let mut in_flight: Vec<Value> = Vec::new();
    for worker in hub.living().filter(|worker| wanted(&worker.link.process_group)) {
        for slot in worker.sample.iter().flat_map(|sample| &sample.slots) {
            let Some(request) = &slot.request else { continue };
            if filter.status.is_some()
                || !filter.request((request.request, &request.id), &request.path, &request.route)
            {
                continue;
            }
            in_flight.push(json!({
                "request": request.request, "id": request.id, "thread": slot.thread, "state": slot.state,
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
        hub.requests().all().filter(|request| filter.finished(request)).collect();
    slowest.sort_by_key(|request| std::cmp::Reverse(request.finished.record.response));
    let recent = hub.requests().newest().filter(|request| filter.finished(request));
    let window = hub.last_minute().window(60.0);
    let window = together(window.iter().filter(|(name, _)| wanted(name)).map(|(_, portion)| portion));
    json!({
        "t": now,
        "in_flight": in_flight,
        "slowest": slowest.into_iter().take(100).map(finished).collect::<Vec<_>>(),
        "recent": recent.take(100).map(finished).collect::<Vec<_>>(),
        "window": window.span,
        "routes": shapes::routes(&window.routes),
        "pairs": window.pairs,
    })
}

fn finished(request: &FinishedRequest) -> Value {
    let (finished, record) = (&request.finished, &request.finished.record);
    let mut value = json!({
        "request": finished.request, "id": finished.id, "thread": finished.thread, "pid": request.pid, "process_group": request.process_group,
        "application_group": finished.application_group, "route": finished.route,
        "method": finished.method, "path": finished.path, "status": record.status,
        "start": seconds(finished.start),
        "longest_gil_wait": seconds(finished.longest_wait),
        "raised": (!finished.raised.is_empty()).then_some(&finished.raised),
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
