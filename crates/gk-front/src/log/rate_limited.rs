//! A limit on how often the error log repeats itself.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Between two lines about the same trouble.
const PAUSE: Duration = Duration::from_secs(60);

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
