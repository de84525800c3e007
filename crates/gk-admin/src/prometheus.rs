//! `/metrics`: Prometheus' text form, or OpenMetrics where it is asked for. The names are a contract: docs/reference/metrics.md.

use crate::hub::Hub;
use gk_telemetry::Histogram;
use gk_telemetry::sample::WorkerSample;
use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

/// Upper edges of the histograms, in seconds, as they are written.
const EDGES: [(&str, f64); 18] = [
    ("0.0001", 1e-4),
    ("0.00025", 2.5e-4),
    ("0.0005", 5e-4),
    ("0.001", 1e-3),
    ("0.0025", 2.5e-3),
    ("0.005", 5e-3),
    ("0.01", 1e-2),
    ("0.025", 2.5e-2),
    ("0.05", 5e-2),
    ("0.1", 0.1),
    ("0.25", 0.25),
    ("0.5", 0.5),
    ("1.0", 1.0),
    ("2.5", 2.5),
    ("5.0", 5.0),
    ("10.0", 10.0),
    ("30.0", 30.0),
    ("60.0", 60.0),
];

/// The page being written.
struct Page {
    text: String,
    open: bool,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // OpenMetrics names a counter's family without the suffix of its samples.
        let family = if self.open && kind == "counter" { name.trim_end_matches("_total") } else { name };
        let _ = write!(self.text, "# HELP {family} {help}\n# TYPE {family} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        self.labels(labels);
        let _ = writeln!(self.text, " {value}");
    }

    fn labels(&mut self, labels: &[(&str, &str)]) {
        if labels.is_empty() {
            return;
        }
        for (index, (name, value)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{name}=\"", if index == 0 { '{' } else { ',' });
            for letter in value.chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        self.text.push('}');
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let mut with_edge = labels.to_vec();
        with_edge.push(("le", ""));
        let last = with_edge.len() - 1;
        for (text, seconds) in EDGES {
            with_edge[last].1 = text;
            self.line(&bucket, &with_edge, histogram.at_most((seconds * 1e9) as u64) as f64);
        }
        with_edge[last].1 = "+Inf";
        self.line(&bucket, &with_edge, histogram.count() as f64);
        self.line(&format!("{name}_sum"), labels, histogram.sum as f64 / 1e9);
        self.line(&format!("{name}_count"), labels, histogram.count() as f64);
    }
}

/// Writes the page. `open`: OpenMetrics.
pub fn page(hub: &Hub, open: bool) -> String {
    let mut page = Page { text: String::with_capacity(32 * 1024), open };
    requests(&mut page, hub);
    processes(&mut page, hub);
    front(&mut page, hub);
    if open {
        page.text.push_str("# EOF\n");
    }
    page.text
}

