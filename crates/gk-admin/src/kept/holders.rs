//! Places in applications that held a GIL while others waited, since the start of the admin process, with those of workers that
//! have ended. Their number is bounded: applications have any number of lines.

use crate::kept::counters::OTHERS;
use gk_telemetry::portion::holds::{HoldSums, Holds};
use gk_telemetry::sample::WorkerSample;
use std::collections::BTreeMap;

/// Places of a process group that are counted separately.
const PLACES: usize = 512;

/// By process group.
#[derive(Debug, Clone, Default)]
pub struct HolderCounters(BTreeMap<String, Vec<HoldSums>>);

impl HolderCounters {
    /// Adds what a worker's holders made others wait in the last second.
    pub fn add(&mut self, process_group: &str, change: &WorkerSample) {
        let fresh = Holds::all(change).0;
        if fresh.is_empty() {
            return;
        }
        let places = self.0.entry(process_group.to_owned()).or_default();
        for mut hold in fresh {
            if places.len() >= PLACES && !places.iter().any(|place| place.is_at(&hold)) {
                hold = HoldSums { seconds: hold.seconds, waits: hold.waits, ..others() };
            }
            match places.iter_mut().find(|place| place.is_at(&hold)) {
                Some(place) => place.merge(&hold),
                None => places.push(hold),
            }
        }
    }

    /// The `most` costliest places of each process group, and the seconds of all its places.
    pub fn costliest(&self, most: usize) -> impl Iterator<Item = (&str, Vec<&HoldSums>, f64)> {
        self.0.iter().map(move |(process_group, places)| {
            let mut sorted: Vec<&HoldSums> = places.iter().filter(|place| !place.file.is_empty()).collect();
            sorted.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
            sorted.truncate(most);
            (process_group.as_str(), sorted, places.iter().map(|place| place.seconds).sum())
        })
    }
}

/// The place of all beyond the limit.
fn others() -> HoldSums {
    HoldSums { function: OTHERS.into(), ..HoldSums::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_telemetry::sample::HoldSample;

    #[test]
    fn places_are_counted_and_their_number_is_bounded() {
        let hold = |line: u32, ns: u64| HoldSample {
            function: "f".into(),
            file: "f.py".into(),
            line,
            ns,
            waits: 1,
            longest: ns,
            ..HoldSample::default()
        };
        let mut counters = HolderCounters::default();
        let second = |holds| WorkerSample { holds, ..WorkerSample::default() };
        counters.add("app", &second((1..2_000).map(|line| hold(line, 1_000_000_000)).collect()));
        counters.add("app", &second(vec![hold(7, 5_000_000_000)]));
        counters.add("idle", &second(Vec::new()));
        let all: Vec<_> = counters.costliest(3).collect();
        let [(name, costliest, sum)] = &all[..] else { panic!("{all:?}") };
        assert_eq!((*name, costliest.len(), costliest[0].line, costliest[0].seconds), ("app", 3, 7, 6.0));
        assert_eq!(*sum, 2_004.0);
        assert!(counters.0["app"].len() <= PLACES + 1);
    }
}
