//! Exceptions and single requests on the pages: by type, in events, and as a filter finds them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod support;

use gk_admin::pages::api;
use gk_admin::pages::query::QueryString;
use gk_admin::told::prometheus;
use gk_telemetry::Record;
use gk_wire::control::{Happened, What};
use gk_wire::feed::ToAdmin;
use serde_json::Value;
use support::Worker;

/// A request with this number and status; `kind`: the exception that left the application.
fn serve(worker: &Worker, request: u64, path: &str, status: u16, kind: Option<&str>) {
    worker.begin(0, path, request, 0.5, 0);
    if let Some(kind) = kind {
        worker.board.raised(0, kind);
    }
    let (error, exception) = (status >= 500, kind.is_some());
    worker.board.finish(0, &Record { status, error, exception, response: 500_000_000, ..Record::default() });
}

/// Reported: exceptions had no type in any figure, and nothing told of them but the error log.
#[test]
fn exceptions_are_told_by_type() {
    let mut worker = Worker::new(0);
    worker.board.group("");
    worker.second();
    let lines = |worker: &Worker| -> Vec<String> {
        let page = prometheus::page(&worker.hub, false);
        let start = "gilkeeper_request_exceptions_total{process_group=\"site\",application_group=\"\",";
        page.lines().filter_map(|line| Some(line.strip_prefix(start)?.to_owned())).collect()
    };
    assert_eq!(lines(&worker), ["type=\"(others)\"} 0"], "a series is there before the first exception");
    for n in 0..3 {
        serve(&worker, n, "/raise", 500, Some("ValueError"));
    }
    serve(&worker, 4, "/shop", 500, Some("shop.Missing"));
    let second = worker.second();
    assert_eq!(
        lines(&worker),
        ["type=\"(others)\"} 0", "type=\"ValueError\"} 3", "type=\"shop.Missing\"} 1"]
    );
    let told: Vec<(What, &str)> =
        second.events.iter().map(|event| (event.happened.what, event.happened.text.as_str())).collect();
    let wanted = [
        (What::ExceptionRaised, "ValueError left the application 3 times, last in GET /raise"),
        (What::ExceptionRaised, "shop.Missing left the application in GET /shop"),
    ];
    assert_eq!(told, wanted);
    assert_eq!(second.tick.groups["site"].total().raised["ValueError"], 3);
    // The worker ends: its last second is read once, and counts once.
    serve(&worker, 5, "/raise", 500, Some("ValueError"));
    worker.receive(ToAdmin::Exited { worker: 4 });
    for _ in 0..70 {
        let second = worker.second();
        let count = second.events.iter().filter(|event| event.happened.what == What::ExceptionRaised).count();
        assert!(count <= 1);
    }
    assert_eq!(lines(&worker)[1], "type=\"ValueError\"} 4");
}

fn paths(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().filter_map(|one| one["path"].as_str()).collect()
}

#[test]
fn requests_are_found_by_path_status_number_and_time() {
    let mut worker = Worker::new(0);
    worker.board.group("");
    worker.second();
    serve(&worker, 21, "/a/one", 200, None);
    serve(&worker, 22, "/a/two", 404, None);
    serve(&worker, 23, "/b/two", 503, None);
    worker.begin(1, "/a/stays", 24, 1.0, 0);
    worker.second();
    let now = worker.now;
    let (early, late) = (format!("from=0&to={}", now - 30.0), format!("from={}", now - 30.0));
    let table: [(&str, &[&str], &[&str]); 11] = [
        ("", &["/a/one", "/a/two", "/b/two"], &["/a/stays"]),
        ("path=two&status=", &["/a/two", "/b/two"], &[]),
        ("path=%2Fa%2F", &["/a/one", "/a/two"], &["/a/stays"]),
        ("status=404", &["/a/two"], &[]),
        ("status=5xx", &["/b/two"], &[]),
        ("route=/b/two", &["/b/two"], &[]),
        ("id=22", &["/a/two"], &[]),
        ("id=x", &[], &[]),
        ("process_group=other", &[], &[]),
        (&early, &[], &["/a/stays"]),
        (&late, &["/a/one", "/a/two", "/b/two"], &["/a/stays"]),
    ];
    for (query, finished, running) in table {
        let filter = QueryString::new(Some(query)).requests().unwrap();
        let found = api::requests(&worker.hub, now, &filter);
        let mut recent = paths(&found["recent"]);
        recent.sort_unstable();
        assert_eq!((recent, paths(&found["in_flight"])), (finished.to_vec(), running.to_vec()), "{query}");
    }
    for query in ["status=many", "from=soon"] {
        assert!(QueryString::new(Some(query)).requests().is_err(), "{query}");
    }
}

#[test]
fn a_process_has_a_state_and_a_reason() {
    let mut worker = Worker::new(0);
    worker.board.group("");
    let state = |worker: &Worker| {
        let status = api::status(&worker.hub, worker.now);
        let one = &status["workers"][0];
        (one["state"].as_str().unwrap().to_owned(), one["reason"].as_str().unwrap_or("").to_owned())
    };
    let is = |state: &str, reason: &str| (state.to_owned(), reason.to_owned());
    worker.second();
    assert_eq!(state(&worker), is("starting", ""));
    worker.board.set_import(1_000_000);
    worker.second();
    assert_eq!(state(&worker), is("idle", ""));
    worker.begin(0, "/a", 1, 0.1, 0);
    worker.second();
    assert_eq!(state(&worker), is("busy", ""));
    worker.begin(1, "/a", 2, 0.1, 0);
    worker.second();
    assert_eq!(state(&worker), is("all threads busy", ""));
    let text = "an import failed: no module named shop";
    worker.receive(ToAdmin::Happened(Happened {
        what: What::WorkerFailed,
        worker: Some(4),
        text: text.into(),
        ..Happened::default()
    }));
    worker.second();
    assert_eq!(state(&worker), is("import failed", text));
    worker.receive(ToAdmin::Leaving { worker: 4, reason: "reload".into() });
    worker.second();
    assert_eq!(state(&worker), is("leaving", "reload"));
}
