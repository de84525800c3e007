//! Times in which this process did not run at all: it was stopped, or its container or the whole machine was. Nobody is to blame for
//! them, so the timers do not count them. Pure: the main loop's ticks tell, which otherwise come a few times a second.

/// Seconds between two ticks from which the process did not run.
const ASLEEP: f64 = 1.0;

/// The freezes so far, as far as the timers need them.
#[derive(Debug, Default)]
pub(crate) struct Freezes {
    /// Time of the last tick.
    last: Option<f64>,
    /// Seconds in all.
    total: f64,
    /// End of the last one.
    awake_since: f64,
    /// For each request thread: start of its request, and `total` when it began.
    requests: Vec<Option<(f64, f64)>>,
}

impl Freezes {
    /// A tick at `now`, with the start of the current request of each thread. Returns the seconds of a freeze that it ends.
    pub(crate) fn tick(&mut self, now: f64, busy_since: &[Option<f64>]) -> Option<f64> {
        let before = self.total;
        let gap = self.last.replace(now).map_or(0.0, |last| now - last);
        let frozen = (gap >= ASLEEP).then_some(gap);
        if let Some(gap) = frozen {
            self.total += gap;
            self.awake_since = now;
        }
        self.requests.resize(busy_since.len(), None);
        for (request, since) in self.requests.iter_mut().zip(busy_since) {
            match since {
                // One that began since the last tick may have begun before the freeze.
                Some(since) if request.is_none_or(|(start, _)| start != *since) => {
                    *request = Some((*since, before));
                }
                Some(_) => {}
                None => *request = None,
            }
        }
        frozen
    }

    /// Seconds that the request of a thread has run, without freezes.
    pub(crate) fn age(&self, thread: usize, since: f64, now: f64) -> f64 {
        let begun = self.requests.get(thread).copied().flatten().filter(|(start, _)| *start == since);
        let frozen = begun.map_or(0.0, |(_, before)| self.total - before);
        (now - since - frozen).max(0.0)
    }

    /// End of the last freeze.
    pub(crate) fn awake_since(&self) -> f64 {
        self.awake_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_that_a_request_was_frozen_is_taken_off_its_age() {
        let mut freezes = Freezes::default();
        assert_eq!(freezes.tick(100.0, &[Some(99.0), None]), None, "the first tick tells of nothing");
        assert_eq!(freezes.tick(100.25, &[Some(99.0), None]), None);
        assert_eq!(freezes.tick(160.25, &[Some(99.0), Some(100.3)]), Some(60.0));
        assert_eq!(freezes.awake_since(), 160.25);
        assert_eq!(freezes.age(0, 99.0, 160.25), 1.25);
        assert_eq!(freezes.age(1, 100.3, 160.25), 0.0, "it began just before");
        freezes.tick(160.5, &[Some(99.0), Some(160.4)]);
        assert!((freezes.age(0, 99.0, 161.25) - 2.25).abs() < 1e-9);
        assert!((freezes.age(1, 160.4, 161.4) - 1.0).abs() < 1e-9, "it began afterwards");
    }
}
