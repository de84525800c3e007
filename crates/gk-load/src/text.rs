//! A report as text and as JSON. Pure.

use crate::report::Report;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The percentiles that are printed.
const SHOWN: [(&str, f64); 7] =
    [("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
/// Share of CPU time above which the generator counts as the limit.
pub const GENERATOR_BUSY: f64 = 0.9;

/// Seconds as text with three digits and a fitting unit.
pub fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// The generator itself was the limit.
pub fn generator_is_the_limit(report: &Report) -> bool {
    report.busy() > GENERATOR_BUSY
}

/// The report for a terminal. `what`: the load in words; `open`: latencies count from the moment a request was due.
pub fn page(report: &Report, what: &str, open: bool) -> String {
    let mut out = format!("{what}\n\n");
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "  {name:<12}{text}");
    };
    let rate = report.rate();
    line("requests", format!("{} in {}", report.responses, duration(report.seconds)));
    line("rate", format!("{rate:.1} a second, {:.0} a minute", rate * 60.0));
    let bytes = report.bytes as f64 / report.seconds.max(1e-9) / 1e6;
    line("received", format!("{:.1} MB, {bytes:.2} MB a second", report.bytes as f64 / 1e6));
    if let Some(mean) = report.mean() {
        let figures = SHOWN.iter().filter_map(|(name, q)| Some((*name, report.quantile(*q)?)));
        let figures: Vec<String> = figures.map(|(name, s)| format!("{name} {}", duration(s))).collect();
        line("latency", format!("mean {}, {}", duration(mean), figures.join(", ")));
    }
    let complaints = report.complaints();
    line("failed", if complaints.is_empty() { "none".to_owned() } else { complaints.join(", ") });
    if report.unanswered > 0 {
        line("unanswered", format!("{} still under way when the load ended", report.unanswered));
    }
    let pinned: Vec<String> = report.pinned.iter().map(|cpu| format!("core {cpu}")).collect();
    let pinned = if pinned.is_empty() { String::new() } else { format!(", pinned to {}", pinned.join(", ")) };
    line("generator", format!("{:.0} % of {} thread(s){pinned}", report.busy() * 100.0, report.threads));
    if report.responses == 0 && report.failed() == 0 {
        out.push_str(
            "\nIn the measured time nothing was answered, and nothing failed: a longer --duration may tell.\n",
        );
    }
    if open {
        out.push_str(
            "\nLatency counts from the moment a request was due, whether or not it could be sent.\n",
        );
    }
    if generator_is_the_limit(report) {
        out.push_str(
            "\nThe generator had no time left: it was the limit, not the server. More --threads may help.\n",
        );
    }
    out
}

/// The report as JSON; durations in seconds.
pub fn json(report: &Report, what: &str, open: bool) -> Value {
    let quantiles: serde_json::Map<String, Value> =
        SHOWN.iter().map(|(name, q)| ((*name).to_owned(), report.quantile(*q).into())).collect();
    json!({
        "load": what,
        "seconds": report.seconds,
        "requests": report.responses,
        "requests_per_second": report.rate(),
        "bytes": report.bytes,
        "latency": {
            "mean": report.mean(),
            "from": if open { "due" } else { "sent" },
            "quantiles": quantiles,
            "buckets": report.buckets().iter().map(|(ns, count)| (*ns as f64 / 1e9, *count)).collect::<Vec<_>>(),
        },
        "statuses": report.statuses,
        "failures": report.failures,
        "failed": report.failed(),
        "unsent": report.unsent,
        "unanswered": report.unanswered,
        "generator": { "cpu_seconds": report.cpu, "busy": report.busy(), "threads": report.threads, "cores": report.pinned },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Failure;

    #[test]
    fn durations_have_three_digits() {
        let texts = [0.0000012, 0.0123, 0.999, 2.5].map(duration);
        assert_eq!(texts, ["1.20 µs", "12.3 ms", "999 ms", "2.50 s"]);
    }

    #[test]
    fn a_page_says_what_there_is() {
        let mut report = Report { seconds: 2.0, responses: 100, threads: 1, cpu: 1.95, ..Report::default() };
        (0..100).for_each(|_| report.record(5_000_000));
        report.failures.insert(Failure::Cut, 3);
        report.statuses.insert(200, 100);
        let page = page(&report, "GET http://x/", true);
        for text in [
            "100 in 2.00 s",
            "50.0 a second, 3000 a minute",
            "p99 5.00 ms",
            "3 cut off",
            "98 % of 1",
            "was the limit",
            "was due",
        ] {
            assert!(page.contains(text), "{text} is missing in\n{page}");
        }
        let json = json(&report, "x", false);
        assert_eq!((&json["failures"]["cut"], &json["statuses"]["200"]), (&3.into(), &100.into()));
    }
}
