//! Frames of a worker, applied to its requests without a link.

use super::*;
use bytes::BytesMut;
use gk_wire::frame::split;
use gk_wire::response::HeadWriter;
use std::fs::File;
use std::os::fd::OwnedFd;

#[test]
fn an_old_id_does_not_find_the_next_request_in_its_place() {
    let mut requests = LinkRequests::default();
    let (first, request) = requests.add();
    (request.ended, request.released) = (true, true);
    requests.settle(first);
    let (second, _) = requests.add();
    assert_ne!(first, second);
    assert!(requests.get(first).is_none());
    assert!(requests.get(second).is_some());
}

#[test]
fn a_request_stays_until_both_sides_are_done() {
    let mut requests = LinkRequests::default();
    let (id, request) = requests.add();
    request.ended = true;
    requests.settle(id);
    requests.get(id).unwrap().released = true;
    requests.settle(id);
    assert!(requests.get(id).is_none());
    assert_eq!(requests.each().count(), 0);
}

/// Reported: a response whose head came in the turn of the event loop in which `socket-timeout` ran out was begun and cut off.
/// Met with an application that answers about as late as the timeout allows.
#[test]
fn a_frame_ends_a_timeout_that_nobody_has_seen() {
    let mut request = LinkRequest { failure: Some(Failure::TimedOut), ..LinkRequest::default() };
    request.touch(7);
    assert_eq!((request.since, request.failure.clone()), (7, None));
    request.failure = Some(Failure::Died);
    request.touch(8);
    assert_eq!((request.since, request.failure), (8, Some(Failure::Died)));
}

#[test]
fn ids_are_never_zero_and_survive_the_generation_counter() {
    let mut requests = LinkRequests::default();
    for _ in 0..10_000 {
        let (id, request) = requests.add();
        assert_ne!(id, 0);
        (request.ended, request.released) = (true, true);
        requests.settle(id);
    }
}

/// A frame of the worker for request `id`.
enum Sent {
    Head {
        end: bool,
    },
    Data {
        bytes: usize,
        end: bool,
    },
    File,
    /// A `File` frame whose descriptor the kernel closed.
    LostFile,
    /// A `File` frame without a descriptor.
    BareFile,
    Credit,
    Abort,
    Return,
}

fn apply(requests: &mut LinkRequests, id: u32, sent: &Sent) -> Result<bool, String> {
    let mut out = BytesMut::new();
    let data = vec![b'x'; 600 * 1024];
    let flags = |end: bool| if end { END } else { 0 };
    match sent {
        Sent::Head { end } => HeadWriter::begin(&mut out, id, flags(*end), 200, b"OK", 0.0).finish(),
        Sent::Data { bytes, end } => {
            ToFrontFrame::Data { id, end: *end, data: &data[..*bytes] }.encode(&mut out)
        }
        Sent::File | Sent::LostFile | Sent::BareFile => {
            ToFrontFrame::File { id, offset: 2, len: 5 }.encode(&mut out);
        }
        Sent::Credit => ToFrontFrame::Credit { id, bytes: 10 }.encode(&mut out),
        Sent::Abort => ToFrontFrame::Abort { id, reason: "why" }.encode(&mut out),
        Sent::Return => return requests.give_back(id).map_err(|bad| bad.to_string()),
    }
    let (header, payload, _) = split(&out).unwrap().unwrap();
    let frame = ToFrontFrame::decode(header, payload).unwrap();
    let file = || match sent {
        Sent::File => Some(Carried::File(OwnedFd::from(File::open("/dev/null").unwrap()))),
        Sent::LostFile => Some(Carried::Lost),
        _ => None,
    };
    requests.apply(frame, 50, file, |_| None).map(|applied| applied.ended).map_err(|bad| bad.to_string())
}

/// The head is there, body bytes, a file is there, ended, the failure.
type State = (bool, usize, bool, bool, Option<Failure>);

