//! Events of exceptions that leave applications: the first of a type at once, later ones once a minute with their number, so that an
//! application that fails at each request does not push all other events out.

use crate::heard::event::Event;
use crate::heard::requests::FinishedRequest;
use crate::heard::worker::TrackedWorker;
use gk_wire::control::{Happened, What};
use std::collections::BTreeMap;

/// Seconds between two events of the same type.
const QUIET: f64 = 60.0;
/// Most types that are told, of all process groups.
const TYPES: usize = 256;

/// What is known of a type in a process group.
#[derive(Debug, Default)]
struct Told {
    /// Epoch seconds of the last event.
    at: f64,
    /// Exceptions since then.
    count: u64,
    /// Process and request of the last of them that was kept.
    last: Option<(u32, String)>,
    /// An event was due without one: counters and requests are read one after the other, so it may come in the next second.
    late: bool,
}

/// The types of exceptions that were seen.
#[derive(Debug, Default)]
pub struct Exceptions(BTreeMap<(String, String), Told>);

impl Exceptions {
    /// Adds the exceptions of a worker in the last second.
    pub fn add(&mut self, worker: &TrackedWorker) {
        for group in &worker.change.groups {
            for (kind, count) in &group.figures.raised {
                let key = (worker.link.process_group.clone(), kind.clone());
                if let Some(told) = self.told(key) {
                    told.count = told.count.saturating_add(*count);
                }
            }
        }
    }

    /// Notes the last request of a type.
    pub fn note(&mut self, request: &FinishedRequest) {
        let finished = &request.finished;
        if finished.raised.is_empty() {
            return;
        }
        if let Some(told) = self.told((request.process_group.clone(), finished.raised.clone())) {
            told.last = Some((request.pid, format!("{} {}", finished.method, finished.path)));
        }
    }

    fn told(&mut self, key: (String, String)) -> Option<&mut Told> {
        (self.0.len() < TYPES || self.0.contains_key(&key)).then(|| self.0.entry(key).or_default())
    }

    /// The events that are due; `now` in epoch seconds.
    pub fn events(&mut self, now: f64) -> Vec<Event> {
        let due = |told: &Told| told.count > 0 && !(0.0..QUIET).contains(&(now - told.at));
        let mut events = Vec::new();
        for ((group, kind), told) in self.0.iter_mut().filter(|(_, told)| due(told)) {
            if told.last.is_none() && !std::mem::replace(&mut told.late, true) {
                continue;
            }
            told.late = false;
            let (pid, place) = match told.last.take() {
                Some((pid, request)) => (Some(pid), format!(" in {request}")),
                None => (None, String::new()),
            };
            let text = match told.count {
                1 => format!("{kind} left the application{place}"),
                count => format!("{kind} left the application {count} times, last{place}"),
            };
            let text = text.strip_suffix(", last").unwrap_or(&text).to_owned();
            (told.at, told.count) = (now, 0);
            let happened = Happened {
                at: now,
                what: What::ExceptionRaised,
                process_group: Some(group.clone()),
                worker: None,
                pid,
                reason: Some(kind.clone()),
                text,
            };
            events.push(Event { happened, requests: Vec::new() });
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(seen: &mut Exceptions, kind: &str, more: u64, request: Option<&str>) {
        let told = seen.0.entry(("site".into(), kind.into())).or_default();
        told.count += more;
        told.last = request.map(|request| (7, request.to_owned())).or(told.last.take());
    }

    fn texts(events: &[Event]) -> Vec<&str> {
        events.iter().map(|event| event.happened.text.as_str()).collect()
    }

    /// Reported: the event of an exception was sometimes without its request. Counters and requests are read at different moments.
    #[test]
    fn a_request_may_come_before_its_count_or_after_it() {
        let mut seen = Exceptions::default();
        count(&mut seen, "ValueError", 0, Some("GET /a"));
        assert!(seen.events(1001.0).is_empty());
        count(&mut seen, "ValueError", 1, None);
        assert_eq!(texts(&seen.events(1002.0)), ["ValueError left the application in GET /a"]);
        count(&mut seen, "KeyError", 1, None);
        assert!(seen.events(1003.0).is_empty());
        count(&mut seen, "KeyError", 0, Some("GET /b"));
        assert_eq!(texts(&seen.events(1004.0)), ["KeyError left the application in GET /b"]);
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_once_a_minute() {
        let mut seen = Exceptions::default();
        count(&mut seen, "ValueError", 1, Some("GET /a"));
        count(&mut seen, "KeyError", 3, None);
        assert_eq!(texts(&seen.events(999.0)), ["ValueError left the application in GET /a"]);
        let first = seen.events(1000.0);
        assert_eq!(
            texts(&first),
            ["KeyError left the application 3 times"],
            "its request may have come a second later"
        );
        for second in 0..59 {
            count(&mut seen, "ValueError", 2, Some("GET /b"));
            assert!(seen.events(1000.0 + f64::from(second)).is_empty());
        }
        let later = seen.events(1059.0);
        assert_eq!(texts(&later), ["ValueError left the application 118 times, last in GET /b"]);
        assert_eq!(
            (later[0].happened.pid, later[0].happened.reason.as_deref()),
            (Some(7), Some("ValueError"))
        );
        // The clock was set back by an hour.
        count(&mut seen, "ValueError", 1, Some("GET /b"));
        assert_eq!(seen.events(0.0).len(), 1);
    }
}