fn requests(page: &mut Page, hub: &Hub) {
    let totals = hub.totals();
    let labels = |key: &'_ (String, String)| -> [(&'static str, String); 2] {
        [("process_group", key.0.clone()), ("application_group", key.1.clone())]
    };
    page.family("gilkeeper_requests_total", "counter", "Requests finished by a worker, by status code.");
    for (key, figures) in &totals {
        for (code, count) in &figures.statuses {
            let code = if *code == 0 { "none".to_owned() } else { code.to_string() };
            let labels = [
                ("process_group", key.0.as_str()),
                ("application_group", key.1.as_str()),
                ("code", code.as_str()),
            ];
            page.line("gilkeeper_requests_total", &labels, *count as f64);
        }
    }
    type Get = fn(&gk_telemetry::sample::Figures) -> &Histogram;
    let histograms: [(&str, &str, Get); 7] = [
        ("gilkeeper_request_seconds", "From the request's arrival to the end of the application.", |f| {
            &f.response
        }),
        ("gilkeeper_queue_seconds", "In the process group's queue.", |f| &f.queue),
        ("gilkeeper_application_seconds", "Inside the application.", |f| &f.application_time),
        ("gilkeeper_request_cpu_seconds", "On CPU, by the request thread's clock.", |f| &f.cpu),
        (
            "gilkeeper_request_gil_wait_seconds",
            "Waiting for the GIL, all waits of a request together.",
            |f| &f.gil_wait,
        ),
        ("gilkeeper_request_blocked_seconds", "Neither on CPU nor waiting for GIL or CPU.", |f| &f.blocked),
        ("gilkeeper_gil_single_wait_seconds", "One wait for the GIL.", |f| &f.single_wait),
    ];
    for (name, help, get) in histograms {
        page.family(name, "histogram", help);
        for (key, figures) in &totals {
            let [a, b] = labels(key);
            page.histogram(name, &[(a.0, &a.1), (b.0, &b.1)], get(figures));
        }
    }
    page.family(
        "gilkeeper_gil_wait_seconds_total",
        "counter",
        "Request threads' waiting for the GIL, by where they waited.",
    );
    for (key, figures) in &totals {
        let [a, b] = labels(key);
        for (site, ns) in [("application", figures.gil_application), ("server", figures.gil_server)] {
            let labels = [(a.0, a.1.as_str()), (b.0, b.1.as_str()), ("site", site)];
            page.line("gilkeeper_gil_wait_seconds_total", &labels, ns as f64 / 1e9);
        }
    }
    type Count = fn(&gk_telemetry::sample::Figures) -> f64;
    let counters: [(&str, &str, Count); 5] = [
        ("gilkeeper_gil_waits_total", "Request threads' waits for the GIL.", |f| f.waits as f64),
        ("gilkeeper_request_errors_total", "Requests whose application failed.", |f| f.errors as f64),
        ("gilkeeper_request_runnable_seconds_total", "Runnable without running, outside the waits.", |f| {
            f.runnable as f64 / 1e9
        }),
        ("gilkeeper_request_body_bytes_total", "Body bytes that applications read.", |f| f.bytes_in as f64),
        ("gilkeeper_response_body_bytes_total", "Body bytes that applications gave.", |f| f.bytes_out as f64),
    ];
    for (name, help, get) in counters {
        page.family(name, "counter", help);
        for (key, figures) in &totals {
            let [a, b] = labels(key);
            page.line(name, &[(a.0, &a.1), (b.0, &b.1)], get(figures));
        }
    }
}

fn processes(page: &mut Page, hub: &Hub) {
    let living: Vec<_> = hub.workers.values().filter(|worker| worker.gone.is_none()).collect();
    type Used = fn(&gk_sys::accounting::Used) -> f64;
    let of_process: [(&str, &str, &str, Used); 4] = [
        ("gilkeeper_process_cpu_seconds_total", "counter", "User and system CPU time of a worker.", |u| {
            u.cpu
        }),
        ("gilkeeper_process_resident_memory_bytes", "gauge", "Resident memory of a worker.", |u| {
            u.resident as f64
        }),
        (
            "gilkeeper_process_context_switches_total",
            "counter",
            "Context switches of a worker's threads.",
            |u| u.switches as f64,
        ),
        (
            "gilkeeper_process_run_delay_seconds_total",
            "counter",
            "Time a worker's threads were runnable without running.",
            |u| u.run_delay,
        ),
    ];
    for (name, kind, help, get) in of_process {
        page.family(name, kind, help);
        for worker in &living {
            let pid = worker.name.clone();
            let labels = [("process_group", worker.link.process_group.as_str()), ("pid", &pid)];
            page.line(name, &labels, get(&worker.used));
        }
    }
    type Gauge = fn(&WorkerSample) -> f64;
    let gauges: [(&str, &str, Gauge); 6] = [
        ("gilkeeper_threads", "Request threads.", |s| f64::from(s.threads)),
        ("gilkeeper_threads_busy", "Request threads that serve a request.", |s| {
            s.slots.iter().filter(|slot| slot.request.is_some()).count() as f64
        }),
        ("gilkeeper_gil_enabled", "1 where a GIL is in force, 0 without one.", |s| {
            f64::from(u8::from(s.gil_enabled))
        }),
        ("gilkeeper_gil_wait_exact", "1 where GIL waits are exact, 0 where they are a lower bound.", |s| {
            f64::from(u8::from(s.exact))
        }),
        (
            "gilkeeper_switch_interval_seconds",
            "The main interpreter's switch interval, 0 without a GIL.",
            |s| s.switch_interval as f64 / 1e9,
        ),
        ("gilkeeper_interpreters", "Application groups that have an interpreter.", |s| s.groups.len() as f64),
    ];
    for (name, help, get) in gauges {
        page.family(name, "gauge", help);
        for worker in &living {
            let Some(sample) = &worker.sample else { continue };
            let pid = worker.name.clone();
            let labels = [("process_group", worker.link.process_group.as_str()), ("pid", &pid)];
            page.line(name, &labels, get(sample));
        }
    }
    page.family("gilkeeper_gc_pause_seconds_total", "counter", "Garbage collection pauses.");
    for worker in &living {
        let pid = worker.name.clone();
        for group in worker.sample.iter().flat_map(|sample| &sample.groups) {
            let labels = [
                ("process_group", worker.link.process_group.as_str()),
                ("pid", &pid),
                ("application_group", group.name.as_str()),
            ];
            page.line("gilkeeper_gc_pause_seconds_total", &labels, group.gc.pause as f64 / 1e9);
        }
    }
    page.family("gilkeeper_worker_restarts_total", "counter", "Ends of worker processes, by reason.");
    for ((group, reason), count) in hub.events.restarts() {
        let labels = [("process_group", group.as_str()), ("reason", reason)];
        page.line("gilkeeper_worker_restarts_total", &labels, *count as f64);
    }
}

