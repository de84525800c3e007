//! The codec: mod_wsgi's own bytes, round trips, and bytes that are nobody's.

use super::*;
use crate::mod_wsgi_buckets;
use proptest::prelude::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let text = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(text).collect()
}

/// A small record as mod_wsgi-telemetry's encoder writes it, and two that a mod_wsgi 6.1.1 sent.
const SAMPLE: &str = "5753474901020000921000001100000000002040fc54d941 05000404007765623106000403006170700a0002
    000000000000f03f 14000103000000000000001500020000000000000840 32000102000000 000000006e000502000200000001000000
    6f00060200000000000000e03f000000000000d03f";
const STOPPED: &str = "57534749010700002544000090000000bcae6a1c54c0da410500040200766d06000405006d756c7469
    8200041000726573746172745f696e74657276616c8300020c3a2174d009394084000102000000000000
    0086000100000000000000008700010100000000000000";
const GC_EVENT: &str = "575347490109000023440000040000008577631654c0da414001022fa5201654c0da414101028dedb5a0
    f7c6103f420101000000000000000043010100000000000000004401010000000000000000";

#[test]
fn what_mod_wsgi_writes_is_read_and_written_alike() {
    for (hex, length) in [(SAMPLE, 119), (STOPPED, 106), (GC_EVENT, 79)] {
        let bytes = bytes(hex);
        assert_eq!(bytes.len(), length);
        assert_eq!(Datagram::decode(&bytes).unwrap().encode(), bytes);
    }
    let sample = Datagram::decode(&bytes(SAMPLE)).unwrap();
    assert_eq!(
        (sample.kind, sample.pid, sample.seq, sample.stamp),
        (Kind::RequestMetrics, 4242, 17, 1_700_000_000.5)
    );
    assert_eq!(sample.get_text(fields::HOSTNAME).as_deref(), Some("web1"));
    assert_eq!(sample.get_text(fields::PROCESS_GROUP).as_deref(), Some("app"));
    assert_eq!(sample.get_number(fields::SAMPLE_PERIOD), Some(1.0));
    assert_eq!(sample.get_count(fields::REQUEST_COUNT), Some(3));
    assert_eq!(sample.get_number(fields::REQUEST_THROUGHPUT), Some(3.0));
    assert_eq!(sample.get_count(fields::THREADS_MAXIMUM), Some(2));
    assert_eq!(sample.get(fields::THREADS_COMPLETED), Some(&Value::I32s(vec![2, 1])));
    assert_eq!(sample.get_row(fields::THREADS_BUSY_TIME), Some(vec![0.5, 0.25]));
    let stopped = Datagram::decode(&bytes(STOPPED)).unwrap();
    assert_eq!(stopped.get_text(fields::SHUTDOWN_REASON).as_deref(), Some("restart_interval"));
    assert_eq!(stopped.get_count(fields::GRACEFUL_DRAIN), Some(1));
    let event = Datagram::decode(&bytes(GC_EVENT)).unwrap();
    let start = event.get_number(fields::GC_EVENT_START).unwrap();
    assert!((start - 1_795_248_216.510_082).abs() < 1e-6);
    assert!((event.get_number(fields::GC_EVENT_DURATION).unwrap() - 64e-6).abs() < 1e-6);
}

#[test]
fn refusals_say_what_is_wrong() {
    let good = bytes(SAMPLE);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Datagram::decode(&bytes).unwrap_err()
    };
    assert_eq!(Datagram::decode(&good[..10]), Err(DecodeError::Short(10)));
    assert_eq!(with(0, b'X'), DecodeError::Magic);
    assert_eq!(with(4, 99), DecodeError::Version(99));
    assert_eq!(with(5, 77), DecodeError::Kind(77));
    assert_eq!(with(26, 9), DecodeError::Type { id: 5, type_code: 9 });
    assert_eq!(Datagram::decode(&good[..good.len() - 1]), Err(DecodeError::Cut(111)));
    // A text that is cut short is not taken for a whole one.
    assert_eq!(Datagram::decode(&good[..30]), Err(DecodeError::Cut(5)));
    let mut text = Datagram::new(Kind::SlowRequest, 1, 2.0);
    text.put(fields::SLOW_DURATION, Value::Bytes(b"long".to_vec()));
    let error = Datagram::decode(&text.encode()).unwrap_err();
    assert_eq!(error.to_string(), "field 202 (slow_duration) holds another form of value than it should");
    let mut nan = Datagram::new(Kind::SlowRequest, 1, 2.0);
    nan.number(fields::SLOW_DURATION, f64::NAN);
    assert!(nan.fields.is_empty(), "what is not finite is never written");
    nan.fields.push((fields::SLOW_DURATION, Value::F64(f64::INFINITY)));
    assert_eq!(Datagram::decode(&nan.encode()), Err(DecodeError::NotFinite));
}

