//! Log-linear histograms: 32 buckets in each doubling from 1 µs (1024 ns) to 1100 s, so a value read back is at most 1.6 % off.
//! There is one bucket for shorter times and one for longer ones. Merging is addition.

use crate::saturating::saturating_sum;
use serde::{Deserialize, Serialize};

/// Buckets per doubling, as a power of two.
const FINE: u32 = 5;
/// 2^10 ns is the lower edge of the first doubling.
const LOWEST: u32 = 10;
/// Doublings.
pub const OCTAVES: usize = 30;
/// Buckets: below, the doublings, above.
pub const BUCKETS: usize = 2 + OCTAVES * (1 << FINE);

/// The bucket of a number of nanoseconds.
#[inline]
pub fn bucket_of(ns: u64) -> usize {
    const LAST: u32 = LOWEST + OCTAVES as u32;
    if ns < 1 << LOWEST {
        return 0;
    }
    if ns >= 1 << LAST {
        return BUCKETS - 1;
    }
    // The highest bit says which doubling; that bit and the next ones, as a number, which part of it.
    let top = ns.ilog2();
    let fine = (ns >> (top - FINE)) as usize;
    (((top - LOWEST) as usize) << FINE) + fine + 1 - (1 << FINE)
}

/// Lower and upper edge of a bucket in nanoseconds; the last one is open above.
pub fn edges(bucket: usize) -> (u64, u64) {
    if bucket == 0 {
        return (0, 1 << LOWEST);
    }
    if bucket >= BUCKETS - 1 {
        return (1 << (LOWEST + OCTAVES as u32), u64::MAX);
    }
    let (octave, sub) = ((bucket - 1) >> FINE, (bucket - 1) & ((1 << FINE) - 1));
    let width = 1u64 << (octave as u32 + LOWEST - FINE);
    let low = (1u64 << (octave as u32 + LOWEST)) + sub as u64 * width;
    (low, low + width)
}

/// The doubling a bucket lies in, for the bitmap of doublings in use; the outer buckets count with their neighbours.
#[inline]
pub(crate) fn octave_of(bucket: usize) -> usize {
    (bucket.saturating_sub(1) >> FINE).min(OCTAVES - 1)
}

/// The buckets that [`octave_of`] maps to a doubling.
pub(crate) fn octave_buckets(octave: usize) -> std::ops::Range<usize> {
    let start = if octave == 0 { 0 } else { 1 + (octave << FINE) };
    let end = if octave + 1 == OCTAVES { BUCKETS } else { 1 + ((octave + 1) << FINE) };
    start..end
}

/// A histogram of durations. Empty ones hold no memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Sparse", into = "Sparse")]
pub struct Histogram {
    /// Sum of all values in nanoseconds.
    pub sum: u64,
    /// Counts by bucket, as far as the last one that is not zero.
    counts: Vec<u64>,
}

/// The written form: only buckets that hold something.
#[derive(Serialize, Deserialize)]
struct Sparse {
    sum: u64,
    buckets: Vec<(u16, u64)>,
}

impl From<Histogram> for Sparse {
    fn from(histogram: Histogram) -> Self {
        let buckets = histogram.filled().map(|(bucket, count)| (bucket as u16, count)).collect();
        Self { sum: histogram.sum, buckets }
    }
}

impl From<Sparse> for Histogram {
    fn from(sparse: Sparse) -> Self {
        let mut histogram = Self { sum: sparse.sum, counts: Vec::new() };
        for (bucket, count) in sparse.buckets {
            histogram.add_to(usize::from(bucket), count);
        }
        histogram
    }
}

impl Histogram {
    /// Counts a value of so many nanoseconds.
    pub fn record(&mut self, ns: u64) {
        self.sum = self.sum.saturating_add(ns);
        self.add_to(bucket_of(ns), 1);
    }

