//! Tests of the history: every tier, the range of a query, a kill, a full or damaged file, a clock that is set back.

use super::store::TIERS;
use super::*;
use gk_telemetry::Figures;
use gk_telemetry::Portion;
use rusqlite::Connection;
use std::collections::BTreeMap;

fn tick(t: f64, ns: u64) -> Tick {
    let mut figures = Figures { requests: 2, ..Figures::default() };
    figures.response.record(ns);
    figures.response.record(ns);
    let applications = BTreeMap::from([(String::new(), figures)]);
    let portion = Portion { span: 1.0, applications, ..Portion::default() };
    Tick { t, groups: BTreeMap::from([("site".to_owned(), portion)]) }
}

fn query(from: f64, to: f64, step: f64) -> HistoryQuery {
    HistoryQuery { from, to, step, group: None, now: to }
}

fn count(past: &Past) -> u64 {
    past.ticks.iter().flat_map(|tick| tick.groups.values()).map(|portion| portion.total().requests).sum()
}

/// A round time not long ago.
fn start() -> f64 {
    let now = gk_sys::clock::epoch_seconds() as i64;
    (now - now.rem_euclid(600) - 600) as f64
}

#[test]
fn every_tier_holds_every_request() {
    let root = tempfile::tempdir().unwrap();
    let mut store = Store::open(&root.path().join(FILE));
    let t0 = start();
    for second in 0..300 {
        store.add(&tick(t0 + f64::from(second) + 0.3, 1_000_000)).unwrap();
    }
    for (step, rows) in [(1.0, 300), (10.0, 30), (60.0, 5), (300.0, 1)] {
        let past = store.answer(&query(t0, t0 + 300.0, step)).unwrap();
        assert_eq!((past.ticks.len(), count(&past)), (rows, 600), "step {step}");
        assert_eq!(past.ticks[0].t, t0);
    }
    let other = HistoryQuery { group: Some("other".into()), ..query(t0, t0 + 300.0, 1.0) };
    assert_eq!(store.answer(&other).unwrap(), Past::default());
}

#[test]
fn a_killed_process_loses_the_present_second_only() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(FILE);
    let t0 = start();
    let mut store = Store::open(&path);
    for second in 0..25 {
        store.add(&tick(t0 + f64::from(second), 1_000_000)).unwrap();
    }
    store
        .add_event(&Event {
            happened: gk_wire::control::Happened { at: t0 + 3.0, ..Default::default() },
            requests: vec![],
        })
        .unwrap();
    // Nothing is closed or flushed, as after SIGKILL.
    std::mem::forget(store);
    let mut store = Store::open(&path);
    let past = store.answer(&query(t0, t0 + 60.0, 1.0)).unwrap();
    assert_eq!((count(&past), past.events.len()), (48, 1));
}

#[test]
fn the_past_is_bounded() {
    let root = tempfile::tempdir().unwrap();
    let mut store = Store::open(&root.path().join(FILE));
    let t0 = start();
    store.add(&tick(t0 - 40.0 * 86_400.0, 1_000_000)).unwrap();
    store.add(&tick(t0 - 5_000.0, 1_000_000)).unwrap();
    store.add(&tick(t0, 1_000_000)).unwrap();
    store.add(&tick(t0 + 61.0, 1_000_000)).unwrap();
    let rows = |step: i64| -> i64 {
        let sql = "SELECT COUNT(*) FROM portions WHERE step = ?";
        store.database.query_row(sql, [step], |row| row.get(0)).unwrap()
    };
    // The rows under way are written, too; of what came before them, the seconds and the longest ago are gone.
    assert_eq!((rows(1), rows(600)), (2, 2));
}

#[test]
fn without_a_disk_there_is_memory() {
    let mut store = Store::open(Path::new("/proc/nowhere/gilkeeper.db"));
    assert!(store.memory);
    let t0 = start();
    store.add(&tick(t0, 1_000_000)).unwrap();
    assert_eq!(count(&store.answer(&query(t0, t0 + 1.0, 1.0)).unwrap()), 2);
}

#[test]
fn what_is_no_database_is_put_aside() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(FILE);
    std::fs::write(&path, "x".repeat(5000)).unwrap();
    assert!(!Store::open(&path).memory);
    assert!(root.path().join("gilkeeper.db.unreadable").exists());
}

fn rows_of(store: &Store, step: i64) -> Vec<(i64, u64)> {
    let mut rows: BTreeMap<i64, u64> = BTreeMap::new();
    for (t, _, portion) in store.rows(step, 0, i64::MAX, None).unwrap() {
        *rows.entry(t).or_default() += portion.total().requests;
    }
    rows.into_iter().collect()
}

#[test]
fn figures_per_second_are_of_the_seconds_they_are_of() {
    let root = tempfile::tempdir().unwrap();
    let mut store = Store::open(&root.path().join(FILE));
    let t0 = start();
    for second in 0..1300 {
        store.add(&tick(t0 + f64::from(second), 1_000_000)).unwrap();
    }
    // Beginning, length, greatest step of the rows it may be made of.
    for (from, length, finest) in [(298.0, 60.0, 1.0), (117.0, 300.0, 5.0), (133.0, 1100.0, 10.0)] {
        let query = query(t0 + from, t0 + from + length, length + 1.0);
        let past = store.answer(&query).unwrap();
        let all = past.portion();
        let per_second = all.total().requests as f64 / all.span;
        assert!((1.99..2.01).contains(&per_second), "{per_second} a second from {from} on");
        assert!((all.span - length).abs() <= 2.0 * finest, "{} s of {length}", all.span);
        assert!(past.ticks.iter().all(|tick| tick.t >= query.from), "nothing stands before the range");
    }
}

