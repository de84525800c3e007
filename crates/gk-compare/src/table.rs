//! Samples → tables: one for each form, one row for each variant, in the plan's order. Pure.

use crate::figures::{COLUMNS, Middle, run_delay, split};
use crate::machine::Machine;
use crate::plan::Plan;
use crate::remarks;
use crate::sample::Sample;
use crate::saved::{Problem, Saved};
use crate::trial::CONNECTIONS;
use gk_load::Failure;
use gk_telemetry::{GilMode, Histogram};
use std::collections::BTreeMap;

/// Everything that is printed.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// The plan's title.
    pub title: String,
    /// What it ran on.
    pub machine: Machine,
    /// Connections, seconds and the like, in words.
    pub conditions: String,
    /// Epoch seconds of the last trial.
    pub at: f64,
    /// One for each form.
    pub tables: Vec<Table>,
    /// Variants that could not be measured.
    pub problems: Vec<Problem>,
}

/// One form's table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Name of the form.
    pub form: String,
    /// The plan's sentence about it.
    pub note: Option<String>,
    /// A row for each variant that has trials.
    pub rows: Vec<Row>,
    /// What must be said beside the figures.
    pub remarks: Vec<String>,
}

/// One variant in one form.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Name of the variant.
    pub variant: String,
    /// By column.
    pub values: Vec<Option<Middle>>,
    /// Requests that failed, in all rounds.
    pub errors: u64,
    /// Requests asked for in all rounds: answered, failed, due and never sent.
    pub requests: u64,
    /// How they failed.
    pub failures: BTreeMap<String, u64>,
    /// Seconds of a mean request: on CPU, waiting for the GIL, runnable, blocked.
    pub split: Option<[f64; 4]>,
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
    pub fn value(&self, id: &str) -> Option<Middle> {
        let at = COLUMNS.iter().position(|column| column.id == id)?;
        *self.values.get(at)?
    }

    /// Of all trials of a variant in a form.
    pub fn of(variant: &str, samples: &[&Sample]) -> Self {
        let values = COLUMNS.iter().map(|c| Middle::of(samples.iter().filter_map(|s| (c.of)(s)).collect()));
        let count = samples.len().max(1) as f64;
        let mut row =
            Self { variant: variant.into(), values: values.collect(), exact: true, ..Self::default() };
        let mut latency: BTreeMap<u64, u64> = BTreeMap::new();
        let mut split_sum = [0.0; 4];
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

/// Puts everything together.
pub fn comparison(plan: &Plan, saved: &Saved) -> Comparison {
    let tables = plan.forms.iter().map(|form| {
        let row = |name: &str| {
            // Of an earlier run there may be more rounds.
            let kept = |s: &Sample| s.round <= plan.rounds();
            let of = |s: &&Sample| s.variant == name && s.form == form.name && kept(s);
            let samples: Vec<&Sample> = saved.samples.iter().filter(of).collect();
            (!samples.is_empty()).then(|| Row::of(name, &samples))
        };
        let rows: Vec<Row> = plan.variants.iter().filter_map(|variant| row(&variant.name)).collect();
        let remarks = remarks::of(&rows, saved.header.machine.cores);
        Table { form: form.name.clone(), note: form.note.clone(), rows, remarks }
    });
    Comparison {
        title: plan.title.clone().unwrap_or_else(|| saved.header.name.clone()),
        machine: saved.header.machine.clone(),
        conditions: conditions(plan),
        at: saved.samples.iter().map(|s| s.at).fold(0.0, f64::max),
        tables: tables.collect(),
        problems: saved.problems.clone(),
    }
}

fn conditions(plan: &Plan) -> String {
    let w = &plan.workload;
    let loads: Vec<(&str, String)> = plan
        .forms
        .iter()
        .map(|form| {
            let load = match (form.rate.or(w.rate), &w.replay) {
                (Some(rate), _) => format!("{rate} requests a second"),
                (None, Some(log)) => format!("replay of {log}"),
                (None, None) => "closed loop".to_owned(),
            };
            let connections = form.connections.or(w.connections).unwrap_or(CONNECTIONS);
            (form.name.as_str(), format!("{load}, {connections} connections"))
        })
        .collect();
    let load = match loads.split_first() {
        Some(((_, first), rest)) if rest.iter().all(|(_, load)| load == first) => first.clone(),
        _ => loads.iter().map(|(form, load)| format!("{form}: {load}")).collect::<Vec<_>>().join("; "),
    };
    let (duration, rounds) = (plan.duration(), plan.rounds());
    let warm = plan.warm_up();
    let plural = if rounds == 1 { "" } else { "s" };
    format!("{load}, {rounds} round{plural} of {duration} s after {warm} s of warm-up")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved::Header;
    use std::path::Path;

    fn plan(forms: &str) -> Plan {
        let text = format!("[workload]\nscript = 'a.py'\nrounds = 2\n{forms}\n[[variant]]\nname = 'a'\n");
        Plan::parse(&text, "p.toml", Path::new("/plans")).unwrap()
    }

    #[test]
    fn conditions_are_those_of_the_forms() {
        let rest = "2 rounds of 10 s after 1 s of warm-up";
        assert_eq!(conditions(&plan("")), format!("closed loop, 10 connections, {rest}"));
        let same = plan("[[form]]\nname = 'x'\nrate = 5\n[[form]]\nname = 'y'\nrate = 5\n");
        assert_eq!(conditions(&same), format!("5 requests a second, 10 connections, {rest}"));
        let two = plan("[[form]]\nname = 'x'\nrate = 5\n[[form]]\nname = 'y'\nconnections = 3\n");
        assert_eq!(
            conditions(&two),
            format!("x: 5 requests a second, 10 connections; y: closed loop, 3 connections, {rest}")
        );
    }

    #[test]
    fn rounds_beyond_those_asked_for_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut saved = Saved::open(&folder.path().join("r"), Header::default(), false).unwrap();
        for round in 1..=3 {
            let mut sample = Sample { round, variant: "a".into(), ..Sample::default() };
            (sample.load.seconds, sample.load.responses) = (1.0, 10);
            sample.load.statuses.insert(500, 4);
            (sample.load.unsent, sample.load.failures) = (2, [(Failure::Cut, 3)].into());
            saved.add(sample).unwrap();
        }
        let comparison = comparison(&plan(""), &saved);
        let row = &comparison.tables[0].rows[0];
        assert_eq!(row.value("requests_per_minute").unwrap().rounds, 2);
        // A status is a response: it is counted once.
        assert_eq!((row.requests, row.errors), (2 * 15, 2 * 9));
    }
}
