//! The names that others read: every line of `/metrics`, every key of the API, every column of the history, with what one
//! worker's requests come to under it. Who scrapes them or has a file of last month relies on them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod support;

use gk_admin::kept::history::{HistoryQuery, Past};
use gk_admin::kept::totals;
use gk_admin::pages::api::{self, RequestFilter};
use gk_admin::pages::holders;
use gk_admin::told::families::Families;
use gk_admin::told::otlp::{self, ServerIdentity};
use gk_admin::told::prometheus;
use gk_telemetry::figures::{FIGURES, Shown, Unit, Value as Sum};
use gk_telemetry::sample::Collection;
use gk_telemetry::{HoldPlace, Record, Route, Wait};
use gk_wire::feed::{FrontFigures, ToAdmin};
use serde_json::Value;
use std::fmt::Write as _;
use support::Worker;

/// A worker in which each figure of a request has another value.
fn served() -> Worker {
    let mut worker = Worker::new(1_000_000);
    worker.board.set_exact(true, "");
    worker.receive(ToAdmin::Figures(FrontFigures { ready: true, ..FrontFigures::default() }));
    let group = worker.board.group("");
    let culprit = worker.board.route(b"/heavy");
    for (status, server, ns) in [(200, false, 4_000_000), (0, true, 2_000_000)] {
        worker.begin(0, "/light/7", 9, 2.0, 70_000);
        worker.board.waited(&Wait {
            slot: Some(0),
            victim: Route::UNKNOWN,
            group,
            ns,
            whole: Some(ns),
            server,
            culprit,
        });
        #[allow(clippy::needless_update, reason = "a figure that is added later is 0 here")]
        let record = Record {
            status,
            error: status == 0,
            exception: status == 0,
            response: 21_000_000,
            server: 1_500_000,
            queue: 70_000,
            daemon: 2_500_000,
            application: 17_000_000,
            cpu: 3_000_000,
            gil_application: 4_000_000,
            gil_server: 2_000_000,
            waits: 3,
            runnable: 500_000,
            blocked: 7_500_000,
            bytes_in: 11,
            bytes_out: 13,
            reads: 17,
            writes: 19,
            input: 1_700_000,
            output: 1_900_000,
            ..Record::default()
        };
        if status == 0 {
            worker.board.raised(0, "shop.Missing");
        }
        worker.board.finish(0, &record);
    }
    worker.board.waited(&Wait {
        slot: None,
        victim: Route::UNKNOWN,
        group,
        ns: 6_000,
        whole: Some(6_000),
        server: false,
        culprit,
    });
    let place = HoldPlace { function: "render", file: "/srv/views.py", line: 31, route: culprit, group };
    worker.board.held(worker.board.hold_entry(&place), 7_000, 2, 4_000);
    let one = Collection { start: 1, pause: 40_000, generation: 2, collected: 5, uncollectable: 1 };
    worker.board.collected(group, &one);
    worker.begin(1, "/stays", 10, 1.0, 0);
    worker.second();
    worker
}

/// Ends of paths whose values are those of this machine and moment.
const PASSING: [&str; 34] = [
    "spent_blocked",
    "spent_gil_wait",
    "spent_on_cpu",
    "spent_runnable",
    "t",
    "at",
    "now",
    "from",
    "to",
    "start",
    "version",
    "cpus",
    "memory",
    "pid",
    "name",
    "uptime",
    "cpu_now",
    "cpu_seconds",
    "resident",
    "switches",
    "run_delay",
    "run_delay_seconds",
    "busy_now",
    "busy_seconds",
    "busy",
    "seconds",
    "total.cpu",
    "point.cpu",
    "process.cpu",
    "front.cpu",
    "(pid).cpu",
    "(root).cpu",
    "0.cpu_now",
    "span",
];

fn passes(path: &str) -> bool {
    let path = format!("(root).{path}");
    // That of this process.
    let own = path == "(root).cpu";
    own || !path.contains("pairs") && PASSING.iter().any(|end| path.ends_with(&format!(".{end}")))
}

