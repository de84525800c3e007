//! Properties of the codec: what is written is read back, cut or random bytes never panic.

use crate::frame::*;
use crate::log::{Civil, Form, Level, Record};
use crate::request::*;
use crate::response::*;
use bytes::BytesMut;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..40)
}

fn length(text: &[u8]) -> [u8; 4] {
    (text.len() as u32).to_le_bytes()
}

proptest! {
    #[test]
    fn a_request_is_read_back_as_written(
        id in any::<u32>(), end in any::<bool>(), profile in any::<u32>(), https in any::<bool>(),
        traced in any::<bool>(), ports in any::<(u16, u16)>(), ids in any::<(u64, u64)>(), start in 0.0f64..4e9,
        t in proptest::collection::vec(bytes(), 10), pairs in proptest::collection::vec((bytes(), bytes()), 0..12),
    ) {
        let numbers = Numbers {
            profile, version: 11, https, traced, server_port: ports.0, remote_port: ports.1,
            request_id: ids.0, connection_id: ids.1, request_start: start, queue_start: start + 1.0,
        };
        let texts = Texts {
            id: &t[8], trace: if t[8].is_empty() { b"" } else { &t[9] },
            method: &t[0], uri: &t[1], script_name: &t[2], path_info: &t[3],
            query: &t[4], server_name: &t[5], server_addr: &t[6], remote_addr: &t[7],
        };
        let mut out = BytesMut::new();
        let mut writer = RequestWriter::begin(&mut out, id, end, &numbers, &texts);
        for (name, value) in &pairs {
            writer.pair(name, value);
        }
        writer.finish();
        let (header, payload, used) = split(&out).unwrap().unwrap();
        prop_assert_eq!(used, out.len());
        let decoded = ToWorkerFrame::decode(header, payload).unwrap();
        let ToWorkerFrame::Request { id: got, end: got_end, wide: false, .. } = decoded
        else { return Err(TestCaseError::fail("not a request")) };
        prop_assert_eq!((got, got_end), (id, end));
        let mut marked = out.clone();
        flag(&mut marked, WIDE);
        let (header, payload, _) = split(&marked).unwrap().unwrap();
        prop_assert_eq!(ToWorkerFrame::decode(header, payload).unwrap(), ToWorkerFrame::Request { id, end, wide: true, payload });
        let view = RequestView::decode(payload).unwrap();
        prop_assert_eq!(view.numbers, numbers);
        prop_assert_eq!(view.texts, texts);
        let target = [&length(&t[1])[..], &t[1], &length(&t[0])[..], &t[0]].concat();
        prop_assert_eq!(view.target, target);
        let read: Vec<(Vec<u8>, Vec<u8>)> = view.pairs().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
        prop_assert_eq!(read, pairs);
        for cut in 0..payload.len() {
            prop_assert!(RequestView::decode(&payload[..cut]).is_err());
        }
    }

    #[test]
    fn a_head_is_read_back_as_written(
        id in any::<u32>(), status in 100u16..1000, reason in bytes(), seconds in 0.0f32..1e6,
        headers in proptest::collection::vec((bytes(), bytes()), 0..12),
    ) {
        let mut out = BytesMut::new();
        let mut writer = HeadWriter::begin(&mut out, id, END, status, &reason, seconds);
        for (name, value) in &headers {
            writer.header(name, value);
        }
        writer.finish();
        let (header, payload, _) = split(&out).unwrap().unwrap();
        let ToFrontFrame::Head { payload, .. } = ToFrontFrame::decode(header, payload).unwrap()
        else { return Err(TestCaseError::fail("not a head")) };
        let view = HeadView::decode(payload).unwrap();
        prop_assert_eq!((view.status, view.reason, view.application_seconds), (status, &reason[..], seconds));
        let read: Vec<(Vec<u8>, Vec<u8>)> = view.headers().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
        prop_assert_eq!(read, headers);
    }

    #[test]
    fn plain_frames_are_read_back_as_written(id in any::<u32>(), n in any::<u32>(), end in any::<bool>(), data in bytes(), off in any::<(u64, u64)>(), s in ".{0,20}") {
        let place = Place { offset: n, len: off.0 as u32 };
        let to_worker = [
            ToWorkerFrame::Hello(&data), ToWorkerFrame::Profile { number: n, json: &data },
            ToWorkerFrame::Body { id, end, data: &data }, ToWorkerFrame::Credit { id, bytes: n },
            ToWorkerFrame::Request { id, end, wide: !end, payload: &data }, ToWorkerFrame::Block { id, end, place },
            ToWorkerFrame::Cancel { id }, ToWorkerFrame::Drain,
        ];
        for frame in to_worker {
            let mut out = BytesMut::new();
            frame.encode(&mut out);
            let (header, payload, used) = split(&out).unwrap().unwrap();
            prop_assert_eq!(used, out.len());
            prop_assert_eq!(ToWorkerFrame::decode(header, payload).unwrap(), frame);
        }
        let to_front = [
            ToFrontFrame::Welcome(&data), ToFrontFrame::Data { id, end, data: &data },
            ToFrontFrame::File { id, offset: off.0, len: off.1 }, ToFrontFrame::Credit { id, bytes: n },
            ToFrontFrame::Abort { id, reason: &s }, ToFrontFrame::Leaving { reason: &s },
            ToFrontFrame::Return { id }, ToFrontFrame::Rewind { id }, ToFrontFrame::Block { id, end, place },
            ToFrontFrame::Lent { id, end, number: u64::from(id) << 32 | 7 },
        ];
        for frame in to_front {
            let mut out = BytesMut::new();
            frame.encode(&mut out);
            let (header, payload, _) = split(&out).unwrap().unwrap();
            prop_assert_eq!(ToFrontFrame::decode(header, payload).unwrap(), frame);
        }
    }

    #[test]
    fn random_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(Some((header, payload, _))) = split(&data) {
            let _ = ToWorkerFrame::decode(header, payload);
            let _ = ToFrontFrame::decode(header, payload);
        }
        let _ = RequestView::decode(&data);
        let _ = HeadView::decode(&data);
    }
}

