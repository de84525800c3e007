//! A scoreboard written and read in one process: what was recorded is what is read, from one thread and from several.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod support;

use gk_telemetry::figures::routes::RouteSample;
use gk_telemetry::figures::{FIGURES, Figures, Shown, Value};
use gk_telemetry::mod_wsgi_buckets;
use gk_telemetry::{Board, BoardError, GilMode, Route, ThreadStage, Wait};
use gk_telemetry::{Plain, Record, SlotWriter};
use proptest::prelude::*;
use std::sync::Arc;
use support::{Words, begin, board, page};

#[test]
fn a_request_is_seen_in_flight_and_then_counted() {
    let board = board(2);
    board.set_gil(GilMode::Shared, Some(5_000_000));
    let group = board.group("");
    board.begin(1, &begin(group, "/user/12"));
    board.set_state(1, ThreadStage::Application);
    let sample = board.sample(0);
    assert_eq!((sample.pid, sample.worker, sample.process_group.as_str()), (7, 3, "site"));
    let request = sample.slots[1].request.clone().unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/user/12"));
    assert_eq!(request.route, "/user/:id");
    assert!(sample.slots[0].request.is_none());

    board.waited(&Wait {
        slot: Some(1),
        victim: Route::UNKNOWN,
        group,
        ns: 5_000_000,
        whole: Some(5_000_000),
        server: false,
        culprit: board.thread(b"cleanup"),
    });
    assert_eq!(board.sample(0).slots[1].request.as_ref().unwrap().gil_wait, 5_000_000);
    board.finish(
        1,
        &Record {
            status: 200,
            response: 9_000_000,
            gil_application: 5_000_000,
            bytes_out: 12,
            ..Record::default()
        },
    );
    let sample = board.sample(0);
    assert!(sample.slots[1].request.is_none());
    let total = sample.total();
    assert_eq!((total.requests, total.bytes_out, total.gil_application), (1, 12, 5_000_000));
    assert_eq!(total.statuses.get(&200), Some(&1));
    assert_eq!((total.response.count(), total.response.sum), (1, 9_000_000));
    let route = sample.routes.iter().find(|route| route.name == "/user/:id").unwrap();
    assert_eq!((route.requests, route.suffered), (1, 5_000_000));
    let [pair] = sample.pairs[..] else { panic!("one pair") };
    assert_eq!((sample.route_name(pair.culprit), sample.route_name(pair.victim)), ("cleanup", "/user/:id"));
    assert_eq!(sample.finished.len(), 1, "the floor is 0, so every request is a sample");
    assert_eq!(sample.finished[0].culprit, "cleanup");
    assert_eq!(board.sample(sample.last).finished, []);
}

#[test]
fn threads_without_a_cell_of_their_own_have_their_slots_behind_all_others() {
    let board = board(70);
    let group = board.group("");
    for index in 0..70 {
        let path = format!("/{}", (b'a' + (index % 26) as u8) as char);
        board.begin(index, &begin(group, &path));
        board.set_tid(index, index as u32 + 1);
    }
    let sample = board.sample(0);
    assert_eq!(sample.slots.iter().map(|slot| slot.tid).collect::<Vec<_>>(), (1..=70).collect::<Vec<u32>>());
    assert!(sample.slots.iter().all(|slot| slot.request.is_some()));
    for index in 0..70 {
        board.finish(index, &Record { status: 200, response: 1 << 20, ..Record::default() });
    }
    let sample = board.sample(0);
    assert!(sample.slots.iter().all(|slot| slot.completed == 1));
    let all = sample.total();
    assert_eq!((all.requests, all.response.count(), all.statuses[&200]), (70, 70, 70));
}

#[test]
fn full_tables_count_into_their_rest() {
    let board = board(1);
    let groups: Vec<u16> = (0..40).map(|n| board.group(&format!("group-{n}"))).collect();
    assert_eq!(groups[39], groups[38]);
    board.begin(0, &begin(groups[39], "/a"));
    board.finish(0, &Record::default());
    for n in 0..500u64 {
        let route = board.route(format!("/r{n}").as_bytes());
        board.waited(&Wait {
            slot: None,
            victim: Route::UNKNOWN,
            group: 0,
            ns: n,
            whole: Some(n),
            server: false,
            culprit: route,
        });
    }
    let sample = board.sample(0);
    assert_eq!(sample.groups.last().map(|group| group.name.as_str()), Some("(others)"));
    assert_eq!(sample.total().requests, 1);
    let caused: u64 = sample.routes.iter().map(|route| route.caused).sum();
    assert_eq!(caused, (0..500).sum::<u64>());
    assert_eq!(sample.other_waits, 500);
}

