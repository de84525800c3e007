//! When requests that wait behind slow ones are given back.
//!
//! The front sends a fast worker more requests than it has threads, so that the worker need not sleep between them. If each
//! thread then gets a slow request, the ones behind would wait although another worker may be free, and `queue-timeout`
//! would not apply to them. So a worker that stands still returns the requests that no thread has started: the front queues
//! them again.
//!
//! The same read of the ring finds the `Cancel` of a response in progress, which nobody would read while all threads are
//! busy and none waits for room.

use std::sync::atomic::{AtomicU32, Ordering};

/// Ticks (milliseconds) without progress before requests are given back; then again at each doubling, up to every `EACH`
/// ticks.
const AFTER: u32 = 4;
/// Most ticks between two reads of the ring.
const EACH: u32 = 512;

/// Number of ticks in a row in which requests ran and none was taken.
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
