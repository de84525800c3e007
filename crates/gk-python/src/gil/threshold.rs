//! The length from which on waits are booked to lines.

use std::sync::atomic::{AtomicU64, Ordering};

/// No wait is booked to a line.
const OFF: u64 = u64::MAX;
/// The threshold is the GIL's switch interval.
const INTERVAL: u64 = u64::MAX - 1;

static THRESHOLD: AtomicU64 = AtomicU64::new(OFF);

/// Nanoseconds that a wait must last to be booked to lines; `None`: none is. `interval`: reads the switch interval in nanoseconds.
#[inline]
pub(super) fn threshold(interval: impl FnOnce() -> u64) -> Option<u64> {
    match THRESHOLD.load(Ordering::Relaxed) {
        OFF => None,
        INTERVAL => Some(interval()),
        nanos => Some(nanos),
    }
}

/// Sets it; `None`: the GIL's switch interval.
pub(super) fn set(threshold: Option<u64>) {
    THRESHOLD.store(threshold.map_or(INTERVAL, |nanos| nanos.min(INTERVAL - 1)), Ordering::Relaxed);
}
