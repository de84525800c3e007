//! The hub with a worker whose scoreboard the test writes: figures, labels, the end of a worker, `/metrics`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod support;

use gk_admin::kept::hub::{Front, Hub};
use gk_admin::pages::api::{self, RequestFilter};
use gk_admin::told::prometheus;
use gk_telemetry::{Answered, GilMode, Reason, Record, Route, Wait};
use gk_wire::control::{Happened, What};
use gk_wire::feed::{FrontFigures, LinkFigures, ToAdmin};
use support::Worker;

/// A worker and its deeds in these tests.
struct World {
    worker: Worker,
}

fn world() -> World {
    world_of(Worker::new(0))
}

fn world_of(mut worker: Worker) -> World {
    worker.board.set_exact(true, "");
    worker.receive(ToAdmin::Figures(FrontFigures { ready: true, ..FrontFigures::default() }));
    World { worker }
}

impl std::ops::Deref for World {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        &self.worker
    }
}

impl std::ops::DerefMut for World {
    fn deref_mut(&mut self) -> &mut Worker {
        &mut self.worker
    }
}

impl World {
    fn begin(&self, slot: usize, path: &str) {
        self.worker.begin(slot, path, 9, 2.0, 0);
    }

    fn serve(&self, path: &str, status: u16) {
        self.begin(0, path);
        let wait = Wait {
            slot: Some(0),
            victim: Route::UNKNOWN,
            group: 0,
            ns: 4_000_000,
            whole: Some(4_000_000),
            server: false,
            culprit: self.board.route(b"/heavy"),
        };
        self.board.waited(&wait);
        let record = Record {
            status,
            response: 8_000_000,
            application: 8_000_000,
            cpu: 3_000_000,
            gil_application: 4_000_000,
            ..Record::default()
        };
        self.board.finish(0, &record);
    }

    fn kept(&self) -> usize {
        self.hub.requests().newest().count()
    }
}

/// What a group's clients got so far.
fn answered(counts: &[(u16, Reason, u64)]) -> ToAdmin {
    let mut answered = Answered::default();
    for (code, reason, count) in counts {
        (0..*count).for_each(|_| answered.record(*code, *reason, 1_000_000));
    }
    ToAdmin::Answered { process_group: "main".into(), answered }
}

/// Reported: a site whose requests were refused looked well, since no worker saw them.
#[test]
fn answers_that_no_worker_saw_are_figures_of_their_group() {
    let mut hub = Hub::of_this_server(Front { pid: 1, started: 1_000.0 }, 0.0);
    hub.receive(answered(&[(200, Reason::Application, 4)]), None, 1_000.5);
    assert_eq!(hub.advance(1_001.0).tick.groups["main"].answered.total(), 4);
    assert!(hub.advance(1_002.0).tick.groups.is_empty(), "nothing was answered");
    hub.receive(answered(&[(200, Reason::Application, 4), (503, Reason::Busy, 96)]), None, 1_002.5);
    let portion = &hub.advance(1_003.0).tick.groups["main"];
    assert_eq!((portion.answered.total(), portion.answered.failed()), (96, 96));
    assert_eq!((portion.point().answers, portion.point().answers_by_front), (96.0, 96.0));
    let status = api::status(&hub, 1_003.0);
    assert_eq!(status["groups"]["main"]["label"]["kind"], "failing");
    let page = prometheus::page(&hub, false);
    let line =
        r#"gilkeeper_responses_total{process_group="main",code="503",source="front",reason="busy"} 96"#;
    assert!(page.contains(line), "{page}");
}

