//! Any bytes as telemetry datagrams: decoded or refused without a panic; decoded ones are written back unchanged and added
//! to a process's record. The input is cut into datagrams at each "WSGI".
#![no_main]

use gk_telemetry::datagram::Datagram;
use gk_telemetry::datagram::receive::Process;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut process = Process::default();
    let mut now = 1.7e9;
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = (1..rest.len()).find(|at| rest[*at..].starts_with(b"WSGI")).unwrap_or(rest.len());
        let (one, after) = rest.split_at(end);
        if let Ok(datagram) = Datagram::decode(one) {
            assert_eq!(datagram.encode()[8..], one[8..]);
            let _ = process.take(&datagram, now);
            now += 0.7;
            let reading = process.reading(now);
            let _ = reading.sample.since(&process.reading(now - 0.5).sample);
        }
        rest = after;
    }
});
