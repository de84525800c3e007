//! Samples → tables: one for each form, one row for each variant, in the plan's order. Pure.

pub mod columns;
pub mod remarks;
pub mod row;

use crate::plan::Plan;
use crate::saved::{Problem, Saved};
use crate::trial::CONNECTIONS;
use crate::trial::machine::Machine;
use crate::trial::sample::Sample;
use row::Row;

/// A comparison, ready to be printed.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// The plan's title.
    pub title: String,
    /// The machine it ran on.
    pub machine: Machine,
    /// Load, rounds and durations, in words.
    pub conditions: String,
    /// Epoch seconds of the last trial.
    pub at: f64,
    /// One table for each form.
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
    /// Remarks below the figures.
    pub remarks: Vec<String>,
}

/// The comparison from a plan and its results.
pub fn comparison(plan: &Plan, saved: &Saved) -> Comparison {
    let tables = plan.forms.iter().map(|form| {
        let row = |name: &str| {
            // An earlier run may have had more rounds.
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
    use crate::saved::ResultsHeader;
    use gk_load::Failure;
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
        let mut saved = Saved::open(&folder.path().join("r"), ResultsHeader::default(), false).unwrap();
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
