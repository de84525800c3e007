//! The number of requests that a worker may hold beyond its free threads. Pure: times come in as numbers.
//!
//! An application that answers in 5 µs needs the next requests at hand, or its worker sleeps and wakes for each. One that takes
//! 5 ms needs a single request ahead, so that a thread finds the next one without waiting for the front; more would wait there
//! while another worker is free. So the allowance is [`AHEAD_NANOS`] worth of work by the service time that the worker measures,
//! at least one request, and none when no request ends. A worker in which no request ends also returns the requests that it has
//! not begun. (An estimate from completions seen here would feed on itself: small batches look like slow work.)

/// Nanoseconds of work that may wait inside a worker.
pub const AHEAD_NANOS: u64 = 500_000;
/// Most requests that may wait inside a worker.
const MOST_AHEAD: u64 = 64;
/// Microseconds without any completion after which nothing more is given ahead; four service times where that is longer.
const STILL_MICROS: u64 = 2_000;

/// The pace of one worker.
#[derive(Debug, Clone)]
pub struct Balance {
    threads: u32,
    /// Microseconds of the last completion, or of the first dispatch to an idle worker.
    progress: u64,
}

impl Balance {
    /// For a worker with so many request threads.
    pub fn new(threads: u32) -> Self {
        Self { threads: threads.max(1), progress: 0 }
    }

    /// Requests ended, or one went to an idle worker.
    pub fn progressed(&mut self, now_micros: u64) {
        self.progress = now_micros;
    }

    /// Requests that the worker may hold in all. `service_nanos`: smoothed time of one request, 0 when unknown.
    pub fn limit(&self, now_micros: u64, in_flight: u32, service_nanos: u64) -> u32 {
        let patience = STILL_MICROS.max(service_nanos / 250);
        let still = now_micros.saturating_sub(self.progress) > patience;
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
    fn requests_ahead_by_service_time() {
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
    fn a_worker_in_which_no_request_ends_gets_nothing_ahead() {
        let mut balance = Balance::new(1);
        balance.progressed(1_000);
        assert!(balance.limit(2_000, 3, 8_000) > 1);
        assert_eq!(balance.limit(11_000, 3, 8_000), 1);
        assert!(balance.limit(11_000, 0, 8_000) > 1, "an idle worker is not stuck");
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
