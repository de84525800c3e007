//! The metrics of all exports in one form: families of counters, gauges and histograms with labels. Their names are a contract:
//! docs/reference/metrics.md. Names of requests' figures are in gk-telemetry's rows.

mod busy;
mod certificates;
mod clients;
mod holders;
mod server;

use crate::kept::counters::Counters;
use crate::kept::hub::Hub;
use gk_telemetry::Histogram;
use gk_telemetry::figures::{FIGURES, Figure, Figures, Metric, Value as Sum};
use gk_telemetry::sample::WorkerSample;
use gk_wire::happened::ENDS;
use std::collections::BTreeSet;

/// Upper edges of the histograms: as text, and in seconds.
pub const EDGES: [(&str, f64); 18] = [
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

/// Type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A sum that only grows.
    Counter,
    /// A present value.
    Gauge,
    /// Durations in seconds; its counts only grow.
    Histogram,
}

/// Values under one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub form: Form,
    /// Its meaning, in one sentence.
    pub help: &'static str,
    /// The values with their labels.
    pub points: Vec<Point>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: Value,
}

/// A number, or a histogram.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    Number(f64),
    Histogram(Histogram),
}

/// All families.
#[derive(Debug, Default)]
pub struct Families(pub Vec<Family>);

impl Families {
    /// The families of a hub.
    pub fn of(hub: &Hub) -> Self {
        let mut all = Self::default();
        requests(&mut all, hub);
        busy::add(&mut all, hub);
        processes(&mut all, hub);
        front(&mut all, hub);
        holders::add(&mut all, hub);
        all
    }

    fn family(&mut self, name: &'static str, form: Form, help: &'static str) {
        self.0.push(Family { name, form, help, points: Vec::new() });
    }

