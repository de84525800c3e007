//! The eight phases that mod_wsgi measures of a request, out of our figures.

use crate::figures::{Figures, Long};
use crate::histogram::{self, Histogram};
use crate::mod_wsgi_buckets;
use crate::saturating::saturating_sum;

type OfFigures = fn(&Figures) -> Phase;

/// The phases with their names, in the order of mod_wsgi's fields.
const PHASES: [(&str, OfFigures); 8] = [
    ("server_time", |f| Phase::of_long(f, Long::Server)),
    ("queue_time", |f| Phase::of_histogram(&f.queue)),
    ("daemon_time", |f| Phase::of_long(f, Long::Daemon)),
    ("application_time", |f| Phase::of_histogram(&f.application)),
    ("request_time", |f| Phase::of_histogram(&f.response)),
    // Of finished requests, as all of these: the counters of waits hold those of running ones, too.
    ("gil_wait_time", |f| Phase::of_histogram(&f.gil_wait)),
    ("input_read_time", |f| Phase::of_long(f, Long::Input)),
    ("output_write_time", |f| Phase::of_long(f, Long::Output)),
];

/// The phases of these figures with their names.
pub fn of(figures: &Figures) -> [(&'static str, Phase); 8] {
    PHASES.map(|(name, phase)| (name, phase(figures)))
}

/// A phase in an interval. Nanoseconds.
pub struct Phase {
    /// Of all requests together.
    pub sum: u64,
    /// The least value, as exactly as the buckets are.
    pub least: u64,
    /// The greatest one.
    pub greatest: u64,
    /// Requests by mod_wsgi's buckets.
    pub buckets: [u64; mod_wsgi_buckets::BUCKETS],
}

impl Phase {
    fn of_histogram(histogram: &Histogram) -> Self {
        Self {
            sum: histogram.sum,
            least: histogram.filled().next().map_or(0, |(bucket, _)| histogram::edges(bucket).0),
            greatest: histogram.filled().last().map_or(0, |(bucket, _)| match histogram::edges(bucket) {
                (low, u64::MAX) => low,
                (_, high) => high,
            }),
            buckets: mod_wsgi_buckets::of_histogram(histogram),
        }
    }

    fn of_long(figures: &Figures, which: Long) -> Self {
        let sum = which.sum(figures);
        let mut phase = Self { sum, least: 0, greatest: 0, buckets: [0; mod_wsgi_buckets::BUCKETS] };
        let long = which.buckets(figures);
        phase.buckets[1..=long.len()].copy_from_slice(long);
        phase.buckets[0] = figures.requests.saturating_sub(saturating_sum(long.iter().copied()));
        if let Some(first) = phase.buckets.iter().position(|count| *count > 0) {
            phase.least = mod_wsgi_buckets::edges(first).0;
        }
        if let Some(last) = phase.buckets.iter().rposition(|count| *count > 0) {
            let (low, high) = mod_wsgi_buckets::edges(last);
            // No single value is above the sum of all.
            phase.greatest = if high == u64::MAX { low.max(sum) } else { high.min(sum) };
        }
        phase
    }
}
