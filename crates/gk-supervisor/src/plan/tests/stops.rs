//! Stops.

use super::*;

#[test]
fn term_lets_the_front_finish_first() {
    let mut t = Table::serving(&[("a", 2)]);
    t.event(Event::Terminate);
    assert_eq!(t.said(), "front stop 15");
    // A worker lost meanwhile is replaced: requests may still wait for it.
    t.exit(1, "signal 9 (KILL)");
    assert_eq!(t.said(), "gone 1, spawn 3 a c1 g1");
    t.front_exit("exit status 0");
    assert_eq!(t.said(), "stop 2 shutdown_signal, stop 3 shutdown_signal, signal 3 15");
    t.exit(3, "signal 15 (TERM)");
    t.pass(5.6);
    assert_eq!(t.said(), "signal 2 9");
    t.exit(2, "signal 9 (KILL)");
    assert_eq!(t.said(), "done, exit 0");
}

#[test]
fn a_front_that_does_not_stop_is_killed() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Terminate);
    t.said();
    t.pass(16.1);
    assert_eq!(t.said(), "signal front 9");
    t.front_exit("signal 9 (KILL)");
    t.exit(1, "exit status 0");
    assert_eq!(t.said(), "stop 1 shutdown_signal, done, exit 0");
}

#[test]
fn each_further_term_is_more_urgent() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Terminate);
    t.said();
    t.event(Event::Terminate);
    assert_eq!(t.said(), "front stop 0, stop 1 shutdown_signal");
    t.event(Event::Terminate);
    assert_eq!(t.said(), "signal front 9, signal 1 9");
    t.exit(1, "signal 9 (KILL)");
    t.front_exit("signal 9 (KILL)");
    assert_eq!(t.said(), "gone 1, done, exit 0");
}

#[test]
fn a_second_term_after_the_front_left_kills() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Terminate);
    t.front_exit("exit status 0");
    t.said();
    t.event(Event::Terminate);
    t.event(Event::Terminate);
    assert_eq!(t.said(), "signal 1 9");
}

#[test]
fn the_stop_command_is_answered_when_nothing_is_left() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Stop { client: 5, now: true });
    assert_eq!(t.said(), "front stop 0, stop 1 shutdown_signal");
    t.front_exit("exit status 0");
    t.exit(1, "exit status 0");
    assert_eq!(t.said(), "answer [5] true, exit 0");
}

#[test]
fn a_stop_during_a_reload_takes_the_new_workers_too() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Reload { client: 1, group: None });
    t.event(Event::Reload { client: 2, group: None });
    t.event(Event::Configured(Ok(outline(2, &[("a", 1)]))));
    t.said();
    t.event(Event::Terminate);
    let said = "stop 2 reload refused, signal 2 15, forget c2, keep 1, answer [1] false, answer [2] false, front stop 15";
    assert_eq!(t.said(), said);
    t.event(Event::Reload { client: 3, group: None });
    assert_eq!(t.said(), "answer [3] false");
    t.front_exit("exit status 0");
    t.exit(1, "exit status 0");
    t.exit(2, "exit status 0");
    assert!(t.said().ends_with("exit 0"));
}

#[test]
fn a_configuration_read_too_late_is_forgotten() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Hangup);
    t.event(Event::Terminate);
    t.said();
    t.event(Event::Configured(Ok(outline(2, &[("a", 1)]))));
    assert_eq!(t.said(), "forget c2");
}

#[test]
fn without_shutdown_timeout_nothing_is_killed_until_asked() {
    let mut spec = group("a", 1);
    spec.shutdown_timeout = 0.0;
    let mut t = Table::start(outline_of(1, vec![spec]), Duration::ZERO);
    t.front_ready();
    t.ready(1);
    t.event(Event::Terminate);
    t.front_exit("exit status 0");
    t.said();
    t.pass(10_000.0);
    assert_eq!(t.said(), "");
}

#[test]
fn without_graceful_timeout_requests_have_time_until_the_second_signal() {
    let mut t = Table::serving(&[("a", 1), ("b", 1)]);
    t.plan.groups[1].spec.graceful_timeout = 0.0;
    t.event(Event::Terminate);
    assert_eq!(t.said(), "front stop 536870912");
    t.pass(3600.0);
    assert_eq!(t.said(), "");
    t.event(Event::Terminate);
    assert_eq!(t.said(), "front stop 0, stop 1 shutdown_signal, stop 2 shutdown_signal");
}
