//! The last few hundred events, and the number of ends of workers by reason.

use crate::heard::event::Event;
use crate::kept::counters::OTHERS;
use crate::kept::handed_on::Restarts;
use gk_wire::control::What;
use std::collections::VecDeque;

/// Events in memory; the database has more.
const LENGTH: usize = 500;

/// Most pairs of a group and a reason that are counted separately.
const RESTARTS: usize = 4096;

/// The last events, and the ends of workers.
#[derive(Debug, Default)]
pub struct Events {
    last: VecDeque<Event>,
    restarts: Restarts,
}

impl Events {
    /// Adds an event. Whether it is counted as the end of a worker.
    pub fn push(&mut self, event: Event) -> bool {
        let counts = matches!(event.happened.what, What::WorkerLeft | What::WorkerCrashed | What::WorkerGone);
        if counts {
            let group = event.happened.process_group.clone().unwrap_or_default();
            let unnamed = if event.happened.what == What::WorkerCrashed { "crash" } else { "unknown" };
            let reason = event.happened.reason.clone().unwrap_or_else(|| unnamed.into());
            let mut key = (group, reason);
            if self.restarts.len() >= RESTARTS && !self.restarts.contains_key(&key) {
                key = (OTHERS.into(), String::new());
            }
            *self.restarts.entry(key).or_default() += 1;
        }
        self.last.push_back(event);
        if self.last.len() > LENGTH {
            self.last.pop_front();
        }
        counts
    }

    /// Begins with the ends of workers that an earlier admin process has counted.
    pub fn restore(&mut self, restarts: Restarts) {
        self.restarts = restarts;
    }

    /// The last `count` events, newest first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &Event> {
        self.last.iter().rev().take(count)
    }

    /// Number of ends of workers by (process group, reason).
    pub fn restarts(&self) -> &Restarts {
        &self.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_wire::control::Happened;

    #[test]
    fn reasons_beyond_the_limit_are_counted_together() {
        let mut events = Events::default();
        let mut left = |reason: String| {
            let happened = Happened {
                what: What::WorkerLeft,
                process_group: Some("web/app".into()),
                reason: Some(reason),
                ..Happened::default()
            };
            events.push(Event { happened, requests: Vec::new() });
        };
        (0..5_000).for_each(|n| left(format!("made up {n}")));
        left("made up 7".into());
        let restarts = events.restarts();
        assert_eq!((restarts.len(), restarts.values().sum::<u64>()), (4097, 5_001));
        assert_eq!(restarts[&("web/app".into(), "made up 7".into())], 2);
        assert_eq!(restarts[&("(others)".into(), String::new())], 904);
    }
}
