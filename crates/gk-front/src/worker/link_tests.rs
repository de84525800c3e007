//! The frames that a link writes, read from the other end of its ring.

use super::*;
use bytes::BytesMut;
use gk_sys::descriptors;
use gk_wire::frame::{self, ToWorkerFrame};
use gk_wire::request::{Numbers, Profile, RequestWriter, Texts};

/// A link with two request threads at its other end, and the worker's half of the channel.
fn link() -> (Rc<Link>, Sender, Receiver) {
    let (ours, theirs) = descriptors::stream_pair().unwrap();
    let page = SharedPage::create().unwrap();
    let (sender, receiver) = channel::open(theirs, SharedPage::map(&page).unwrap(), End::Worker);
    let info = WorkerInfo { worker: 1, process_group: "g".into(), pid: 1, threads: 2, imported: true };
    (Link::new(info, ours, page, Clock::default(), Rc::default(), None).unwrap(), sender, receiver)
}

/// Names of the frames that are in the ring now.
fn frames(link: &Link, receiver: &mut Receiver) -> Vec<String> {
    link.push().unwrap();
    let mut bytes = vec![0; 64 * 1024];
    let got = receiver.pull(&mut bytes).unwrap();
    let (mut at, mut names) = (0, Vec::new());
    while let Some((header, payload, used)) = frame::split(&bytes[at..got]).unwrap() {
        names.push(match ToWorkerFrame::decode(header, payload).unwrap() {
            ToWorkerFrame::Hello(_) => "hello".into(),
            ToWorkerFrame::Profile { number, .. } => format!("profile {number}"),
            ToWorkerFrame::Request { end, .. } => format!("request, end: {end}"),
            ToWorkerFrame::Body { end, data, .. } => format!("body of {}, end: {end}", data.len()),
            ToWorkerFrame::Block { end, place, .. } => format!("block of {}, end: {end}", place.len),
            ToWorkerFrame::Credit { bytes, .. } => format!("credit {bytes}"),
            ToWorkerFrame::Cancel { .. } => "cancel".into(),
            ToWorkerFrame::Drain => "drain".into(),
        });
        at += used;
    }
    assert_eq!(at, got, "the ring ends with a complete frame");
    names
}

fn profile(number: u32) -> NumberedProfile {
    let profile = Profile {
        script: String::new(),
        module: false,
        callable: String::new(),
        application_group: String::new(),
        script_reloading: false,
        ignore_activity: false,
        environ: Vec::new(),
        error_log: None,
        hook: false,
    };
    NumberedProfile { number, json: b"{}".to_vec(), profile }
}

const NUMBERS: Numbers = Numbers {
    profile: 1,
    version: 11,
    https: false,
    traced: false,
    server_port: 80,
    remote_port: 1,
    request_id: 1,
    connection_id: 1,
    request_start: 0.0,
    queue_start: 0.0,
};

/// Reserves and begins a request with a target of so many bytes.
fn begin(link: &Link, profile: &NumberedProfile, bytes: usize) -> Option<u32> {
    link.reserve(0);
    let target = vec![b'/'; bytes];
    let texts = Texts { uri: &target, ..Texts::default() };
    link.begin(profile, Origin::default(), |out: &mut BytesMut, id| {
        RequestWriter::begin(out, id, true, &NUMBERS, &texts).finish();
    })
}

#[test]
fn a_link_begins_with_hello_and_sends_each_profile_once() {
    let (link, _sender, mut receiver) = link();
    assert_eq!(frames(&link, &mut receiver), ["hello"]);
    link.open();
    for (number, want) in [
        (1, &["profile 1", "request, end: true"][..]),
        (1, &["request, end: true"]),
        (3, &["profile 3", "request, end: true"]),
        (1, &["request, end: true"]),
        (3, &["request, end: true"]),
    ] {
        begin(&link, &profile(number), 1).unwrap();
        assert_eq!(frames(&link, &mut receiver), want, "profile {number}");
    }
    assert_eq!(link.in_flight(), 5);
}

/// Reported: a request that no frame holds ended the link, and every other request on the worker with it.
/// Met with limits on request lines and fields near 1 MiB.
#[test]
fn a_request_that_no_frame_holds_leaves_no_trace() {
    let (link, _sender, mut receiver) = link();
    link.open();
    frames(&link, &mut receiver);
    assert_eq!(begin(&link, &profile(1), MAX_PAYLOAD + 1), None);
    assert_eq!(frames(&link, &mut receiver), ["profile 1"]);
    assert_eq!(link.requests.borrow_mut().each().count(), 0);
    begin(&link, &profile(1), 1).unwrap();
    assert_eq!(frames(&link, &mut receiver), ["request, end: true"]);
}

