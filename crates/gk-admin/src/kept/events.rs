//! Events for people, the last few hundred: starts, ends, reloads, crashes with the requests that were running.

use crate::kept::hub::OTHERS;
use gk_telemetry::sample::InFlight;
use gk_wire::control::{Happened, What};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Events kept in memory; the database keeps more.
const KEPT: usize = 500;

/// Most pairs of a group and a reason that are counted apart.
const RESTARTS: usize = 4096;

/// Something that happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What and when.
    #[serde(flatten)]
    pub happened: Happened,
    /// The requests that ran when a process died.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Running>,
}

/// A request that ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of `InFlight`")]
pub struct Running {
    pub request: u64,
    pub thread: u32,
    pub method: String,
    pub path: String,
    pub route: String,
    pub application_group: String,
    /// Seconds since the front had its head.
    pub seconds: f64,
}

impl Running {
    /// Of a slot's request.
    pub fn new(request: &InFlight, thread: u32, now: f64) -> Self {
        Self {
            request: request.request,
            thread,
            method: request.method.clone(),
            path: request.path.clone(),
            route: request.route.clone(),
            application_group: request.application_group.clone(),
            seconds: (now - request.start as f64 / 1e9).max(0.0),
        }
    }
}

/// The last events, and how often workers ended for which reason.
#[derive(Debug, Default)]
pub struct Events {
    last: VecDeque<Event>,
    restarts: BTreeMap<(String, String), u64>,
}

impl Events {
    /// Adds one.
    pub fn push(&mut self, event: Event) {
        if matches!(event.happened.what, What::WorkerLeft | What::WorkerCrashed | What::WorkerGone) {
            let group = event.happened.process_group.clone().unwrap_or_default();
            let reason = event.happened.reason.clone().unwrap_or_else(|| "unknown".into());
            let mut key = (group, reason);
            // Other servers may make up names without end.
            if self.restarts.len() >= RESTARTS && !self.restarts.contains_key(&key) {
                key = (OTHERS.into(), String::new());
            }
            *self.restarts.entry(key).or_default() += 1;
        }
        self.last.push_back(event);
        if self.last.len() > KEPT {
            self.last.pop_front();
        }
    }

    /// The last so many, newest first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &Event> {
        self.last.iter().rev().take(count)
    }

    /// Ends of workers by (process group, reason).
    pub fn restarts(&self) -> &BTreeMap<(String, String), u64> {
        &self.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_reasons_are_counted_together_at_last() {
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
