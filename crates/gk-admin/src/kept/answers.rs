//! Answers to clients as the front counts them, and those of each second.

use gk_telemetry::{Answered, Portion};
use std::collections::BTreeMap;

/// Seconds in which the first figures of the front come.
const FIRST: u32 = 3;

/// Answers by process group.
#[derive(Debug, Default)]
pub struct Answers {
    /// Since the front's start, now and as of the second before.
    now: BTreeMap<String, Answered>,
    before: BTreeMap<String, Answered>,
    /// Seconds that this process has read.
    seconds: u32,
}

impl Answers {
    /// The answers of a group since the front's start.
    pub fn take(&mut self, process_group: String, answered: Answered) {
        self.now.insert(process_group, answered);
    }

    /// All answers since the front's start; the name of those of no group is empty.
    pub fn all(&self) -> &BTreeMap<String, Answered> {
        &self.now
    }

    /// Adds the answers of the last second. A group without a living worker gets its portion from them. `last` and `now`: epoch
    /// seconds of the second before and of this one; `front_started`: the same of the front's start.
    pub fn add(
        &mut self,
        groups: &mut BTreeMap<String, Portion>,
        (last, now): (Option<f64>, f64),
        front_started: f64,
    ) {
        let span = last.map_or(1.0, |last| (now - last).clamp(0.1, 10.0));
        // An admin process that was started again is told of all answers since the front's start: they are none of this second.
        self.seconds = self.seconds.saturating_add(1);
        let is_late = self.seconds <= FIRST && now - front_started > f64::from(FIRST) + 1.0;
        for (name, answered) in &self.now {
            let fresh = match self.before.get(name) {
                Some(before) if before == answered => continue,
                Some(before) => answered.since(before),
                None if is_late => Answered::default(),
                None => answered.clone(),
            };
            self.before.insert(name.clone(), answered.clone());
            if fresh.is_empty() {
                continue;
            }
            let portion =
                groups.entry(name.clone()).or_insert_with(|| Portion { span, ..Portion::default() });
            portion.answered = fresh;
        }
    }
}
