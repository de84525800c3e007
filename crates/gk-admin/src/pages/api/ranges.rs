//! Ranges of the past: rows for charts, and the whole range as one.

use super::seconds;
use crate::kept::history::{HistoryQuery, Past};
use crate::kept::tick::{Tick, together};
use crate::pages::shapes;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `/api/v1/history`. `route`: its figures are wanted, too; `elsewhere`: the figures are those of other servers.
pub fn history(past: &Past, query: &HistoryQuery, route: Option<&str>, elsewhere: bool) -> Value {
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
        let mut row = json!({ "t": tick.t, "point": all.point(), "heat": shapes::heat(&all, elsewhere), "workers": workers });
        if let Some(route) = route {
            row["route"] = all.routes.get(route).map(|sums| shapes::route_row(sums, span)).into();
        }
        row
    };
    json!({
        "from": query.from,
        "to": query.to,
        "step": query.step,
        "points": past.ticks.iter().map(point).collect::<Vec<_>>(),
        "events": past.events,
    })
}

/// `/api/v1/distribution`: the figures of a range as one, for tables and distributions.
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
        "single_wait": shapes::histogram(&figures.single_wait),
        "gil_wait": shapes::histogram(&figures.gil_wait),
        "response": shapes::histogram(&figures.response),
        "cpu": shapes::histogram(&figures.cpu),
        "blocked": shapes::histogram(&figures.blocked),
        "answer_time": shapes::histogram(&all.answered.seconds),
        "answered": shapes::answers(&all.answered),
        "raised": figures.raised_by_type().filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>(),
        "routes": shapes::routes(&all.routes),
        "pairs": all.pairs,
    })
}
