//! Histograms, answers and routes as the API shows them.

use gk_telemetry::answered::{Answered, Answers};
use gk_telemetry::figures::routes::RouteSums;
use gk_telemetry::histogram::{Spread, edges};
use gk_telemetry::{Histogram, Portion};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NS: f64 = 1e9;
/// Buckets of a histogram in one cell of a heat map, as a power of two: four cells in each doubling.
const CELL: usize = 3;

/// A histogram: buckets as [lower edge, upper edge, count], and percentiles.
pub fn histogram(histogram: &Histogram) -> Value {
    let buckets: Vec<(f64, Option<f64>, u64)> = histogram
        .filled()
        .map(|(bucket, count)| {
            let (low, high) = edges(bucket);
            (low as f64 / NS, (high != u64::MAX).then(|| high as f64 / NS), count)
        })
        .collect();
    let quantile = |q: f64| histogram.quantile(q).map(|ns| ns / NS);
    json!({
        "count": histogram.count(), "mean": histogram.mean() / NS,
        "p50": quantile(0.5), "p90": quantile(0.9), "p95": quantile(0.95), "p99": quantile(0.99),
        "max": quantile(1.0), "buckets": buckets,
    })
}

/// The response times of a span for a heat map: pairs of a cell and a count. Cell 0 is below 1.024 µs; four follow in each doubling. As
/// clients saw them; `elsewhere`: of other servers, as their workers did.
pub fn heat(portion: &Portion, elsewhere: bool) -> Vec<(usize, u64)> {
    let total;
    let times = if elsewhere {
        total = portion.total();
        &total.response
    } else {
        &portion.answered.seconds
    };
    let mut cells: Vec<(usize, u64)> = Vec::new();
    for (bucket, count) in times.filled() {
        let cell = if bucket == 0 { 0 } else { 1 + ((bucket - 1) >> CELL) };
        match cells.last_mut() {
            Some((last, sum)) if *last == cell => *sum = sum.saturating_add(count),
            _ => cells.push((cell, count)),
        }
    }
    cells
}

/// Answers by status and reason, the most frequent first.
pub fn answers(answered: &Answered) -> Vec<Value> {
    let mut all: Vec<&Answers> = answered.counts.iter().collect();
    all.sort_by_key(|answers| std::cmp::Reverse(answers.count));
    let one = |a: &&Answers| {
        json!({
            "code": a.code, "source": a.reason.source(), "reason": a.reason.name(), "words": a.reason.words(),
            "count": a.count, "failed": a.failed(),
        })
    };
    all.iter().map(one).collect()
}

/// Routes with percentiles in place of their histograms.
pub fn routes(routes: &BTreeMap<String, RouteSums>) -> BTreeMap<&String, Value> {
    let one = |(name, sums): (_, &RouteSums)| {
        let mut value = serde_json::to_value(sums).unwrap_or_default();
        let spread = Spread::of(&sums.times);
        (value["p50"], value["p95"], value["p99"]) =
            (spread.p50.into(), spread.p95.into(), spread.p99.into());
        if let Some(fields) = value.as_object_mut() {
            fields.remove("times");
        }
        (name, value)
    };
    routes.iter().map(one).collect()
}

/// A route in a row of the history: per second, and per request.
pub fn route_row(sums: &RouteSums, span: f64) -> Value {
    let spread = Spread::of(&sums.times);
    let each = |sum: f64| (sums.requests > 0).then(|| sum / sums.requests as f64);
    json!({
        "requests": sums.requests as f64 / span, "errors": sums.errors as f64 / span,
        "p50": spread.p50, "p95": spread.p95, "p99": spread.p99,
        "cpu": each(sums.cpu), "gil_wait": each(sums.gil_wait), "blocked": each(sums.blocked),
        "suffered": sums.suffered / span, "caused": sums.caused / span,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_the_heat_map_is_a_quarter_of_a_doubling() {
        let mut portion = Portion::default();
        // 1.1 ms lies in the first quarter of the doubling from 1.048 ms on, 1.4 ms in the second.
        for ns in [1_100_000, 1_120_000, 1_400_000, 500] {
            portion.answered.record(200, gk_telemetry::Reason::Application, ns);
        }
        assert_eq!(heat(&portion, false), [(0, 1), (41, 2), (42, 1)]);
        assert!(heat(&portion, true).is_empty());
    }
}
