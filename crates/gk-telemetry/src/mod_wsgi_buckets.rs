//! mod_wsgi's buckets of durations: 16 doublings from 1 ms in four equal steps each, and one for what is longer. The first
//! one also takes everything below 1 ms; a value on an edge belongs to the upper bucket.

use crate::histogram::{self, Histogram};

/// Number of buckets.
pub const BUCKETS: usize = 65;
const MS: u64 = 1_000_000;
/// The upper edge of the first one, in nanoseconds: what is shorter needs no bucket to be looked for.
pub const FIRST: u64 = MS + MS / 4;

/// The bucket of a duration in nanoseconds.
pub fn bucket_of(ns: u64) -> usize {
    let Some(octave) = (ns / MS).checked_ilog2() else { return 0 };
    if octave >= 16 {
        return BUCKETS - 1;
    }
    let step = (ns - (MS << octave)) / ((MS / 4) << octave);
    octave as usize * 4 + step as usize
}

/// Lower and upper edge in nanoseconds; the last one is open above.
pub fn edges(bucket: usize) -> (u64, u64) {
    if bucket >= BUCKETS - 1 {
        return (MS << 16, u64::MAX);
    }
    let (octave, step) = (bucket / 4, bucket as u64 % 4);
    let (low, width) = (MS << octave, (MS / 4) << octave);
    (if bucket == 0 { 0 } else { low + step * width }, low + (step + 1) * width)
}

/// One of our histograms in these buckets; each narrower bucket goes where its middle lies.
pub fn of_histogram(histogram: &Histogram) -> [u64; BUCKETS] {
    let mut buckets = [0; BUCKETS];
    for (bucket, count) in histogram.filled() {
        let (low, high) = histogram::edges(bucket);
        buckets[bucket_of(low / 2 + high / 2)] += count;
    }
    buckets
}

/// These buckets as one of our histograms whose sum is `sum` nanoseconds. A value counts in the middle of its bucket. Values of
/// the first bucket, which spans three orders of magnitude, share what the others leave of the sum.
pub fn to_histogram(buckets: &[f64], sum: u64) -> Histogram {
    let mut histogram = Histogram::default();
    let mut rest = sum as f64;
    let count = |bucket: usize| buckets.get(bucket).map_or(0, |count| count.max(0.0) as u64);
    for bucket in 1..BUCKETS {
        let (low, high) = edges(bucket);
        let middle = if high == u64::MAX { low } else { low / 2 + high / 2 };
        histogram.add_to(histogram::bucket_of(middle), count(bucket));
        rest -= middle as f64 * count(bucket) as f64;
    }
    let short = count(0);
    // One of our buckets has the first one's end within it, and counts with the second.
    let most = histogram::edges(histogram::bucket_of(FIRST)).0 - 1;
    let each = (rest / short.max(1) as f64).clamp(0.0, most as f64);
    histogram.add_to(histogram::bucket_of(each as u64), short);
    histogram.sum = sum;
    histogram
}
