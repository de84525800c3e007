//! Both ends of a link in one process.

use super::*;
use std::sync::atomic::Ordering::Relaxed;

fn pair() -> ((Sender, Receiver), (Sender, Receiver)) {
    let (a, b) = descriptors::stream_pair().unwrap();
    let page = SharedPage::create().unwrap();
    let map = || SharedPage::map(&page).unwrap();
    (open(a, map(), End::Front), open(b, map(), End::Worker))
}

/// Both directions at once, pieces of many sizes, more bytes than the rings hold: all arrive, in order, and nobody sleeps
/// for ever.
#[test]
fn bytes_arrive_in_order_both_ways() {
    const TOTAL: usize = 8 << 20;
    let byte = |at: usize| (at * 31 + at / 251) as u8;
    let ((to_worker, from_worker), (to_front, from_front)) = pair();
    let write = move |mut sender: Sender, step: usize| {
        let mut at = 0;
        while at < TOTAL {
            let count = (at * 7 + step) % 5_000 + 1;
            let piece: Vec<u8> = (at..(at + count).min(TOTAL)).map(byte).collect();
            sender.send(&piece).unwrap();
            at += piece.len();
        }
    };
    let read = move |mut receiver: Receiver, room: usize| {
        let (mut at, mut buffer) = (0, vec![0; room]);
        while at < TOTAL {
            let count = receiver.receive(&mut buffer, true).unwrap();
            assert!(count > 0);
            assert!(buffer[..count].iter().enumerate().all(|(i, got)| *got == byte(at + i)));
            at += count;
        }
        receiver
    };
    std::thread::scope(|scope| {
        scope.spawn(move || write(to_worker, 11));
        scope.spawn(move || write(to_front, 977));
        let other = scope.spawn(move || read(from_front, 700));
        // Kept to the end: a closed end is the end of the other direction, too.
        let _kept = (read(from_worker, 9_000), other.join().unwrap());
    });
}

#[test]
fn what_was_written_before_the_end_is_read_before_the_end() {
    let ((mut to_worker, from_worker), (_to_front, mut from_front)) = pair();
    to_worker.send(b"last words").unwrap();
    drop((to_worker, from_worker));
    assert_last_words(&mut from_front);
}

#[test]
fn an_end_that_left_a_bell_unheard_is_gone_all_the_same() {
    let ((mut to_worker, from_worker), (mut to_front, mut from_front)) = pair();
    assert!(from_worker.watch().sleep());
    to_front.send(b"unheard").unwrap();
    to_worker.send(b"last words").unwrap();
    drop((to_worker, from_worker));
    assert_last_words(&mut from_front);
}

#[test]
fn a_writer_whose_reader_is_gone_does_not_wait_for_room() {
    let ((mut to_worker, _from_worker), worker) = pair();
    drop(worker);
    let sent = to_worker.send(&vec![0; 2 * RING]);
    assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_descriptor_is_there_when_its_frame_is() {
    let ((_to_worker, mut from_worker), (mut to_front, _from_front)) = pair();
    let file = descriptors::memory_file("carried", b"carried").unwrap();
    to_front.attach(&[file.as_fd()]).unwrap();
    to_front.send(b"x").unwrap();
    let mut buffer = [0; 8];
    assert_eq!(from_worker.receive(&mut buffer, true).unwrap(), 1);
    let Some(Carried::File(got)) = from_worker.file() else { panic!("no file") };
    assert_eq!(descriptors::read_memory_file(&mut got.into()).unwrap(), b"carried");
    assert!(from_worker.file().is_none());
    // More than fit are cut off, as are those for which this process has no number left.
    let file = file.as_fd();
    descriptors::send_many(&*to_front.0.socket, &[1], &[file; 2 * descriptors::MAX_FDS]);
    to_front.attach(&[file]).unwrap();
    let carried: Vec<Carried> = std::iter::from_fn(|| from_worker.file()).collect();
    let lost = carried.iter().position(|carried| matches!(carried, Carried::Lost));
    assert_eq!(lost, carried.len().checked_sub(2), "{carried:?}");
}

#[test]
fn only_a_sleeper_is_woken() {
    let ((mut to_worker, _from_worker), (_to_front, mut from_front)) = pair();
    to_worker.push(b"x").unwrap();
    to_worker.wake();
    assert_eq!(from_front.listen(false).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let watch = from_front.watch();
    assert!(!watch.sleep(), "there is a byte");
    assert_eq!(from_front.pull(&mut [0; 8]).unwrap(), 1);
    assert!(watch.sleep());
    to_worker.wake();
    to_worker.wake();
    let mut bells = [0; 8];
    assert_eq!(descriptors::receive(&**from_front.socket(), &mut bells, false).unwrap().bytes, 1);
}

/// Reported: a worker that had been taken over wrote bells without pause, and the front read them without end.
#[test]
fn bells_that_nobody_asked_for_end_the_link() {
    let ((_to_worker, mut from_worker), (to_front, mut from_front)) = pair();
    for _ in 0..3 * UNASKED {
        assert!(from_worker.watch().sleep());
        to_front.wake();
        assert!(!from_worker.listen(false).unwrap());
    }
    descriptors::send(&*to_front.0.socket, &[1; UNASKED as usize + 1], &[]).unwrap();
    assert_eq!(from_worker.listen(false).unwrap_err().kind(), io::ErrorKind::InvalidData);
    // The front rings for each request that the worker waits for.
    assert_eq!(from_front.listen(false).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

/// Reported: a worker that had been taken over sent descriptors, and the front took as many as there were.
#[test]
fn what_one_call_takes_has_a_bound() {
    let ((_to_worker, mut from_worker), (to_front, _from_front)) = pair();
    let file = descriptors::memory_file("many", b"").unwrap();
    let mut sent = 0;
    while sent < 3 * LISTENS {
        to_front.attach(&[file.as_fd()]).unwrap();
        sent += 1;
    }
    let mut calls = 0;
    loop {
        calls += 1;
        assert!(!from_worker.listen(false).unwrap());
        assert!(from_worker.held() <= calls * LISTENS);
        if !from_worker.has_more() || from_worker.held() == sent {
            break;
        }
    }
    assert_eq!((from_worker.held(), calls), (sent, 3));
}

#[test]
fn counters_that_make_no_sense_are_an_error() {
    let ((mut to_worker, _from_worker), (_to_front, mut from_front)) = pair();
    from_front.shared.words(0).written.store(u64::MAX, Relaxed);
    assert_eq!(from_front.pull(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(to_worker.push(b"x").unwrap_err().kind(), io::ErrorKind::InvalidData);
}

/// What was written before the end comes, and then the end.
fn assert_last_words(from_front: &mut Receiver) {
    let mut buffer = [0; 64];
    assert_eq!(from_front.receive(&mut buffer, true).unwrap(), 10);
    assert_eq!(from_front.receive(&mut buffer, true).unwrap(), 0);
}
