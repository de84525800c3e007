//! A worker in the hands of somebody else: the front ends its link, and serves everybody else meanwhile.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use gk_wire::control::FromFront;
use gk_wire::frame::{Header, ToFrontFrame};
use std::os::fd::AsFd;
use support::{FakeWorker, Running};

/// What the worker does until its link has ended.
type Attack = fn(&FakeWorker);

/// Reported: a worker of a group with a user of its own that had been taken over shut out all other groups. It wrote bells
/// without pause (p99 of others 1.6 s), or sent descriptors without end (20,000 in the front, none left for connections).
#[test]
fn a_worker_that_was_taken_over_ends_alone() {
    let attacks: [(&str, Attack, &str); 5] = [
        ("bells", |worker| while worker.write_beside(&[1; 64], None) {}, "rings without being asked"),
        (
            "descriptors",
            |worker| {
                let file = std::fs::File::open("/dev/null").unwrap();
                while worker.write_beside(&[1], Some(file.as_fd())) {}
            },
            "more descriptors than it has responses",
        ),
        (
            "bytes that are no frames",
            |worker| worker.send_bytes(&[0xff; 4096]),
            "longer than the protocol allows",
        ),
        (
            "a frame before its greeting",
            |worker| worker.send(&ToFrontFrame::Credit { id: 77, bytes: u32::MAX }),
            "must be Welcome",
        ),
        (
            "a greeting that is none",
            |worker| {
                let mut out = bytes::BytesMut::new();
                Header { len: 2, id: 0, kind: 64, flags: 0 }.encode(&mut out);
                out.extend_from_slice(b"[]");
                worker.send_bytes(&out);
            },
            "Welcome",
        ),
    ];
    let mut running = Running::start(|_| {});
    let _good = running.hello_worker();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    for (what, attack, why) in attacks {
        let worker = running.worker(2);
        let number = worker.number;
        let before = descriptors();
        // It ends when the front does: nobody reads its socket any more.
        std::thread::spawn(move || {
            attack(&worker);
            // The socket stays open: its end must not be what ends the link.
            std::thread::park();
        });
        let mut client = running.client();
        let mut most = 0;
        for _ in 0..50 {
            assert_eq!(client.get("/").answer().status, 200, "{what}");
            most = most.max(descriptors());
        }
        assert!(most < before + 200, "{what}: the front holds {most} descriptors");
        loop {
            match running.hear() {
                FromFront::LinkRefused { worker, why: said } if worker == number => {
                    break assert!(said.contains(why), "{what}: {said}");
                }
                _ => {}
            }
        }
    }
}
