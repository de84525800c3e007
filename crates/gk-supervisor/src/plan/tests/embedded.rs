//! Embedded mode.

use super::*;

fn serving(processes: u32) -> Table {
    let group = ProcessGroup { embedded: true, ..group("a", processes) };
    let outline = outline_of(1, vec![group]);
    let mut t = Table::start(outline, Duration::from_secs(100));
    t.front_ready();
    (1..=u64::from(processes)).for_each(|worker| t.ready(worker));
    t.said.clear();
    t
}

#[test]
fn workers_with_clients_leave_before_the_front_stops() {
    let mut t = serving(2);
    t.event(Event::Terminate);
    assert_eq!(t.said(), "hear 1, hear 2, leave 1 shutdown_signal 15, leave 2 shutdown_signal 15");
    // Nobody could reach another one: the listeners of this server close.
    t.exit(1, "signal 9 (KILL)");
    t.pass(5.0);
    assert_eq!(t.said(), "gone 1");
    t.exit(2, "exit status 0");
    assert_eq!(t.said(), "gone 2, front stop 0");
    t.front_exit("exit status 0");
    assert_eq!(t.said(), "done, exit 0");
}

#[test]
fn a_stop_of_embedded_workers_has_the_same_bounds() {
    let mut t = serving(1);
    t.event(Event::Terminate);
    t.said();
    t.pass(15.1);
    assert_eq!(t.said(), "stop 1 shutdown_signal");
    t.pass(5.6);
    assert_eq!(t.said(), "signal 1 9");
    t.exit(1, "signal 9 (KILL)");
    assert_eq!(t.said(), "gone 1, front stop 0");
    t.pass(2.1);
    assert_eq!(t.said(), "signal front 9");
    t.front_exit("signal 9 (KILL)");
    assert_eq!(t.said(), "done, exit 0");
}

#[test]
fn a_second_signal_cuts_off_and_a_third_kills() {
    let mut t = serving(1);
    t.event(Event::Terminate);
    t.said();
    t.event(Event::Terminate);
    assert_eq!(t.said(), "front stop 0, stop 1 shutdown_signal");
    t.event(Event::Terminate);
    assert_eq!(t.said(), "signal front 9, signal 1 9");
    t.front_exit("signal 9 (KILL)");
    t.exit(1, "signal 9 (KILL)");
    assert_eq!(t.said(), "done, exit 0");
}

#[test]
fn the_end_of_the_front_ends_no_clients() {
    let mut t = serving(1);
    t.front_exit("signal 9 (KILL)");
    t.pass(1.0);
    assert_eq!(t.said(), "front, link 1", "the worker stays, and the next front is told of it");
    t.front_ready();
    t.event(Event::Terminate);
    t.said();
    t.front_exit("signal 9 (KILL)");
    assert_eq!(t.said(), "");
    t.exit(1, "exit status 0");
    assert_eq!(t.said(), "done, exit 0");
}

#[test]
fn workers_with_clients_hear_of_a_drain() {
    let mut t = serving(1);
    let wait = Duration::from_secs(5);
    t.event(Event::Drain { client: 1, wait, undo: false });
    assert_eq!(t.said(), "front drain true, worker 1 Drain { on: true }");
    // One that is new, too.
    t.exit(1, "signal 9 (KILL)");
    t.pass(1.0);
    t.ready(2);
    let said = t.said();
    assert!(said.ends_with("link 2, worker 2 Drain { on: true }"), "{said}");
    t.event(Event::Drain { client: 1, wait, undo: true });
    assert!(t.said().starts_with("front drain false, worker 2 Drain { on: false }"));
}

#[test]
fn figures_of_a_worker_go_to_the_front() {
    let mut t = serving(1);
    let figures = gk_wire::control::EmbeddedFigures { connections: 3, ..Default::default() };
    let passed = Action::ToFront(ToFront::EmbeddedFigures { worker: 1, figures: figures.clone() });
    let message = FromWorker::EmbeddedFigures { figures: figures.clone() };
    assert_eq!(t.plan.handle(Event::FromWorker { worker: 1, message }, t.now), [passed]);
    let spans = gk_wire::control::EmbeddedSpans { lost: 3, ..Default::default() };
    let passed = Action::ToFront(ToFront::EmbeddedSpans(spans.clone()));
    let message = FromWorker::EmbeddedSpans(spans.clone());
    assert_eq!(t.plan.handle(Event::FromWorker { worker: 1, message }, t.now), [passed]);
    // Where the front serves the clients, a worker that tells of some is not believed.
    let mut t = Table::start(outline(1, &[("a", 1)]), Duration::from_secs(100));
    t.front_ready();
    t.ready(1);
    for message in [FromWorker::EmbeddedFigures { figures }, FromWorker::EmbeddedSpans(spans)] {
        assert_eq!(t.plan.handle(Event::FromWorker { worker: 1, message }, t.now), []);
    }
}

#[test]
fn workers_of_other_groups_stop_after_those_that_send_them_requests() {
    let groups = vec![ProcessGroup { embedded: true, ..group("a", 1) }, group("b", 1)];
    let mut t = Table::start(outline_of(1, groups), Duration::from_secs(100));
    t.front_ready();
    t.ready(1);
    t.ready(2);
    t.said.clear();
    t.event(Event::Terminate);
    assert_eq!(t.said(), "hear 1, hear 2, leave 1 shutdown_signal 15");
    t.exit(1, "exit status 0");
    assert_eq!(t.said(), "gone 1, front stop 0");
    t.front_exit("exit status 0");
    assert_eq!(t.said(), "stop 2 shutdown_signal");
    t.exit(2, "exit status 0");
    assert_eq!(t.said(), "done, exit 0");
}

#[test]
fn workers_of_a_group_that_a_reload_removes_leave_after_those_that_send_them_requests() {
    let fronts = || ProcessGroup { embedded: true, ..group("fronts", 1) };
    let mut t = Table::start(outline_of(1, vec![group("before", 1), fronts()]), Duration::from_secs(100));
    t.front_ready();
    t.ready(1);
    t.ready(2);
    t.event(Event::Hangup);
    t.event(Event::Configured(Ok(outline_of(2, vec![group("after", 1), fronts()]))));
    t.ready(3);
    t.said.clear();
    t.ready(4);
    assert_eq!(
        t.said(),
        "site c2 g2, adopt c2, link 3, link 4, drain 2, leave 2 reload 15, worker 1 NoSuccessors, done"
    );
    // Nobody has newer code for its requests.
    t.worker(1, FromWorker::ScriptChanged { script: "site.wsgi".into() });
    t.pass(1.0);
    assert_eq!((t.said().as_str(), t.states().as_str()), ("", "1:ready 2:leaving 3:ready 4:ready"));
    t.exit(2, "exit status 0");
    assert_eq!(t.said(), "gone 2, drain 1, leave 1 reload 15");
    // Its own bound is what its group had.
    t.pass(15.6);
    assert_eq!(t.said(), "stop 1 graceful_timeout");
    t.exit(1, "exit status 0");
    assert_eq!((t.said().as_str(), t.states().as_str()), ("gone 1", "3:ready 4:ready"));
}
