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
    // A sum of nothing would be -0.0.
    let seconds = places.iter().fold(0.0, |sum, place| sum + place.seconds);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: a range without waits had `-0.0` seconds of them.
    #[test]
    fn nothing_is_no_negative_time() {
        let past = Past { ticks: Vec::new(), events: Vec::new() };
        let query = HistoryQuery { from: 0.0, to: 60.0, step: 1.0, group: None, now: 60.0 };
        let text = holders(&past, &query, None).to_string();
        assert!(text.contains("\"seconds\":0.0") && !text.contains("-0"), "{text}");
    }
}