/// One line for each value, by its path; what passes is `…`.
fn flat(out: &mut String, path: &str, value: &Value) {
    let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(all) if !all.is_empty() => {
            for (key, value) in all {
                let key = if *key == std::process::id().to_string() { "(pid)" } else { key };
                flat(out, &inner(key), value);
            }
        }
        Value::Array(all) if all.iter().any(|value| value.is_object()) => {
            all.iter().enumerate().for_each(|(index, value)| flat(out, &inner(&index.to_string()), value));
        }
        Value::Number(_) | Value::String(_) if passes(path) => writeln!(out, "{path} …").unwrap(),
        _ => writeln!(out, "{path} {value}").unwrap(),
    }
}

fn lines(value: &Value) -> String {
    let mut out = String::new();
    flat(&mut out, "", value);
    out
}

#[test]
fn metrics() {
    let worker = served();
    for (name, open) in [("metrics", false), ("openmetrics", true)] {
        let page = prometheus::page(&worker.hub, open);
        let pid = std::process::id().to_string();
        let passing = |line: &str| {
            !line.starts_with('#')
                && [
                    "gilkeeper_process_",
                    "gilkeeper_busy_thread_",
                    "gilkeeper_server_",
                    "gilkeeper_cpus",
                    "gilkeeper_throttled",
                    "gilkeeper_build_info",
                ]
                .iter()
                .any(|name| line.starts_with(name))
        };
        let shown: Vec<String> = page
            .lines()
            .filter(|line| !line.contains("gilkeeper_throttled"))
            .map(|line| match line.rsplit_once(' ') {
                Some((name, _)) if passing(line) => format!("{name} …"),
                _ => line.to_owned(),
            })
            .map(|line| line.replace(&pid, "(pid)").replace(env!("CARGO_PKG_VERSION"), "(version)"))
            .collect();
        insta::assert_snapshot!(name, shown.join("\n"));
    }
}

/// Reported: behind a collector, `gilkeeper_ready` was `gilkeeper_ready_ratio` in Prometheus, and the dashboard found no gauge. A collector
/// adds the unit to the name where it is not there.
#[test]
fn a_collector_keeps_the_names() {
    let worker = served();
    let identity = ServerIdentity { host: "h".into(), instance: "i".into(), started: 1 };
    let message = otlp::message(&Families::of(&worker.hub), "shop", &identity, 2);
    let resource = message.resource_metrics[0].resource.as_ref().unwrap();
    let shown = resource
        .attributes
        .iter()
        .map(|one| format!("{}={:?}", one.key, one.value))
        .find(|one| one.contains("shop"));
    assert!(shown.is_some_and(|one| one.starts_with("service.name=")), "{resource:?}");
    let metrics: Vec<_> = message.resource_metrics[0].scope_metrics[0].metrics.iter().collect();
    assert!(metrics.len() > 20);
    for metric in metrics {
        let added = match metric.unit.as_str() {
            "" => "",
            "s" => "seconds",
            "By" => "bytes",
            other => panic!("{} has the unit {other}", metric.name),
        };
        assert!(metric.name.contains(added), "{} has the unit {}", metric.name, metric.unit);
    }
}

#[test]
fn the_api() {
    let mut worker = served();
    let now = worker.now;
    insta::assert_snapshot!("status", lines(&api::status(&worker.hub, now)));
    insta::assert_snapshot!("requests", lines(&api::requests(&worker.hub, now, &RequestFilter::default())));
    let tick = worker.hub.last_minute().last().unwrap().clone();
    let past = Past { ticks: vec![(*tick).clone()], events: Vec::new() };
    let query = HistoryQuery { from: now - 5.0, to: now, step: 1.0, group: None, now };
    insta::assert_snapshot!("history", lines(&api::history(&past, &query, Some("/light/:id"), false)));
    let distribution = api::distribution(&past, &query, None);
    insta::assert_snapshot!("distribution", lines(&distribution));
    insta::assert_snapshot!("holders", lines(&holders::holders(&past, &query, Some("/heavy"))));
    let totals = serde_json::to_value(totals::read(&mut worker.hub)).unwrap();
    insta::assert_snapshot!("totals", lines(&totals));
}

