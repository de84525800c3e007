//! `/api/v1/holders`: where in the applications the GIL was held while others waited for it.

use crate::kept::history::{HistoryQuery, Past};
use gk_telemetry::portion::holds::HoldSums;
use serde_json::{Value, json};

/// The places of a range, the costliest first; of one route or of all. Durations in seconds, `share` from 0 to 1 of `seconds`.
pub fn holders(past: &Past, query: &HistoryQuery, route: Option<&str>) -> Value {
    let all = past.portion();
    let figures = all.total();
    let waited = figures.gil_application.saturating_add(figures.gil_server) as f64 / 1e9 + all.other_wait;
    let wanted = |place: &&HoldSums| route.is_none_or(|route| place.route == route);
    let places: Vec<&HoldSums> = all.holds.0.iter().filter(wanted).collect();
    let seconds: f64 = places.iter().map(|place| place.seconds).sum();
    let shown = |place: &&HoldSums| {
        json!({
            "function": place.function, "file": place.file, "line": place.line,
            "route": place.route, "application_group": place.application_group,
            "seconds": place.seconds, "waits": place.waits, "longest": place.longest,
            "share": if seconds > 0.0 { place.seconds / seconds } else { 0.0 },
        })
    };
    json!({
        "from": query.from,
        "to": query.to,
        "span": all.span,
        "gil_wait_seconds": waited,
        "seconds": seconds,
        "holders": places.iter().map(shown).collect::<Vec<_>>(),
    })
}
