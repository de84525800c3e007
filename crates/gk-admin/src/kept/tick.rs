//! The figures of one second, and the last minute in memory, for labels and tables.

use gk_telemetry::Portion;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Seconds in memory.
const LENGTH: f64 = 60.0;

/// The figures of one second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Epoch seconds of its end.
    pub t: f64,
    /// By process group.
    pub groups: BTreeMap<String, Portion>,
}

/// The last minute.
#[derive(Debug, Default)]
pub struct LastMinute(VecDeque<Arc<Tick>>);

impl LastMinute {
    /// Adds a second.
    pub fn push(&mut self, tick: Arc<Tick>) {
        let oldest = tick.t - LENGTH;
        // Ticks in the future were added before the clock was set back.
        self.0.retain(|old| old.t <= tick.t);
        self.0.push_back(tick);
        while self.0.front().is_some_and(|tick| tick.t < oldest) {
            self.0.pop_front();
        }
    }

    /// The last second.
    pub fn last(&self) -> Option<&Arc<Tick>> {
        self.0.back()
    }

    /// The last `seconds` by process group.
    pub fn window(&self, seconds: f64) -> BTreeMap<String, Portion> {
        let mut groups: BTreeMap<String, Portion> = BTreeMap::new();
        let Some(last) = self.0.back() else { return groups };
        for tick in self.0.iter().filter(|tick| tick.t > last.t - seconds) {
            for (name, portion) in &tick.groups {
                groups.entry(name.clone()).or_default().append(portion);
            }
        }
        groups
    }
}

/// One portion for several process groups.
pub fn together<'p>(portions: impl IntoIterator<Item = &'p Portion>) -> Portion {
    let mut all = Portion::default();
    portions.into_iter().for_each(|portion| all.join(portion));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_is_the_last_minute_whatever_the_clock_does() {
        let mut recent = LastMinute::default();
        for t in (0..100).chain(20..50).chain(4_000..4_010) {
            let groups = BTreeMap::from([("g".to_owned(), Portion { span: 1.0, ..Portion::default() })]);
            recent.push(Arc::new(Tick { t: f64::from(t), groups }));
            assert!(recent.window(60.0)["g"].span <= 61.0, "at {t}");
        }
        assert_eq!(recent.window(60.0)["g"].span, 10.0);
    }
}