#[test]
fn a_request_is_cancelled_unless_the_worker_has_ended_it() {
    for (ended, want) in [(false, &["cancel"][..]), (true, &[])] {
        let (link, _sender, mut receiver) = link();
        link.open();
        let id = begin(&link, &profile(1), 1).unwrap();
        frames(&link, &mut receiver);
        link.requests.borrow_mut().get(id).unwrap().ended = ended;
        link.release(id);
        assert_eq!(frames(&link, &mut receiver), want, "ended: {ended}");
        assert_eq!(link.requests.borrow_mut().get(id).is_none(), ended, "it stays until the worker ends it");
    }
}

#[test]
fn drain_follows_the_last_request_and_nothing_follows_drain() {
    let (link, _sender, mut receiver) = link();
    link.open();
    begin(&link, &profile(1), 1).unwrap();
    link.reserve(0);
    frames(&link, &mut receiver);
    link.drain();
    assert_eq!((link.state(), link.has_room(0)), (LinkState::Draining, false));
    assert!(frames(&link, &mut receiver).is_empty());
    link.completed(1);
    assert_eq!(link.state(), LinkState::Draining, "a permit is not used yet");
    link.unreserve();
    assert_eq!(link.state(), LinkState::Drained);
    link.queue(ToWorkerFrame::Cancel { id: 1 });
    assert_eq!(frames(&link, &mut receiver), ["drain"]);
}

#[test]
fn returned_requests_make_room_like_completed_ones() {
    let (link, _sender, _receiver) = link();
    link.open();
    for _ in 0..2 {
        assert!(link.has_room(0));
        link.reserve(0);
    }
    assert!(!link.has_room(0), "without a service time, none goes ahead of the threads");
    link.returned(1);
    assert!(link.has_room(0));
    link.reserve(0);
    link.completed(2);
    assert_eq!(link.in_flight(), 0);
}

/// Met: what was given ahead to a worker with slow requests went back and forth, so `queue-timeout` never saw it in the queue.
#[test]
fn a_worker_that_returned_a_request_gets_none_ahead_until_one_ends() {
    let (link, _sender, receiver) = link();
    link.open();
    receiver.watch().word(gk_wire::page::SERVICE).store(2_000_000_000, Ordering::Relaxed);
    for _ in 0..3 {
        assert!(link.has_room(0), "two threads, and one ahead");
        link.reserve(0);
    }
    link.returned(1);
    assert_eq!((link.in_flight(), link.has_room(0)), (2, false));
    link.completed(1);
    link.reserve(0);
    assert!(link.has_room(0), "ahead again");
}

#[test]
fn a_full_ring_keeps_the_rest_in_order() {
    let (link, _sender, mut receiver) = link();
    link.open();
    frames(&link, &mut receiver);
    let piece = vec![b'x'; 16 * 1024];
    for number in 0..10 {
        link.queue(ToWorkerFrame::Body { id: 1, end: number == 9, data: &piece });
    }
    let (mut bytes, mut got) = (vec![0; 256 * 1024], 0);
    let mut turns = 0;
    loop {
        link.push().unwrap();
        got += receiver.pull(&mut bytes[got..]).unwrap();
        turns += 1;
        if !link.wants_space() {
            break;
        }
    }
    assert!(turns > 1, "the ring was full");
    let (mut at, mut ends) = (0, Vec::new());
    while let Some((header, payload, used)) = frame::split(&bytes[at..got]).unwrap() {
        let ToWorkerFrame::Body { end, data, .. } = ToWorkerFrame::decode(header, payload).unwrap() else {
            panic!("not a body");
        };
        assert_eq!(data, piece);
        ends.push(end);
        at += used;
    }
    assert_eq!((at, ends.len(), ends.iter().filter(|end| **end).count(), ends[9]), (got, 10, 1, true));
}

#[test]
fn a_dead_link_writes_nothing_and_tells_what_was_lost() {
    let (link, sender, mut receiver) = link();
    link.open();
    let started = begin(&link, &profile(1), 1).unwrap();
    let waiting = begin(&link, &profile(1), 1).unwrap();
    frames(&link, &mut receiver);
    receiver.watch().word(STARTED).store(1, Ordering::Release);
    drop((sender, receiver));
    assert_eq!(link.died(), 1);
    assert_eq!((link.state(), link.in_flight(), link.has_room(0)), (LinkState::Dead, 0, false));
    link.queue(ToWorkerFrame::Cancel { id: started });
    assert!(!link.wants_space());
    let mut requests = link.requests.borrow_mut();
    let failures = [started, waiting].map(|id| requests.get(id).unwrap().failure.clone());
    use crate::engine::Failure::{Died, NotStarted};
    assert_eq!(failures, [Some(Died), Some(NotStarted)]);
}
