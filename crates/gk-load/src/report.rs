//! The results of a load: counts, failures by kind, latencies. Adding the reports of two threads is exact.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest latency of the histogram, in nanoseconds: an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// Why a request got no complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// No connection.
    Connect,
    /// The server closed the connection before any byte of the response.
    Closed,
    /// The connection ended in the middle of the response.
    Cut,
    /// Nothing complete within the timeout.
    Timeout,
    /// The bytes received are no HTTP response.
    Malformed,
}

impl Failure {
    /// All kinds with their texts.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Connect, "no connection"),
        (Self::Closed, "closed without a response"),
        (Self::Cut, "cut off in the response"),
        (Self::Timeout, "timed out"),
        (Self::Malformed, "no HTTP"),
    ];

    /// The text for users.
    pub fn words(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("failed", |(_, words)| words)
    }
}

/// The results of a load in its measured interval.
#[derive(Debug, Clone)]
pub struct Report {
    /// Seconds measured.
    pub seconds: f64,
    /// Complete responses.
    pub responses: u64,
    /// By status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a complete response.
    pub failures: BTreeMap<Failure, u64>,
    /// Open loop: requests that were due and never sent, since no connection was free.
    pub unsent: u64,
    /// Closed loop: requests still under way when the wait for the last responses ended; they are no failures.
    pub unanswered: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Latencies of complete responses in nanoseconds: from sending (closed loop) or from the moment the request was due
    /// (open loop) to the last byte.
    pub latency: Histogram<u64>,
    /// CPU seconds of the generator's threads.
    pub cpu: f64,
    /// Generator threads.
    pub threads: usize,
    /// The core each of them is pinned to.
    pub pinned: Vec<usize>,
}

impl Default for Report {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1_000, LONGEST, 3).expect("the bounds are in order");
        Self {
            seconds: 0.0,
            responses: 0,
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            unsent: 0,
            unanswered: 0,
            bytes: 0,
            latency,
            cpu: 0.0,
            threads: 0,
            pinned: Vec::new(),
        }
    }
}

impl Report {
    /// Counts a latency.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.latency.saturating_record(ns);
    }

    /// Adds the report of another thread of the same interval.
    pub fn add(&mut self, other: &Self) {
        self.seconds = self.seconds.max(other.seconds);
        self.responses += other.responses;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (kind, count) in &other.failures {
            *self.failures.entry(*kind).or_default() += count;
        }
        self.unsent += other.unsent;
        self.unanswered += other.unanswered;
        self.bytes += other.bytes;
        // Both have the same bounds, so this cannot fail.
        let _ = self.latency.add(&other.latency);
        self.cpu += other.cpu;
        self.threads += other.threads;
        self.pinned.extend(&other.pinned);
    }

    /// Requests per second with a complete response.
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.responses as f64 / self.seconds } else { 0.0 }
    }

    /// Requests that failed: without a complete response, or with a status from 400 on.
    pub fn failed(&self) -> u64 {
        let refused: u64 = self.statuses.range(400..).map(|(_, count)| count).sum();
        refused + self.failures.values().sum::<u64>()
    }

    /// Share of the generator's own threads' time that they were on a CPU: near 1 the generator is the limit.
    pub fn busy(&self) -> f64 {
        let capacity = self.seconds * self.threads as f64;
        if capacity > 0.0 { self.cpu / capacity } else { 0.0 }
    }

    /// Latency below which the share `q` (0..1) lies, in seconds; `None` without any.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        (!self.latency.is_empty()).then(|| self.latency.value_at_quantile(q) as f64 / 1e9)
    }

    /// Mean latency in seconds.
    pub fn mean(&self) -> Option<f64> {
        (!self.latency.is_empty()).then(|| self.latency.mean() / 1e9)
    }

    /// The histogram as (nanoseconds, count), to be saved.
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        self.latency
            .iter_recorded()
            .map(|v| (v.value_iterated_to(), v.count_since_last_iteration()))
            .collect()
    }

    /// Restores the histogram from [`Report::buckets`].
    pub fn set_buckets(&mut self, buckets: &[(u64, u64)]) {
        self.latency.reset();
        for (ns, count) in buckets {
            self.latency.saturating_record_n(*ns, *count);
        }
    }

    /// Failures by kind, as texts.
    pub fn complaints(&self) -> Vec<String> {
        let statuses =
            self.statuses.range(400..).map(|(status, count)| format!("{count} with status {status}"));
        let failures = self.failures.iter().map(|(kind, count)| format!("{count} {}", kind.words()));
        let unsent = (self.unsent > 0).then(|| format!("{} due but never sent", self.unsent));
        statuses.chain(failures).chain(unsent).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let one = |ns: &[u64], status: u16| {
            let mut report = Report { seconds: 2.0, threads: 1, cpu: 1.0, ..Report::default() };
            ns.iter().for_each(|ns| report.record(*ns));
            report.responses = ns.len() as u64;
            report.statuses.insert(status, ns.len() as u64);
            report
        };
        let mut all = one(&[1_000_000; 3], 200);
        all.add(&one(&[9_000_000], 503));
        all.failures.insert(Failure::Timeout, 2);
        assert_eq!((all.responses, all.rate(), all.failed(), all.busy()), (4, 2.0, 3, 0.5));
        assert!((all.quantile(1.0).unwrap() - 0.009).abs() < 1e-5);
        assert!((all.mean().unwrap() - 0.003).abs() < 1e-5);
        assert_eq!(all.complaints(), ["1 with status 503", "2 timed out"]);
        let mut again = Report::default();
        again.set_buckets(&all.buckets());
        assert_eq!(again.quantile(0.5), all.quantile(0.5));
        assert_eq!(Report::default().quantile(0.5), None);
    }
}