fn front(page: &mut Page, hub: &Hub) {
    let figures = hub.feed.figures();
    page.family("gilkeeper_queue_length", "gauge", "Requests that wait for a worker.");
    for (group, queued) in &figures.status.queued {
        page.line("gilkeeper_queue_length", &[("process_group", group)], *queued as f64);
    }
    page.family("gilkeeper_connections", "gauge", "Open client connections.");
    page.line("gilkeeper_connections", &[], figures.status.connections as f64);
    page.family(
        "gilkeeper_front_requests_total",
        "counter",
        "Requests answered by the front, its own answers included.",
    );
    page.line("gilkeeper_front_requests_total", &[], figures.status.requests as f64);
    page.family("gilkeeper_ready", "gauge", "1 when every process group has a worker that takes requests.");
    page.line("gilkeeper_ready", &[], f64::from(u8::from(figures.ready)));
    page.family("gilkeeper_generation", "gauge", "Counts up with each reload.");
    page.line("gilkeeper_generation", &[], figures.generation as f64);
    page.family("gilkeeper_cpus", "gauge", "CPUs that may be used.");
    page.line("gilkeeper_cpus", &[], hub.limits.cpus);
    if let Some((count, seconds)) = hub.limits.throttled {
        page.family(
            "gilkeeper_throttled_periods_total",
            "counter",
            "Periods in which the control group was held back.",
        );
        page.line("gilkeeper_throttled_periods_total", &[], count as f64);
        page.family(
            "gilkeeper_throttled_seconds_total",
            "counter",
            "Time for which the control group was held back.",
        );
        page.line("gilkeeper_throttled_seconds_total", &[], seconds);
    }
    if let Some(counts) = &hub.sent.datagrams {
        let name = "gilkeeper_telemetry_datagrams_total";
        page.family(name, "counter", "mod_wsgi's telemetry datagrams, by what became of them.");
        page.line(name, &[("outcome", "sent")], counts.sent.load(Relaxed) as f64);
        page.line(name, &[("outcome", "dropped")], counts.dropped.load(Relaxed) as f64);
    }
    if hub.listens {
        let intake = &hub.fleet.intake;
        let name = "gilkeeper_received_datagrams_total";
        page.family(name, "counter", "Telemetry datagrams of other servers, by what became of them.");
        for (outcome, count) in
            [("read", intake.datagrams), ("refused", intake.refused), ("lost", intake.lost)]
        {
            page.line(name, &[("outcome", outcome)], count as f64);
        }
        let name = "gilkeeper_received_pushes_total";
        page.family(name, "counter", "OTLP requests of other servers, by what became of them.");
        for (outcome, count) in [("read", intake.pushes), ("refused", intake.pushes_refused)] {
            page.line(name, &[("outcome", outcome)], count as f64);
        }
    }
    page.family("gilkeeper_build_info", "gauge", "Always 1; the version is a label.");
    page.line("gilkeeper_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
}
