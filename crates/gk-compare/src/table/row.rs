//! One row of a table: all trials of one variant in one form, put together. Pure.

use super::columns::{COLUMNS, MedianRange, Split, run_delay, split};
use crate::trial::sample::Sample;
use gk_load::Failure;
use gk_telemetry::{GilMode, Histogram};
use std::collections::BTreeMap;

/// One variant in one form.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Name of the variant.
    pub variant: String,
    /// Values by column.
    pub values: Vec<Option<MedianRange>>,
    /// Requests that failed, in all rounds.
    pub errors: u64,
    /// Requests asked for in all rounds: answered, failed, due and never sent.
    pub requests: u64,
    /// How they failed.
    pub failures: BTreeMap<String, u64>,
    /// Seconds of a mean request by part.
    pub split: Option<Split>,
    /// Cores each worker used, mean over the rounds, the busiest first.
    pub workers: Vec<f64>,
    /// Single waits for the GIL, all rounds.
    pub waits: Histogram,
    /// Latencies in (nanoseconds, count), all rounds.
    pub latency: Vec<(u64, u64)>,
    /// Seconds; `None` without a GIL.
    pub switch_interval: Option<f64>,
    /// GIL mode.
    pub gil_mode: GilMode,
    /// The GIL waits are exact.
    pub exact: bool,
    /// The module that turned the GIL on again.
    pub gil_module: Option<String>,
    /// The most that a generator thread was busy, 0..1.
    pub generator_busy: f64,
    /// The most cores the generator used.
    pub generator_cores: f64,
    /// The generator had cores of its own.
    pub pinned: bool,
    /// The most that the machine's cores were busy, 0..1.
    pub cores_busy: f64,
    /// Threads runnable without running, on average.
    pub run_delay: f64,
    /// Workers that came or went during trials.
    pub replaced: usize,
}

impl Row {
    /// A column by its id.
    pub fn value(&self, id: &str) -> Option<MedianRange> {
        let at = COLUMNS.iter().position(|column| column.id == id)?;
        *self.values.get(at)?
    }

    /// From all trials of a variant in a form.
    pub fn of(variant: &str, samples: &[&Sample]) -> Self {
        let values =
            COLUMNS.iter().map(|c| MedianRange::of(samples.iter().filter_map(|s| (c.of)(s)).collect()));
        let count = samples.len().max(1) as f64;
        let mut row =
            Self { variant: variant.into(), values: values.collect(), exact: true, ..Self::default() };
        let mut latency: BTreeMap<u64, u64> = BTreeMap::new();
        let mut split_sum = Split::default();
        for sample in samples {
            let report = sample.load.report();
            row.errors += report.failed() + report.unsent;
            row.requests += report.responses + report.failures.values().sum::<u64>() + report.unsent;
            row.count_failures(sample);
            for (ns, n) in &sample.load.latency {
                *latency.entry(*ns).or_default() += n;
            }
            if let Some(split) = split(sample) {
                split_sum.iter_mut().zip(split).for_each(|(sum, part)| *sum += part / count);
                row.split = Some(split_sum);
            }
            row.waits.merge(&sample.server.figures.single_wait);
            let seconds = sample.server.seconds.max(1e-9);
            let mut workers: Vec<f64> =
                sample.server.workers.iter().map(|w| w.process.cpu / seconds).collect();
            workers.sort_by(|a, b| b.total_cmp(a));
            row.workers.resize(row.workers.len().max(workers.len()), 0.0);
            row.workers.iter_mut().zip(workers).for_each(|(sum, cores)| *sum += cores / count);
            row.about(sample);
            row.generator_busy = row.generator_busy.max(report.busy());
            row.generator_cores = row.generator_cores.max(report.cpu / report.seconds.max(1e-9));
            row.pinned |= !sample.load.pinned.is_empty();
            row.cores_busy = row.cores_busy.max(sample.cores_busy);
            row.run_delay += run_delay(sample) / count;
            row.replaced += sample.server.changed;
        }
        row.latency = latency.into_iter().collect();
        row
    }

    fn about(&mut self, sample: &Sample) {
        let Some(worker) = sample.server.workers.first() else { return };
        self.gil_mode = worker.gil_mode;
        self.switch_interval = (worker.switch_interval > 0).then(|| worker.switch_interval as f64 / 1e9);
        let mut workers = sample.server.workers.iter();
        self.exact &= workers.clone().all(|w| w.exact || !w.gil_enabled);
        let module = workers.find(|w| !w.gil_module.is_empty()).map(|w| w.gil_module.clone());
        self.gil_module = self.gil_module.take().or(module);
    }

    fn count_failures(&mut self, sample: &Sample) {
        let mut add = |what: String, count: u64| *self.failures.entry(what).or_default() += count;
        for (status, count) in sample.load.statuses.range(400..) {
            add(format!("status {status}"), *count);
        }
        for (kind, count) in &sample.load.failures {
            add(Failure::words(*kind).to_owned(), *count);
        }
        if sample.load.unsent > 0 {
            add("due but never sent".to_owned(), sample.load.unsent);
        }
    }

    /// Cores that the workers used, on average.
    pub fn cores(&self) -> f64 {
        self.workers.iter().sum()
    }
}
