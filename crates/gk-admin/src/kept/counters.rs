//! Counters by process group and application group, with those of workers that have ended.

pub mod busy;

use crate::heard::worker::TrackedWorker;
use gk_telemetry::Figures;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most pairs of groups that are counted separately.
const PAIRS: usize = 8192;
/// Name of the group that counts everything beyond a limit. Other servers may invent any number of names.
pub(crate) const OTHERS: &str = "(others)";

/// Counters by (process group, application group).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Row>", into = "Vec<Row>")]
pub struct Counters(BTreeMap<(String, String), Figures>);

/// The written form: a pair of names is no key in JSON.
type Row = (String, String, Figures);

impl From<Vec<Row>> for Counters {
    fn from(rows: Vec<Row>) -> Self {
        Self(
            rows.into_iter()
                .map(|(process, application, figures)| ((process, application), figures))
                .collect(),
        )
    }
}

impl From<Counters> for Vec<Row> {
    fn from(counters: Counters) -> Self {
        let rows = counters.0.into_iter();
        rows.map(|((process, application), figures)| (process, application, figures)).collect()
    }
}

impl Counters {
    /// Adds the counters of a worker.
    pub fn add(&mut self, worker: &TrackedWorker) {
        for (application_group, figures) in worker.counters() {
            let mut pair = (worker.link.process_group.clone(), application_group.to_owned());
            if self.0.len() >= PAIRS && !self.0.contains_key(&pair) {
                pair = (OTHERS.into(), String::new());
            }
            self.0.entry(pair).or_default().merge(&figures);
        }
    }

    /// Figures with their process group and application group.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Figures)> {
        self.0
            .iter()
            .map(|((process, application), figures)| (process.as_str(), application.as_str(), figures))
    }

    /// Figures alone.
    pub fn figures(&self) -> impl Iterator<Item = &Figures> {
        self.0.values()
    }
}
