//! When the next request is due. Pure: times are nanoseconds since the start and come as arguments.

use std::sync::Arc;

/// When the next request is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Pace {
    /// Each connection sends again as soon as it is answered.
    Closed,
    /// This many requests per second, evenly spread, whether or not the server keeps up.
    Rate(f64),
    /// At these moments (nanoseconds from the start, in order), these requests (indexes).
    Schedule(Arc<Vec<(u64, u16)>>),
}

/// One thread's share of an open loop's schedule.
#[derive(Debug, Clone)]
pub struct Due {
    pace: Pace,
    /// Index of the next request.
    next: u64,
    /// Number of threads that share the schedule.
    threads: u64,
    /// End of the schedule (exclusive).
    end: u64,
}

impl Due {
    /// The share of thread `thread` of `threads`, up to `end`.
    pub fn new(pace: Pace, thread: usize, threads: usize, end: u64) -> Self {
        Self { pace, next: thread as u64, threads: threads as u64, end }
    }

    /// When the next request is due, and with a schedule which one; `None` after the last.
    #[inline]
    pub fn peek(&self) -> Option<(u64, Option<u16>)> {
        let due = match &self.pace {
            Pace::Closed => return None,
            Pace::Rate(rate) => ((self.next as f64 / rate * 1e9) as u64, None),
            Pace::Schedule(schedule) => {
                let (at, request) = *schedule.get(self.next as usize)?;
                (at, Some(request))
            }
        };
        (due.0 < self.end).then_some(due)
    }

    /// Marks the next request as taken.
    #[inline]
    pub fn advance(&mut self) {
        self.next += self.threads;
    }

    /// Number of requests due in `begin..end` that were not taken.
    pub fn missed(&self, begin: u64, end: u64) -> u64 {
        self.late(end) - self.late(begin.min(end))
    }

    /// Number of requests due before `now` that were not taken.
    fn late(&self, now: u64) -> u64 {
        let mut ahead = self.clone();
        let mut count = 0;
        while ahead.peek().is_some_and(|(due, _)| due < now) {
            ahead.advance();
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pace: &Pace, thread: usize, threads: usize, end: u64) -> Vec<u64> {
        let mut due = Due::new(pace.clone(), thread, threads, end);
        let mut found = Vec::new();
        while let Some((at, _)) = due.peek() {
            found.push(at);
            due.advance();
        }
        found
    }

    #[test]
    fn threads_share_a_rate() {
        let pace = Pace::Rate(1000.0);
        assert_eq!(all(&pace, 0, 1, 3_000_000), [0, 1_000_000, 2_000_000]);
        assert_eq!(all(&pace, 0, 2, 4_000_000), [0, 2_000_000]);
        assert_eq!(all(&pace, 1, 2, 4_000_000), [1_000_000, 3_000_000]);
        assert!(all(&Pace::Closed, 0, 1, 1_000).is_empty());
        let due = Due::new(pace, 0, 1, 10_000_000);
        assert_eq!((due.late(2_500_000), due.late(1 << 40)), (3, 10));
    }

    #[test]
    fn requests_missed_in_the_warm_up_do_not_count() {
        let mut due = Due::new(Pace::Rate(1000.0), 0, 1, 10_000_000);
        assert_eq!(due.missed(4_000_000, 10_000_000), 6);
        (0..7).for_each(|_| due.advance());
        assert_eq!(due.missed(4_000_000, 10_000_000), 3);
        assert_eq!((due.missed(4_000_000, 2_000_000), due.missed(0, 8_000_000)), (0, 1));
        assert_eq!(Due::new(Pace::Closed, 0, 1, 9).missed(0, 9), 0);
    }

    #[test]
    fn a_schedule_names_its_requests() {
        let pace = Pace::Schedule(Arc::new(vec![(5, 2), (9, 0)]));
        let mut due = Due::new(pace, 0, 1, 100);
        assert_eq!(due.peek(), Some((5, Some(2))));
        due.advance();
        due.advance();
        assert_eq!(due.peek(), None);
    }
}
