//! Stops.

use super::*;

#[test]
fn term_lets_the_front_finish_first() {
    let mut t = Table::serving(&[("a", 2)]);
    t.event(Event::Terminate);
    assert_eq!(t.said(), "front stop 15, hear 1, hear 2");
    // A worker lost meanwhile is replaced: requests may still wait for it.
    t.exit(1, "signal 9 (KILL)");
    assert_eq!(t.said(), "gone 1, spawn 3 a c1 g1");
    t.ready(3);
    assert_eq!(t.said(), "hear 3, link 3");
    t.front_exit("exit status 0");
    assert_eq!(t.said(), "stop 2 shutdown_signal, stop 3 shutdown_signal");
    t.exit(3, "exit status 0");
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
    t.pass(15.1);
    assert_eq!(t.said(), "stop 1 shutdown_signal", "the workers do not wait for it");
    t.exit(1, "exit status 0");
    t.pass(2.0);
    assert_eq!(t.said(), "gone 1, signal front 9");
    t.front_exit("signal 9 (KILL)");
    assert_eq!(t.said(), "done, exit 0");
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
    let said = "stop 2 reload refused, signal 2 15, forget c2, keep 1, answer [1] false, answer [2] false, front stop 15, hear 1";
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
    t.plan.groups[1].spec.graceful_timeout = Some(0.0);
    t.event(Event::Terminate);
    assert_eq!(t.said(), "front stop 536870912, hear 1, hear 2");
    t.pass(3600.0);
    assert_eq!(t.said(), "");
    t.event(Event::Terminate);
    assert_eq!(t.said(), "front stop 0, stop 1 shutdown_signal, stop 2 shutdown_signal");
}

/// Reported: `docker stop` killed the server with an open stream, which needed 17 to 20 s. Met in containers, whose runtimes kill ten
/// seconds after the signal.
#[test]
fn a_stop_with_the_defaults_ends_within_ten_seconds_whatever_hangs() {
    let spec = ProcessGroup { threads: 5, ..ProcessGroup::named("a") };
    let mut t = Table::start(outline_of(1, vec![spec]), Duration::ZERO);
    t.front_ready();
    t.ready(1);
    t.said();
    let begun = t.now;
    t.event(Event::Terminate);
    assert_eq!(t.said(), "front stop 4, hear 1");
    t.pass(4.0);
    assert_eq!(t.said(), "stop 1 shutdown_signal");
    t.pass(5.5);
    assert_eq!(t.said(), "signal front 9, signal 1 9");
    t.front_exit("signal 9 (KILL)");
    t.exit(1, "signal 9 (KILL)");
    assert_eq!(t.said(), "done, exit 0");
    assert!(t.now - begun < Duration::from_secs(10));
}

#[test]
fn each_step_of_a_stop_is_one_line_that_says_what_the_next_signal_does() {
    let mut t = Table::serving(&[("a", 1)]);
    for (said, next) in [
        ("the server stops: running requests have 15 s (graceful-timeout)", "a second signal cuts them off"),
        (
            "asked again to stop, at once: running requests are cut off",
            "a further signal kills every process",
        ),
        ("asked again to stop: every process is killed", ""),
    ] {
        t.event(Event::Terminate);
        let logged = t.logged();
        let lines: Vec<&str> = logged.lines().filter(|line| line.contains("stop")).collect();
        assert!(lines[0].contains(said) && lines[0].ends_with(next), "{lines:?}");
    }
}

#[test]
fn only_workers_that_serve_hear_of_a_stop_and_a_service_script_ends_after_the_requests() {
    let mut service = group("service", 1);
    service.threads = 0;
    let mut t = Table::start(outline_of(1, vec![group("a", 2), service]), Duration::ZERO);
    t.front_ready();
    t.ready(1);
    t.ready(3);
    t.said();
    t.event(Event::Terminate);
    assert_eq!(t.said(), "front stop 15, hear 1");
    t.front_exit("exit status 0");
    assert_eq!(t.said(), "stop 1 shutdown_signal, stop 2 shutdown_signal, signal 2 15, signal 3 15");
}

/// Reported: a load balancer that keeps connections lost requests at each stop, as nothing told it before. Met behind HAProxy, and
/// at the end of each pod of Kubernetes.
#[test]
fn a_drain_is_answered_when_its_time_is_over_and_serves_meanwhile() {
    let wait = Duration::from_secs(5);
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Drain { client: 1, wait, undo: false });
    assert_eq!((t.said().as_str(), t.states().as_str()), ("front drain true", "1:ready"));
    t.pass(4.9);
    assert_eq!(t.said(), "");
    t.pass(0.2);
    assert_eq!(t.said(), "answer [1] true");
    // A new front knows it, too, and it can be taken back.
    t.front_exit("signal 9 (KILL)");
    t.pass(1.0);
    t.said();
    t.front_ready();
    assert_eq!(t.said(), "front drain true");
    t.event(Event::Drain { client: 2, wait, undo: false });
    t.event(Event::Drain { client: 3, wait, undo: true });
    assert_eq!(t.said(), "front drain true, front drain false, answer [2, 3] true");
    // A stop keeps nobody waiting.
    t.event(Event::Drain { client: 4, wait, undo: false });
    t.event(Event::Terminate);
    t.event(Event::Drain { client: 5, wait, undo: false });
    let said = "front drain true, front stop 15, hear 1, answer [4] true, answer [5] true";
    assert_eq!(t.said(), said);
}