/// The bit that says "an id comes" was taken with an empty id, too, so that one request had two forms.
#[test]
fn the_bit_of_an_id_without_an_id_is_refused() {
    let numbers = Numbers {
        profile: 1,
        version: 11,
        https: false,
        traced: false,
        server_port: 80,
        remote_port: 1,
        request_id: 1,
        connection_id: 1,
        request_start: 1.0,
        queue_start: 1.0,
    };
    let mut out = BytesMut::new();
    RequestWriter::begin(&mut out, 1, true, &numbers, &Texts { id: b"i", ..Texts::default() }).finish();
    let (_, payload, _) = split(&out).unwrap().unwrap();
    let texts = payload.windows(5).position(|bytes| bytes == b"\x01\0\0\0i").unwrap();
    let without = [&payload[..texts], &[0; 4], &payload[texts + 5..]].concat();
    assert!(RequestView::decode(payload).is_ok());
    assert_eq!(RequestView::decode(&without), Err(WireError::Malformed("Request")));
}

#[test]
fn a_frame_longer_than_the_limit_is_an_error_before_its_payload_is_awaited() {
    let mut out = BytesMut::new();
    Header { len: MAX_PAYLOAD + 1, id: 1, kind: 3, flags: 0 }.encode(&mut out);
    assert_eq!(split(&out), Err(WireError::TooLong(MAX_PAYLOAD + 1)));
}

#[test]
fn half_a_header_and_half_a_payload_wait() {
    let mut out = BytesMut::new();
    ToWorkerFrame::Body { id: 7, end: true, data: b"hello" }.encode(&mut out);
    for cut in 0..out.len() {
        assert_eq!(split(&out[..cut]), Ok(None));
    }
}

#[test]
fn another_protocol_version_is_refused_with_the_remedy() {
    let error = check_version(99, "9.9.9").unwrap_err().to_string();
    insta::assert_snapshot!(error, @"protocol version 99 of package 9.9.9 does not match 5: install the same gilkeeper version on both sides");
}