fn state(request: &LinkRequest) -> State {
    (request.has_head, request.backlog.held(), request.file.is_some(), request.ended, request.failure.clone())
}

#[test]
fn frames_fill_their_request() {
    use Sent::{Abort, Credit, Data, File, Head, LostFile, Return};
    let aborted = |why: &str| Some(Failure::Aborted(why.to_owned()));
    /// Frames in order, and the state after them.
    type Case<'c> = (&'c [Sent], State);
    let cases: [Case<'_>; 10] = [
        (&[], (false, 0, false, false, None)),
        (&[Head { end: true }], (true, 0, false, true, None)),
        (&[Head { end: false }, Data { bytes: 4, end: false }], (true, 4, false, false, None)),
        (
            &[Head { end: false }, Data { bytes: 4, end: false }, Data { bytes: 3, end: true }],
            (true, 7, false, true, None),
        ),
        (&[Head { end: false }, Data { bytes: 0, end: true }], (true, 0, false, true, None)),
        (&[Head { end: false }, File], (true, 0, true, true, None)),
        // A head whose body was lost is not sent.
        (&[Head { end: false }, LostFile], (false, 0, false, true, aborted(NO_DESCRIPTOR))),
        (&[Head { end: false }, Abort], (true, 0, false, true, aborted("why"))),
        (&[Credit, Abort], (false, 0, false, true, aborted("why"))),
        (&[Return], (false, 0, false, true, Some(Failure::NotStarted))),
    ];
    for (number, (frames, want)) in cases.into_iter().enumerate() {
        let mut requests = LinkRequests::default();
        let (id, _) = requests.add();
        let (last, before) = match frames.split_last() {
            Some((last, before)) => (Some(last), before),
            None => (None, frames),
        };
        for sent in before {
            assert_eq!(apply(&mut requests, id, sent), Ok(false), "case {number}");
        }
        if let Some(last) = last {
            assert_eq!(
                apply(&mut requests, id, last),
                Ok(want.3),
                "case {number}: whether it was the last frame"
            );
        }
        assert_eq!(state(requests.get(id).unwrap()), want, "case {number}");
    }
}

#[test]
fn frames_out_of_order_end_the_link() {
    use Sent::{BareFile, Data, File, Head, LostFile, Return};
    let cases: [(&[Sent], &str); 7] = [
        (&[Data { bytes: 1, end: false }], "a body without a head for request"),
        (&[File], "a body without a head for request"),
        (&[LostFile], "a body without a head for request"),
        (&[Head { end: false }, Head { end: false }], "a second head for request"),
        (&[Head { end: false }, BareFile], "a File frame without its descriptor"),
        (&[Head { end: false }, Data { bytes: 600 * 1024, end: false }], "exceeds its window"),
        (&[Head { end: false }, Return], "was returned after its head"),
    ];
    for (frames, want) in cases {
        let mut requests = LinkRequests::default();
        let (id, _) = requests.add();
        let (last, before) = frames.split_last().unwrap();
        for sent in before {
            assert_eq!(apply(&mut requests, id, sent), Ok(false), "{want}");
        }
        let why = apply(&mut requests, id, last).unwrap_err();
        assert!(why.contains(want), "{why}");
    }
    // Nothing but credit and an end may come after the end.
    for (sent, refused) in [
        (Sent::Credit, false),
        (Sent::Abort, false),
        (Return, false),
        (Head { end: true }, true),
        (Data { bytes: 1, end: true }, true),
        (File, true),
    ] {
        let mut requests = LinkRequests::default();
        let (id, _) = requests.add();
        apply(&mut requests, id, &Head { end: true }).unwrap();
        let outcome = apply(&mut requests, id, &sent);
        assert_eq!(outcome.is_err(), refused, "{outcome:?}");
        assert!(!outcome.unwrap_or(false), "a request ends once");
    }
}