#[test]
fn a_foreign_page_is_refused_and_rubbish_is_survived() {
    assert_eq!(Board::open(page(1)).err(), Some(BoardError::Foreign));
    let words = page(2);
    words.0[0].store(gk_telemetry::scoreboard::layout::MAGIC, std::sync::atomic::Ordering::Relaxed);
    words.0[1].store(900, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(Board::open(words).err(), Some(BoardError::Length { .. })));
    let words = page(2);
    words.0.iter().for_each(|word| word.store(u64::MAX - 6, std::sync::atomic::Ordering::Relaxed));
    words.0[0].store(gk_telemetry::scoreboard::layout::MAGIC, std::sync::atomic::Ordering::Relaxed);
    words.0[1].store(2, std::sync::atomic::Ordering::Relaxed);
    let board = Board::open(words).unwrap();
    board.begin(1, &begin(900, "/x"));
    board.finish(1, &Record::default());
    board.waited(&Wait {
        slot: Some(77),
        victim: Route::UNKNOWN,
        group: 77,
        ns: 1,
        whole: Some(1),
        server: true,
        culprit: Route::UNKNOWN,
    });
    let _ = board.sample(0);
}

/// Reported: a route `(unknown)` waited for the GIL. Met on the page GIL: a request thread that serves nobody waits, too.
#[test]
fn a_thread_that_serves_nobody_waits_under_the_name_it_gives() {
    let board = board(2);
    let group = board.group("");
    let between = board.thread(b"(between requests)");
    let culprit = board.thread(b"cleanup");
    let wait =
        Wait { slot: Some(1), victim: between, group, ns: 5_000, whole: Some(5_000), server: true, culprit };
    board.waited(&wait);
    let sample = board.sample(0);
    let suffered =
        |name: &str| sample.routes.iter().find(|route| route.name == name).map_or(0, |route| route.suffered);
    assert_eq!((suffered("(between requests)"), suffered("(unknown)")), (5_000, 0));
    assert_eq!(sample.total().gil_server, 5_000);
    let [pair] = sample.pairs[..] else { panic!("one pair") };
    assert_eq!(sample.route_name(pair.victim), "(between requests)");
}

#[test]
fn threads_write_at_once_and_a_reader_sees_whole_slots() {
    let board = Arc::new(board(4));
    let groups = [board.group(""), board.group("second")];
    const EACH: u64 = 20_000;
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|slot| {
                let board = Arc::clone(&board);
                scope.spawn(move || {
                    for n in 0..EACH {
                        let path = if n % 2 == 0 { "/even/even/even/even" } else { "/odd" };
                        board.begin(slot, &begin(groups[(n % 2) as usize], path));
                        board.waited(&Wait {
                            slot: Some(slot),
                            victim: Route::UNKNOWN,
                            group: groups[(n % 2) as usize],
                            ns: 2_000,
                            whole: Some(2_000),
                            server: false,
                            culprit: Route::UNKNOWN,
                        });
                        board.finish(
                            slot,
                            &Record {
                                status: 200,
                                response: 3_000,
                                gil_application: 2_000,
                                ..Record::default()
                            },
                        );
                    }
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            for slot in board.sample(0).slots {
                let Some(request) = slot.request.filter(|request| request.whole) else { continue };
                let odd = request.path == "/odd" && request.application_group == "second";
                let even = request.path == "/even/even/even/even" && request.application_group.is_empty();
                assert!(odd || even, "torn: {request:?}");
            }
        }
    });
    let sample = board.sample(0);
    let total = sample.total();
    assert_eq!((total.requests, total.gil_application), (4 * EACH, 4 * EACH * 2_000));
    assert_eq!((total.response.count(), total.single_wait.count()), (4 * EACH, 4 * EACH));
    let requests: u64 = sample.routes.iter().map(|route| route.requests).sum();
    assert_eq!(requests, 4 * EACH);
    assert_eq!(sample.pairs.iter().map(|pair| pair.ns).sum::<u64>(), 4 * EACH * 2_000);
}

