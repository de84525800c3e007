//! Requests of traces: what the front saw of each and what its worker measured come together here, by the front's number. Also the last
//! one in each bucket of the histograms, as exemplars.

use crate::heard::requests::FinishedRequest;
use crate::heard::worker::TrackedWorker;
use gk_telemetry::figures::{FIGURES, Shown, Value};
use gk_telemetry::sample::HoldSample;
use gk_wire::feed::span::FrontSpan;
use std::collections::{HashMap, VecDeque};

/// Measured requests that wait for the front's word: it comes when the last byte of the response is sent.
const MEASURED: usize = 8192;
/// Seconds that a request waits for its worker's figures: a request thread may wait for a CPU between its answer and them.
const PATIENCE: u8 = 5;
/// Most requests that wait for them; the oldest go without.
const WAITING: usize = 8192;
/// Most histograms that have exemplars.
const HISTOGRAMS: usize = 1024;
/// Difference in nanoseconds below which two times of arrival are one.
const SAME: u64 = 1_000_000;

/// A request of a trace.
#[derive(Debug, Clone)]
pub struct TracedRequest {
    /// As the front saw it.
    pub span: FrontSpan,
    /// As its worker measured it; `None`: no worker served it, or its figures were overwritten.
    pub measured: Option<Measured>,
}

/// A request as its worker measured it.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Its figures, process and process group.
    pub request: FinishedRequest,
    /// Line of the route that held the GIL in its longest wait, at which others waited most in that second.
    pub holder: Option<String>,
}

/// The last request of a trace in a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Number of the trace, 32 hexadecimal digits.
    pub trace: String,
    /// Seconds.
    pub value: f64,
    /// Epoch seconds of its end.
    pub at: f64,
}

/// Name of a histogram's family and its labels.
type Key = (&'static str, Vec<(&'static str, String)>);

/// The exemplars of a server's histograms.
#[derive(Debug, Default)]
pub struct Exemplars {
    /// By bucket of the exports.
    last: HashMap<Key, Vec<Option<Exemplar>>>,
    /// Upper edges of the buckets in seconds.
    edges: Vec<f64>,
}

impl Exemplars {
    /// Those of a histogram, a bucket after the other; the last one is open above.
    pub fn of(&self, family: &'static str, labels: &[(&'static str, String)]) -> Option<&[Option<Exemplar>]> {
        if self.last.is_empty() {
            return None;
        }
        self.last.get(&(family, labels.to_vec())).map(Vec::as_slice)
    }

    fn put(&mut self, family: &'static str, labels: Vec<(&'static str, String)>, exemplar: Exemplar) {
        let key = (family, labels);
        if self.last.len() >= HISTOGRAMS && !self.last.contains_key(&key) {
            return;
        }
        let bucket = self.edges.iter().take_while(|edge| **edge < exemplar.value).count();
        let buckets = self.edges.len() + 1;
        self.last.entry(key).or_insert_with(|| vec![None; buckets])[bucket] = Some(exemplar);
    }

    /// Takes in a request.
    fn note(&mut self, traced: &TracedRequest) {
        let span = &traced.span;
        let exemplar = |value: f64| Exemplar { trace: span.trace.clone(), value, at: span.start + span.end };
        self.put(
            "gilkeeper_response_seconds",
            vec![("process_group", span.process_group.clone())],
            exemplar(span.end),
        );
        let Some(measured) = &traced.measured else { return };
        let FinishedRequest { process_group, finished, .. } = &measured.request;
        for row in FIGURES.iter() {
            let (Some(metric), Some(of), Value::Durations { .. }) = (row.metric, row.of_request, &row.value)
            else {
                continue;
            };
            let Shown::Number(nanos) = of(&finished.record) else { continue };
            let mut labels = vec![
                ("process_group", process_group.clone()),
                ("application_group", finished.application_group.clone()),
            ];
            labels.extend(metric.label.map(|(name, value)| (name, value.to_owned())));
            self.put(metric.name, labels, exemplar(nanos as f64 / 1e9));
        }
    }
}

/// What is kept of traces.
#[derive(Debug, Default)]
pub struct Traces {
    on: bool,
    measured: HashMap<u64, Measured>,
    /// Numbers in the order of their arrival.
    order: VecDeque<u64>,
    /// Requests that wait for their worker's figures, and for how many seconds.
    waiting: Vec<(FrontSpan, u8)>,
    /// Requests that found no room on the way here.
    lost: u64,
    /// Exemplars of the histograms.
    pub exemplars: Exemplars,
}

impl Traces {
    /// Traces are wanted. `edges`: of the histograms' buckets, in seconds.
    pub fn begin(&mut self, edges: Vec<f64>) {
        self.on = true;
        self.exemplars.edges = edges;
    }

    /// What the front says.
    pub fn hear(&mut self, spans: Vec<FrontSpan>, lost: u64) {
        if self.on {
            self.waiting.extend(spans.into_iter().map(|span| (span, 0)));
            self.lost += lost;
        }
    }

    /// What a worker has measured since the last second. `noted`: its slow, failed and sampled requests.
    pub fn measure(&mut self, worker: &mut TrackedWorker, noted: &[FinishedRequest]) {
        if !self.on {
            return;
        }
        let (process_group, pid) = (worker.link.process_group.clone(), worker.link.pid);
        let (traced, lost) = worker.take_traced();
        self.lost += lost;
        let traced = traced.into_iter().map(|finished| FinishedRequest {
            process_group: process_group.clone(),
            pid,
            finished,
        });
        for request in traced.chain(noted.iter().cloned()) {
            let holder = holder(worker, &request);
            let number = request.finished.request;
            if self.measured.insert(number, Measured { request, holder }).is_none() {
                self.order.push_back(number);
            }
        }
        while self.order.len() > MEASURED {
            let oldest = self.order.pop_front();
            oldest.and_then(|number| self.measured.remove(&number));
        }
    }