/// A worker that was taken over could keep the front busy with frames that mean nothing.
#[test]
fn frames_for_no_request_have_a_bound() {
    for stray in [Sent::Credit, Sent::Abort, Sent::Return] {
        let mut requests = LinkRequests::default();
        let (id, _) = requests.add();
        apply(&mut requests, id, &Sent::Head { end: true }).unwrap();
        for _ in 0..STRAYS.0 + STRAYS.1 {
            assert_eq!(apply(&mut requests, id, &stray), Ok(false));
        }
        let why = apply(&mut requests, id, &stray).unwrap_err();
        assert!(why.contains("not in flight"), "{why}");
    }
}

#[test]
fn a_workers_words_are_cut() {
    let long = "ä".repeat(MOST_WORDS);
    assert_eq!((words("why"), words(&long).len()), ("why", MOST_WORDS));
}

#[test]
fn a_released_request_takes_no_more_bytes() {
    let mut requests = LinkRequests::default();
    let (id, request) = requests.add();
    request.released = true;
    assert_eq!(apply(&mut requests, id, &Sent::Head { end: false }), Ok(false));
    for _ in 0..3 {
        assert_eq!(apply(&mut requests, id, &Sent::Data { bytes: 600 * 1024, end: false }), Ok(false));
    }
    assert_eq!(requests.get(id).unwrap().backlog.held(), 0);
    assert_eq!(apply(&mut requests, id, &Sent::Data { bytes: 0, end: true }), Ok(true));
    assert!(requests.get(id).is_none(), "both sides are done");
}

#[test]
fn the_death_of_a_worker_settles_each_request_by_how_far_it_was() {
    /// Ordinal, whether a head came, was it released; the failure and whether it counts as lost. Two requests were started.
    type Case = (u64, bool, bool, Failure, bool);
    let cases: [Case; 5] = [
        (1, false, false, Failure::Died, true),
        (2, true, false, Failure::Died, true),
        (2, false, true, Failure::Died, false),
        (3, false, false, Failure::NotStarted, false),
        // The word in the page may be behind, a head is not.
        (3, true, false, Failure::Died, true),
    ];
    for (ordinal, headed, released, failure, lost) in cases {
        let mut requests = LinkRequests::default();
        let (id, request) = requests.add();
        (request.ordinal, request.headed) = (ordinal, headed);
        let (ended, request) = requests.add();
        request.ended = true;
        if released {
            requests.get(id).unwrap().released = true;
        }
        assert_eq!(requests.fail_all(2), usize::from(lost), "request {ordinal}, head: {headed}");
        assert_eq!(requests.get(ended).unwrap().failure, None, "it had its last frame");
        match requests.get(id) {
            Some(request) => assert_eq!(request.failure, Some(failure), "request {ordinal}, head: {headed}"),
            None => assert!(released, "a released request is gone"),
        }
    }
}

#[test]
fn socket_timeout_ends_the_wait_for_a_frame_and_no_other() {
    let bytes = || {
        let mut backlog = Backlog::default();
        backlog.push(Bytes::from_static(b"x"), &Share::default()).unwrap();
        backlog
    };
    let cases = [
        ("it waits", LinkRequest { since: 100, ..LinkRequest::default() }, true),
        ("a frame came in time", LinkRequest { since: 101, ..LinkRequest::default() }, false),
        ("its last frame came", LinkRequest { ended: true, ..LinkRequest::default() }, false),
        ("its client is gone", LinkRequest { released: true, ..LinkRequest::default() }, false),
        ("its client reads slowly", LinkRequest { backlog: bytes(), ..LinkRequest::default() }, false),
    ];
    for (what, given, times_out) in cases {
        let mut requests = LinkRequests::default();
        let (id, request) = requests.add();
        let LinkRequest { since, ended, released, backlog, .. } = given;
        (request.since, request.ended, request.released, request.backlog) = (since, ended, released, backlog);
        requests.expire(601, 500);
        let failure = requests.get(id).unwrap().failure.clone();
        assert_eq!(failure, times_out.then_some(Failure::TimedOut), "{what}");
    }
}
