//! The columns of the table, each with its meaning and its value in a trial; medians with their spread. Pure.

use crate::trial::sample::Sample;
use gk_telemetry::Figures;
use gk_telemetry::totals::Process;

const NS: f64 = 1e9;
const MB: f64 = 1e6;

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name in JSON.
    pub id: &'static str,
    /// Heading, with the unit.
    pub head: &'static str,
    /// Meaning, one sentence.
    pub about: &'static str,
    /// Its value in a trial, in the head's unit.
    pub of: fn(&Sample) -> Option<f64>,
}

/// The columns in order. Errors are counted over all rounds and are no column here.
pub const COLUMNS: [Column; 12] = [
    Column {
        id: "requests_per_minute",
        head: "rpm",
        about: "complete responses per minute, as the generator counts them",
        of: |s| (s.load.seconds > 0.0).then(|| s.load.responses as f64 / s.load.seconds * 60.0),
    },
    Column {
        id: "response_mean_ms",
        head: "mean ms",
        about: "response time as the generator sees it, mean",
        of: |s| s.load.mean.map(|mean| mean * 1e3),
    },
    Column { id: "response_p50_ms", head: "p50", about: "its median", of: |s| latency(s, 0.5) },
    Column { id: "response_p95_ms", head: "p95", about: "its 95th percentile", of: |s| latency(s, 0.95) },
    Column { id: "response_p99_ms", head: "p99", about: "its 99th percentile", of: |s| latency(s, 0.99) },
    Column {
        id: "application_mean_ms",
        head: "app ms",
        about: "time inside the application, mean",
        of: |s| counted(s).map(|_| s.server.figures.application.mean() / NS * 1e3),
    },
    Column {
        id: "cpu_per_request_ms",
        head: "CPU/req ms",
        about: "CPU time that a request's thread used for it, mean",
        of: |s| counted(s).map(|_| s.server.figures.cpu.mean() / NS * 1e3),
    },
    Column {
        id: "gil_wait_per_request_ms",
        head: "GIL wait/req ms",
        about: "time a request waited for the GIL, its application's own code included, mean",
        of: |s| counted(s).map(|_| s.server.figures.gil_wait.mean() / NS * 1e3),
    },
    Column {
        id: "gil_wait_p95_ms",
        head: "GIL p95",
        about: "the 95th percentile of that",
        of: |s| s.server.figures.gil_wait.quantile(0.95).map(|ns| ns / NS * 1e3),
    },
    Column {
        id: "cpu_per_process",
        head: "CPU/process",
        about: "cores that a worker process used, mean over the workers",
        of: |s| {
            let workers = s.server.workers.len();
            (workers > 0).then(|| workers_cpu(s) / workers as f64)
        },
    },
    Column {
        id: "cpu_total",
        head: "CPU total",
        about: "cores that workers and front used together",
        of: |s| (s.server.seconds > 0.0).then(|| workers_cpu(s) + s.server.front.cpu / s.server.seconds),
    },
    Column {
        id: "resident_mb",
        head: "RSS MB",
        about: "resident memory of workers and front together, in millions of bytes",
        of: |s| {
            let workers: u64 = s.server.workers.iter().map(|w| w.process.resident).sum();
            Some((workers + s.server.front.resident) as f64 / MB)
        },
    },
];

fn counted(sample: &Sample) -> Option<u64> {
    Some(sample.server.figures.requests).filter(|requests| *requests > 0)
}

fn latency(sample: &Sample, q: f64) -> Option<f64> {
    // The buckets in a sample are as fine as the generator's histogram.
    quantile(&sample.load.latency, q).map(|ns| ns as f64 / NS * 1e3)
}

/// Of (value, count) in the order of values the first one with at least the share `q` of all counts up to it, itself included.
pub fn quantile(counts: &[(u64, u64)], q: f64) -> Option<u64> {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let wanted = ((q * total as f64).ceil() as u64).max(1);
    let mut below = 0;
    counts.iter().find_map(|(value, count)| {
        below += count;
        (below >= wanted).then_some(*value)
    })
}

