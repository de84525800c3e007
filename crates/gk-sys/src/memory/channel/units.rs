//! Which units of an area are in use: a word with a bit for each. Whoever has set the bits of a block owns its bytes: first the
//! writer, then, from the frame that names it on, the reader, who takes the bits off. No memory is mapped here, so that the
//! loom model (`model.rs`) runs this very file.

use super::atomics::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Every unit.
pub(super) const ALL: u64 = u64::MAX;

/// The units of one area.
pub(super) struct Units<'a>(pub(super) &'a AtomicU64);

impl Units<'_> {
    /// Takes so many units that lie side by side, the first ones that are free: their memory is the warmest. Gives their bits.
    /// `None`: there are not so many.
    pub(super) fn take(&self, count: u32) -> Option<u64> {
        let mut used = self.0.load(Relaxed);
        loop {
            let bits = run(count)?.checked_shl(first_run(!used, count)?)?;
            // Acquire: what the last owner did with the bytes comes before what this one does.
            match self.0.compare_exchange_weak(used, used | bits, Acquire, Relaxed) {
                Ok(_) => return Some(bits),
                Err(now) => used = now,
            }
        }
    }

    /// Takes all units that are free. Gives their bits.
    #[cfg_attr(loom, allow(dead_code, reason = "the model has no use for it"))]
    pub(super) fn take_free(&self) -> u64 {
        !self.0.fetch_or(ALL, Acquire)
    }

    /// The bytes of these units are free.
    pub(super) fn give_back(&self, bits: u64) {
        self.0.fetch_and(!bits, Release);
    }

    /// Number of units in use.
    #[cfg_attr(loom, allow(dead_code, reason = "the model has no use for it"))]
    pub(super) fn used(&self) -> u32 {
        self.0.load(Relaxed).count_ones()
    }
}

/// Bits of so many units from the first one on. `None`: there are never so many, or none is asked for.
pub(super) fn run(count: u32) -> Option<u64> {
    matches!(count, 1..=64).then(|| ALL >> (64 - count))
}

/// The runs of set bits: the first one of each, and their number.
#[cfg_attr(loom, allow(dead_code, reason = "the model has no use for it"))]
pub(super) fn runs(mut bits: u64) -> impl Iterator<Item = (usize, usize)> {
    std::iter::from_fn(move || {
        let first = bits.trailing_zeros();
        let count = bits.checked_shr(first)?.trailing_ones();
        bits &= !(run(count)? << first);
        Some((first as usize, count as usize))
    })
}

/// The first of `count` set bits that lie side by side.
fn first_run(free: u64, count: u32) -> Option<u32> {
    // After each step a bit stands for as many set bits from there on as `found` says.
    let (mut starts, mut found) = (free, 1);
    while found < count {
        let step = found.min(count - found);
        starts &= starts >> step;
        found += step;
    }
    (starts != 0).then(|| starts.trailing_zeros())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_units_that_are_free_side_by_side_are_taken() {
        // Used before, units asked for, bits taken.
        let cases: &[(u64, u32, Option<u64>)] = &[
            (0, 1, Some(1)),
            (0, 4, Some(0b1111)),
            (0, 64, Some(ALL)),
            (0, 0, None),
            (0, 65, None),
            (0b1, 3, Some(0b1110)),
            (0b1001, 3, Some(0b111_0000)),
            (0b1001, 2, Some(0b110)),
            (ALL >> 1, 1, Some(1 << 63)),
            (ALL >> 1, 2, None),
            (ALL >> 7, 7, Some(ALL << 57)),
            (ALL >> 7, 8, None),
            (0x5555_5555_5555_5555, 2, None),
            (ALL, 1, None),
        ];
        for (used, count, wanted) in cases {
            let word = AtomicU64::new(*used);
            assert_eq!(Units(&word).take(*count), *wanted, "{count} beside {used:b}");
            assert_eq!(word.load(Relaxed), used | wanted.unwrap_or(0));
            wanted.iter().for_each(|bits| Units(&word).give_back(*bits));
            assert_eq!(word.load(Relaxed), *used);
        }
    }

    #[test]
    fn the_units_that_are_free_are_taken_and_no_others() {
        let word = AtomicU64::new(0b101);
        assert_eq!((Units(&word).take_free(), Units(&word).take_free()), (!0b101, 0));
        assert_eq!((Units(&word).used(), Units(&word).take(1)), (64, None));
        // One that was in use is free meanwhile, for anybody.
        Units(&word).give_back(0b100);
        assert_eq!(Units(&word).take(1), Some(0b100));
        Units(&word).give_back(!0b101);
        assert_eq!(word.load(Relaxed), 0b101);
    }

    #[test]
    fn runs_of_units() {
        let cases: &[(u64, &[(usize, usize)])] = &[
            (0, &[]),
            (ALL, &[(0, 64)]),
            (1 << 63, &[(63, 1)]),
            (0b1011_0110, &[(1, 2), (4, 2), (7, 1)]),
            (!(1 << 5), &[(0, 5), (6, 58)]),
        ];
        for (bits, wanted) in cases {
            assert_eq!(runs(*bits).collect::<Vec<_>>(), *wanted, "{bits:b}");
        }
    }
}
