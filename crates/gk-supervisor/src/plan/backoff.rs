//! Delay before a process that died is started again: none the first time, then twice as long each time up to a bound. A process
//! that served for a while resets it. Each slot has its own, so that crashes of one process group never delay another.

use std::time::Duration;

/// Delay before the second restart; it doubles from there.
pub const FIRST: Duration = Duration::from_millis(100);
/// Longest delay.
pub const LONGEST: Duration = Duration::from_secs(30);
/// Serving this long resets the delay.
pub const LIVED: Duration = Duration::from_secs(10);

/// Failures in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Records a death and returns the delay. `served`: how long the process was ready; `None`: it never was.
    pub fn failed(&mut self, served: Option<Duration>) -> Duration {
        if served.is_some_and(|s| s >= LIVED) {
            self.failures = 0;
        }
        // A process that was never ready would probably fail again at once.
        let steps = if served.is_none() { self.failures.max(1) } else { self.failures };
        let delay = match steps {
            0 => Duration::ZERO,
            n => FIRST.saturating_mul(1 << (n - 1).min(16)).min(LONGEST),
        };
        self.failures += 1;
        delay
    }

    /// Failures in a row so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_the_bound_and_is_reset_by_serving() {
        let mut backoff = Backoff::default();
        let short = Some(Duration::from_secs(1));
        assert_eq!(backoff.failed(short), Duration::ZERO);
        assert_eq!(backoff.failed(short), Duration::from_millis(100));
        assert_eq!(backoff.failed(short), Duration::from_millis(200));
        for _ in 0..40 {
            backoff.failed(None);
        }
        assert_eq!(backoff.failed(short), LONGEST);
        assert_eq!(backoff.failed(Some(LIVED)), Duration::ZERO);
    }

    #[test]
    fn a_process_that_was_never_ready_waits_from_the_first_time() {
        assert_eq!(Backoff::default().failed(None), FIRST);
    }
}
