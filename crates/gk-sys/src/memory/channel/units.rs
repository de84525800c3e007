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

    /// Takes all units, if all are free.
    #[cfg_attr(loom, allow(dead_code, reason = "the model has no use for it"))]
    pub(super) fn take_all(&self) -> bool {
        self.0.compare_exchange(0, ALL, Acquire, Relaxed).is_ok()
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
    fn all_units_are_taken_only_if_none_is_in_use() {
        let word = AtomicU64::new(0);
        assert!(Units(&word).take_all() && !Units(&word).take_all());
        assert_eq!((Units(&word).used(), Units(&word).take(1)), (64, None));
        Units(&word).give_back(ALL);
        assert_eq!(Units(&word).take(1), Some(1));
        assert!(!Units(&word).take_all());
    }
}
