//! Any bytes as messages of another Gilkeeper process: frames of a link in both directions with the request and the response
//! head inside, control messages, commands, setups. Decoded or refused without a panic; decoded values are written back unchanged.
#![no_main]

use bytes::BytesMut;
use gk_messages::{Message, decode, encode};
use gk_wire::admin::{Answer, Command};
use gk_wire::control::{FromFront, FromWorker, ToFront, ToWorker};
use gk_wire::frame::{Hello, ToFrontFrame, ToWorkerFrame, Welcome, split};
use gk_wire::passing::Passed;
use gk_wire::request::{Profile, RequestView, RequestWriter};
use gk_wire::response::{HeadView, HeadWriter};
use gk_wire::setup::{FrontSetup, WorkerSetup};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    frames(bytes);
    // Without a frame around them the fuzzer finds them sooner.
    request(0, false, bytes);
    head(0, 0, bytes);
    message::<ToFront>(bytes);
    message::<FromFront>(bytes);
    message::<ToWorker>(bytes);
    message::<FromWorker>(bytes);
    message::<Command>(bytes);
    message::<Answer>(bytes);
    message::<FrontSetup>(bytes);
    message::<WorkerSetup>(bytes);
    message::<Passed>(bytes);
});

fn frames(mut rest: &[u8]) {
    while let Ok(Some((header, payload, used))) = split(rest) {
        if let Ok(frame) = ToWorkerFrame::decode(header, payload) {
            let mut out = BytesMut::new();
            frame.encode(&mut out);
            let (header, payload, _) = whole(&out);
            assert_eq!(ToWorkerFrame::decode(header, payload), Ok(frame));
            match frame {
                ToWorkerFrame::Hello(json) => message::<Hello>(json),
                ToWorkerFrame::Profile { json, .. } => message::<Profile>(json),
                ToWorkerFrame::Request { id, end, payload, .. } => request(id, end, payload),
                _ => {}
            }
        }
        if let Ok(frame) = ToFrontFrame::decode(header, payload) {
            let mut out = BytesMut::new();
            frame.encode(&mut out);
            let (header, payload, _) = whole(&out);
            assert_eq!(ToFrontFrame::decode(header, payload), Ok(frame));
            match frame {
                ToFrontFrame::Welcome(json) => message::<Welcome>(json),
                ToFrontFrame::Head { id, flags, payload } => head(id, flags, payload),
                _ => {}
            }
        }
        rest = &rest[used..];
    }
}

/// What was written is one whole frame.
fn whole(out: &BytesMut) -> gk_wire::frame::Split<'_> {
    let found = split(out).expect("what is written is within the limits").expect("it is written to its end");
    assert_eq!(found.2, out.len());
    found
}

fn request(id: u32, end: bool, payload: &[u8]) {
    let Ok(view) = RequestView::decode(payload) else { return };
    let mut out = BytesMut::new();
    let mut writer = RequestWriter::begin(&mut out, id, end, &view.numbers, &view.texts);
    for (name, value) in view.pairs() {
        let first = view.get(name).expect("the pair is there");
        assert!(first == value || view.pairs().filter(|pair| pair.0 == name).count() > 1);
        writer.pair(name, value);
    }
    writer.finish();
    let (_, again, _) = whole(&out);
    // One byte is bits, of which some have no meaning.
    assert_eq!((again.len(), &again[..5], &again[6..]), (payload.len(), &payload[..5], &payload[6..]));
}

fn head(id: u32, flags: u8, payload: &[u8]) {
    let Ok(view) = HeadView::decode(payload) else { return };
    let mut out = BytesMut::new();
    let mut writer =
        HeadWriter::begin(&mut out, id, flags, view.status, view.reason, view.application_seconds);
    for (name, value) in view.headers() {
        writer.header(name, value);
    }
    writer.finish();
    let (_, again, _) = whole(&out);
    assert_eq!(again, payload);
}

/// A JSON message; what is read can be written, and written and read once more it stays as it is.
fn message<T: Message>(bytes: &[u8]) {
    let Ok(read) = decode::<T>(bytes) else { return };
    let written = encode(&read);
    let again = decode::<T>(&written).expect("what is written is understood");
    // Not compared with the first, as the last digit of a number may be another.
    let _ = encode(&again);
}
