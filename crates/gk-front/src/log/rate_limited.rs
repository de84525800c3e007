//! A limit on how often the error log repeats itself.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Between two lines about the same trouble.
const PAUSE: Duration = Duration::from_secs(60);

/// Trouble that happens again and again: how often it did, and a log line about it once a minute.
#[derive(Debug, Default)]
pub struct Repeated {
    count: Cell<u64>,
    noted: RateLimited,
}

impl Repeated {
    /// It has happened once more. `Some`: a line is due, which says how often.
    pub fn note(&self) -> Option<u64> {
        self.count.set(self.count.get() + 1);
        self.noted.is_due().then(|| self.count.get())
    }

    /// How often it has happened.
    pub fn count(&self) -> u64 {
        self.count.get()
    }
}

/// A log line that may come once a minute.
#[derive(Debug, Default)]
pub struct RateLimited(Cell<Option<Instant>>);

impl RateLimited {
    /// Whether to write the line now; starts the pause if so.
    pub fn is_due(&self) -> bool {
        let due = self.0.get().is_none_or(|last| last.elapsed() >= PAUSE);
        if due {
            self.0.set(Some(Instant::now()));
        }
        due
    }
}
