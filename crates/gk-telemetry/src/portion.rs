//! What happened in a span of time in one process group: the unit that is shown, stored, and added up over time and over groups.
//! Adding is exact, percentiles included, since histograms are kept.

use crate::histogram::Histogram;
use crate::sample::{Figures, WorkerSample};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Routes (and pairs of routes) kept in a portion; what is smaller is left out.
const ROUTES: usize = 24;
const NS: f64 = 1e9;

/// One process group in one span of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Portion {
    /// Length in seconds.
    pub span: f64,
    /// By application group.
    pub applications: BTreeMap<String, Figures>,
    /// Thread-seconds busy.
    pub busy: f64,
    /// Thread-seconds there were.
    pub capacity: f64,
    /// CPU seconds of the processes.
    pub cpu: f64,
    /// Resident bytes of the processes, the most at one time.
    pub resident: u64,
    /// Context switches.
    pub switches: u64,
    /// Seconds threads were runnable without running.
    pub run_delay: f64,
    /// Most requests in the queue at one time.
    pub queued: u64,
    /// Seconds of garbage collection pauses.
    pub gc_pause: f64,
    /// Garbage collections.
    pub collections: u64,
    /// GIL waits in threads that serve no request, seconds.
    pub other_wait: f64,
    /// By process id (unlike worker numbers, these differ over a restart of the server); of another server by host and process id.
    pub workers: BTreeMap<String, WorkerPortion>,
    /// The busiest routes, by name.
    pub routes: BTreeMap<String, RouteSums>,
    /// Who made whom wait longest.
    pub pairs: Vec<PairSums>,
}

/// One worker in one span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerPortion {
    /// Its number.
    pub worker: u64,
    /// Requests finished.
    pub requests: u64,
    /// Thread-seconds busy.
    pub busy: f64,
    /// Request threads.
    pub threads: u32,
    /// CPU seconds.
    pub cpu: f64,
    /// Resident bytes.
    pub resident: u64,
    /// GIL wait of its requests, seconds.
    pub gil_wait: f64,
}

/// One route, or one thread of the application's own. Seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are those of `RouteSample`")]
pub struct RouteSums {
    pub thread: bool,
    pub requests: u64,
    pub errors: u64,
    pub response: f64,
    pub cpu: f64,
    pub gil_wait: f64,
    pub blocked: f64,
    pub suffered: f64,
    pub caused: f64,
}

/// How long one route waited for another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PairSums {
    /// Who held the GIL.
    pub culprit: String,
    /// Who waited.
    pub victim: String,
    /// Seconds.
    pub seconds: f64,
    /// Waits.
    pub waits: u64,
}

/// What the operating system says about a process in a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessUse {
    /// CPU seconds.
    pub cpu: f64,
    /// Resident bytes.
    pub resident: u64,
    /// Context switches.
    pub switches: u64,
    /// Seconds runnable without running.
    pub run_delay: f64,
}

impl Portion {
    /// The difference of two readings of the worker `name`, `span` seconds apart. `busy`: thread-seconds, requests in flight
    /// included.
    pub fn of_worker(name: &str, change: &WorkerSample, process: ProcessUse, busy: f64, span: f64) -> Self {
        let applications: BTreeMap<String, Figures> =
            change.groups.iter().map(|group| (group.name.clone(), group.figures.clone())).collect();
        let total = change.total();
        let worker = WorkerPortion {
            worker: change.worker,
            requests: total.requests,
            busy,
            threads: change.threads,
            cpu: process.cpu,
            resident: process.resident,
            gil_wait: (total.gil_application + total.gil_server) as f64 / NS,
        };
        let route = |number: u16| change.route_name(number).to_owned();
        let mut portion = Self {
            span,
            applications,
            busy,
            capacity: f64::from(change.threads) * span,
            cpu: process.cpu,
            resident: process.resident,
            switches: process.switches,
            run_delay: process.run_delay,
            queued: 0,
            gc_pause: change.groups.iter().map(|group| group.gc.pause).sum::<u64>() as f64 / NS,
            collections: change.groups.iter().flat_map(|group| group.gc.collections).sum(),
            other_wait: change.other_wait as f64 / NS,
            workers: BTreeMap::from([(name.to_owned(), worker)]),
            routes: change
                .routes
                .iter()
                .map(|route| (route.name.clone(), RouteSums::from(route)))
                .filter(|(_, sums)| *sums != RouteSums { thread: sums.thread, ..RouteSums::default() })
                .collect(),
            pairs: change
                .pairs
                .iter()
                .filter(|pair| pair.ns > 0)
                .map(|pair| PairSums {
                    culprit: route(pair.culprit),
                    victim: route(pair.victim),
                    seconds: pair.ns as f64 / NS,
                    waits: pair.waits,
                })
                .collect(),
        };
        portion.trim();
        portion
    }

