//! How many requests a worker may hold beyond its free threads. Pure: times come in as numbers.
//!
//! A worker whose application answers in 5 µs needs the next requests at hand, or it sleeps and wakes for each; one
//! whose application takes 5 ms needs one, so that a thread that ends finds the next without waiting for the front; more
//! would wait there while another worker is free. So the allowance is [`AHEAD_NANOS`] worth of work by the service time
//! that the worker itself measures, at least one, and none when the worker stands still. A worker that stands still also
//! gives back what it has not begun. (An estimate from completions seen here would feed on itself: small batches look like
//! slow work.)

/// Nanoseconds of work that may wait inside a worker.
const AHEAD_NANOS: u64 = 500_000;
/// Most requests that may wait inside a worker.
const MOST_AHEAD: u64 = 64;
/// Microseconds without any completion after which nothing more is given ahead; four service times where that is longer.
const STILL_MICROS: u64 = 2_000;

/// The state of one worker.
#[derive(Debug, Clone)]
pub struct Balance {
    threads: u32,
    /// The last completion, or the first dispatch to an idle worker.
    moved: u64,
}

impl Balance {
    /// For a worker with so many request threads.
    pub fn new(threads: u32) -> Self {
        Self { threads: threads.max(1), moved: 0 }
    }

    /// Requests ended, or one went to a worker that had none.
    pub fn moved(&mut self, now_micros: u64) {
        self.moved = now_micros;
    }

    /// Requests that the worker may hold in all. `service_nanos`: smoothed time of one request, 0 when unknown.
    pub fn limit(&self, now_micros: u64, in_flight: u32, service_nanos: u64) -> u32 {
        let patience = STILL_MICROS.max(service_nanos / 250);
        let still = now_micros.saturating_sub(self.moved) > patience;
        if service_nanos == 0 || (in_flight >= self.threads && still) {
            return self.threads;
        }
        self.threads + (AHEAD_NANOS * u64::from(self.threads) / service_nanos).clamp(1, MOST_AHEAD) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_application_gets_many_ahead_a_slow_one_one_an_unknown_one_none() {
        let cases = [
            // threads, service in ns, limit
            (4, 0, 4),
            (1, 8_000, 1 + 62),
            (4, 8_000, 4 + 64),
            (4, 400_000, 4 + 5),
            (1, 700_000, 1 + 1),
            (4, 5_000_000, 4 + 1),
        ];
        for (threads, service, limit) in cases {
            assert_eq!(Balance::new(threads).limit(0, 0, service), limit, "{threads} threads, {service} ns");
        }
    }

    #[test]
    fn a_worker_that_stands_still_gets_nothing_ahead() {
        let mut balance = Balance::new(1);
        balance.moved(1_000);
        assert!(balance.limit(2_000, 3, 8_000) > 1);
        assert_eq!(balance.limit(11_000, 3, 8_000), 1);
        assert!(balance.limit(11_000, 0, 8_000) > 1, "an idle worker does not stand still");
        assert_eq!(balance.limit(11_000, 1, 5_000_000), 2, "10 ms are not long for requests of 5 ms");
        assert_eq!(balance.limit(31_000, 1, 5_000_000), 1);
    }

    proptest::proptest! {
        #[test]
        fn the_limit_stays_in_its_bounds(threads in 1u32..64, now: u32, in_flight: u32, service: u64) {
            let limit = Balance::new(threads).limit(u64::from(now), in_flight, service);
            proptest::prop_assert!((threads..=threads + MOST_AHEAD as u32).contains(&limit));
        }
    }
}
