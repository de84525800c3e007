//! Any bytes as frames of a link, in both directions: decoded or refused without a panic.
#![no_main]

use gk_wire::frame::{ToFrontFrame, ToWorkerFrame, split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Ok(Some((header, payload, used))) = split(rest) {
        let _ = ToWorkerFrame::decode(header, payload);
        let _ = ToFrontFrame::decode(header, payload);
        rest = &rest[used..];
    }
});
