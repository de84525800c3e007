//! Tests of the past: what is written is read, coarser and coarser, after a kill too, and without a disk.

use super::*;
use gk_telemetry::sample::Figures;

fn tick(t: f64, ns: u64) -> Tick {
    let mut figures = Figures { requests: 2, ..Figures::default() };
    figures.response.record(ns);
    figures.response.record(ns);
    let applications = BTreeMap::from([(String::new(), figures)]);
    let portion = Portion { span: 1.0, applications, ..Portion::default() };
    Tick { t, groups: BTreeMap::from([("site".to_owned(), portion)]) }
}

fn question(from: f64, to: f64, step: f64) -> Question {
    Question { from, to, step, group: None, now: to }
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
        let past = store.answer(&question(t0, t0 + 300.0, step)).unwrap();
        assert_eq!((past.ticks.len(), count(&past)), (rows, 600), "step {step}");
        assert_eq!(past.ticks[0].t, t0);
    }
    let other = Question { group: Some("other".into()), ..question(t0, t0 + 300.0, 1.0) };
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
    let past = store.answer(&question(t0, t0 + 60.0, 1.0)).unwrap();
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
    assert_eq!((rows(1), rows(600)), (1, 1));
}

#[test]
fn without_a_disk_there_is_memory() {
    let mut store = Store::open(Path::new("/proc/nowhere/gilkeeper.db"));
    assert!(store.memory);
    let t0 = start();
    store.add(&tick(t0, 1_000_000)).unwrap();
    assert_eq!(count(&store.answer(&question(t0, t0 + 1.0, 1.0)).unwrap()), 2);
}

#[test]
fn what_is_no_database_is_put_aside() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(FILE);
    std::fs::write(&path, "x".repeat(5000)).unwrap();
    assert!(!Store::open(&path).memory);
    assert!(root.path().join("gilkeeper.db.unreadable").exists());
}
