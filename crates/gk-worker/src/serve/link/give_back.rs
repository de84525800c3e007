//! When requests that wait behind slow ones are given back.
//!
//! The front sends a fast worker more requests than it has threads, or it would sleep between them. When each thread then
//! meets a slow request, those that wait behind them would stay although another worker may be free, and `queue-timeout`
//! would not see them. So a worker that stands still returns the requests that no thread has begun: the front queues them again.
//!
//! The same look into the ring finds the `Cancel` of a response that a thread is producing, which nobody would read while all
//! threads are busy and none waits for room.

use std::sync::atomic::{AtomicU32, Ordering};

/// Ticks (milliseconds) of standing still after which requests are given back; then at each doubling, as long as that is
/// sooner than `EACH`.
const AFTER: u32 = 4;
/// Ticks between two looks into the ring at most.
const EACH: u32 = 512;

/// Ticks in a row in which requests ran and none was taken.
#[derive(Default)]
pub(super) struct StillTicks(AtomicU32);

impl StillTicks {
    /// Counts a tick; returns true if it is time to give back.
    pub(super) fn count(&self, still: bool) -> bool {
        let ticks = if still { self.0.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
        self.0.store(ticks, Ordering::Relaxed);
        ticks >= AFTER && (ticks.is_power_of_two() || ticks.is_multiple_of(EACH))
    }
}

#[cfg(test)]
mod tests {
    use super::StillTicks;

    #[test]
    fn requests_are_given_back_after_four_ticks_at_each_doubling_then_twice_a_second() {
        let still = StillTicks::default();
        let due: Vec<u32> = (1..=2048).filter(|_| still.count(true)).collect();
        assert_eq!(due, [4, 8, 16, 32, 64, 128, 256, 512, 1024, 1536, 2048]);
        assert!(!still.count(false));
        assert_eq!((1..=4).filter(|_| still.count(true)).collect::<Vec<u32>>(), [4]);
    }
}
