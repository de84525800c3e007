//! A link with the test at the other end.

use super::*;
use crate::engine::Failure;
use crate::process::clock::Clock;
use crate::worker::info::WorkerInfo;
use crate::worker::link::LinkState;
use bytes::BytesMut;
use gk_sys::descriptors;
use gk_sys::memory::SharedPage;
use gk_sys::memory::channel::{End, Sender, open};
use gk_wire::frame::Place;
use gk_wire::response::HeadWriter;
use std::cell::RefCell;
use std::os::fd::AsFd;

fn pair() -> (Rc<Link>, (Sender, Receiver)) {
    let (ours, theirs) = descriptors::stream_pair().unwrap();
    pair_of(ours, theirs)
}

fn pair_of(ours: OwnedFd, theirs: OwnedFd) -> (Rc<Link>, (Sender, Receiver)) {
    let page = SharedPage::create().unwrap();
    let worker = open(theirs, SharedPage::map(&page).unwrap(), End::Worker);
    let info = WorkerInfo { worker: 1, process_group: "g".into(), pid: 1, threads: 1, imported: true };
    (Link::new(info, ours, page, Clock::default(), Rc::default(), None).unwrap(), worker)
}

fn welcome(sender: &mut Sender) {
    let welcome = Welcome {
        protocol: gk_wire::PROTOCOL_VERSION,
        package: gk_wire::PACKAGE_VERSION.into(),
        python: "3.13.0".into(),
        gil_mode: "shared".into(),
        pid: 1,
        threads: 1,
        process_group: "g".into(),
    };
    let mut out = BytesMut::new();
    ToFrontFrame::Welcome(&serde_json::to_vec(&welcome).unwrap()).encode(&mut out);
    sender.send(&out).unwrap();
}

/// The end of a link whose worker is gone, and the number of `Open` events.
fn ending(link: &Rc<Link>) -> (String, usize) {
    let opened = RefCell::new(0);
    let reading =
        read(Rc::clone(link), |event| *opened.borrow_mut() += usize::from(matches!(event, LinkEvent::Open)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let ending = tokio::task::LocalSet::new().block_on(&runtime, reading).to_string();
    (ending, opened.into_inner())
}

#[test]
fn a_worker_may_greet_a_front_that_is_done_with_it() {
    let (link, (mut sender, receiver)) = pair();
    link.drain();
    assert_eq!(link.state(), LinkState::Drained);
    welcome(&mut sender);
    drop((sender, receiver));
    assert_eq!(ending(&link), ("the worker closed the link".into(), 1));
}

/// How the link ends when the worker's response goes on with that frame, made for the request's id.
fn ending_with(frame: impl Fn(u32) -> ToFrontFrame<'static>) -> (String, u32) {
    let (link, (mut sender, receiver)) = pair();
    link.open();
    let (id, _) = link.requests.borrow_mut().add();
    welcome(&mut sender);
    let mut out = BytesMut::new();
    HeadWriter::begin(&mut out, id, 0, 200, b"OK", 0.0).finish();
    frame(id).encode(&mut out);
    sender.send(&out).unwrap();
    drop((sender, receiver));
    (ending(&link).0, id)
}

#[test]
fn a_block_lies_within_the_memory_of_the_link() {
    let place = Place { offset: u32::MAX - 8, len: 8 };
    let (why, id) = ending_with(|id| ToFrontFrame::Block { id, end: true, place });
    assert_eq!(why, format!("request {id} names a block that cannot be"));
}

/// Another process may guess the number of a piece that this one has lent to itself.
#[test]
fn another_process_gets_nothing_that_was_lent() {
    let number = gk_sys::memory::loans::lend("for itself".into());
    let (why, id) = ending_with(|id| ToFrontFrame::Lent { id, end: true, number });
    assert_eq!(why, format!("request {id} names a piece that nobody lent"));
    assert!(gk_sys::memory::loans::take(number).is_some());
}

#[test]
fn a_worker_greets_once() {
    let (link, (mut sender, receiver)) = pair();
    welcome(&mut sender);
    welcome(&mut sender);
    drop((sender, receiver));
    assert_eq!(ending(&link), ("a second Welcome on one link".into(), 1));
}

#[test]
fn a_descriptor_that_was_lost_fails_its_own_request() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let (ours, theirs) = descriptors::stream_pair().unwrap();
    let socket = theirs.try_clone().unwrap();
    let (link, (mut sender, receiver)) = pair_of(ours, theirs);
    let id = link.requests.borrow_mut().add().0;
    (0..8).for_each(|_| link.reserve(0));
    welcome(&mut sender);
    // More descriptors than the front takes at once look like a limit that is reached.
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let files = [socket.as_fd(); 8];
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&files)));
    sendmsg(&socket, &[std::io::IoSlice::new(&[1])], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
    let mut out = BytesMut::new();
    let others: Vec<u32> = (0..7).map(|_| link.requests.borrow_mut().add().0).collect();
    for id in std::iter::once(id).chain(others) {
        gk_wire::response::HeadWriter::begin(&mut out, id, 0, 200, b"OK", 0.0).finish();
        ToFrontFrame::File { id, offset: 0, len: 1 }.encode(&mut out);
    }
    sender.send(&out).unwrap();
    drop((sender, receiver, socket));
    let (ending, _) = ending(&link);
    let mut requests = link.requests.borrow_mut();
    let lost: Vec<_> = requests.each().filter(|(_, request)| request.failure.is_some()).collect();
    assert_eq!(lost.len(), 1, "{ending}");
    assert!(matches!(&lost[0].1.failure, Some(Failure::Aborted(why)) if why.contains("ulimit -n")));
}

/// Reported: a worker that had been taken over sent descriptors without end, and the front, which held them all, had none left
/// for the clients of other groups.
#[test]
fn descriptors_without_their_frames_end_the_link() {
    let file = std::fs::File::open("/dev/null").unwrap();
    for (responses, sent, ended) in [(0, 1, true), (2, 2, false), (2, 3, true)] {
        let (link, (mut sender, receiver)) = pair();
        (0..responses).for_each(|_| link.reserve(0));
        welcome(&mut sender);
        for _ in 0..sent {
            sender.attach(&[file.as_fd()]).unwrap();
        }
        drop((sender, receiver));
        let (ending, _) = ending(&link);
        let why = if ended { "more descriptors than it has responses" } else { "the worker closed the link" };
        assert!(ending.contains(why), "{sent} for {responses} responses: {ending}");
    }
}

/// A worker that changed the counters of the ring that it reads was asked for more requests, and they waited for ever.
#[test]
fn a_ring_that_the_worker_damaged_ends_the_link() {
    let (ours, theirs) = descriptors::stream_pair().unwrap();
    let page = SharedPage::create().unwrap();
    let words = SharedPage::map(&page).unwrap();
    let (mut sender, _receiver) = open(theirs, SharedPage::map(&page).unwrap(), End::Worker);
    let info = WorkerInfo { worker: 1, process_group: "g".into(), pid: 1, threads: 1, imported: true };
    let link = Link::new(info, ours, page, Clock::default(), Rc::default(), None).unwrap();
    welcome(&mut sender);
    // How far the worker has read the first ring.
    words.word(64 + 8).store(u64::MAX / 2, std::sync::atomic::Ordering::Relaxed);
    assert!(link.push().is_err());
    link.wake_reader();
    let (ending, _) = ending(&link);
    assert!(ending.contains("damaged the ring"), "{ending}");
}