/// Cores that the workers used.
pub fn workers_cpu(sample: &Sample) -> f64 {
    let seconds = sample.server.seconds.max(1e-9);
    sample.server.workers.iter().map(|w| w.process.cpu / seconds).sum()
}

/// Threads of the server that were runnable without running, on average.
pub fn run_delay(sample: &Sample) -> f64 {
    let of = |process: &Process| process.run_delay;
    let all = sample.server.workers.iter().map(|w| of(&w.process)).sum::<f64>() + of(&sample.server.front);
    all / sample.server.seconds.max(1e-9)
}

/// A part of a request's time.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// In JSON.
    pub id: &'static str,
    /// Class in the HTML report's style.
    pub class: &'static str,
    /// Its words beside the bars.
    pub title: &'static str,
    /// Nanoseconds of all requests.
    of: fn(&Figures) -> u64,
}

/// The parts, in the order of the bars.
pub const PARTS: [Part; 4] = [
    Part { id: "on_cpu", class: "cpu", title: "on CPU", of: |f| f.cpu.sum },
    Part { id: "gil_wait", class: "gil", title: "waiting for the GIL", of: |f| f.gil_wait.sum },
    Part { id: "runnable", class: "runnable", title: "runnable, no core free", of: |f| f.runnable },
    Part { id: "blocked", class: "blocked", title: "blocked", of: |f| f.blocked.sum },
];

/// Seconds of a mean request in each of [`PARTS`].
pub type Split = [f64; PARTS.len()];

/// Splits the mean request of a trial.
pub fn split(sample: &Sample) -> Option<Split> {
    let requests = counted(sample)? as f64;
    Some(PARTS.map(|part| (part.of)(&sample.server.figures) as f64 / NS / requests))
}

/// Median and range of the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MedianRange {
    /// The median.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
    /// Rounds.
    pub rounds: usize,
}

impl MedianRange {
    /// Of these values; `None` without any.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 };
        Some(Self { median, least, most, rounds: values.len() })
    }

    /// Half the range as a share of the median; `None` with fewer than two rounds.
    pub fn spread(&self) -> Option<f64> {
        (self.rounds > 1 && self.median.abs() > 0.0)
            .then(|| (self.most - self.least) / 2.0 / self.median.abs())
    }

    /// Whether the ranges overlap: the difference of the medians may be chance.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.least <= other.most && other.least <= self.most
    }
}

/// Three significant digits: `1.23`, `18.7k`, `121k`.
pub fn three_digits(value: f64) -> String {
    let (value, unit) = match value.abs() {
        v if v >= 999_500.0 => (value / 1e6, "M"),
        v if v >= 9_995.0 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ranges() {
        let middle = MedianRange::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((middle.median, middle.least, middle.most, middle.spread()), (2.0, 1.0, 3.0, Some(0.5)));
        assert_eq!(MedianRange::of(vec![1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(MedianRange::of(vec![1.0]).unwrap().spread(), None);
        assert_eq!(MedianRange::of(Vec::new()), None);
        let of = |a, b| MedianRange::of(vec![a, b]).unwrap();
        assert!(of(1.0, 3.0).overlaps(&of(2.0, 4.0)) && !of(1.0, 2.0).overlaps(&of(2.1, 4.0)));
    }

    #[test]
    fn values_have_three_digits() {
        let texts = [0.0, 0.1234, 12.34, 999.4, 1234.0, 18_730.0, 121_400.0, 1_234_000.0].map(three_digits);
        assert_eq!(texts, ["0.00", "0.12", "12.3", "999", "1234", "18.7k", "121k", "1.23M"]);
    }

    #[test]
    fn percentiles_of_kept_buckets() {
        let mut sample = Sample::default();
        sample.load.latency = vec![(1_000_000, 90), (5_000_000, 9), (9_000_000, 1)];
        assert_eq!(
            (latency(&sample, 0.5), latency(&sample, 0.95), latency(&sample, 1.0)),
            (Some(1.0), Some(5.0), Some(9.0))
        );
        assert_eq!(latency(&Sample::default(), 0.5), None);
    }
}
