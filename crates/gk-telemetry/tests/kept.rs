//! Which finished requests a scoreboard keeps: slow ones, those above the reader's floor, the last of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod support;

use gk_telemetry::sample::Finished;
use gk_telemetry::{Begin, Board, Identity, Plain, Record};
use support::{begin, board, page};

#[test]
fn only_slow_ones_are_kept_above_the_floor() {
    let identity = Identity { threads: 1, slow: 1_000, ..Identity::default() };
    let board = Board::create(page(1), &identity).unwrap();
    board.set_floor(u64::MAX);
    let group = board.group("");
    for application in [10, 2_000, 20] {
        board.begin(0, &begin(group, "/a"));
        board.finish(0, &Record { application, ..Record::default() });
    }
    let kept: Vec<u64> = board.sample(0).finished.iter().map(|f| f.record.application).collect();
    assert_eq!(kept, [2_000]);
}

#[test]
fn without_a_reader_only_slow_and_failed_ones_are_kept() {
    let identity = Identity { threads: 1, slow: 1_000, unread: true, ..Identity::default() };
    let board = Board::create(page(1), &identity).unwrap();
    let group = board.group("");
    for (application, error) in [(10, false), (20, true), (2_000, false), (30, false)] {
        board.begin(0, &begin(group, "/a"));
        board.finish(0, &Record { application, error, ..Record::default() });
    }
    let kept = |after| board.sample(after).finished.into_iter().map(|f| f.record.application);
    assert_eq!(kept(0).collect::<Vec<_>>(), [20, 2_000]);
    // One that comes later wants all there are.
    board.set_floor(0);
    board.begin(0, &begin(group, "/a"));
    board.finish(0, &Record { application: 40, ..Record::default() });
    assert_eq!(kept(2).collect::<Vec<_>>(), [40]);
}

#[test]
fn a_thread_follows_the_floor_when_it_looks() {
    let board = board(1);
    let group = board.group("");
    let mut writer = board.writer(0).unwrap();
    board.set_floor(1_000);
    for response in [10, 2_000, 20] {
        writer.look();
        writer.begin(&begin(group, "/a"));
        writer.finish(&Record { response, ..Record::default() });
    }
    assert_eq!(board.sample(0).finished.iter().map(|f| f.record.response).collect::<Vec<_>>(), [2_000]);
}

#[test]
fn requests_of_traces_are_kept_beside_the_others_with_their_ids() {
    let board = board(2);
    let group = board.group("");
    board.set_floor(u64::MAX);
    let mut writer = board.writer(0).unwrap();
    let plain = Plain { queue: 1, daemon: 2, application: 3, bytes_out: 4 };
    for (id, traced) in [("a", true), ("b", false), ("", true), ("d", false)] {
        writer.begin(&Begin { id: id.as_bytes(), traced, ..begin(group, "/a") });
        let slot = &board.sample(0).slots[0];
        assert_eq!(slot.request.as_ref().unwrap().id, id);
        writer.finish_plain(plain);
    }
    writer.begin(&Begin { id: b"e", traced: true, ..begin(group, "/a") });
    writer.finish(&Record { error: true, ..Record::default() });
    writer.end_batch();
    let sample = board.sample(0);
    let ids = |finished: &[Finished]| finished.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&sample.finished), ["e"]);
    let (traced, last, lost) = board.traced(0, &sample.routes);
    assert_eq!((ids(&traced), last, lost), (vec!["a".into(), String::new(), "e".into()], 3, 0));
    assert_eq!(traced[0].record.application, 3);
    assert_eq!((sample.total().requests, board.traced(3, &sample.routes).0.len()), (5, 0));
    // More than there is room for.
    for _ in 0..1030 {
        writer.begin(&Begin { traced: true, ..begin(group, "/a") });
        writer.finish_plain(plain);
    }
    let (traced, last, lost) = board.traced(3, &sample.routes);
    assert_eq!((traced.len(), last, lost), (1024, 1033, 6));
}

#[test]
fn the_ring_keeps_the_last() {
    let board = board(1);
    let group = board.group("");
    for n in 0..200 {
        board.begin(0, &begin(group, "/a"));
        board.finish(0, &Record { response: n, ..Record::default() });
    }
    let sample = board.sample(0);
    let kept: Vec<u64> = sample.finished.iter().map(|f| f.record.response).collect();
    assert_eq!(kept, (136..200).collect::<Vec<_>>());
    assert_eq!(sample.last, 200);
}
