//! Response times by route: for each route a histogram of eight buckets per doubling, so that a percentile is at most 8 % off. A
//! thread counts in its slot, in a byte for each bucket, and adds to the route when it serves another route or a byte is full: a
//! short request writes to no page of memory for it that it does not write to anyway.

use crate::histogram::{self, BUCKETS, Histogram};
use crate::scoreboard::board::Board;
use crate::scoreboard::layout::{self, Layout, SLOT, slot};
use crate::scoreboard::words::{Words, add_shared};
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Buckets of [`Histogram`] in one of these, as a power of two.
const MERGED: u32 = 2;
/// Buckets: below, the doublings, above.
const COARSE: usize = 2 + ((BUCKETS - 2) >> MERGED);

/// Counts in one word of a slot.
const BYTES: usize = 8;
/// Most that a byte counts.
const FULL: u64 = u8::MAX as u64;

const _: () = assert!(layout::TIMES >= COARSE, "a route's response times have room for their buckets");
const _: () =
    assert!((slot::TIMES.end - slot::TIMES.start) * BYTES >= COARSE, "a slot has a byte for each bucket");

/// The bucket of a number of nanoseconds.
#[inline]
fn coarse_of(ns: u64) -> usize {
    let fine = histogram::bucket_of(ns);
    if fine == 0 { 0 } else { 1 + ((fine - 1) >> MERGED) }
}

/// The bucket of [`Histogram`] that stands for one of these: the one in its middle.
fn fine_of(coarse: usize) -> usize {
    if coarse == 0 || coarse == COARSE - 1 {
        return if coarse == 0 { 0 } else { BUCKETS - 1 };
    }
    1 + ((coarse - 1) << MERGED) + (1 << (MERGED - 1))
}

impl<W: Deref<Target = Words>> Board<W> {
    fn times(&self, route: u16) -> &Words {
        let at = Layout::times(usize::from(route).min(layout::ROUTES - 1));
        self.range(at..at + layout::TIMES)
    }

    /// Counts a request of a route.
    pub(crate) fn time(&self, route: u16, ns: u64) {
        add_shared(&self.times(route)[coarse_of(ns)], 1);
    }

    /// Counts a request of a route in the slot of its thread, which counts for this route alone.
    #[inline]
    pub(crate) fn time_here(&self, slot: &[AtomicU64; SLOT], route: u16, ns: u64) {
        let bucket = coarse_of(ns);
        let (word, shift) = (&slot[slot::TIMES.start + bucket / BYTES], bucket % BYTES * 8);
        let counts = word.load(Relaxed);
        if counts >> shift & FULL == FULL {
            word.store(counts & !(FULL << shift), Relaxed);
            add_shared(&self.times(route)[bucket], FULL + 1);
        } else {
            word.store(counts + (1 << shift), Relaxed);
        }
    }

    /// Gives a route what a slot has counted for it.
    pub(crate) fn give_times(&self, slot: &[AtomicU64; SLOT], route: u16) {
        for (bucket, count) in times_here(slot) {
            add_shared(&self.times(route)[bucket], count);
        }
        slot[slot::TIMES].iter().for_each(|word| word.store(0, Relaxed));
    }

    /// The response times of a route.
    pub(crate) fn read_times(&self, route: u16) -> Histogram {
        let mut read = Histogram::default();
        for (coarse, word) in self.times(route)[..COARSE].iter().enumerate() {
            read.add_to(fine_of(coarse), word.load(Relaxed));
        }
        read
    }
}

/// Buckets and counts of the response times in a slot.
pub(crate) fn times_here(slot: &[AtomicU64; SLOT]) -> impl Iterator<Item = (usize, u64)> {
    let words = slot[slot::TIMES].iter().map(|word| word.load(Relaxed)).enumerate();
    words.filter(|(_, counts)| *counts != 0).flat_map(|(at, counts)| {
        let bytes = counts.to_le_bytes().into_iter().enumerate();
        bytes.filter(|(_, count)| *count != 0).map(move |(byte, count)| (at * BYTES + byte, count.into()))
    })
}

/// Counts requests of a slot, where a reader found them.
pub(crate) fn count_here(times: &mut Histogram, bucket: usize, count: u64) {
    times.add_to(fine_of(bucket.min(COARSE - 1)), count);
}

/// Counts a request that waits in a slot, where a reader found it.
pub(crate) fn count_later(times: &mut Histogram, ns: u64) {
    count_here(times, coarse_of(ns), 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_stands_for_its_values(ns in 1_100u64..1 << 39) {
            let (low, high) = histogram::edges(fine_of(coarse_of(ns)));
            let middle = (low + high) as f64 / 2.0;
            prop_assert!((middle - ns as f64).abs() / ns as f64 <= 0.08, "{} stands for {}", middle, ns);
        }
    }

    #[test]
    fn the_ends_are_buckets() {
        assert_eq!((coarse_of(0), fine_of(0)), (0, 0));
        assert_eq!((coarse_of(u64::MAX), fine_of(COARSE - 1)), (COARSE - 1, BUCKETS - 1));
    }
}