    /// Adds what happened afterwards in the same group.
    pub fn append(&mut self, later: &Self) {
        self.span += later.span;
        self.resident = self.resident.max(later.resident);
        self.queued = self.queued.max(later.queued);
        for (name, worker) in &later.workers {
            let mine = self.workers.entry(name.clone()).or_default();
            mine.resident = mine.resident.max(worker.resident);
            mine.add(worker);
        }
        self.add(later);
    }

    /// Adds what happened at the same time in another worker or group.
    pub fn join(&mut self, beside: &Self) {
        self.span = self.span.max(beside.span);
        self.resident += beside.resident;
        self.queued += beside.queued;
        for (name, worker) in &beside.workers {
            let mine = self.workers.entry(name.clone()).or_default();
            mine.resident += worker.resident;
            mine.add(worker);
        }
        self.add(beside);
    }

    fn add(&mut self, other: &Self) {
        for (name, figures) in &other.applications {
            self.applications.entry(name.clone()).or_default().merge(figures);
        }
        self.busy += other.busy;
        self.capacity += other.capacity;
        self.cpu += other.cpu;
        self.switches += other.switches;
        self.run_delay += other.run_delay;
        self.gc_pause += other.gc_pause;
        self.collections += other.collections;
        self.other_wait += other.other_wait;
        for (name, sums) in &other.routes {
            self.routes.entry(name.clone()).or_default().add(sums);
        }
        for pair in &other.pairs {
            let same = |mine: &&mut PairSums| mine.culprit == pair.culprit && mine.victim == pair.victim;
            match self.pairs.iter_mut().find(same) {
                Some(mine) => {
                    mine.seconds += pair.seconds;
                    mine.waits += pair.waits;
                }
                None => self.pairs.push(pair.clone()),
            }
        }
        self.trim();
    }

    fn trim(&mut self) {
        self.pairs.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        self.pairs.truncate(ROUTES);
        if self.routes.len() > 2 * ROUTES {
            let weight = |sums: &RouteSums| sums.response + sums.caused + sums.suffered;
            let mut weights: Vec<f64> = self.routes.values().map(weight).collect();
            weights.sort_by(|a, b| b.total_cmp(a));
            let least = weights[ROUTES - 1];
            self.routes.retain(|_, sums| weight(sums) >= least);
        }
    }

    /// All application groups together.
    pub fn total(&self) -> Figures {
        let mut total = Figures::default();
        self.applications.values().for_each(|figures| total.merge(figures));
        total
    }

    /// What a chart shows of it.
    pub fn point(&self) -> Point {
        let figures = self.total();
        let span = if self.span > 0.0 { self.span } else { 1.0 };
        let per = |count: u64| count as f64 / span;
        let class = |class: u16| {
            let codes = figures.statuses.range(class * 100..class * 100 + 100);
            codes.map(|(_, count)| *count).sum::<u64>() as f64 / span
        };
        let gil = figures.gil_application + figures.gil_server;
        Point {
            requests: per(figures.requests),
            errors: per(figures.errors),
            statuses: [class(1), class(2), class(3), class(4), class(5)],
            response: Spread::of(&figures.response),
            queue: Spread::of(&figures.queue),
            application: Spread::of(&figures.application_time),
            cpu_per_request: figures.cpu.mean() / NS,
            gil_per_request: figures.gil_wait.mean() / NS,
            single_wait: Spread::of(&figures.single_wait),
            on_cpu: per(figures.cpu.sum) / NS,
            gil_wait: per(gil) / NS,
            gil_wait_server: per(figures.gil_server) / NS,
            runnable: per(figures.runnable) / NS,
            blocked: per(figures.blocked.sum) / NS,
            gil_waits: per(figures.waits),
            other_wait: self.other_wait / span,
            busy: self.busy / span,
            threads: self.capacity / span,
            cpu: self.cpu / span,
            resident: self.resident,
            switches: per(self.switches),
            run_delay: self.run_delay / span,
            queued: self.queued,
            gc_pause: self.gc_pause / span,
            bytes_in: per(figures.bytes_in),
            bytes_out: per(figures.bytes_out),
        }
    }
}

