//! The signs of life of one process: whether a question is open, and since when. The parent asks.

use std::time::Duration;

/// Silence that is told.
pub const TOLD: Duration = Duration::from_secs(5);

/// A process's side of the questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signs {
    /// The oldest question without an answer.
    asked: Option<Duration>,
    /// Its silence was logged.
    told: bool,
}

impl Signs {
    /// Time since the oldest question without an answer.
    pub fn silence(&self, now: Duration) -> Duration {
        self.asked.map_or(Duration::ZERO, |asked| now.saturating_sub(asked))
    }

    /// Asks, unless a question is open. `true`: send it.
    pub(in crate::plan) fn ask(&mut self, now: Duration) -> bool {
        let new = self.asked.is_none();
        self.asked.get_or_insert(now);
        new
    }

    /// A sign came. Returns the silence that ends with it, if it was told.
    pub(in crate::plan) fn came(&mut self, now: Duration) -> Option<Duration> {
        let silence = self.silence(now);
        self.asked = None;
        std::mem::take(&mut self.told).then_some(silence)
    }

    /// Whether the silence is to be told now, once.
    pub(in crate::plan) fn tells(&mut self, now: Duration) -> bool {
        self.silence(now) >= TOLD && !std::mem::replace(&mut self.told, true)
    }

    /// The silence counts from now on.
    pub(in crate::plan) fn begin_again(&mut self, now: Duration) {
        self.asked = Some(now);
    }

    /// Time in which nobody could have answered.
    pub(in crate::plan) fn forgive(&mut self, time: Duration) {
        self.asked = self.asked.map(|asked| asked + time);
    }
}