#[test]
fn a_query_string_is_never_on_the_page() {
    let board = board(1);
    board.set_floor(u64::MAX);
    let group = board.group("");
    let mut writer = board.writer(0).unwrap();
    for uri in ["/search?q=1", "/search?q=2", "/search", "/search?", "/?q=1"] {
        writer.begin(&begin(group, uri));
        let sample = board.sample(0);
        let request = sample.slots[0].request.as_ref().unwrap();
        assert_eq!(Some(request.path.as_str()), uri.split('?').next());
        assert_eq!(request.route, request.path);
        writer.finish(&Record { error: uri.ends_with('1'), ..Record::default() });
    }
    let sample = board.sample(0);
    let kept: Vec<&str> = sample.finished.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(kept, ["/search", "/"]);
    let served = |name: &str| sample.routes.iter().find(|route| route.name == name).unwrap().requests;
    assert_eq!((served("/search"), served("/")), (4, 1));
}

#[test]
fn a_wait_belongs_to_the_request_that_waited() {
    let board = board(1);
    let group = board.group("");
    let mut writer = board.writer(0).unwrap();
    let wait = Wait {
        slot: Some(0),
        victim: Route::UNKNOWN,
        group,
        ns: 50,
        whole: Some(50),
        server: true,
        culprit: Route::UNKNOWN,
    };
    let waited =
        || board.sample(0).slots[0].request.as_ref().map(|request| (request.gil_wait, request.waits));
    for waits in [0, 2, 0] {
        writer.begin(&begin(group, "/a"));
        (0..waits).for_each(|_| board.waited(&wait));
        assert_eq!(waited(), Some((50 * waits, waits)));
        writer.finish(&Record::default());
    }
}

#[test]
fn a_reader_loses_nothing_of_routes_that_take_turns() {
    let board = board(1);
    let group = board.group("");
    const EACH: u64 = 30_000;
    let served = || {
        let routes = board.sample(0).routes;
        (routes.iter().map(|r| r.requests).sum::<u64>(), routes.iter().map(|r| r.response).sum::<u64>())
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut writer = board.writer(0).unwrap();
            for n in 0..EACH {
                writer.begin(&begin(group, ["/a", "/b", "/c"][(n / 2 % 3) as usize]));
                writer.finish(&Record { response: 7, ..Record::default() });
            }
        });
        while !writer.is_finished() {
            let (requests, _) = served();
            assert!(requests <= EACH, "{requests}");
        }
    });
    assert_eq!(served(), (EACH, 7 * EACH));
}

/// Of requests: the slot, the application group, the path, what was recorded; the same as a plain one, where it is one; and
/// whether its batch ends with it.
fn requests() -> impl Strategy<Value = Vec<(usize, u16, usize, Record, Option<Plain>, bool)>> {
    let number = prop_oneof![Just(0u64), 0u64..5_000, 0u64..1 << 42];
    let status = prop_oneof![Just(200u16), 0u16..700];
    let words = prop::collection::vec(number, Record::WORDS);
    let record = (status, words).prop_map(|(status, words)| {
        let record = Record::of_words(|word| words[word]);
        Record { status, error: words[1] % 2 == 1, ..record }
    });
    let plain = (0u64..1 << 42, prop_oneof![Just(0), 0u32..1_000_000], any::<u32>(), 0u64..9)
        .prop_map(|(queue, daemon, application, bytes_out)| Plain { queue, daemon, application, bytes_out });
    let recorded = prop_oneof![
        record.prop_map(|record| (record, None)),
        plain.prop_map(|plain| (Record::from(plain), Some(plain))),
    ];
    let one = (0usize..3, 0u16..2, 0usize..3, recorded, any::<bool>())
        .prop_map(|(slot, group, path, (record, plain), ends)| (slot, group, path, record, plain, ends));
    prop::collection::vec(one, 0..60)
}

/// Counters to which waits add, and not the requests that repeat them.
const OF_WAITS: [&str; 3] = ["gil_application", "gil_server", "waits"];