/// Reported: the first answers of a kind were no increase, since their counter came with them. Met with an alert on 502 and a worker that
/// died once.
#[test]
fn counters_of_errors_are_there_before_the_first_one() {
    let mut hub = Hub::of_this_server(Front { pid: 1, started: 1_000.0 }, 0.0);
    let mut figures = FrontFigures::default();
    figures.status.queued.insert("main".into(), 0);
    hub.receive(ToAdmin::Figures(figures), None, 1_000.5);
    let of = |code: u16, source: &str, reason: &str, count: u64| {
        format!(
            r#"gilkeeper_responses_total{{process_group="main",code="{code}",source="{source}",reason="{reason}"}} {count}"#
        )
    };
    let mut page = prometheus::page(&hub, false);
    for (code, source, reason) in [
        (200, "application", ""),
        (500, "application", ""),
        (500, "front", "internal"),
        (502, "front", "worker_died"),
        (503, "front", "busy"),
        (504, "front", "timed_out"),
    ] {
        assert!(page.contains(&of(code, source, reason, 0)), "{code} {reason}: {page}");
    }
    assert!(page.contains(r#"gilkeeper_response_seconds_count{process_group="main"} 0"#), "{page}");
    assert!(
        page.contains(r#"gilkeeper_busy_thread_seconds_total{process_group="main",part="blocked"} 0"#),
        "{page}"
    );
    hub.receive(answered(&[(502, Reason::WorkerDied, 2)]), None, 1_001.5);
    page = prometheus::page(&hub, false);
    assert!(page.contains(&of(502, "front", "worker_died", 2)), "{page}");
    assert_eq!(page.matches(r#"code="502""#).count(), 1, "{page}");
}

/// Reported: nothing told what the supervisor uses. Met on the page Processes, which had the front and the admin process.
#[test]
fn the_servers_own_processes_are_told() {
    let mut hub = Hub::of_this_server(Front { pid: 0, started: 1_000.0 }, 0.0);
    // Some other process that there is.
    hub.set_supervisor(std::os::unix::process::parent_id());
    let status = api::status(&hub, 1_001.0);
    let told: Vec<_> = status["server"].as_array().unwrap().iter().collect();
    assert_eq!(
        told.iter().map(|one| one["process"].as_str().unwrap()).collect::<Vec<_>>(),
        ["supervisor", "admin"]
    );
    assert!(told.iter().all(|one| one["resident"].as_u64().unwrap() > 0), "{told:?}");
    let page = prometheus::page(&hub, false);
    for name in ["gilkeeper_server_cpu_seconds_total", "gilkeeper_server_resident_memory_bytes"] {
        assert!(page.contains(&format!(r#"{name}{{process="supervisor"}}"#)), "{page}");
    }
}

/// An admin process that was started again is told of everything since the front's start.
#[test]
fn old_answers_are_no_new_ones() {
    let mut hub = Hub::of_this_server(Front { pid: 1, started: 1_000.0 }, 0.0);
    hub.advance(2_000.0);
    hub.receive(answered(&[(200, Reason::Application, 4_000)]), None, 2_000.5);
    assert!(hub.advance(2_001.0).tick.groups.is_empty());
    hub.receive(answered(&[(200, Reason::Application, 4_003)]), None, 2_001.5);
    assert_eq!(hub.advance(2_002.0).tick.groups["main"].answered.total(), 3);
}

#[test]
fn figures_reach_every_page() {
    let mut world = world();
    world.board.group("");
    (0..50).for_each(|_| world.serve("/light/7", 200));
    world.worker.begin(1, "/stays", 9, 0.01, 0);
    let second = world.second();
    assert_eq!(second.tick.groups["site"].total().requests, 50);
    let status = api::status(&world.hub, world.now);
    assert_eq!(status["groups"]["site"]["label"]["kind"], "gil-bound");
    assert_eq!(status["groups"]["site"]["gil_wait_exact"], true);
    assert_eq!(
        (&status["groups"]["site"]["gil_enabled"], &status["workers"][0]["gil_enabled"]),
        (&true.into(), &true.into())
    );
    assert!(prometheus::page(&world.hub, false).contains("gilkeeper_gil_enabled{process_group=\"site\""));
    assert_eq!((&status["workers"][0]["busy"], &status["ready"]), (&1.into(), &true.into()));
    let requests = api::requests(&world.hub, world.now, &RequestFilter::default());
    assert_eq!(requests["in_flight"][0]["path"], "/stays");
    assert_eq!(requests["pairs"][0]["culprit"], "/heavy");
    assert_eq!(requests["routes"]["/light/:id"]["requests"], 50);
    assert_eq!(requests["slowest"][0]["culprit"], "/heavy");
    // The next second has nothing new.
    assert_eq!(world.second().tick.groups["site"].total().requests, 0);
}

#[test]
fn requests_can_be_those_of_one_group() {
    let mut world = world();
    world.board.group("");
    world.serve("/light", 200);
    world.begin(1, "/stays");
    world.second();
    let of = |group: &str| {
        let filter = RequestFilter { group: Some(group.to_owned()), ..RequestFilter::default() };
        api::requests(&world.hub, world.now, &filter)
    };
    let (mine, other) = (of("site"), of("other"));
    assert_eq!(
        (&mine["routes"]["/light"]["requests"], &mine["slowest"][0]["path"]),
        (&1.into(), &"/light".into())
    );
    for list in ["in_flight", "slowest", "recent", "pairs"] {
        assert_eq!(other[list], serde_json::json!([]), "{list}");
        assert_ne!(mine[list], serde_json::json!([]), "{list}");
    }
    assert_eq!(other["routes"], serde_json::json!({}));
}

#[test]
fn samples_push_out_no_slow_request() {
    let hub = Hub::of_this_server(Front::default(), 0.5);
    let mut world = world_of(Worker::in_hub(hub, 0.0, 0));
    world.board.group("");
    world.second();
    world.begin(0, "/slow");
    let slow = Record { status: 200, response: 700_000_000, application: 700_000_000, ..Record::default() };
    world.board.finish(0, &slow);
    world.begin(0, "/failed");
    world.board.finish(0, &Record { error: true, response: 600_000_000, ..Record::default() });
    // More samples than are kept, with room in the worker's own ring for those of a second.
    for _ in 0..10 {
        world.second();
        (0..50).for_each(|_| world.serve("/sample", 200));
    }
    world.second();
    let requests = api::requests(&world.hub, world.now, &RequestFilter::default());
    let slowest = requests["slowest"].as_array().unwrap();
    assert_eq!((&slowest[0]["path"], &slowest[1]["path"]), (&"/slow".into(), &"/failed".into()));
    assert_eq!(slowest.iter().filter(|one| one["path"] == "/slow").count(), 1, "each is there once");
    assert_eq!(requests["recent"][0]["path"], "/sample");
}

#[test]
fn present_figures_are_per_second() {
    let mut world = world();
    world.board.group("");
    world.second();
    (0..50).for_each(|_| world.serve("/a", 200));
    let second = world.second();
    let span = second.tick.groups["site"].span;
    let status = api::status(&world.hub, world.now);
    let worker = &status["workers"][0];
    for rate in [&worker["requests_now"], &worker["applications"][0]["requests_now"]] {
        assert!((rate.as_f64().unwrap() * span - 50.0).abs() < 1e-6, "{rate} over {span} s");
    }
}

#[test]
fn spans_do_not_follow_the_wall_clock() {
    let mut world = world();
    world.board.group("");
    world.second();
    for step in [3_600.0, -7_200.0] {
        world.now += step;
        let portion = world.second().tick.groups["site"].clone();
        assert!(portion.span < 60.0 && portion.capacity < 120.0, "{} s", portion.span);
    }
}

fn total(world: &mut World) -> gk_telemetry::totals::Totals {
    gk_admin::kept::totals::read(&mut world.hub)
}

#[test]
fn totals_are_read_at_the_moment_of_the_call() {
    let mut world = world();
    world.board.group("");
    // Before the first second is over, too.
    let before = total(&mut world);
    (0..5).for_each(|_| world.serve("/a", 200));
    let span = total(&mut world).since(&before);
    assert_eq!((span.figures.requests, span.workers.len(), span.changed), (5, 1, 0));
    assert_eq!(span.figures.gil_wait.count(), 5);
    assert!(span.workers[0].exact && span.workers[0].switch_interval == 5_000_000);
    // The hub's own seconds are not touched.
    assert_eq!(world.second().tick.groups["site"].total().requests, 5);
}

#[test]
fn metrics_grow_beyond_a_workers_end() {
    let mut world = world();
    world.board.group("");
    world.serve("/a", 200);
    world.serve("/a", 503);
    world.second();
    world.receive(ToAdmin::Exited { worker: 4 });
    for _ in 0..8 {
        world.second();
    }
    assert!(world.hub.workers().is_empty());
    let text = prometheus::page(&world.hub, false);
    for line in [
        "gilkeeper_requests_total{process_group=\"site\",application_group=\"\",code=\"200\"} 1",
        "gilkeeper_requests_total{process_group=\"site\",application_group=\"\",code=\"503\"} 1",
        "gilkeeper_gil_wait_seconds_total{process_group=\"site\",application_group=\"\",site=\"application\"} 0.008",
        "gilkeeper_request_seconds_bucket{process_group=\"site\",application_group=\"\",le=\"0.01\"} 2",
        "gilkeeper_request_seconds_bucket{process_group=\"site\",application_group=\"\",le=\"0.005\"} 0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is missing in\n{text}");
    }
    let open = prometheus::page(&world.hub, true);
    assert!(open.ends_with("# EOF\n") && open.contains("# TYPE gilkeeper_requests counter\n"));
}

#[test]
fn a_worker_that_has_ended_has_no_threads() {
    for crashed in [false, true] {
        let mut world = world();
        world.board.group("");
        world.second();
        (0..3).for_each(|_| world.serve("/a", 200));
        world.begin(1, "/deadly");
        world.receive(ToAdmin::Exited { worker: 4 });
        if crashed {
            let crash = Happened { what: What::WorkerCrashed, worker: Some(4), ..Happened::default() };
            world.receive(ToAdmin::Happened(crash));
        }
        // Its last second counts, once.
        let last = world.second();
        let portion = &last.tick.groups["site"];
        assert_eq!((portion.total().requests, portion.capacity > 0.0), (3, true), "{crashed}");
        let requests = last.events.first().map_or(0, |event| event.requests.len());
        assert_eq!(requests, usize::from(crashed));
        let kept = world.kept();
        for _ in 0..3 {
            assert!(world.second().tick.groups.is_empty(), "{crashed}");
        }
        assert_eq!((world.kept(), world.hub.workers().len()), (kept, 1));
        (0..4).for_each(|_| drop(world.second()));
        assert!(world.hub.workers().is_empty());
    }
}

#[test]
fn a_new_front_counts_from_zero_what_an_older_worker_does() {
    // Seconds since the worker's start, and how many of its 40 earlier requests count.
    for (ago, before) in [(0.0, 40), (3_600.0, 0)] {
        let front = Front { pid: std::process::id(), started: gk_sys::clock::epoch_seconds() };
        let mut world = world_of(Worker::in_hub(Hub::of_this_server(front, 0.0), ago, 0));
        world.board.group("");
        (0..40).for_each(|_| world.serve("/a", 200));
        world.second();
        (0..2).for_each(|_| world.serve("/a", 200));
        world.second();
        let counted = |world: &World| {
            world
                .hub
                .counters()
                .figures()
                .map(|figures| (figures.requests, figures.response.count()))
                .collect::<Vec<_>>()
        };
        assert_eq!(counted(&world), [(before + 2, before + 2)], "{ago}");
        // Its end changes nothing.
        world.receive(ToAdmin::Exited { worker: 4 });
        (0..8).for_each(|_| drop(world.second()));
        assert!(world.hub.workers().is_empty());
        assert_eq!(counted(&world), [(before + 2, before + 2)], "{ago}");
    }
}

#[test]
fn a_crash_names_the_requests_that_were_running() {
    let mut world = world();
    world.board.group("");
    world.second();
    world.begin(1, "/deadly");
    let crash = Happened {
        at: world.now + 1.0,
        what: What::WorkerCrashed,
        process_group: Some("site".into()),
        worker: Some(4),
        reason: Some("crash".into()),
        ..Happened::default()
    };
    world.receive(ToAdmin::Exited { worker: 4 });
    world.receive(ToAdmin::Happened(crash));
    let events = world.second().events;
    let [event] = &events[..] else { panic!("one event: {events:?}") };
    assert_eq!((event.requests[0].path.as_str(), event.requests[0].thread), ("/deadly", 2));
    assert!(event.requests[0].seconds > 1.0);
    let restarts = "gilkeeper_worker_restarts_total{process_group=\"site\",reason=\"crash\"} 1";
    assert!(prometheus::page(&world.hub, false).contains(restarts));
    let json = serde_json::to_string(event).unwrap();
    assert_eq!(serde_json::from_str::<gk_admin::heard::event::Event>(&json).unwrap(), *event);
}

#[test]
fn a_gil_that_came_back_is_marked() {
    let mut world = world();
    world.board.set_gil(GilMode::FreeThreading, None);
    world.board.group("");
    world.second();
    assert_eq!(api::status(&world.hub, 0.0)["workers"][0]["gil_returned"], serde_json::Value::Null);
    world.board.set_gil_returned("the module 'slowmodule._speedups'");
    world.second();
    assert_eq!(
        api::status(&world.hub, 0.0)["workers"][0]["gil_returned"],
        "the module 'slowmodule._speedups'"
    );
}

/// Reported: a scrape within a second of the admin process's restart found workers and none of their counters
/// (test_admin_process.py, once in some ten runs).
#[test]
fn a_worker_is_shown_together_with_its_counters() {
    let mut hub = Hub::of_this_server(Front::default(), 0.0);
    let link = LinkFigures { worker: 1, pid: std::process::id(), process_group: "g".into(), threads: 3 };
    let now = gk_sys::clock::epoch_seconds();
    hub.receive(ToAdmin::Worker(link), None, now);
    assert_eq!(api::status(&hub, now)["workers"], serde_json::json!([]));
    hub.advance(now);
    assert_eq!(api::status(&hub, now)["workers"][0]["threads"], 3);
}

#[test]
fn a_worker_without_a_scoreboard_is_shown() {
    let mut hub = Hub::of_this_server(Front::default(), 0.0);
    let link = LinkFigures { worker: 1, pid: std::process::id(), process_group: "g".into(), threads: 3 };
    let now = gk_sys::clock::epoch_seconds();
    hub.receive(ToAdmin::Worker(link), None, now);
    hub.advance(now);
    hub.advance(now + 1.0);
    let status = api::status(&hub, now + 1.0);
    assert_eq!(status["workers"][0]["threads"], 3);
    // What is unknown is not the same as "no".
    assert_eq!(status["workers"][0]["gil_wait_exact"], serde_json::Value::Null);
    assert_eq!(status["workers"][0]["gil_enabled"], serde_json::Value::Null);
    assert_eq!(status["groups"]["g"]["gil_enabled"], serde_json::Value::Null);
    let text = prometheus::page(&hub, false);
    let lines = |name: &str| text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
    assert_eq!(
        (lines("gilkeeper_gil_enabled"), lines("gilkeeper_switch_interval_seconds")),
        (0, 0),
        "{text}"
    );
    assert_eq!(lines("gilkeeper_threads"), 1, "{text}");
}
