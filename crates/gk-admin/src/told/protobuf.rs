//! `/metrics` in Prometheus' protobuf form: the same families as the text, with each histogram in its classic and in its native form.
//!
//! A native histogram has eight buckets for each doubling (its *schema* 3). A bucket of ours is narrower, and is counted where its middle
//! lies. A message stands behind its length, one for each family.

use crate::kept::hub::Hub;
use crate::kept::traces::Exemplar as LastRequest;
use crate::told::families::{EDGES, Families, Form, Value};
use crate::told::prometheus::printed;
use gk_telemetry::Histogram as Durations;
use gk_telemetry::histogram::edges;
use prost::Message;

/// Buckets for each doubling, as a power of two.
const SCHEMA: i32 = 3;
/// The bucket of native histograms that ends above our shortest times: those up to here count as zero.
const ZERO: i32 = -159;

/// The messages of `io.prometheus.client`, as far as they are written here.
mod message {
    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    pub struct MetricFamily {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub help: String,
        /// 0: counter, 1: gauge, 4: histogram. Written although it is zero.
        #[prost(int32, optional, tag = "3")]
        pub kind: Option<i32>,
        #[prost(message, repeated, tag = "4")]
        pub metric: Vec<Metric>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        pub gauge: Option<Number>,
        #[prost(message, optional, tag = "3")]
        pub counter: Option<Number>,
        #[prost(message, optional, tag = "7")]
        pub histogram: Option<Histogram>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct LabelPair {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub value: String,
    }

    /// A counter or a gauge.
    #[derive(Clone, PartialEq, Message)]
    pub struct Number {
        #[prost(double, optional, tag = "1")]
        pub value: Option<f64>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct Histogram {
        #[prost(uint64, tag = "1")]
        pub sample_count: u64,
        #[prost(double, tag = "2")]
        pub sample_sum: f64,
        #[prost(message, repeated, tag = "3")]
        pub bucket: Vec<Bucket>,
        #[prost(sint32, tag = "5")]
        pub schema: i32,
        #[prost(double, tag = "6")]
        pub zero_threshold: f64,
        #[prost(uint64, tag = "7")]
        pub zero_count: u64,
        #[prost(message, repeated, tag = "12")]
        pub positive_span: Vec<BucketSpan>,
        /// The first count, then differences.
        #[prost(sint64, repeated, tag = "13")]
        pub positive_delta: Vec<i64>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct Bucket {
        #[prost(uint64, tag = "1")]
        pub cumulative_count: u64,
        #[prost(double, tag = "2")]
        pub upper_bound: f64,
        #[prost(message, optional, tag = "3")]
        pub exemplar: Option<Exemplar>,
    }

    /// Buckets beside each other.
    #[derive(Clone, PartialEq, Message)]
    pub struct BucketSpan {
        /// Number of the first bucket, or of the empty ones since the last span.
        #[prost(sint32, tag = "1")]
        pub offset: i32,
        #[prost(uint32, tag = "2")]
        pub length: u32,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<LabelPair>,
        #[prost(double, tag = "2")]
        pub value: f64,
        #[prost(message, optional, tag = "3")]
        pub timestamp: Option<Timestamp>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub struct Timestamp {
        #[prost(int64, tag = "1")]
        pub seconds: i64,
        #[prost(int32, tag = "2")]
        pub nanos: i32,
    }
}
use message::{Bucket, BucketSpan, Exemplar, Histogram, LabelPair, Metric, MetricFamily, Number, Timestamp};

/// Writes the page.
pub fn page(hub: &Hub) -> Vec<u8> {
    let mut page = Vec::with_capacity(32 * 1024);
    for family in Families::of(hub).0.iter().filter(|family| !family.points.is_empty()) {
        let metric = family.points.iter().map(|point| {
            let label = point.labels.iter().map(|(name, value)| pair(name, value)).collect();
            let mut metric = Metric { label, ..Metric::default() };
            match (&point.value, family.form) {
                (Value::Number(value), Form::Counter) => {
                    metric.counter = Some(Number { value: Some(*value) })
                }
                (Value::Number(value), _) => metric.gauge = Some(Number { value: Some(*value) }),
                (Value::Histogram(durations), _) => {
                    let exemplars = hub.traces.exemplars.of(family.name, &point.labels).unwrap_or_default();
                    metric.histogram = Some(histogram(durations, exemplars));
                }
            }
            metric
        });
        let kind = match family.form {
            Form::Counter => 0,
            Form::Gauge => 1,
            Form::Histogram => 4,
        };
        let message = MetricFamily {
            name: family.name.to_owned(),
            help: family.help.to_owned(),
            kind: Some(kind),
            metric: metric.collect(),
        };
        page.extend(message.encode_length_delimited_to_vec());
    }
    page
}

fn pair(name: &str, value: &str) -> LabelPair {
    LabelPair { name: name.to_owned(), value: printed(value) }
}

fn histogram(durations: &Durations, exemplars: &[Option<LastRequest>]) -> Histogram {
    let exemplar = |index: usize| exemplars.get(index).and_then(Option::as_ref).map(exemplar);
    let classic = EDGES.iter().enumerate().map(|(index, (_, seconds))| Bucket {
        cumulative_count: durations.at_most((seconds * 1e9) as u64),
        upper_bound: *seconds,
        exemplar: exemplar(index),
    });
    let last = Bucket {
        cumulative_count: durations.count(),
        upper_bound: f64::INFINITY,
        exemplar: exemplar(EDGES.len()),
    };
    let (zero_count, counts) = native(durations);
    let (positive_span, positive_delta) = spans(&counts);
    Histogram {
        sample_count: durations.count(),
        sample_sum: durations.sum as f64 / 1e9,
        bucket: classic.chain([last]).collect(),
        schema: SCHEMA,
        zero_threshold: upper_bound(ZERO),
        zero_count,
        positive_span,
        positive_delta,
    }
}

fn exemplar(last: &LastRequest) -> Exemplar {
    let timestamp = Timestamp { seconds: last.at.floor() as i64, nanos: (last.at.fract() * 1e9) as i32 };
    Exemplar { label: vec![pair("trace_id", &last.trace)], value: last.value, timestamp: Some(timestamp) }
}

/// Upper bound of a native bucket in seconds.
fn upper_bound(bucket: i32) -> f64 {
    (f64::from(bucket) / f64::from(1 << SCHEMA)).exp2()
}

/// How many values count as zero, and the native buckets that hold something, in their order.
fn native(durations: &Durations) -> (u64, Vec<(i32, u64)>) {
    let (mut zero, mut counts) = (0u64, Vec::<(i32, u64)>::new());
    for (bucket, count) in durations.filled() {
        let (low, high) = edges(bucket);
        // The last one is open above.
        let middle = if high == u64::MAX { low as f64 } else { (low + high) as f64 / 2.0 } / 1e9;
        let bucket = (middle.log2() * f64::from(1 << SCHEMA)).ceil() as i32;
        match counts.last_mut() {
            _ if bucket <= ZERO => zero = zero.saturating_add(count),
            Some((last, there)) if *last == bucket => *there = there.saturating_add(count),
            _ => counts.push((bucket, count)),
        }
    }
    (zero, counts)
}

/// Buckets as spans and differences.
fn spans(counts: &[(i32, u64)]) -> (Vec<BucketSpan>, Vec<i64>) {
    let (mut spans, mut deltas) = (Vec::<BucketSpan>::new(), Vec::new());
    let (mut next, mut before) = (0i32, 0i64);
    for (bucket, count) in counts {
        match spans.last_mut() {
            Some(span) if *bucket == next => span.length += 1,
            _ => spans.push(BucketSpan { offset: bucket - next, length: 1 }),
        }
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        deltas.push(count - before);
        (next, before) = (bucket + 1, count);
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_prometheus() {
        let mut durations = Durations::default();
        // Below a microsecond; 1 ms three times; 1.05 ms, one bucket on; 1 s; beyond the last one.
        for (ns, times) in [(500, 2), (1_000_000, 3), (1_050_000, 1), (1_000_000_000, 1), (1 << 41, 1)] {
            (0..times).for_each(|_| durations.record(ns));
        }
        let made = histogram(&durations, &[]);
        assert_eq!((made.sample_count, made.zero_count, made.schema), (8, 2, 3));
        let (_, counts) = native(&durations);
        for ((bucket, count), (seconds, times)) in
            counts.iter().zip([(0.001, 3), (0.001_05, 1), (1.0, 1), (1099.5, 1)])
        {
            assert_eq!(*count, times, "{seconds}");
            // A bucket of ours that holds a bound may lie on its other side: 1.6 % of the value.
            let (low, high) = (upper_bound(bucket - 1) * 0.984, upper_bound(*bucket) * 1.016);
            assert!(low < seconds && seconds <= high, "{seconds} is not in {low} to {high}");
        }
        let read: Vec<i64> = made
            .positive_delta
            .iter()
            .scan(0, |sum, delta| {
                *sum += delta;
                Some(*sum)
            })
            .collect();
        assert_eq!(read, [3, 1, 1, 1]);
        let lengths: Vec<u32> = made.positive_span.iter().map(|span| span.length).collect();
        assert_eq!(lengths.iter().sum::<u32>(), 4);
        assert_eq!(made.bucket.last().map(|last| last.cumulative_count), Some(8));
    }

    #[test]
    fn spans_skip_what_is_empty() {
        let span = |offset, length| BucketSpan { offset, length };
        let (spans, deltas) = spans(&[(-8, 5), (-7, 2), (3, 2)]);
        assert_eq!((spans, deltas), (vec![span(-8, 2), span(9, 1)], vec![5, -3, 0]));
    }

    #[test]
    fn a_histogram_without_values_is_native_all_the_same() {
        let made = histogram(&Durations::default(), &[]);
        assert!(made.zero_threshold > 1.024e-6 && made.zero_threshold < 1.1e-6);
        assert!(made.positive_span.is_empty());
    }
}
