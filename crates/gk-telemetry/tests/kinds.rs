//! Exceptions by type and response times by route on a scoreboard: what was recorded is what is read, at any number of either.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod support;

use gk_telemetry::{Board, Plain, Record};
use support::{Words, begin, board};

fn raise(board: &Board<Words>, slot: usize, group: u16, kind: &str) {
    board.begin(slot, &begin(group, "/a"));
    board.raised(slot, kind);
    board.finish(slot, &Record { status: 500, error: true, exception: true, ..Record::default() });
}

#[test]
fn exceptions_are_counted_by_group_and_type() {
    let board = board(2);
    let groups = [board.group(""), board.group("second")];
    raise(&board, 0, groups[0], "ValueError");
    raise(&board, 1, groups[0], "ValueError");
    raise(&board, 1, groups[1], "shop.errors.Missing");
    // A request without an exception, in a slot that had one.
    board.begin(1, &begin(groups[1], "/a"));
    board.finish(1, &Record { status: 200, ..Record::default() });
    let before = board.sample(0);
    let kinds: Vec<_> = before.groups.iter().map(|group| group.figures.raised.clone()).collect();
    let wanted = [("ValueError", 2), ("shop.errors.Missing", 1)];
    for (kinds, (name, count)) in kinds.iter().zip(wanted) {
        assert_eq!(kinds.iter().collect::<Vec<_>>(), [(&name.to_owned(), &count)]);
    }
    let raised: Vec<&str> = before.finished.iter().map(|one| one.raised.as_str()).collect();
    assert_eq!(raised, ["ValueError", "ValueError", "shop.errors.Missing", ""]);
    raise(&board, 0, groups[0], "KeyError");
    let change = board.sample(0).since(&before).total();
    assert_eq!(change.raised_by_type().collect::<Vec<_>>(), [("(others)", 0), ("KeyError", 1)]);
}

/// An application can make a class for each request.
#[test]
fn types_without_a_place_are_counted_together() {
    let board = board(1);
    let group = board.group("");
    (0..500).for_each(|n| raise(&board, 0, group, &format!("made.up.Error{n}")));
    raise(&board, 0, group, &"long".repeat(100));
    let total = board.sample(0).total();
    let by_type: Vec<(&str, u64)> = total.raised_by_type().collect();
    assert_eq!((by_type.len(), by_type.iter().map(|(_, count)| count).sum::<u64>()), (65, 501));
    assert_eq!(by_type[0], ("(others)", 437));
}

#[test]
fn percentiles_of_a_route_are_its_own() {
    let board = board(2);
    let group = board.group("");
    let mut writers = [board.writer(0).unwrap(), board.writer(1).unwrap()];
    for n in 0..300 {
        let [first, second] = &mut writers;
        first.begin(&begin(group, "/fast"));
        first.finish_plain(Plain { queue: 900, daemon: 0, application: 1_100 + n, bytes_out: 1 });
        second.begin(&begin(group, if n < 100 { "/slow" } else { "/fast" }));
        let response = if n < 100 { u64::from(n) * 1_000_000 } else { 2_000 };
        second.finish(&Record { status: 200, response, ..Record::default() });
        if n == 150 {
            // Requests of an ended batch and requests that wait in a slot.
            first.end_batch();
        }
    }
    let sample = board.sample(0);
    let times = |name: &str| sample.routes.iter().find(|route| route.name == name).unwrap().times.clone();
    assert_eq!((times("/fast").count(), times("/slow").count()), (500, 100));
    let off = |got: Option<f64>, wanted: f64| (got.unwrap() - wanted).abs() / wanted;
    assert!(off(times("/slow").quantile(0.5), 50e6) < 0.1, "{:?}", times("/slow").quantile(0.5));
    assert!(off(times("/slow").quantile(0.95), 95e6) < 0.1, "{:?}", times("/slow").quantile(0.95));
    assert!(off(times("/fast").quantile(0.99), 2_200.0) < 0.15, "{:?}", times("/fast").quantile(0.99));
}

#[test]
fn more_requests_of_one_duration_than_a_slot_counts() {
    let board = board(1);
    let (group, mut writer) = (board.group(""), board.writer(0).unwrap());
    for (n, route) in ["/many", "/one", "/many"].iter().enumerate() {
        for _ in 0..if n == 1 { 1 } else { 1_000 } {
            writer.begin(&begin(group, route));
            writer.finish(&Record { status: 200, response: 5_000, ..Record::default() });
        }
        let sample = board.sample(0);
        let count =
            |name: &str| sample.routes.iter().find(|route| route.name == name).map(|r| r.times.count());
        let wanted = [(1_000, None), (1_000, Some(1)), (2_000, Some(1))][n];
        assert_eq!((count("/many"), count("/one")), (Some(wanted.0), wanted.1));
    }
}
