//! The eight phases that mod_wsgi measures of a request, out of our figures.

use crate::histogram::{self, Histogram};
use crate::mod_wsgi_buckets;
use crate::sample::Figures;
use crate::scoreboard::layout::LONG;

/// Their names, in the order in which they stand everywhere.
pub const NAMES: [&str; 8] = [
    "server_time",
    "queue_time",
    "daemon_time",
    "application_time",
    "request_time",
    "gil_wait_time",
    "input_read_time",
    "output_write_time",
];

/// The phases.
pub fn of(figures: &Figures) -> [Phase; 8] {
    [
        Phase::of_long(figures, 0, figures.server),
        Phase::of_histogram(&figures.queue),
        Phase::of_long(figures, 1, figures.daemon),
        Phase::of_histogram(&figures.application_time),
        Phase::of_histogram(&figures.response),
        // Of finished requests, as all of these: the counters of waits hold those of running ones, too.
        Phase::of_histogram(&figures.gil_wait),
        Phase::of_long(figures, 2, figures.input),
        Phase::of_long(figures, 3, figures.output),
    ]
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

    /// Of a phase without a histogram: `which` of those in `Figures::long`.
    fn of_long(figures: &Figures, which: usize, sum: u64) -> Self {
        let mut phase = Self { sum, least: 0, greatest: 0, buckets: [0; mod_wsgi_buckets::BUCKETS] };
        let long = figures.long.get(which * LONG..(which + 1) * LONG).unwrap_or(&[]);
        phase.buckets[1..=long.len()].copy_from_slice(long);
        phase.buckets[0] = figures.requests.saturating_sub(long.iter().sum());
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
