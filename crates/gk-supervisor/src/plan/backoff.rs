//! The pause before a process that ended is started again. It depends on how far the process came:
//!
//! * It never served (no start, no import): the next one would probably fail in the same way. The pause grows from failure to
//!   failure.
//! * It served and died: requests wait for the next one, so there is no growing pause. Only the starts of one slot are kept
//!   apart, so that processes that die right after their start do not take a whole CPU.
//! * A service script that ends early: the pause grows, as nobody waits for it.
//!
//! Each slot has its own, so that crashes of one process group never delay another.

use std::time::Duration;

/// Pause after the first failure; it doubles from there.
pub const FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
pub const LONGEST: Duration = Duration::from_secs(30);
/// A process that served this long has nothing to do with the failures before it.
pub const LIVED: Duration = Duration::from_secs(10);
/// Shortest time between two starts of a slot whose processes die soon after they served.
pub const APART: Duration = Duration::from_secs(1);
/// The same where nobody else serves.
pub const APART_ALONE: Duration = Duration::from_millis(250);

/// Failures in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    /// Processes that never served.
    starts: u32,
    /// Processes that served for less than [`LIVED`].
    deaths: u32,
}

impl Backoff {
    /// Records a process that never served, and returns the pause.
    pub fn never_served(&mut self) -> Duration {
        self.starts += 1;
        growing(self.starts)
    }

    /// Records the death of a process that served. `age`: time since its start. `alone`: no other process does its work.
    pub fn died(&mut self, age: Duration, served: Duration, alone: bool) -> Duration {
        self.starts = 0;
        if served >= LIVED {
            self.deaths = 0;
        }
        self.deaths += 1;
        let apart = if alone { APART_ALONE } else { APART };
        if self.deaths == 1 { Duration::ZERO } else { apart.saturating_sub(age) }
    }

    /// Records the end of a service script that ran for `ran`; `None`: it did not start.
    pub fn service_ended(&mut self, ran: Option<Duration>) -> Duration {
        if ran.is_some_and(|ran| ran >= LIVED) {
            self.starts = 0;
        }
        let pause = if ran.is_none() { growing(self.starts.max(1)) } else { growing(self.starts) };
        self.starts += 1;
        pause
    }

    /// Processes in a row that never served.
    pub fn failures(&self) -> u32 {
        self.starts
    }
}

fn growing(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST.saturating_mul(1 << (n - 1).min(16)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(50);

    #[test]
    fn the_pause_of_a_process_that_never_serves_doubles_up_to_the_bound() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.never_served(), FIRST);
        assert_eq!(backoff.never_served(), 2 * FIRST);
        for _ in 0..40 {
            backoff.never_served();
        }
        assert_eq!(backoff.never_served(), LONGEST);
        // One that served ends the row.
        backoff.died(MOMENT, MOMENT, true);
        assert_eq!(backoff.never_served(), FIRST);
    }

    #[test]
    fn the_starts_of_processes_that_served_are_only_kept_apart() {
        for (alone, apart) in [(true, APART_ALONE), (false, APART)] {
            let mut backoff = Backoff::default();
            assert_eq!(backoff.died(MOMENT, MOMENT, alone), Duration::ZERO);
            for _ in 0..40 {
                assert_eq!(backoff.died(MOMENT, MOMENT, alone), apart - MOMENT);
                assert_eq!(backoff.died(apart, MOMENT, alone), Duration::ZERO);
            }
            assert_eq!(backoff.died(LIVED, LIVED, alone), Duration::ZERO);
            assert_eq!(backoff.failures(), 0, "they served");
        }
    }

    #[test]
    fn a_service_script_may_end_once_without_a_pause() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.service_ended(Some(MOMENT)), Duration::ZERO);
        assert_eq!(backoff.service_ended(Some(MOMENT)), FIRST);
        assert_eq!(backoff.service_ended(None), 2 * FIRST);
        assert_eq!(backoff.service_ended(Some(LIVED)), Duration::ZERO);
        assert_eq!(Backoff::default().service_ended(None), FIRST);
    }
}
