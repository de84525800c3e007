//! The result of one trial, saved as one line of JSON. Durations are seconds unless stated otherwise.

use gk_load::{Failure, Report};
use gk_telemetry::totals::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// From 1.
    pub round: u32,
    /// Name of the variant.
    pub variant: String,
    /// Name of the form.
    pub form: String,
    /// Epoch seconds.
    pub at: f64,
    /// Figures of the load generator.
    pub load: LoadSummary,
    /// The server's own figures of the same time.
    pub server: Span,
    /// Share (0..1) of the machine's cores' time that was used.
    pub cores_busy: f64,
}

/// Figures of the load generator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadSummary {
    /// Seconds measured.
    pub seconds: f64,
    /// Complete responses.
    pub responses: u64,
    /// By status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a complete response.
    pub failures: BTreeMap<Failure, u64>,
    /// Due, but never sent.
    pub unsent: u64,
    /// (nanoseconds, count).
    pub latency: Vec<(u64, u64)>,
    /// Mean latency.
    pub mean: Option<f64>,
    /// CPU seconds of the generator.
    pub cpu: f64,
    /// Its threads.
    pub threads: usize,
    /// The cores they are pinned to.
    pub pinned: Vec<usize>,
}

impl LoadSummary {
    /// From the generator's report.
    pub fn of(report: &Report) -> Self {
        Self {
            seconds: report.seconds,
            responses: report.responses,
            statuses: report.statuses.clone(),
            failures: report.failures.clone(),
            unsent: report.unsent,
            latency: report.buckets(),
            mean: report.mean(),
            cpu: report.cpu,
            threads: report.threads,
            pinned: report.pinned.clone(),
        }
    }

    /// The generator's report, from these figures.
    pub fn report(&self) -> Report {
        let mut report = Report {
            seconds: self.seconds,
            responses: self.responses,
            statuses: self.statuses.clone(),
            failures: self.failures.clone(),
            unsent: self.unsent,
            cpu: self.cpu,
            threads: self.threads,
            pinned: self.pinned.clone(),
            ..Report::default()
        };
        report.set_buckets(&self.latency);
        report
    }
}