/// Adds a request to the sums, row by row.
fn count(figures: &mut Figures, r: &Record) {
    for row in FIGURES.iter().filter(|row| !OF_WAITS.contains(&row.name)) {
        let value = row.of_request.map(|of| match of(r) {
            Shown::Flag(flag) => u64::from(flag),
            Shown::Number(number) => number,
        });
        match (&row.value, value) {
            (Value::Counter { get_mut, .. }, value) => *get_mut(figures) += value.unwrap_or(1),
            (Value::Durations { get_mut, .. }, Some(ns)) => get_mut(figures).record(ns),
            (Value::Durations { .. }, None) => assert_eq!(row.name, "single_wait"),
        }
    }
    let status = if (100..600).contains(&r.status) { r.status } else { 0 };
    *figures.statuses.entry(status).or_default() += 1;
    for (phase, ns) in [r.server, r.daemon, r.input, r.output].into_iter().enumerate() {
        if ns >= mod_wsgi_buckets::FIRST {
            figures.long.resize(4 * (mod_wsgi_buckets::BUCKETS - 1), 0);
            let bucket = mod_wsgi_buckets::bucket_of(ns);
            figures.long[phase * (mod_wsgi_buckets::BUCKETS - 1) + bucket - 1] += 1;
        }
    }
}

proptest! {
    #[test]
    fn every_figure_is_what_was_recorded(requests in requests(), again in any::<bool>()) {
        const PATHS: [&str; 3] = ["/a", "/b", "/c/1"];
        let board = board(3);
        board.set_floor(u64::MAX);
        let groups = [board.group(""), board.group("second")];
        let mut writers: Vec<SlotWriter<'_, Words>> = (0..3).map(|slot| board.writer(slot).unwrap()).collect();
        let mut figures = [Figures::default(), Figures::default()];
        let mut routes: Vec<RouteSample> = vec![RouteSample::default(); 3];
        let mut slots = [(0, 0); 3];
        for (slot, group, path, record, plain, ends) in &requests {
            if again {
                writers[*slot] = board.writer(*slot).unwrap();
            }
            writers[*slot].begin(&begin(groups[usize::from(*group)], PATHS[*path]));
            match plain {
                Some(plain) => writers[*slot].finish_plain(*plain),
                None => writers[*slot].finish(record),
            }
            if *ends {
                writers[*slot].end_batch();
            }
            count(&mut figures[usize::from(*group)], record);
            let route = &mut routes[*path];
            route.requests += 1;
            route.errors += u64::from(record.error);
            route.response += record.response;
            route.cpu += record.cpu;
            route.gil_wait += record.gil_wait();
            route.blocked += record.blocked;
            slots[*slot].0 += 1;
            slots[*slot].1 += record.daemon + record.application;
        }
        let sample = board.sample(0);
        for (group, wanted) in sample.groups.iter().zip(&figures) {
            prop_assert_eq!(&group.figures, wanted);
        }
        for (wanted, name) in routes.into_iter().zip(["/a", "/b", "/c/:id"]) {
            let Some(got) = sample.routes.iter().find(|route| route.name == name) else {
                prop_assert_eq!(wanted.requests, 0);
                continue;
            };
            prop_assert_eq!(got.times.count(), wanted.requests);
            let (number, name, times) = (got.number, got.name.clone(), got.times.clone());
            prop_assert_eq!(got, &RouteSample { number, name, times, ..wanted });
        }
        let busy: Vec<(u64, u64)> = sample.slots.iter().map(|slot| (slot.completed, slot.busy)).collect();
        prop_assert_eq!(busy, slots);
    }

    #[test]
    fn the_difference_of_two_readings_is_what_came_between(
        first in prop::collection::vec((0usize..3, 0u16..2, 0u64..1 << 33, 0u16..700), 0..40),
        second in prop::collection::vec((0usize..3, 0u16..2, 0u64..1 << 33, 0u16..700), 0..40),
    ) {
        let run = |board: &Board<Words>, requests: &[(usize, u16, u64, u16)]| {
            for (slot, group, ns, status) in requests {
                board.begin(*slot, &begin(*group, if *group == 0 { "/a" } else { "/b" }));
                board.finish(*slot, &Record { status: *status, response: *ns, cpu: ns / 2, ..Record::default() });
            }
        };
        let (both, only) = (board(3), board(3));
        for board in [&both, &only] {
            board.group("");
            board.group("b");
        }
        run(&both, &first);
        let before = both.sample(0);
        run(&both, &second);
        run(&only, &second);
        prop_assert_eq!(both.sample(0).since(&before).total(), only.sample(0).total());
        let requests = |sample: &gk_telemetry::WorkerSample| sample.routes.iter().map(|r| r.requests).sum::<u64>();
        prop_assert_eq!(requests(&both.sample(0).since(&before)), second.len() as u64);
        let json = serde_json::to_string(&before).unwrap();
        prop_assert_eq!(serde_json::from_str::<gk_telemetry::WorkerSample>(&json).unwrap(), before);
    }
}