#[test]
fn the_forms_of_a_log_record() {
    let record = Record {
        epoch_micros: 1_795_255_193_000_123,
        utc_offset: 0,
        level: Level::Error,
        module: "wsgi",
        pid: 12,
        tid: 34,
        code: Some("WSGI0109"),
        client: Some("10.0.0.1:5000"),
        request: Some("4bf92f35-x"),
        text: "first\nsecond \u{1b}[31m",
    };
    let (mut text, mut json, mut logfmt) = (String::new(), String::new(), String::new());
    record.write(Form::Text, &mut text);
    record.write(Form::Json, &mut json);
    record.write(Form::Logfmt, &mut logfmt);
    insta::assert_snapshot!(text, @r"
    [Sat Nov 21 09:59:53.000123 2026] [wsgi:error] [pid 12:tid 34] [client 10.0.0.1:5000] [request 4bf92f35-x] WSGI0109: first
    [Sat Nov 21 09:59:53.000123 2026] [wsgi:error] [pid 12:tid 34] [client 10.0.0.1:5000] [request 4bf92f35-x] second \x1b[31m
    ");
    insta::assert_snapshot!(json, @r#"{"client":"10.0.0.1:5000","code":"WSGI0109","level":"error","message":"first\nsecond \u001b[31m","module":"wsgi","pid":12,"request_id":"4bf92f35-x","tid":34,"time":"2026-11-21T09:59:53.000123Z"}"#);
    insta::assert_snapshot!(logfmt, @r#"time=2026-11-21T09:59:53.000123Z level=error module=wsgi pid=12 tid=34 code=WSGI0109 client=10.0.0.1:5000 request_id=4bf92f35-x message="first\nsecond \u001b[31m""#);
}

/// Reported: the text of an exception wrote lines into the error log that looked like the supervisor's own. Met by everybody whose
/// application fails while it is imported.
#[test]
fn text_of_an_application_begins_no_line_of_the_servers_own() {
    let record = Record {
        epoch_micros: 1_795_255_193_000_123,
        utc_offset: 0,
        level: Level::Error,
        module: "supervisor",
        pid: 12,
        tid: 0,
        code: None,
        client: Some("a]\n[b"),
        request: None,
        text: "the import failed\nworker 3 ended\r\u{202e}",
    };
    let (mut text, mut json, mut logfmt) = (String::new(), String::new(), String::new());
    record.write(Form::Text, &mut text);
    record.write(Form::Json, &mut json);
    record.write(Form::Logfmt, &mut logfmt);
    let messages: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("[client a]\\n[b] ")).map(|l| l.1).collect();
    assert_eq!(messages, ["the import failed", "    worker 3 ended\\r\\u202e"], "{text}");
    assert!(json.ends_with("\"}\n") && json.contains("\\r\\u202e") && json.lines().count() == 1, "{json}");
    assert!(logfmt.ends_with("\\r\\u202e\"\n") && logfmt.lines().count() == 1, "{logfmt}");
}

#[test]
fn civil_dates() {
    let day = |seconds: u64| {
        let c = Civil::from_micros(seconds * 1_000_000, 0);
        (c.year, c.month, c.day, c.weekday)
    };
    assert_eq!(day(0), (1970, 1, 1, 4));
    assert_eq!(day(951_782_400), (2000, 2, 29, 2));
    assert_eq!(day(4_102_444_800), (2100, 1, 1, 5));
}

#[test]
fn an_addressed_line_gives_its_address_back() {
    let lines = crate::log::addressed("/var/log/one.log", "first\nsecond\n");
    let cut: Vec<(&[u8], &[u8])> = lines
        .as_bytes()
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.split_at(crate::log::address(line).len()))
        .collect();
    let mark = b"\x1e/var/log/one.log\x1e";
    assert_eq!(cut, [(&mark[..], &b"first\n"[..]), (&mark[..], &b"second\n"[..])]);
    for line in ["plain\n", "in \u{1e}the\u{1e} middle\n", "\u{1e}never ended\n", ""] {
        assert_eq!(crate::log::address(line.as_bytes()), b"", "{line:?}");
    }
}
