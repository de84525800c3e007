//! The result of a search as text and as JSON. Pure.

use super::Target;
use super::paste::Application;
use super::search::{KeepReason, NEAR, SearchResult};
use super::space::{Config, Space};
use super::verdicts::RejectedMode;
use crate::report;
use crate::table::columns::{MedianRange, three_digits};
use crate::table::remarks;
use crate::table::row::Row;
use crate::table::{Comparison, Table};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Everything that is printed.
pub struct Advice<'a> {
    /// The application.
    pub application: &'a Application,
    /// The figure that was optimised.
    pub target: Target,
    /// The configurations that could be tried.
    pub space: &'a Space,
    /// The result.
    pub found: &'a SearchResult,
    /// GIL modes that the doctor rejected.
    pub rejected: &'a [RejectedMode],
    /// The free-threaded Python.
    pub python: Option<&'a str>,
    /// With `--grid`: the best configuration of the grid, and the share of its figure that the recommended one reaches.
    pub grid: Option<(Config, f64)>,
    /// The evidence's head: machine and conditions.
    pub evidence: Comparison,
}

impl Advice<'_> {
    fn row(&self, config: &Config) -> Option<&Row> {
        self.found.last.iter().find(|(one, _)| one == config).map(|(_, row)| row)
    }

    fn middle(&self, row: &Row) -> Option<MedianRange> {
        row.value(self.target.column().0)
    }

    /// For a terminal.
    pub fn page(&self) -> String {
        let mut out = String::new();
        let chosen = &self.found.chosen;
        if let Some(reason) = self.found.keep {
            let by = match reason {
                KeepReason::Best => String::new(),
                KeepReason::Scatter => " by more than rounds differ among themselves".into(),
                KeepReason::Near => format!(" by more than {:.0} %", NEAR * 100.0),
            };
            let _ = writeln!(out, "Leave it alone: nothing that was tried beats {}{by}.", chosen.name());
        } else {
            let _ = writeln!(out, "Recommended for {}: {}", self.target.words(), chosen.name());
            if let (Some(new), Some(old)) = (self.row(chosen), self.row(&self.space.usual))
                && let (Some(new), Some(old)) = (self.middle(new), self.middle(old))
            {
                let _ = writeln!(
                    out,
                    "{} in place of {} with {}.",
                    three_digits(new.median),
                    three_digits(old.median),
                    self.space.usual.name()
                );
            }
        }
        if let Some(doubt) = self.doubt() {
            let _ = writeln!(out, "{doubt}");
        }
        let group = self.application.group(chosen, self.python);
        let _ = write!(out, "\n    {group}\n    {}\n", self.application.mount(chosen));
        out.push_str("\nThe evidence, best first:\n\n");
        let rows: Vec<Row> = self.found.last.iter().map(|(_, row)| row.clone()).collect();
        let remarks = remarks::of(&rows, self.evidence.machine.cores);
        let table = Table { rows, remarks, ..Table::default() };
        out.push_str(&report::terminal(&Comparison { tables: vec![table], ..self.evidence.clone() }));
        if let Some((best, share)) = &self.grid {
            let name = best.name();
            let _ = writeln!(
                out,
                "\nOf the whole grid {name} is best; measured against it, the recommended one reaches {:.1} % of it.",
                share * 100.0
            );
        }
        out.push_str("\nWhat it did not try:\n");
        for line in self.untried() {
            let _ = writeln!(out, "* {line}");
        }
        out
    }

    /// A sentence where the time was too short for the first thing to try: a second process.
    fn doubt(&self) -> Option<String> {
        let several = |config: &&Config| config.processes > 1;
        let has_tried = self.found.tried.iter().any(|config| several(&config));
        let left_out = self.space.grid().iter().any(|config| several(&config));
        (left_out && !has_tried).then(|| {
            "No configuration with two processes was tried, so this is no answer yet: a larger --budget tries them.".to_owned()
        })
    }

    fn untried(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.rejected.iter().map(|one| format!("{}: {}", one.mode, one.why)).collect();
        if !self.space.free && !self.rejected.iter().any(|one| one.mode == "free-threading") {
            lines.push("free-threading: name a free-threaded Python with --free-threaded PATH".into());
        }
        lines.extend(self.found.out.iter().map(|(config, why)| format!("{} is out: {why}", config.name())));
        if !self.found.untried.is_empty() {
            let names: Vec<String> = self.found.untried.iter().map(Config::name).collect();
            lines.push(format!("for want of time: {}; a larger --budget tries them", names.join("; ")));
        }
        lines.push("other traffic than this: another mix of paths, or another number of connections, may want another one".into());
        lines
    }

    /// As JSON.
    pub fn value(&self) -> Value {
        let config = |c: &Config| {
            let directive = self.application.group(c, self.python);
            json!({ "name": c.name(), "config": c, "directive": directive, "mount": self.application.mount(c) })
        };
        let rows: Vec<Row> = self.found.last.iter().map(|(_, row)| row.clone()).collect();
        let remarks = remarks::of(&rows, self.evidence.machine.cores);
        let table = Table { rows, remarks, ..Table::default() };
        json!({
            "script": self.application.script,
            "target": self.target.column().0,
            "leave_it": self.found.keep.is_some(),
            "recommended": config(&self.found.chosen),
            "now": config(&self.space.usual),
            "evidence": report::json(&Comparison { tables: vec![table], ..self.evidence.clone() }),
            "tried": self.found.tried.iter().map(Config::name).collect::<Vec<_>>(),
            "not_tried": self.untried(),
            "rejected_modes": self.rejected.iter().map(|r| (r.mode, r.why.clone())).collect::<std::collections::BTreeMap<_, _>>(),
            "grid": self.grid.map(|(best, share)| json!({ "best": best.name(), "share": share })),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: `tune` was sure of one process without having tried two. Met with a short --budget.
    #[test]
    fn a_search_without_a_second_process_says_so() {
        let usual = Config::usual(1, 5);
        let space = Space { cores: 4, connections: 16, own: false, free: false, usual };
        let application = Application::default();
        for (tried, doubts) in [(vec![usual], true), (vec![usual, Config::usual(2, 5)], false)] {
            let (last, out, untried) = (Vec::new(), Vec::new(), Vec::new());
            let found =
                SearchResult { chosen: usual, keep: Some(KeepReason::Best), last, out, tried, untried };
            let advice = Advice {
                application: &application,
                target: Target::Throughput,
                space: &space,
                found: &found,
                rejected: &[],
                python: None,
                grid: None,
                evidence: Comparison::default(),
            };
            let page = advice.page();
            assert_eq!(page.contains("No configuration with two processes was tried"), doubts, "{page}");
        }
    }
}
