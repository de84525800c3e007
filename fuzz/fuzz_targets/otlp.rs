//! Any bytes as pushes of other servers by OTLP: unpacked, read and added to what is known of their process groups, or refused, without
//! a panic or a sum that overflows. The first byte chooses form and coding.
#![no_main]

use gk_admin::heard::otlp_intake::message;
use gk_admin::heard::otlp_message::read;
use gk_admin::heard::pushes::PushingGroup;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else { return };
    let kind = if choice % 2 == 0 { "application/json" } else { "application/x-protobuf" };
    let coding = if choice % 4 < 2 { "identity" } else { "gzip" };
    let Ok(message) = message(body, kind, coding) else { return };
    let mut known: BTreeMap<(String, String, String), PushingGroup> = BTreeMap::new();
    let mut now = 1.7e9;
    // The same push again is a second without requests; twice as much is one with them.
    for _ in 0..3 {
        for push in read(&message) {
            let group = known.entry((push.host, push.instance, push.group)).or_default();
            group.take(push.figures, now);
            let earlier = group.reading(now - 0.5);
            let _ = group.reading(now + 0.7).sample.since(&earlier.sample);
        }
        now += 1.3;
    }
});
