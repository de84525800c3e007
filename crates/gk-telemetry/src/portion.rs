//! A portion: one process group in one span of time. Portions are shown, stored, and added up over time and over groups; the sum
//! is exact, percentiles included, since histograms are kept.

pub mod holds;

use crate::answered::{Answered, Answers, Reason};
use crate::figures::routes::RouteSums;
use crate::figures::{Figures, Rates};
use crate::histogram::Spread;
use crate::sample::WorkerSample;
use crate::saturating::{Plus, saturating_sum};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Routes, and pairs of routes, kept in a portion; smaller ones are left out.
const ROUTES: usize = 24;
const NS: f64 = 1e9;

/// Declares numbers of a portion and how they add up: a `sum` grows over time and over groups; of a `level` the most at one time
/// counts, and groups beside each other add up.
macro_rules! numbers {
    (
        $(#[$attribute:meta])*
        pub struct $Name:ident {
            $($(#[$own_attribute:meta])* pub $own:ident: $own_type:ty,)*
        }
        $($(#[doc = $help:literal])* $how:ident $name:ident: $type:ty,)*
    ) => {
        $(#[$attribute])*
        pub struct $Name {
            $($(#[$own_attribute])* pub $own: $own_type,)*
            $($(#[doc = $help])* pub $name: $type,)*
        }

        impl $Name {
            /// Adds the numbers of a later span.
            fn append_numbers(&mut self, later: &Self) {
                $(numbers!(@append $how self.$name, later.$name);)*
            }

            /// Adds the numbers of another worker or group in the same span.
            fn join_numbers(&mut self, beside: &Self) {
                $(self.$name = self.$name.plus(beside.$name);)*
            }
        }
    };
    (@append sum $mine:expr, $later:expr) => {
        $mine = $mine.plus($later)
    };
    (@append level $mine:expr, $later:expr) => {
        $mine = $mine.max($later)
    };
}

numbers! {
    /// One process group in one span of time.
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Portion {
        /// Length in seconds.
        pub span: f64,
        /// By application group.
        pub applications: BTreeMap<String, Figures>,
        /// By process id (unlike worker numbers, these differ over a restart of the server); of another server by host and
        /// process id.
        pub workers: BTreeMap<String, WorkerPortion>,
        /// The busiest routes, by name.
        pub routes: BTreeMap<String, RouteSums>,
        /// Pairs of routes with the longest waits.
        pub pairs: Vec<PairSums>,
        /// Places in the application that held a GIL while others waited.
        pub holds: holds::Holds,
        /// Answers as clients got them.
        pub answered: Answered,
    }
    /// Thread-seconds busy.
    sum busy: f64,
    /// Thread-seconds that could have been busy.
    sum capacity: f64,
    /// CPU seconds of the processes.
    sum cpu: f64,
    /// Resident bytes of the processes, the most at one time.
    level resident: u64,
    /// Context switches.
    sum switches: u64,
    /// Seconds threads were runnable without running.
    sum run_delay: f64,
    /// Most requests in the queue at one time.
    level queued: u64,
    /// Seconds of garbage collection pauses.
    sum gc_pause: f64,
    /// Garbage collections.
    sum collections: u64,
    /// GIL waits in threads that serve no request, seconds.
    sum other_wait: f64,
    /// Thread-seconds of requests on CPU, as they passed: those of requests in flight included.
    sum spent_on_cpu: f64,
    /// The same, waiting for the GIL.
    sum spent_gil_wait: f64,
    /// The same, runnable without running; known when a request ends, and counted as blocked before.
    sum spent_runnable: f64,
    /// The same, blocked.
    sum spent_blocked: f64,
}

numbers! {
    /// One worker in one span of time.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    pub struct WorkerPortion {
        /// Its number.
        pub worker: u64,
        /// Request threads.
        pub threads: u32,
    }
    /// Requests finished.
    sum requests: u64,
    /// Thread-seconds busy.
    sum busy: f64,
    /// CPU seconds.
    sum cpu: f64,
    /// Resident bytes.
    level resident: u64,
    /// GIL wait of its requests, seconds.
    sum gil_wait: f64,
}

/// Time that one route waited for another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PairSums {
    /// Route that held the GIL.
    pub culprit: String,
    /// Route that waited.
    pub victim: String,
    /// Seconds.
    pub seconds: f64,
    /// Waits.
    pub waits: u64,
}

/// The operating system's figures of a process in a span of time.
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
            gil_wait: total.gil_application.saturating_add(total.gil_server) as f64 / NS,
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
            gc_pause: saturating_sum(change.groups.iter().map(|group| group.gc.pause)) as f64 / NS,
            collections: saturating_sum(change.groups.iter().flat_map(|group| group.gc.collections)),
            other_wait: change.other_wait as f64 / NS,
            spent_on_cpu: 0.0,
            spent_gil_wait: 0.0,
            spent_runnable: 0.0,
            spent_blocked: 0.0,
            answered: Answered::default(),
            holds: holds::Holds::of(change),
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
        let gil_wait = total.gil_application.saturating_add(total.gil_server);
        let ended = [total.cpu.sum, gil_wait, total.runnable, total.blocked.sum];
        portion.set_spent(ended.map(|ns| ns as f64 / NS));
        portion
    }

    /// Books the thread-seconds of requests in flight as they passed: on CPU, waiting for the GIL, runnable, blocked. `change`: those of
    /// the requests in flight at the end of this span, less those at its beginning, which are in the sums of requests that ended. All
    /// together are never more than the busy threads: what was runnable, and is known only now, may have passed in earlier spans.
    pub fn spend_in_flight(&mut self, change: [f64; 4]) {
        let mut spent = self.spent();
        for (spent, change) in spent.iter_mut().zip(change) {
            *spent = (*spent + change).max(0.0);
        }
        let over = (spent.iter().sum::<f64>() - self.busy).max(0.0);
        spent[2] -= over.min(spent[2]);
        let sum: f64 = spent.iter().sum();
        let share = if sum > self.busy { self.busy / sum } else { 1.0 };
        self.set_spent(spent.map(|spent| spent * share));
    }

    /// Thread-seconds of requests as they passed: on CPU, waiting for the GIL, runnable, blocked.
    pub fn spent(&self) -> [f64; 4] {
        [self.spent_on_cpu, self.spent_gil_wait, self.spent_runnable, self.spent_blocked]
    }

    fn set_spent(&mut self, [on_cpu, gil_wait, runnable, blocked]: [f64; 4]) {
        (self.spent_on_cpu, self.spent_gil_wait) = (on_cpu, gil_wait);
        (self.spent_runnable, self.spent_blocked) = (runnable, blocked);
    }

    /// Adds a later span of the same group.
    pub fn append(&mut self, later: &Self) {
        self.span += later.span;
        self.append_numbers(later);
        self.add(later, WorkerPortion::append_numbers);
    }

    /// Adds another worker or group in the same span.
    pub fn join(&mut self, beside: &Self) {
        self.span = self.span.max(beside.span);
        self.join_numbers(beside);
        self.add(beside, WorkerPortion::join_numbers);
    }

    fn add(&mut self, other: &Self, add_worker: impl Fn(&mut WorkerPortion, &WorkerPortion)) {
        self.answered.merge(&other.answered);
        self.holds.join(&other.holds);
        for (name, figures) in &other.applications {
            self.applications.entry(name.clone()).or_default().merge(figures);
        }
        for (name, worker) in &other.workers {
            let mine = self.workers.entry(name.clone()).or_default();
            (mine.worker, mine.threads) = (worker.worker, worker.threads);
            add_worker(mine, worker);
        }
        for (name, sums) in &other.routes {
            self.routes.entry(name.clone()).or_default().add(sums);
        }
        for pair in &other.pairs {
            let same = |mine: &&mut PairSums| mine.culprit == pair.culprit && mine.victim == pair.victim;
            match self.pairs.iter_mut().find(same) {
                Some(mine) => {
                    mine.seconds += pair.seconds;
                    mine.waits = mine.waits.saturating_add(pair.waits);
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

    /// The portion as a point of a chart.
    pub fn point(&self) -> Point {
        let figures = self.total();
        let span = if self.span > 0.0 { self.span } else { 1.0 };
        let per = |count: u64| count as f64 / span;
        let class = |class: u16| {
            let codes = figures.statuses.range(class * 100..class * 100 + 100);
            saturating_sum(codes.map(|(_, count)| *count)) as f64 / span
        };
        let answers = |of: &dyn Fn(&Answers) -> bool| per(self.answered.sum(of));
        Point {
            answers: per(self.answered.total()),
            answers_failed: per(self.answered.failed()),
            answers_by_front: answers(&|a| a.failed() && a.reason.source() == "front"),
            answers_broken: answers(&|a| a.reason == Reason::BrokenOff),
            answers_4xx: answers(&|a| (400..499).contains(&a.code)),
            answer_time: Spread::of(&self.answered.seconds),
            statuses: [class(1), class(2), class(3), class(4), class(5)],
            gil_wait: per(figures.gil_application.saturating_add(figures.gil_server)) / NS,
            other_wait: self.other_wait / span,
            spent_on_cpu: self.spent_on_cpu / span,
            spent_gil_wait: self.spent_gil_wait / span,
            spent_runnable: self.spent_runnable / span,
            spent_blocked: self.spent_blocked / span,
            busy: self.busy / span,
            threads: self.capacity / span,
            cpu: self.cpu / span,
            resident: self.resident,
            switches: per(self.switches),
            run_delay: self.run_delay / span,
            queued: self.queued,
            gc_pause: self.gc_pause / span,
            rates: Rates::of(&figures, span),
        }
    }
}

/// A portion as rates per second. Durations in seconds, sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Point {
    /// The figures of requests.
    #[serde(flatten)]
    pub rates: Rates,
    /// Answers to clients, the server's own included.
    pub answers: f64,
    /// Of these, those that a user saw as an error: a status from 500 on, or a part of a response.
    pub answers_failed: f64,
    /// Of the failed ones, the server's own.
    pub answers_by_front: f64,
    /// Of the failed ones, those that broke off.
    pub answers_broken: f64,
    /// Answers with a status from 400 to 498.
    pub answers_4xx: f64,
    /// From a request's head to the last byte of its answer.
    pub answer_time: Spread,
    /// Responses by class, 1xx to 5xx.
    pub statuses: [f64; 5],
    /// Thread-seconds waiting for the GIL, both sites.
    pub gil_wait: f64,
    /// GIL waits of threads without a request, thread-seconds.
    pub other_wait: f64,
    /// Request threads on CPU, on average; requests in flight included, as in the next three.
    pub spent_on_cpu: f64,
    /// Waiting for the GIL.
    pub spent_gil_wait: f64,
    /// Runnable without running; known when a request ends, and counted as blocked before.
    pub spent_runnable: f64,
    /// Blocked.
    pub spent_blocked: f64,
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
            (after.span, after.resident, after.point().rates.requests, after.point().threads),
            (2.0, 10, 3.0, 1.0)
        );
        let mut beside = a.clone();
        beside.join(&b);
        assert_eq!(
            (beside.span, beside.resident, beside.point().rates.requests, beside.point().threads),
            (1.0, 20, 6.0, 2.0)
        );
        assert_eq!(beside.point().rates.response, after.point().rates.response);
        let json = serde_json::to_string(&beside).unwrap();
        assert_eq!(serde_json::from_str::<Portion>(&json).unwrap(), beside);
    }

    #[test]
    fn time_is_booked_as_it_passes() {
        // Ten threads are stuck for three seconds: nothing ended, and each second shows ten.
        let mut stuck = Portion { span: 1.0, busy: 10.0, ..Portion::default() };
        stuck.spend_in_flight([1.0, 0.5, 0.0, 8.5]);
        assert_eq!(stuck.spent(), [1.0, 0.5, 0.0, 8.5]);
        // In the last second they end: 30 s in all, of which 20 were booked; 6 s turn out to have been on the run queue.
        let mut last = Portion { span: 1.0, busy: 10.0, ..Portion::default() };
        last.set_spent([3.0, 1.5, 6.0, 19.5]);
        last.spend_in_flight([-2.0, -1.0, 0.0, -17.0]);
        let [on_cpu, gil_wait, runnable, blocked] = last.spent();
        assert_eq!((on_cpu, gil_wait, runnable, blocked), (1.0, 0.5, 6.0, 2.5));
        last.spend_in_flight([0.0, 0.0, 0.0, 3.0]);
        assert!(last.spent().iter().sum::<f64>() <= 10.0, "{:?}", last.spent());
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
