//! Requests of a process group that its queue refused, and those that were tried again: counters, and lines of the error log that
//! come at most once a minute for each reason. Thousands may be refused in a second.

use gk_wire::log::Level;
use gk_wire::queue::QueueFigures;
use std::cell::Cell;

use crate::log::rate_limited::RateLimited;
use crate::worker::dispatcher::QueueRefusal;

/// Milliseconds after a refusal for which a queue counts as overloaded.
const OVERLOADED: u64 = 10_000;

/// The counters.
#[derive(Debug, Default)]
pub struct Tally {
    full: Reason,
    timed_out: Reason,
    no_worker: Reason,
    no_place: Reason,
    retried: Cell<u64>,
    /// Coarse milliseconds of the last refusal for want of capacity.
    overloaded: Cell<Option<u64>>,
}

/// The refusals for one reason.
#[derive(Debug, Default)]
struct Reason {
    count: Cell<u64>,
    line: RateLimited,
}

impl Tally {
    /// Counts a refusal at the coarse time `now` and writes the line that is due. `group`: the process group's name.
    pub fn refused(&self, group: &str, why: QueueRefusal, now: u64, client: &str) {
        if why != QueueRefusal::NoWorker {
            self.overloaded.set(Some(now));
        }
        let reason = self.reason(why);
        let count = reason.count.get() + 1;
        reason.count.set(count);
        if reason.line.is_due() {
            let (code, text) = line(group, why);
            let so_far =
                if count > 1 { format!(" ({count} since the front started)") } else { String::new() };
            crate::note_code(Level::Error, code, Some(client), &(text + &so_far));
        }
    }

    /// Counts a request that is tried again.
    pub fn retried(&self) {
        self.retried.set(self.retried.get() + 1);
    }

    /// The counters, at the coarse time `now`.
    pub fn figures(&self, now: u64) -> QueueFigures {
        QueueFigures {
            overloaded: self.overloaded.get().is_some_and(|last| now.saturating_sub(last) < OVERLOADED),
            full: self.full.count.get(),
            timed_out: self.timed_out.count.get(),
            no_worker: self.no_worker.count.get(),
            no_place: self.no_place.count.get(),
            retried: self.retried.get(),
            ..QueueFigures::default()
        }
    }

    fn reason(&self, why: QueueRefusal) -> &Reason {
        match why {
            QueueRefusal::Full => &self.full,
            QueueRefusal::TimedOut => &self.timed_out,
            QueueRefusal::NoWorker => &self.no_worker,
            QueueRefusal::NoPlace => &self.no_place,
        }
    }
}

/// Code and text of a refusal's line.
fn line(group: &str, why: QueueRefusal) -> (&'static str, String) {
    match why {
        QueueRefusal::Full => (
            "GK0030",
            format!(
                "the waiting requests of process group '{group}' hold as much memory as queue-memory= allows; the newest are answered 503"
            ),
        ),
        QueueRefusal::TimedOut => (
            "WSGI0084",
            format!("a request waited in the queue of process group '{group}' for queue-timeout"),
        ),
        QueueRefusal::NoWorker => {
            ("WSGI0116", format!("process group '{group}' had no worker for connect-timeout"))
        }
        QueueRefusal::NoPlace => (
            "WSGI0116",
            format!(
                "a request stood behind listen-backlog= others in the queue of process group '{group}' for connect-timeout"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_overloaded_for_a_while_after_a_refusal_for_want_of_capacity() {
        use QueueRefusal::{Full, NoPlace, NoWorker, TimedOut};
        for (why, overloads) in [(Full, true), (TimedOut, true), (NoPlace, true), (NoWorker, false)] {
            let tally = Tally::default();
            assert!(!tally.figures(0).overloaded);
            tally.refused("g", why, 5_000, "");
            assert_eq!(tally.figures(5_000).overloaded, overloads, "{why:?}");
            assert_eq!(tally.figures(14_999).overloaded, overloads, "{why:?}");
            assert!(!tally.figures(15_000).overloaded);
        }
    }

    #[test]
    fn each_reason_has_its_counter() {
        let tally = Tally::default();
        let reasons =
            [QueueRefusal::Full, QueueRefusal::TimedOut, QueueRefusal::NoWorker, QueueRefusal::NoPlace];
        for (times, why) in (1..).zip(reasons) {
            (0..times).for_each(|_| tally.refused("g", why, 0, ""));
        }
        tally.retried();
        let figures = tally.figures(0);
        assert_eq!((figures.full, figures.timed_out, figures.no_worker, figures.no_place), (1, 2, 3, 4));
        assert_eq!(figures.retried, 1);
    }
}