    /// Adds to a bucket; a number beyond the last bucket means the last.
    pub fn add_to(&mut self, bucket: usize, count: u64) {
        if count == 0 {
            return;
        }
        let bucket = bucket.min(BUCKETS - 1);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] = self.counts[bucket].saturating_add(count);
    }

    /// Buckets that hold something, with their counts.
    pub fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        self.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// Values counted.
    pub fn count(&self) -> u64 {
        saturating_sum(self.counts.iter().copied())
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// Mean in nanoseconds; 0 when empty.
    pub fn mean(&self) -> f64 {
        let count = self.count();
        if count == 0 { 0.0 } else { self.sum as f64 / count as f64 }
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        self.sum = self.sum.saturating_add(other.sum);
        for (bucket, count) in other.filled() {
            self.add_to(bucket, count);
        }
    }

    /// The difference to an earlier reading of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts: Vec<u64> = self.counts.clone();
        for (bucket, count) in counts.iter_mut().enumerate() {
            *count = count.saturating_sub(earlier.counts.get(bucket).copied().unwrap_or(0));
        }
        counts.truncate(counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
        Self { sum: self.sum.saturating_sub(earlier.sum), counts }
    }

    /// The value below which the share `q` (0..1) of all values lies, in nanoseconds, interpolated inside its bucket; `None`
    /// when empty.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = (q.clamp(0.0, 1.0) * count as f64).max(f64::MIN_POSITIVE);
        let mut below = 0.0;
        for (bucket, here) in self.filled() {
            let here = here as f64;
            if below + here >= wanted {
                let (low, high) = edges(bucket);
                if high == u64::MAX {
                    return Some(low as f64);
                }
                return Some(low as f64 + (high - low) as f64 * (wanted - below) / here);
            }
            below += here;
        }
        None
    }

    /// The histogram with every count and the sum passed through `part`.
    #[must_use]
    pub(crate) fn scaled(&self, part: impl Fn(u64) -> u64) -> Self {
        let mut counts: Vec<u64> = self.counts.iter().map(|count| part(*count)).collect();
        counts.truncate(counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
        Self { sum: part(self.sum), counts }
    }

    /// Number of values up to `ns` nanoseconds, by the middle of their bucket.
    pub fn at_most(&self, ns: u64) -> u64 {
        let inside = |bucket: usize| {
            let (low, high) = edges(bucket);
            high != u64::MAX && low / 2 + high / 2 <= ns
        };
        saturating_sum(self.filled().take_while(|(bucket, _)| inside(*bucket)).map(|(_, count)| count))
    }
}

/// Mean and percentiles in seconds; all absent when nothing was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Spread {
    pub mean: Option<f64>,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
}

impl Spread {
    /// Of a histogram.
    pub fn of(histogram: &Histogram) -> Self {
        let quantile = |q| histogram.quantile(q).map(|ns| ns / 1e9);
        let mean = (histogram.count() > 0).then(|| histogram.mean() / 1e9);
        Self { mean, p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|ns| histogram.record(*ns));
        histogram
    }

    #[test]
    fn buckets_adjoin() {
        for bucket in 0..BUCKETS - 1 {
            let (low, high) = edges(bucket);
            assert_eq!(bucket_of(low), bucket);
            assert_eq!(bucket_of(high - 1), bucket);
            assert_eq!(edges(bucket + 1).0, high);
            assert!(octave_buckets(octave_of(bucket)).contains(&bucket));
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn a_value_read_back_is_at_most_two_percent_off(ns in 1_024u64..1_000_000_000_000) {
            let (low, high) = edges(bucket_of(ns));
            prop_assert!(low <= ns && ns < high);
            let middle = (low + high) as f64 / 2.0;
            prop_assert!((middle - ns as f64).abs() / ns as f64 <= 0.02);
        }

        #[test]
        fn the_merge_is_the_histogram_of_the_union(a in prop::collection::vec(0u64..1 << 42, 0..60), b in prop::collection::vec(0u64..1 << 42, 0..60)) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let union: Vec<u64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(&merged, &of(&union));
            prop_assert_eq!(merged.since(&of(&a)), of(&b));
            let json = serde_json::to_string(&merged).unwrap();
            prop_assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), merged);
        }

        #[test]
        fn quantiles_are_near_the_true_ones(mut values in prop::collection::vec(2_000u64..1 << 38, 1..200), q in 0.0f64..1.0) {
            let got = of(&values).quantile(q).unwrap();
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let truth = values[rank - 1] as f64;
            prop_assert!((got - truth).abs() / truth <= 0.035, "{} for {}", got, truth);
        }
    }

    #[test]
    fn empty_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(of(&[5_000_000]).at_most(5_200_000), 1);
        assert_eq!(of(&[5_000_000]).at_most(4_000_000), 0);
    }
}
