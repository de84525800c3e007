//! How many requests a worker may hold beyond its free threads. Pure: times come in as numbers.
//!
//! A worker whose application answers in 5 µs needs the next requests at hand, or it sleeps and wakes for each; one
//! whose application takes 5 ms needs none, and a request parked there might wait while another worker is free. So
//! the allowance is [`AHEAD_MICROS`] worth of work, by a smoothed service time and its deviation, and it shrinks at
//! once when a worker stands still.

/// Microseconds of work that may wait inside a worker.
const AHEAD_MICROS: f64 = 500.0;
/// Most requests that may wait inside a worker.
const MOST_AHEAD: u32 = 64;
/// Weight of a new sample.
const WEIGHT: f64 = 0.125;
/// Microseconds without any completion after which nothing more is given ahead.
const STILL_MICROS: u64 = 2_000;

/// The estimate for one worker.
#[derive(Debug, Clone)]
pub struct Balance {
    threads: u32,
    /// Smoothed microseconds of one thread per request; `None` before the first completion.
    mean: Option<f64>,
    deviation: f64,
    /// When the span of the next sample began: the last completion, or the first dispatch to an idle worker.
    span_start: u64,
}

impl Balance {
    /// For a worker with so many request threads.
    pub fn new(threads: u32) -> Self {
        Self { threads: threads.max(1), mean: None, deviation: 0.0, span_start: 0 }
    }

    /// A request goes to a worker that had none.
    pub fn woke(&mut self, now_micros: u64) {
        self.span_start = now_micros;
    }

    /// `count` requests ended since the last call; `in_flight` were there before they did.
    pub fn completed(&mut self, now_micros: u64, count: u32, in_flight: u32) {
        if count == 0 {
            return;
        }
        let span = now_micros.saturating_sub(self.span_start) as f64;
        self.span_start = now_micros;
        let busy = f64::from(in_flight.clamp(1, self.threads));
        let sample = span * busy / f64::from(count);
        match self.mean {
            None => (self.mean, self.deviation) = (Some(sample), sample / 2.0),
            Some(mean) => {
                // A batch of many is worth as many samples, at most a half of the new value.
                let weight = (WEIGHT * f64::from(count)).min(0.5);
                self.deviation += weight * ((sample - mean).abs() - self.deviation);
                self.mean = Some(mean + weight * (sample - mean));
            }
        }
    }

    /// Requests that the worker may hold in all.
    pub fn limit(&self, now_micros: u64, in_flight: u32) -> u32 {
        self.threads + self.ahead(now_micros, in_flight)
    }

    fn ahead(&self, now_micros: u64, in_flight: u32) -> u32 {
        let Some(mean) = self.mean else { return 0 };
        let still = now_micros.saturating_sub(self.span_start);
        if in_flight >= self.threads && still > STILL_MICROS {
            return 0;
        }
        let each = (mean + self.deviation).max(1.0);
        ((AHEAD_MICROS / each * f64::from(self.threads)) as u32).min(MOST_AHEAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `rounds` batches of `count` requests, `micros` apart.
    fn after(threads: u32, rounds: u32, micros: u64, count: u32) -> (Balance, u64) {
        let mut balance = Balance::new(threads);
        let mut now = 1_000;
        balance.woke(now);
        for _ in 0..rounds {
            now += micros;
            balance.completed(now, count, threads.max(count));
        }
        (balance, now)
    }

    #[test]
    fn nothing_is_given_ahead_to_a_worker_nobody_knows() {
        assert_eq!(Balance::new(4).limit(0, 0), 4);
    }

    #[test]
    fn a_fast_application_gets_many_and_a_slow_one_none() {
        let (fast, now) = after(1, 50, 60, 12);
        assert!(fast.limit(now, 0) >= 40, "{fast:?}");
        let (slow, now) = after(4, 50, 1_250, 1);
        assert_eq!(slow.limit(now, 4), 4, "{slow:?}");
        let (slow, now) = after(1, 50, 700, 1);
        assert_eq!(slow.limit(now, 1), 1, "{slow:?}");
    }

    #[test]
    fn a_worker_that_stands_still_gets_nothing_ahead() {
        let (fast, now) = after(1, 50, 60, 12);
        assert_eq!(fast.limit(now + 10_000, 3), 1);
        assert!(fast.limit(now + 10_000, 0) > 1, "an idle worker does not stand still");
    }

    #[test]
    fn one_slow_request_lowers_the_allowance_quickly() {
        let (mut balance, now) = after(1, 50, 60, 12);
        balance.completed(now + 20_000, 1, 5);
        assert_eq!(balance.limit(now + 20_000, 1), 1);
    }

    proptest::proptest! {
        #[test]
        fn the_limit_stays_in_its_bounds(threads in 1u32..64, steps in proptest::collection::vec((0u64..1_000_000, 0u32..100, 0u32..200), 0..50)) {
            let mut balance = Balance::new(threads);
            let mut now = 0;
            for (span, count, in_flight) in steps {
                now += span;
                balance.completed(now, count, in_flight);
                let limit = balance.limit(now, in_flight);
                proptest::prop_assert!((threads..=threads + MOST_AHEAD).contains(&limit));
            }
        }
    }
}
