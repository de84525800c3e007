//! Processes that give no sign of life.

use super::*;

/// Reported: the front was stopped for 18 s, and its health stayed good. Met with processes that hang.
#[test]
fn a_front_without_a_sign_of_life_is_killed_and_replaced() {
    let mut t = Table::serving(&[("a", 1)]);
    t.mute = vec![0];
    t.pass(6.5);
    assert!(t.logged().contains("warn: the front (pid 1001) gives no sign of life for 5 s"));
    t.pass(9.0);
    assert_eq!(t.said(), "");
    t.pass(1.0);
    assert_eq!(t.said(), "signal front 9");
    t.pass(10.0);
    assert_eq!(t.said(), "", "once");
    t.mute.clear();
    t.front_exit("signal 9 (KILL)");
    assert_eq!(t.said(), "front, link 1", "it had served, so the next one starts at once");
}

#[test]
fn a_front_that_answers_again_stays() {
    let mut t = Table::serving(&[("a", 1)]);
    t.mute = vec![0];
    t.pass(13.0);
    t.mute.clear();
    t.event(Event::FromFront(FromFront::Alive));
    assert!(t.logged().contains("notice: the front gives signs of life again, after 12 s"));
    t.pass(100.0);
    assert_eq!(t.said(), "");
}

#[test]
fn a_front_in_a_debugger_and_one_without_a_timeout_are_left_alone() {
    let mut t = Table::serving(&[("a", 1)]);
    (t.mute, t.debugged) = (vec![0], true);
    t.pass(100.0);
    assert_eq!(t.said.iter().filter(|words| words.contains("debugger")).count(), 6, "{:?}", t.said);
    assert_eq!(t.said(), "");
    let mut t =
        Table::start(ConfigurationOutline { front_timeout: 0.0, ..outline(1, &[("a", 1)]) }, Duration::ZERO);
    t.ready(1);
    // Not even at its start.
    t.pass(100.0);
    t.front_ready();
    t.said();
    t.mute = vec![0];
    t.pass(1000.0);
    assert_eq!(t.said(), "");
}

#[test]
fn a_front_that_never_accepts_connections_is_killed() {
    let mut t = Table::new(&[("a", 1)]);
    t.ready(1);
    t.said();
    t.pass(60.0);
    assert_eq!(t.said(), "signal front 9");
}

#[test]
fn time_in_which_the_supervisor_was_stopped_itself_does_not_count() {
    let mut t = Table::serving(&[("a", 1)]);
    t.mute = vec![0, 1];
    t.pass(4.0);
    // Nothing happens at any of its deadlines.
    t.now += Duration::from_secs(3600);
    t.event(Event::Tick);
    t.pass(10.0);
    assert_eq!(t.said(), "");
    t.pass(3.0);
    assert_eq!(t.said(), "signal front 9");
}

/// Reported: a supervisor that was stopped while its workers imported stopped them when it went on, and ended with exit code 3,
/// although they had been ready. Met with Ctrl-Z, and with containers that are paused.
#[test]
fn workers_have_their_time_to_start_although_the_supervisor_was_stopped() {
    let mut t = Table::new(&[("a", 1)]);
    t.front_ready();
    t.pass(1.5);
    t.said();
    t.now += Duration::from_secs(30);
    t.event(Event::Tick);
    assert_eq!(t.said(), "");
    t.ready(1);
    assert_eq!(t.states(), "1:ready");
    let mut t = Table::new(&[("a", 1)]);
    t.front_ready();
    t.pass(1.5);
    t.now += Duration::from_secs(30);
    t.pass(18.0);
    assert_eq!(t.states(), "1:starting");
    t.pass(2.0);
    assert_ne!(t.states(), "1:starting", "its own time is over");
    assert!(t.logged().contains("was not ready within 20 s"));
}

#[test]
fn a_silent_worker_is_told_and_replaced_when_its_own_watchdog_is_silent_as_well() {
    let mut spec = group("a", 2);
    spec.deadlock_timeout = 60.0;
    let mut t = Table::start(outline_of(1, vec![spec]), Duration::from_secs(100));
    t.front_ready();
    (1..=2).for_each(|worker| t.ready(worker));
    t.said();
    t.mute = vec![2];
    t.pass(6.5);
    assert_eq!(t.said(), "silent 2 for 5 s");
    t.pass(58.0);
    assert!(!t.said().contains("signal"));
    t.pass(2.0);
    let said = t.said();
    assert!(said.contains("stop 2 link_lost, signal 2 9, spawn 3 a c1 g1"), "{said}");
}

/// Met: with `GilkeeperFronts 2` a front was stopped, and its clients waited for five minutes.
#[test]
fn one_of_several_fronts_has_the_timeout_of_the_front() {
    let several = ProcessGroup { embedded: true, ..group(gk_config::site::FRONTS, 2) };
    let mut t = Table::start(outline_of(1, vec![several]), Duration::from_secs(100));
    t.front_ready();
    (1..=2).for_each(|worker| t.ready(worker));
    t.said();
    t.mute = vec![2];
    t.pass(6.5);
    assert_eq!(t.said(), "silent 2 for 5 s");
    t.pass(7.0);
    assert!(!t.said().contains("signal"));
    t.pass(4.0);
    let said = t.said();
    assert!(said.contains("stop 2 link_lost, signal 2 9, spawn 3 fronts c1 g1"), "{said}");
}

/// Met: a reload waited for ever for a new front that was stopped while it started.
#[test]
fn one_of_several_fronts_that_does_not_become_ready_is_replaced() {
    let several = ProcessGroup { embedded: true, startup_timeout: 0.0, ..group(gk_config::site::FRONTS, 1) };
    let mut t = Table::start(outline_of(1, vec![several]), Duration::from_secs(100));
    t.front_ready();
    t.pass(59.0);
    assert_eq!(t.states(), "1:starting");
    t.pass(2.0);
    assert_ne!(t.states(), "1:starting");
    assert!(t.logged().contains("was not ready within 60 s"));
}