/// A portion as rates per second. Durations in seconds, sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Point {
    /// Requests.
    pub requests: f64,
    /// Requests whose application failed.
    pub errors: f64,
    /// Responses by class, 1xx to 5xx.
    pub statuses: [f64; 5],
    /// Front had the head → application done.
    pub response: Spread,
    /// In the queue.
    pub queue: Spread,
    /// Inside the application.
    pub application: Spread,
    /// Mean CPU seconds of a request.
    pub cpu_per_request: f64,
    /// Mean GIL wait of a request.
    pub gil_per_request: f64,
    /// Single GIL waits.
    pub single_wait: Spread,
    /// Of finished requests: thread-seconds on CPU in each second.
    pub on_cpu: f64,
    /// Thread-seconds waiting for the GIL, both sites.
    pub gil_wait: f64,
    /// Of it at the server's own acquire points.
    pub gil_wait_server: f64,
    /// Thread-seconds runnable without running, outside the waits.
    pub runnable: f64,
    /// Thread-seconds blocked.
    pub blocked: f64,
    /// GIL waits.
    pub gil_waits: f64,
    /// GIL waits of threads without a request, thread-seconds.
    pub other_wait: f64,
    /// Busy request threads, on average.
    pub busy: f64,
    /// Request threads.
    pub threads: f64,
    /// Cores the processes used.
    pub cpu: f64,
    /// Resident bytes of the processes.
    pub resident: u64,
    /// Context switches.
    pub switches: f64,
    /// Thread-seconds runnable without running, of all threads.
    pub run_delay: f64,
    /// Most requests in the queue.
    pub queued: u64,
    /// Share of the time in garbage collection pauses, interpreters added up.
    pub gc_pause: f64,
    /// Body bytes read.
    pub bytes_in: f64,
    /// Body bytes given.
    pub bytes_out: f64,
}

/// Mean and percentiles in seconds; all absent when nothing was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Spread {
    pub mean: Option<f64>,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
}

impl Spread {
    /// Of a histogram.
    pub fn of(histogram: &Histogram) -> Self {
        let quantile = |q| histogram.quantile(q).map(|ns| ns / NS);
        let mean = (histogram.count() > 0).then(|| histogram.mean() / NS);
        Self { mean, p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) }
    }
}

impl WorkerPortion {
    fn add(&mut self, other: &Self) {
        self.worker = other.worker;
        self.threads = other.threads;
        self.requests += other.requests;
        self.busy += other.busy;
        self.cpu += other.cpu;
        self.gil_wait += other.gil_wait;
    }
}

impl RouteSums {
    fn add(&mut self, other: &Self) {
        self.thread |= other.thread;
        self.requests += other.requests;
        self.errors += other.errors;
        self.response += other.response;
        self.cpu += other.cpu;
        self.gil_wait += other.gil_wait;
        self.blocked += other.blocked;
        self.suffered += other.suffered;
        self.caused += other.caused;
    }
}

impl From<&crate::sample::RouteSample> for RouteSums {
    fn from(route: &crate::sample::RouteSample) -> Self {
        let seconds = |ns: u64| ns as f64 / NS;
        Self {
            thread: route.thread,
            requests: route.requests,
            errors: route.errors,
            response: seconds(route.response),
            cpu: seconds(route.cpu),
            gil_wait: seconds(route.gil_wait),
            blocked: seconds(route.blocked),
            suffered: seconds(route.suffered),
            caused: seconds(route.caused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portion(span: f64, ns: &[u64]) -> Portion {
        let mut figures = Figures { requests: ns.len() as u64, ..Figures::default() };
        ns.iter().for_each(|ns| figures.response.record(*ns));
        Portion {
            span,
            applications: BTreeMap::from([(String::new(), figures)]),
            resident: 10,
            capacity: span,
            ..Portion::default()
        }
    }

    #[test]
    fn time_adds_up_one_way_and_groups_another() {
        let (a, b) = (portion(1.0, &[1_000_000; 3]), portion(1.0, &[9_000_000; 3]));
        let mut after = a.clone();
        after.append(&b);
        assert_eq!(
            (after.span, after.resident, after.point().requests, after.point().threads),
            (2.0, 10, 3.0, 1.0)
        );
        let mut beside = a.clone();
        beside.join(&b);
        assert_eq!(
            (beside.span, beside.resident, beside.point().requests, beside.point().threads),
            (1.0, 20, 6.0, 2.0)
        );
        assert_eq!(beside.point().response, after.point().response);
        let json = serde_json::to_string(&beside).unwrap();
        assert_eq!(serde_json::from_str::<Portion>(&json).unwrap(), beside);
    }

    #[test]
    fn routes_stay_few() {
        let route = |n: u64| (format!("/r{n}"), RouteSums { response: n as f64, ..RouteSums::default() });
        let mut many = Portion { routes: (0..200).map(route).collect(), ..Portion::default() };
        many.append(&Portion::default());
        assert_eq!(many.routes.len(), ROUTES);
        assert!(many.routes.contains_key("/r199"));
    }
}
