//! Places in the application that held a GIL while others waited, in a span of time: the ones that cost most.

use crate::sample::WorkerSample;
use serde::{Deserialize, Serialize};

/// Places kept; smaller ones are left out.
const PLACES: usize = 16;
const NS: f64 = 1e9;

/// The time that a place made others wait.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HoldSums {
    /// Qualified name of the function, or what stands for it in parentheses.
    pub function: String,
    /// File; empty for what is no function.
    pub file: String,
    /// Line; 0 for what is no function.
    pub line: u32,
    /// Route of the request, or thread, that held the GIL.
    pub route: String,
    /// Application group.
    pub application_group: String,
    /// Seconds that others waited.
    pub seconds: f64,
    /// Waits.
    pub waits: u64,
    /// Seconds of the longest wait of the worker so far.
    pub longest: f64,
}

/// The places of a portion, the costliest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holds(pub Vec<HoldSums>);

impl HoldSums {
    /// Whether both are the same place.
    pub fn is_at(&self, other: &Self) -> bool {
        self.line == other.line
            && self.function == other.function
            && self.file == other.file
            && self.route == other.route
            && self.application_group == other.application_group
    }

    /// Adds another one's figures.
    pub fn merge(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.waits = self.waits.saturating_add(other.waits);
        self.longest = self.longest.max(other.longest);
    }
}

impl Holds {
    /// The costliest of a worker, from the difference of two readings.
    pub(super) fn of(change: &WorkerSample) -> Self {
        let mut holds = Self::all(change);
        holds.trim();
        holds
    }

    /// All of them.
    pub fn all(change: &WorkerSample) -> Self {
        let mut holds = Self::default();
        for hold in change.holds.iter().filter(|hold| hold.waits > 0 || hold.ns > 0) {
            holds.add(HoldSums {
                function: hold.function.clone(),
                file: hold.file.clone(),
                line: hold.line,
                route: change.route_name(hold.route).to_owned(),
                application_group: hold.application_group.clone(),
                seconds: hold.ns as f64 / NS,
                waits: hold.waits,
                longest: hold.longest as f64 / NS,
            });
        }
        holds
    }

    /// Adds those of another portion.
    pub(super) fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|hold| self.add(hold.clone()));
        self.trim();
    }

    fn add(&mut self, hold: HoldSums) {
        match self.0.iter_mut().find(|mine| mine.is_at(&hold)) {
            Some(mine) => mine.merge(&hold),
            None => self.0.push(hold),
        }
    }

    fn trim(&mut self) {
        self.0.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        self.0.truncate(PLACES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_costliest_places_stay_and_add_up() {
        let hold = |line: u32, seconds: f64| HoldSums {
            line,
            seconds,
            waits: 1,
            longest: seconds,
            ..HoldSums::default()
        };
        let mut holds = Holds((1..=PLACES as u32).map(|line| hold(line, f64::from(line))).collect());
        holds.join(&Holds(vec![hold(3, 100.0), hold(99, 0.5)]));
        assert_eq!(holds.0.len(), PLACES);
        assert_eq!(
            (holds.0[0].line, holds.0[0].seconds, holds.0[0].waits, holds.0[0].longest),
            (3, 103.0, 2, 100.0)
        );
        assert!(holds.0.iter().all(|hold| hold.line != 99));
        let json = serde_json::to_string(&holds).unwrap();
        assert_eq!(serde_json::from_str::<Holds>(&json).unwrap(), holds);
    }
}
