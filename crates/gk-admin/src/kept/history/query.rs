//! A query of the history, and its answer.

use crate::heard::event::Event;
use crate::kept::tick::{Tick, together};
use gk_telemetry::Portion;
use std::collections::BTreeMap;

/// A query of a time range.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryQuery {
    /// Start of the range, epoch seconds.
    pub from: f64,
    /// End of the range, epoch seconds.
    pub to: f64,
    /// Seconds per row of the answer.
    pub step: f64,
    /// One process group; `None`: all.
    pub group: Option<String>,
    /// The present, epoch seconds.
    pub now: f64,
}

/// Answer to a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// Rows, oldest first; `t` is the start of each.
    pub ticks: Vec<Tick>,
    /// Events, oldest first.
    pub events: Vec<Event>,
}

impl Past {
    /// The whole range as one portion: the seconds of each process group are added up first, then the groups are joined.
    pub fn portion(&self) -> Portion {
        let mut groups: BTreeMap<&String, Portion> = BTreeMap::new();
        for (name, portion) in self.ticks.iter().flat_map(|tick| &tick.groups) {
            groups.entry(name).or_default().append(portion);
        }
        together(groups.values())
    }
}
