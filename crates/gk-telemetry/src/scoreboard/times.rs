//! Response times by route: for each route a histogram of eight buckets per doubling, so that a percentile is at most 8 % off. Every
//! thread adds to it, after its own cell; of a batch of plain requests, those of one bucket are one addition.

use crate::histogram::{self, BUCKETS, Histogram};
use crate::scoreboard::board::Board;
use crate::scoreboard::layout::{self, Layout};
use crate::scoreboard::words::{Words, add_shared};
use std::ops::Deref;
use std::sync::atomic::Ordering::Relaxed;

/// Buckets of [`Histogram`] in one of these, as a power of two.
const MERGED: u32 = 2;
/// Buckets: below, the doublings, above.
const COARSE: usize = 2 + ((BUCKETS - 2) >> MERGED);

const _: () = assert!(layout::TIMES >= COARSE, "a route's response times have room for their buckets");

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
    #[inline]
    pub(crate) fn time(&self, route: u16, ns: u64) {
        add_shared(&self.times(route)[coarse_of(ns)], 1);
    }

    /// Counts requests of one route that follow each other.
    #[inline]
    pub(crate) fn time_all(&self, route: u16, all: impl Iterator<Item = u64>) {
        let times = self.times(route);
        let (mut bucket, mut count) = (0, 0);
        for ns in all {
            let next = coarse_of(ns);
            if next != bucket {
                add_shared(&times[bucket], count);
                (bucket, count) = (next, 0);
            }
            count += 1;
        }
        add_shared(&times[bucket], count);
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

/// Counts a request that waits in a slot, where a reader found it.
pub(crate) fn count_later(times: &mut Histogram, ns: u64) {
    times.add_to(fine_of(coarse_of(ns)), 1);
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