    /// Adds a value to the last family.
    fn line(&mut self, labels: &[(&'static str, &str)], value: f64) {
        self.put(labels, Value::Number(value));
    }

    fn histogram(&mut self, labels: &[(&'static str, &str)], histogram: &Histogram) {
        self.put(labels, Value::Histogram(histogram.clone()));
    }

    fn put(&mut self, labels: &[(&'static str, &str)], value: Value) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if let Some(family) = self.0.last_mut() {
            family.points.push(Point { labels, value });
        }
    }
}

fn requests(page: &mut Families, hub: &Hub) {
    let counters = hub.counters();
    page.family("gilkeeper_requests_total", Form::Counter, "Requests finished by a worker, by status code.");
    for (process_group, application_group, figures) in counters.iter() {
        for (code, count) in &figures.statuses {
            let code = if *code == 0 { "none".to_owned() } else { code.to_string() };
            let labels = [
                ("process_group", process_group),
                ("application_group", application_group),
                ("code", code.as_str()),
            ];
            page.line(&labels, *count as f64);
        }
        // From the start and at 0, so that the first error is an increase.
        for code in [200, 500].iter().filter(|code| !figures.statuses.contains_key(code)) {
            let labels = [
                ("process_group", process_group),
                ("application_group", application_group),
                ("code", &code.to_string()),
            ];
            page.line(&labels, 0.0);
        }
    }
    let rows: Vec<(&Figure, Metric)> = FIGURES.iter().filter_map(|row| Some((row, row.metric?))).collect();
    for family in rows.chunk_by(|(_, a), (_, b)| a.name == b.name) {
        let [(first, metric), ..] = family else { continue };
        let form = match first.value {
            Sum::Counter { .. } => Form::Counter,
            Sum::Durations { .. } => Form::Histogram,
        };
        page.family(metric.name, form, first.help);
        for (process_group, application_group, figures) in counters.iter() {
            // An unknown value has no line; where there is a GIL nobody waits so.
            if first.lock().is_some() && !hub.about(process_group).locks_known && locks(figures) == 0 {
                continue;
            }
            for (row, metric) in family {
                let mut labels =
                    vec![("process_group", process_group), ("application_group", application_group)];
                labels.extend(metric.label);
                match &row.value {
                    Sum::Counter { get, .. } => page.line(&labels, row.unit.shown(get(figures) as f64)),
                    Sum::Durations { get, .. } => page.histogram(&labels, get(figures)),
                }
            }
        }
    }
    exceptions(page, &counters);
}

/// All that requests waited for locks.
fn locks(figures: &Figures) -> u64 {
    let of = |row: &Figure| match &row.value {
        Sum::Counter { get, .. } if row.lock().is_some() => get(figures),
        _ => 0,
    };
    FIGURES.iter().map(of).sum()
}

/// Exceptions by type. All of a pair of groups have a line from the start, so that the first one is an increase.
fn exceptions(page: &mut Families, counters: &Counters) {
    page.family(
        "gilkeeper_request_exceptions_total",
        Form::Counter,
        "Requests in which an exception left the application, by its type.",
    );
    for (process_group, application_group, figures) in counters.iter() {
        for (kind, count) in figures.raised_by_type() {
            let labels =
                [("process_group", process_group), ("application_group", application_group), ("type", kind)];
            page.line(&labels, count as f64);
        }
    }
}

fn processes(page: &mut Families, hub: &Hub) {
    let living: Vec<_> = hub.living().collect();
    type Used = fn(&gk_sys::usage::accounts::Used) -> f64;
    let of_process: [(&str, Form, &str, Used); 4] = [
        (
            "gilkeeper_process_cpu_seconds_total",
            Form::Counter,
            "User and system CPU time of a worker.",
            |u| u.cpu,
        ),
        ("gilkeeper_process_resident_memory_bytes", Form::Gauge, "Resident memory of a worker.", |u| {
            u.resident as f64
        }),
        (
            "gilkeeper_process_context_switches_total",
            Form::Counter,
            "Context switches of a worker's threads.",
            |u| u.switches as f64,
        ),
        (
            "gilkeeper_process_run_delay_seconds_total",
            Form::Counter,
            "Time a worker's threads were runnable without running.",
            |u| u.run_delay,
        ),
    ];
    for (name, form, help, get) in of_process {
        page.family(name, form, help);
        for worker in &living {
            let pid = worker.name.clone();
            let labels = [("process_group", worker.link.process_group.as_str()), ("pid", &pid)];
            page.line(&labels, get(&worker.used));
        }
    }
    // An unknown value has no line. The process, whether it is measured, whether a GIL is in force.
    type Gauge = fn(&WorkerSample, bool, Option<bool>) -> Option<f64>;
    let gauges: [(&str, &str, Gauge); 7] = [
        ("gilkeeper_threads", "Request threads.", |s, _, _| (s.threads > 0).then_some(f64::from(s.threads))),
        ("gilkeeper_threads_busy", "Request threads that serve a request.", |s, known, _| {
            known.then(|| s.slots.iter().filter(|slot| slot.serves()).count() as f64)
        }),
        ("gilkeeper_gil_enabled", "1 where a GIL is in force, 0 without one.", |_, _, gil| {
            gil.map(|gil| f64::from(u8::from(gil)))
        }),
        (
            "gilkeeper_gil_wait_exact",
            "1 where GIL waits are exact, 0 where they are a lower bound.",
            |s, known, _| known.then_some(f64::from(u8::from(s.exact))),
        ),
        (
            "gilkeeper_lock_waits_known",
            "1 where waits for locks are told apart, 0 where they cannot be; no line where there is a GIL.",
            |s, _, _| s.locks.map(|known| f64::from(u8::from(known))),
        ),
        (
            "gilkeeper_switch_interval_seconds",
            "The main interpreter's switch interval, 0 without a GIL.",
            |s, _, gil| gil.map(|_| s.switch_interval as f64 / 1e9),
        ),
        ("gilkeeper_interpreters", "Application groups that have an interpreter.", |s, known, _| {
            known.then_some(s.groups.len() as f64)
        }),
    ];
    for (name, help, get) in gauges {
        page.family(name, Form::Gauge, help);
        for worker in &living {
            let Some(sample) = &worker.sample else { continue };
            let pid = worker.name.clone();
            let labels = [("process_group", worker.link.process_group.as_str()), ("pid", &pid)];
            if let Some(value) = get(sample, worker.is_measured(), worker.gil_enabled()) {
                page.line(&labels, value);
            }
        }
    }
    page.family("gilkeeper_gc_pause_seconds_total", Form::Counter, "Garbage collection pauses.");
    for worker in &living {
        let pid = worker.name.clone();
        for group in worker.sample.iter().flat_map(|sample| &sample.groups) {
            let labels = [
                ("process_group", worker.link.process_group.as_str()),
                ("pid", &pid),
                ("application_group", group.name.as_str()),
            ];
            page.line(&labels, group.gc.pause as f64 / 1e9);
        }
    }
    page.family("gilkeeper_worker_restarts_total", Form::Counter, "Ends of worker processes, by reason.");
    // From the start and at 0, so that the first end is an increase.
    let (restarts, queued) = (hub.events().restarts(), &hub.front_figures().status.queued);
    let own = living.iter().filter(|worker| worker.origin.is_none()).map(|worker| &worker.link.process_group);
    let groups = queued.keys().chain(own);
    for group in groups.collect::<BTreeSet<_>>() {
        for reason in ENDS.iter().filter(|reason| !restarts.contains_key(&(group.clone(), (**reason).into())))
        {
            page.line(&[("process_group", group), ("reason", reason)], 0.0);
        }
    }
    for ((group, reason), count) in restarts {
        let labels = [("process_group", group.as_str()), ("reason", reason)];
        page.line(&labels, *count as f64);
    }
}

fn front(page: &mut Families, hub: &Hub) {
    clients::answered(page, hub);
    let figures = hub.front_figures();
    page.family("gilkeeper_queue_length", Form::Gauge, "Requests that wait for a worker.");
    for (group, queued) in &figures.status.queued {
        page.line(&[("process_group", group)], *queued as f64);
    }
    clients::queues(page, &figures.status.queues);
    page.family("gilkeeper_connections", Form::Gauge, "Open client connections.");
    page.line(&[], figures.status.connections as f64);
    page.family(
        "gilkeeper_front_requests_total",
        Form::Counter,
        "Requests answered by the front, its own answers included.",
    );
    page.line(&[], figures.status.requests as f64);
    page.family(
        "gilkeeper_malformed_requests_total",
        Form::Counter,
        "Requests that were refused as malformed, longer than allowed, or with a head that came too late.",
    );
    page.line(&[], figures.malformed_requests as f64);
    page.family(
        "gilkeeper_refused_connections_total",
        Form::Counter,
        "Connections closed at once because their address had as many as it may.",
    );
    page.line(&[], figures.refused_connections as f64);
    page.family(
        "gilkeeper_unproxied_connections_total",
        Form::Counter,
        "Connections closed because they did not begin with the header of the PROXY protocol.",
    );
    page.line(&[], figures.unproxied_connections as f64);
    page.family(
        "gilkeeper_waiting_response_bytes",
        Form::Gauge,
        "Bytes of responses that wait for slow clients.",
    );
    let (memory, disk) = figures.waiting_responses;
    page.line(&[("place", "memory")], memory as f64);
    page.line(&[("place", "disk")], disk as f64);
    certificates::add(page, hub);
    server::add(page, hub);
    page.family(
        "gilkeeper_ready",
        Form::Gauge,
        "1 when every process group has a worker that imported its applications and takes requests.",
    );
    page.line(&[], f64::from(u8::from(hub.health().ready)));
    page.family("gilkeeper_generation", Form::Gauge, "Counts up with each reload.");
    page.line(&[], figures.generation as f64);
    page.family("gilkeeper_lost_log_lines_total", Form::Counter, "Log lines that could not be written.");
    page.line(&[("log", "access")], figures.lost_log_lines as f64);
    page.line(&[("log", "error")], figures.lost_error_lines as f64);
    page.family("gilkeeper_cpus", Form::Gauge, "CPUs that may be used.");
    page.line(&[], hub.limits().cpus);
    let limits = hub.limits();
    let memory: [(&str, Form, &str, Option<u64>); 3] = [
        (
            "gilkeeper_memory_limit_bytes",
            Form::Gauge,
            "Memory that the control group may use.",
            limits.memory,
        ),
        (
            "gilkeeper_memory_used_bytes",
            Form::Gauge,
            "Memory that the control group uses, without files that the kernel would drop first.",
            limits.memory_used,
        ),
        (
            "gilkeeper_memory_kills_total",
            Form::Counter,
            "Processes of the control group that the kernel killed for want of memory.",
            limits.memory_kills,
        ),
    ];
    for (name, form, help, value) in memory {
        if let Some(value) = value {
            page.family(name, form, help);
            page.line(&[], value as f64);
        }
    }
    if let Some((count, seconds)) = limits.throttled {
        page.family(
            "gilkeeper_throttled_periods_total",
            Form::Counter,
            "Periods in which the control group was held back.",
        );
        page.line(&[], count as f64);
        page.family(
            "gilkeeper_throttled_seconds_total",
            Form::Counter,
            "Time for which the control group was held back.",
        );
        page.line(&[], seconds);
    }
    if let Some(deliveries) = &hub.exports().datagrams {
        let name = "gilkeeper_telemetry_datagrams_total";
        page.family(name, Form::Counter, "mod_wsgi's telemetry datagrams, by what became of them.");
        page.line(&[("outcome", "sent")], deliveries.sent() as f64);
        page.line(&[("outcome", "dropped")], deliveries.lost() as f64);
    }
    if let Some(deliveries) = &hub.exports().otlp {
        let name = "gilkeeper_otlp_pushes_total";
        page.family(name, Form::Counter, "Pushes of metrics by OTLP, by what became of them.");
        page.line(&[("outcome", "sent")], deliveries.sent() as f64);
        page.line(&[("outcome", "failed")], deliveries.lost() as f64);
    }
    if let Some(deliveries) = &hub.exports().statsd {
        let name = "gilkeeper_statsd_packets_total";
        page.family(name, Form::Counter, "Packets for statsd, by what became of them.");
        page.line(&[("outcome", "sent")], deliveries.sent() as f64);
        page.line(&[("outcome", "failed")], deliveries.lost() as f64);
    }
    if let Some(deliveries) = &hub.exports().traces {
        let name = "gilkeeper_traced_requests_total";
        page.family(name, Form::Counter, "Requests whose spans were wanted, by what became of them.");
        page.line(&[("outcome", "sent")], deliveries.sent() as f64);
        page.line(&[("outcome", "lost")], deliveries.lost() as f64);
    }
    if let Some(intake) = hub.intake() {
        let name = "gilkeeper_received_datagrams_total";
        page.family(name, Form::Counter, "Telemetry datagrams of other servers, by what became of them.");
        for (outcome, count) in
            [("read", intake.datagrams), ("refused", intake.refused), ("lost", intake.lost)]
        {
            page.line(&[("outcome", outcome)], count as f64);
        }
        let name = "gilkeeper_received_pushes_total";
        page.family(name, Form::Counter, "OTLP requests of other servers, by what became of them.");
        for (outcome, count) in [("read", intake.pushes), ("refused", intake.pushes_refused)] {
            page.line(&[("outcome", outcome)], count as f64);
        }
    }
    page.family("gilkeeper_build_info", Form::Gauge, "Always 1; the version is a label.");
    page.line(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
}