#[test]
fn texts_are_cut_between_letters() {
    let mut datagram = Datagram::new(Kind::SlowRequest, 1, 2.0);
    datagram.text(fields::SLOW_METHOD, "ÄÖÜ\0€uro", 9);
    assert_eq!(datagram.get_text(fields::SLOW_METHOD).unwrap(), "ÄÖÜ...");
    datagram.text(fields::SLOW_METHOD, "", 9);
    assert_eq!(datagram.fields.len(), 1);
}

#[test]
fn the_table_is_in_order() {
    assert!(fields::ALL.is_sorted_by(|(a, ..), (b, ..)| a < b));
    assert_eq!((fields::name(65), fields::form(95)), (Some("gil_wait_time"), Some(fields::Form::Row)));
    assert_eq!(fields::name(137), None);
}

#[test]
fn buckets_adjoin_and_have_mod_wsgis_edges() {
    for bucket in 0..mod_wsgi_buckets::BUCKETS - 1 {
        let (low, high) = mod_wsgi_buckets::edges(bucket);
        assert_eq!(mod_wsgi_buckets::bucket_of(low), bucket);
        assert_eq!(mod_wsgi_buckets::bucket_of(high - 1), bucket);
        assert_eq!(mod_wsgi_buckets::edges(bucket + 1).0, high);
    }
    let upper: Vec<f64> = (0..12).map(|bucket| mod_wsgi_buckets::edges(bucket).1 as f64 / 1e6).collect();
    assert_eq!(upper, [1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(
        (mod_wsgi_buckets::bucket_of(65_536_000_000), mod_wsgi_buckets::bucket_of(u64::MAX)),
        (64, 64)
    );
    assert_eq!(mod_wsgi_buckets::bucket_of(65_535_999_999), 63);
    assert_eq!(mod_wsgi_buckets::edges(63).1, 65_536_000_000);
}

#[test]
fn short_requests_are_put_where_their_sum_says() {
    let mut row = vec![0.0; 65];
    row[0] = 100.0;
    let histogram = mod_wsgi_buckets::to_histogram(&row, 100 * 200_000);
    assert_eq!((histogram.count(), histogram.sum), (100, 20_000_000));
    assert!((histogram.quantile(0.5).unwrap() - 200_000.0).abs() < 5_000.0);
}

#[test]
fn no_mean_is_above_its_greatest_value() {
    use crate::{
        figures::Figures,
        sample::{GroupSample, WorkerSample},
    };
    // One request has finished; another one, which still runs, has waited much longer.
    let mut figures = Figures { requests: 1, ..Figures::default() };
    (figures.gil_application, figures.gil_server) = (900_000_000, 2_000_000);
    figures.gil_wait.record(2_000_000);
    let groups = vec![GroupSample { figures, ..GroupSample::default() }];
    let change = WorkerSample { groups, ..WorkerSample::default() };
    let interval = emit::Interval { change, period: 1.0, ..emit::Interval::default() };
    let sent = emit::request_metrics(&emit::Sender::default(), &interval, 5.0);
    let number = |id| sent.get_number(id).unwrap();
    assert_eq!(number(fields::GIL_WAIT_TIME), 0.002);
    assert!(number(fields::GIL_WAIT_TIME) <= number(fields::GIL_WAIT_TIME_MAX));
}

fn value() -> impl Strategy<Value = Value> {
    let finite = || prop::num::f64::NORMAL | prop::num::f64::ZERO;
    prop_oneof![
        any::<u64>().prop_map(Value::U64),
        finite().prop_map(Value::F64),
        any::<i64>().prop_map(Value::I64),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        prop::collection::vec(any::<i32>(), 0..70).prop_map(Value::I32s),
        prop::collection::vec(finite(), 0..40).prop_map(Value::F64s),
    ]
}

proptest! {
    #[test]
    fn decoding_gives_back_what_was_encoded(
        kind in 0usize..7,
        pid in any::<u32>(),
        seq in any::<u32>(),
        stamp in 0.0f64..1e10,
        fields in prop::collection::vec((any::<u16>(), value()), 0..20),
    ) {
        let mut datagram = Datagram { kind: Kind::ALL[kind], pid, seq, stamp, fields };
        datagram.fields.retain(|(id, value)| super::fields::form(*id).is_none_or(|form| value.fits(form)));
        let bytes = datagram.encode();
        prop_assert_eq!(Datagram::decode(&bytes).unwrap(), datagram);
        for end in 0..bytes.len() {
            // Every beginning is either a datagram of fewer fields or refused.
            let _ = Datagram::decode(&bytes[..end]);
        }
    }

    #[test]
    fn no_bytes_stop_the_decoder(mut bytes in prop::collection::vec(any::<u8>(), 0..200), proper in any::<bool>()) {
        if proper && bytes.len() > 6 {
            bytes[..6].copy_from_slice(b"WSGI\x01\x02");
        }
        if let Ok(datagram) = Datagram::decode(&bytes) {
            prop_assert_eq!(datagram.encode()[8..].to_vec(), bytes[8..].to_vec());
        }
    }

    #[test]
    fn counts_survive_both_conversions(values in prop::collection::vec(0u64..1 << 38, 0..60)) {
        let mut histogram = Histogram::default();
        values.iter().for_each(|ns| histogram.record(*ns));
        let row = mod_wsgi_buckets::of_histogram(&histogram);
        prop_assert_eq!(row.iter().sum::<u64>(), values.len() as u64);
        let numbers: Vec<f64> = row.iter().map(|count| *count as f64).collect();
        let back = mod_wsgi_buckets::to_histogram(&numbers, histogram.sum);
        prop_assert_eq!((back.count(), back.sum), (histogram.count(), histogram.sum));
        prop_assert_eq!(mod_wsgi_buckets::of_histogram(&back), row);
    }
}

/// A rest of the sum that lies just below the end of the first bucket.
#[test]
fn a_short_value_stays_in_the_first_bucket() {
    let mut histogram = Histogram::default();
    [0, 19_245_184].into_iter().for_each(|ns| histogram.record(ns));
    let row = mod_wsgi_buckets::of_histogram(&histogram);
    let numbers: Vec<f64> = row.iter().map(|count| *count as f64).collect();
    assert_eq!(mod_wsgi_buckets::of_histogram(&mod_wsgi_buckets::to_histogram(&numbers, histogram.sum)), row);
}

use crate::Histogram;

/// What a process of mod_wsgi says of an interval.
fn record(seq: u32, requests: u64, period: f64) -> Datagram {
    let mut out = Datagram::new(Kind::RequestMetrics, 77, 1_000.0);
    out.seq = seq;
    out.text(fields::HOSTNAME, "web1", 127);
    out.text(fields::PROCESS_GROUP, "app", 63);
    out.number(fields::SAMPLE_PERIOD, period);
    out.number(fields::TELEMETRY_INTERVAL, period);
    out.count(fields::REQUEST_COUNT, requests);
    out.count(fields::STATUS_2XX, requests);
    out.count(fields::THREADS_MAXIMUM, 2);
    out.number(fields::CPU_UTILIZATION, 0.5);
    out.number(fields::REQUEST_TIME, 0.010);
    let mut row = vec![0; 65];
    row[13] = requests as i32;
    out.put(fields::REQUEST_TIME_BUCKETS, Value::I32s(row));
    out.put(fields::THREADS_COMPLETED, Value::I32s(vec![requests as i32, 0]));
    out.put(fields::THREADS_BUSY_TIME, Value::F64s(vec![1.0, 0.0]));
    out.put(fields::THREADS_CURRENT_ELAPSED, Value::F64s(vec![0.0, 3.0]));
    out
}

#[test]
fn an_interval_is_handed_out_over_the_next_one() {
    let mut process = receive::Process::default();
    assert_eq!(process.take(&record(1, 100, 4.0), 1_000.0), None);
    assert_eq!((process.host.as_str(), process.interval), ("web1", 4.0));
    let requests = |process: &receive::Process, now: f64| process.reading(now).sample.total().requests;
    assert_eq!(
        [1_000.0, 1_001.0, 1_002.0, 1_004.0, 1_005.0].map(|now| requests(&process, now)),
        [0, 25, 50, 100, 100]
    );
    process.take(&record(2, 40, 4.0), 1_004.0);
    assert_eq!((requests(&process, 1_004.0), requests(&process, 1_006.0)), (100, 120));
    let reading = process.reading(1_008.0);
    assert_eq!((reading.sample.total().requests, reading.cpu, reading.busy), (140, 4.0, 2.0));
    assert_eq!(reading.sample.total().response.sum, 1_400_000_000);
    let running = reading.sample.slots[1].request.as_ref().unwrap();
    assert!((1_008.0 - running.start as f64 / 1e9 - 7.0).abs() < 0.01);
    assert_eq!((reading.sample.threads, reading.sample.slots[0].completed), (2, 140));
    assert_eq!(requests(&process, 400.0), 140, "the clock was put back, the counters were not");
    // Two are missing; an old one that comes late is none.
    process.take(&record(5, 0, 4.0), 1_012.0);
    process.take(&record(4, 0, 4.0), 1_012.1);
    assert_eq!(process.lost, 2);
}

/// A slow request that runs.
fn slow(thread: u64, path: &str, duration: f64, queue: f64) -> Datagram {
    let mut out = Datagram::new(Kind::SlowRequest, 77, 1_000.0);
    out.count(fields::SLOW_RECORD_STATE, 0);
    out.count(fields::SLOW_THREAD_ID, thread);
    out.number(fields::SLOW_DURATION, duration);
    out.number(fields::SLOW_QUEUE_TIME, queue);
    out.text(fields::SLOW_PATH_INFO, path, 511);
    out
}

#[test]
fn a_slow_request_is_named_by_when_its_thread_took_it() {
    // The thread has been busy for three seconds. Duration, time in the queue, and what is shown.
    let table =
        [(3.0, 0.0, "/slow"), (3.0, 20.0, "/slow"), (5.5, 0.0, "/slow"), (60.0, 0.0, ""), (60.0, 20.0, "")];
    for (duration, queue, shown) in table {
        let mut process = receive::Process::default();
        process.take(&record(1, 1, 1.0), 1_000.0);
        process.take(&slow(2, "/slow", duration, queue), 1_000.0);
        let reading = process.reading(1_000.5);
        let request = reading.sample.slots[1].request.as_ref().unwrap();
        assert_eq!(request.path, shown, "{duration} {queue}");
    }
}

#[test]
fn a_crowd_of_slow_threads_keeps_nobody_from_the_next_request() {
    let mut process = receive::Process::default();
    process.take(&record(1, 1, 1.0), 1_000.0);
    (0..1_100).for_each(|thread| drop(process.take(&slow(thread, "/old", 3.0, 0.0), 1_000.0)));
    process.take(&slow(2, "/new", 3.0, 0.0), 1_000.0);
    let reading = process.reading(1_000.5);
    assert_eq!(reading.sample.slots[1].request.as_ref().unwrap().path, "/new");
}

#[test]
fn what_is_sent_is_what_is_received() {
    let mut figures = crate::Figures { requests: 50, server: 7_000_000_000, ..Default::default() };
    figures.statuses = [(0, 1), (200, 40), (503, 9)].into();
    (0..50).for_each(|n| figures.response.record(n * 100_000));
    (0..50).for_each(|n| figures.application.record(n * 90_000));
    figures.long = vec![0; 256];
    figures.long[20] = 7;
    let group = crate::sample::GroupSample { figures, ..Default::default() };
    let change = crate::WorkerSample { pid: 9, threads: 3, groups: vec![group], ..Default::default() };
    let sender = emit::Sender { hostname: "h".into(), interval: 1.0, ..Default::default() };
    let threads = vec![emit::ThreadInterval { completed: 50, busy: 0.5, ..Default::default() }; 3];
    let interval = emit::Interval { change, period: 1.0, cpu: (0.25, 0.5), resident: (5, 6), threads };
    let datagram = emit::request_metrics(&sender, &interval, 1_000.0);
    let read = Datagram::decode(&datagram.encode()).unwrap();
    assert_eq!(read, datagram);
    assert_eq!(read.get_number(fields::SERVER_TIME), Some(0.14));
    assert_eq!(read.get_row(fields::SERVER_TIME_BUCKETS).map(|row| (row[0], row[21])), Some((43.0, 7.0)));
    assert_eq!(read.get_count(fields::STATUS_5XX), Some(10));
    assert_eq!(read.get_number(fields::CAPACITY_UTILIZATION), Some(0.5));
    let mut process = receive::Process::default();
    process.take(&read, 1_000.0);
    let got = process.reading(1_001.0);
    let total = got.sample.total();
    assert_eq!((total.requests, total.statuses[&500], got.cpu, got.resident), (50, 10, 0.75, 5));
    let near = |a: u64, b: u64| (a as f64 - b as f64).abs() <= 0.001 * b as f64;
    assert!(near(total.server, 7_000_000_000) && near(total.response.sum, 122_500_000));
}

proptest! {
    #[test]
    fn no_datagram_stops_the_receiver(all in prop::collection::vec((0usize..7, prop::collection::vec((0usize..150, value()), 0..30)), 1..6)) {
        let mut process = receive::Process::default();
        let mut now = 1e9;
        for (kind, values) in all {
            let mut datagram = Datagram::new(Kind::ALL[kind], 1, now);
            for (index, value) in values {
                let (id, _, form) = fields::ALL[index % fields::ALL.len()];
                if value.fits(form) {
                    datagram.put(id, value);
                }
            }
            let _ = process.take(&datagram, now);
            now += 1.0;
            let earlier = process.reading(now - 0.5);
            let reading = process.reading(now);
            prop_assert!(reading.cpu.is_finite() && reading.busy.is_finite());
            let change = reading.sample.since(&earlier.sample);
            let _ = crate::Portion::of_worker("1", &change, Default::default(), 1.0, 1.0).point();
        }
    }
}