#[test]
fn what_a_stop_left_unwritten_is_made_of_finer_rows() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(FILE);
    let t0 = start();
    let mut store = Store::open(&path);
    for second in 0..455 {
        store.add(&tick(t0 + f64::from(second), 1_000_000)).unwrap();
    }
    std::mem::forget(store);
    let store = Store::open(&path);
    let t0 = t0 as i64;
    // All but the second that was under way.
    assert_eq!(rows_of(&store, 600), [(t0, 908)]);
    assert_eq!(rows_of(&store, 60).last(), Some(&(t0 + 420, 68)));
    assert_eq!(rows_of(&store, 10).last(), Some(&(t0 + 450, 8)));
}

#[test]
fn an_orderly_end_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(FILE);
    let t0 = start();
    let (orders, receiver) = sync_channel(WAITING);
    for second in 0..5 {
        orders.send(Order::Tick(Arc::new(tick(t0 + f64::from(second), 1_000_000)))).unwrap();
    }
    drop(orders);
    Store::open(&path).run(&receiver);
    let store = Store::open(&path);
    for (step, _) in TIERS {
        assert_eq!(rows_of(&store, step).iter().map(|(_, requests)| requests).sum::<u64>(), 10, "{step}");
    }
}

#[test]
fn coarse_rows_are_written_every_minute() {
    let root = tempfile::tempdir().unwrap();
    let mut store = Store::open(&root.path().join(FILE));
    let t0 = start();
    for second in 0..200 {
        store.add(&tick(t0 + f64::from(second), 1_000_000)).unwrap();
    }
    let written = rows_of(&store, 600);
    assert!(matches!(written[..], [(_, requests)] if requests >= 2 * 140), "{written:?}");
}

#[test]
fn a_clock_that_goes_back_overwrites_nothing() {
    let root = tempfile::tempdir().unwrap();
    let mut store = Store::open(&root.path().join(FILE));
    let t0 = start();
    // Twenty minutes, then three seconds again in the first of them, then on.
    for second in (0..1200).chain(590..593).chain(1200..1260) {
        store.add(&tick(t0 + f64::from(second), 1_000_000)).unwrap();
    }
    let past = store.answer(&query(t0, t0 + 1800.0, 600.0)).unwrap();
    assert_eq!(count(&past), 2 * (1200 + 3 + 60));
    let first = &rows_of(&store, 600)[0];
    assert_eq!(*first, (t0 as i64, 2 * 603));
}

#[test]
fn a_damaged_file_is_put_aside() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(FILE);
    let t0 = start();
    let mut store = Store::open(&path);
    for second in 0..100 {
        store.add(&tick(t0 + f64::from(second), 1_000_000)).unwrap();
    }
    drop(store);
    // The header is whole, what comes after it is not.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..].iter_mut().for_each(|byte| *byte = 0xa5);
    std::fs::write(&path, &bytes).unwrap();
    let (orders, receiver) = sync_channel(WAITING);
    for second in 0..3 {
        orders.send(Order::Tick(Arc::new(tick(t0 + f64::from(second), 1_000_000)))).unwrap();
    }
    drop(orders);
    let mut store = Store::open(&path);
    store.run(&receiver);
    assert!(!store.memory && root.path().join("gilkeeper.db.unreadable").exists());
    assert_eq!(count(&store.answer(&query(t0, t0 + 10.0, 1.0)).unwrap()), 6);
}

#[test]
fn a_busy_file_costs_no_row() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(FILE);
    let mut store = Store::open(&path);
    store.database.busy_timeout(std::time::Duration::ZERO).unwrap();
    let t0 = start();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for second in 0..5 {
        let written = store.add(&tick(t0 + f64::from(second), 1_000_000));
        store.recover(written);
    }
    assert_eq!(rows_of(&store, 1), []);
    other.execute_batch("ROLLBACK").unwrap();
    let written = store.add(&tick(t0 + 5.0, 1_000_000));
    store.recover(written);
    assert!(!store.memory);
    assert_eq!(rows_of(&store, 1).len(), 5);
}

#[test]
fn after_a_peak_the_past_grows_again() {
    let root = tempfile::tempdir().unwrap();
    let mut store = Store::open(&root.path().join(FILE));
    store.shortening = 8;
    let t0 = start();
    for minute in 0..4 {
        store.add(&tick(t0 + 60.0 * f64::from(minute), 1_000_000)).unwrap();
    }
    assert_eq!(store.shortening, 1);
    let limit: i64 = store.database.pragma_query_value(None, "journal_size_limit", |row| row.get(0)).unwrap();
    assert!(limit > 0, "the log beside the database is bounded");
}

/// Reported: while another process locked the file, a query waited for minutes. Met with a browser of databases left open.
#[tokio::test]
async fn a_query_does_not_wait_for_a_locked_file() {
    let root = tempfile::tempdir().unwrap();
    let history = History::start(root.path()).unwrap();
    let t0 = start();
    history.push(Arc::new(tick(t0, 1_000_000)));
    history.write().await;
    let other = Connection::open(root.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // With two seconds for each of them the query's turn would come after minutes.
    for second in 1..200 {
        history.push(Arc::new(tick(t0 + f64::from(second), 1_000_000)));
    }
    let past = history.query(query(t0, t0 + 300.0, 1.0)).await.unwrap();
    assert_eq!(count(&past), 2, "what was written before can be read");
    other.execute_batch("ROLLBACK").unwrap();
    // Nothing is lost.
    let past = history.query(query(t0, t0 + 300.0, 1.0)).await.unwrap();
    assert_eq!(count(&past), 400);
}