#[test]
fn columns_of_the_history() {
    let worker = served();
    let portion = &worker.hub.last_minute().last().unwrap().groups["site"];
    insta::assert_snapshot!("columns", lines(&serde_json::to_value(portion).unwrap()));
}

#[test]
fn the_reference_page_has_every_figure() {
    let page = include_str!("../../../docs/reference/metrics.md");
    for row in &FIGURES {
        let Some(metric) = row.metric else { continue };
        let kind = if matches!(row.value, Sum::Durations { .. }) { "histogram" } else { "counter" };
        let label = metric.label.map_or(String::new(), |(label, _)| format!(" and `{label}`"));
        let help = row.help.trim_end_matches('.');
        // "On CPU" and "Requests" begin a line of the page with a small letter.
        let help = help[..1].to_lowercase() + &help[1..];
        let head = format!("| `{}` | {kind} | ", metric.name);
        let line = page.lines().find(|line| line.starts_with(&head));
        let said = line.and_then(|line| line.strip_suffix(" |")?.rsplit_once(" | "));
        assert!(
            said.is_some_and(|(_, said)| said.starts_with(&help)),
            "docs/reference/metrics.md lacks: {head}same{label} | {help} |"
        );
    }
}

/// Each row reaches every place that is made of the rows, also one that is added later.
#[test]
fn every_figure_is_everywhere() {
    let worker = Worker::new(1_000_000);
    let record = Record::of_words(|word| word as u64 + 1_000_000);
    worker.board.group("");
    worker.begin(0, "/", 9, 2.0, 0);
    worker.board.finish(0, &record);
    let mut worker = worker;
    worker.now += 1.0;
    worker.hub.advance(worker.now);
    let page = prometheus::page(&worker.hub, false);
    let kept = serde_json::to_value(&worker.hub.last_minute().last().unwrap().groups["site"]).unwrap();
    let requests = api::requests(&worker.hub, worker.now, &RequestFilter::default());
    let totals = serde_json::to_value(totals::read(&mut worker.hub)).unwrap();
    assert_eq!(requests["slowest"][0]["status"], record.status);
    let counters = worker.hub.counters();
    let (_, _, figures) = counters.iter().next().unwrap();
    for row in &FIGURES {
        for sums in [&kept["applications"][""], &totals["figures"]] {
            assert!(!sums[row.name].is_null(), "{} in {sums}", row.name);
        }
        if let Some(name) = row.request {
            let shown = match (row.of_request.unwrap()(&record), row.unit) {
                (Shown::Flag(flag), _) => Value::from(flag),
                (Shown::Number(ns), Unit::Nanoseconds) => (ns as f64 / 1e9).into(),
                (Shown::Number(count), _) => count.into(),
            };
            assert_eq!(requests["slowest"][0][name], shown, "{name}");
        }
        if let Some(metric) = row.metric {
            let label = metric.label.map_or(String::new(), |(label, value)| format!(",{label}=\"{value}\""));
            let suffix = if matches!(row.value, Sum::Durations { .. }) { "_sum" } else { "" };
            let line =
                format!("{}{suffix}{{process_group=\"site\",application_group=\"\"{label}}} ", metric.name);
            let value = page.lines().find_map(|at| at.strip_prefix(&line)?.parse::<f64>().ok());
            let sum = match &row.value {
                Sum::Counter { get, .. } => get(figures),
                Sum::Durations { get, .. } => get(figures).sum,
            };
            assert_eq!(value, Some(row.unit.shown(sum as f64)), "{line}");
        }
    }
}