    /// The requests that are complete.
    pub fn complete(&mut self) -> Vec<TracedRequest> {
        let mut complete = Vec::new();
        let surplus = self.waiting.len().saturating_sub(WAITING);
        for (at, (span, age)) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            let start = (span.start * 1e9) as u64;
            let own = |measured: &&Measured| measured.request.finished.start.abs_diff(start) < SAME;
            let measured = self.measured.get(&span.request).filter(own).cloned();
            let patient = at >= surplus && age < PATIENCE;
            if measured.is_none() && patient && !span.process_group.is_empty() {
                self.waiting.push((span, age + 1));
                continue;
            }
            let traced = TracedRequest { span, measured };
            self.exemplars.note(&traced);
            complete.push(traced);
        }
        complete
    }

    /// Those that still wait, without their worker's figures: the server ends.
    pub fn take_waiting(&mut self) -> Vec<TracedRequest> {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        waiting.map(|(span, _)| TracedRequest { span, measured: None }).collect()
    }

    /// Requests that found no room, here and on the way, since the last call.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

/// The line at which others waited most in the last second, of the route that held the GIL in a request's longest wait.
fn holder(worker: &TrackedWorker, request: &FinishedRequest) -> Option<String> {
    let finished = &request.finished;
    if finished.longest_wait == 0 {
        return None;
    }
    let change = &worker.change;
    let own = |hold: &&HoldSample| {
        hold.waits > 0
            && hold.application_group == finished.application_group
            && change.route_name(hold.route) == finished.culprit
    };
    let hold = change.holds.iter().filter(own).max_by_key(|hold| hold.ns)?;
    Some(match hold.file.as_str() {
        "" => hold.function.clone(),
        file => format!("{} ({file}:{})", hold.function, hold.line),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_telemetry::sample::Finished;
    use gk_telemetry::{Reason, Record};

    fn span(request: u64, process_group: &str) -> FrontSpan {
        FrontSpan {
            request,
            id: format!("id-{request}"),
            trace: format!("{request:032x}"),
            span: format!("{request:016x}"),
            parent: None,
            state: None,
            sampled: true,
            process_group: process_group.to_owned(),
            method: "GET".into(),
            path: "/".into(),
            host: "h".into(),
            https: false,
            version: "1.1".into(),
            client: "::1".into(),
            user_agent: String::new(),
            status: 200,
            reason: Reason::Application,
            start: 1000.5,
            head: Some(0.2),
            end: 0.3,
        }
    }

    fn measured(traces: &mut Traces, request: u64, start: f64) {
        let record = Record { application: 200_000_000, response: 210_000_000, ..Record::default() };
        let start = (start * 1e9) as u64;
        let finished = Finished { request, start, record, ..Finished::default() };
        let request = FinishedRequest { process_group: "site".into(), pid: 7, finished };
        let number = request.finished.request;
        traces.measured.insert(number, Measured { request, holder: None });
        traces.order.push_back(number);
    }

    #[test]
    fn both_halves_of_a_request_come_together() {
        let mut traces = Traces::default();
        traces.hear(vec![span(1, "site")], 0);
        assert!(traces.complete().is_empty(), "traces are off");
        traces.begin(vec![0.1, 0.25, 1.0]);
        // The second has the number of another front's request, the third is the front's own answer.
        traces.hear(vec![span(1, "site"), span(2, "site"), span(3, "")], 4);
        measured(&mut traces, 1, 1000.5);
        measured(&mut traces, 2, 900.0);
        let numbers = |requests: Vec<TracedRequest>| -> Vec<(u64, bool)> {
            requests.iter().map(|one| (one.span.request, one.measured.is_some())).collect()
        };
        assert_eq!(numbers(traces.complete()), [(1, true), (3, false)]);
        for _ in 1..PATIENCE {
            assert_eq!(numbers(traces.complete()), []);
        }
        assert_eq!(numbers(traces.complete()), [(2, false)]);
        assert_eq!((traces.take_lost(), traces.take_lost()), (4, 0));
        traces.hear(vec![span(5, "site")], 0);
        assert_eq!(numbers(traces.complete()), []);
        assert_eq!(numbers(traces.take_waiting()), [(5, false)]);
        // More than have room: the oldest goes without figures.
        traces.hear((10..=10 + WAITING as u64).map(|number| span(number, "site")).collect(), 0);
        assert_eq!(numbers(traces.complete()), [(10, false)]);
        assert_eq!(traces.take_waiting().len(), WAITING);
        assert_eq!(numbers(traces.take_waiting()), []);
        let labels = [("process_group", "site".to_owned())];
        let found = traces.exemplars.of("gilkeeper_response_seconds", &labels).unwrap();
        assert_eq!(found.iter().filter(|bucket| bucket.is_some()).count(), 1);
        assert_eq!(found[2].as_ref().unwrap().value, 0.3);
        let labels = [("process_group", "site".to_owned()), ("application_group", String::new())];
        let found = traces.exemplars.of("gilkeeper_application_seconds", &labels).unwrap();
        let exemplar = found[1].as_ref().unwrap();
        assert_eq!((exemplar.value, exemplar.trace.as_str()), (0.2, &*format!("{:032x}", 1)));
    }
}
