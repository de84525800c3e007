//! Reloads.

use super::*;

fn asked(client: u64) -> Event {
    Event::Reload { client, group: None }
}

#[test]
fn a_reload_starts_the_new_before_the_old_leave() {
    let mut t = Table::serving(&[("a", 2)]);
    t.event(asked(7));
    assert_eq!(t.said(), "read");
    t.event(Event::Configured(Ok(outline(2, &[("a", 2), ("b", 1)]))));
    assert_eq!(t.said(), "spawn 3 a c2 g2, spawn 4 a c2 g2, spawn 5 b c2 g2");
    t.ready(4);
    t.ready(5);
    assert_eq!(t.said(), "");
    t.ready(3);
    let order = "site c2 g2, adopt c2, link 3, link 4, link 5, \
                 drain 1, leave 1 reload 15, drain 2, leave 2 reload 15, answer [7] true";
    assert_eq!(t.said(), order);
    t.exit(1, "exit status 0");
    t.exit(2, "exit status 0");
    assert_eq!((t.said().as_str(), t.plan.generation()), ("gone 1, gone 2", 2));
    // A worker that crashes now is restarted in the new configuration.
    t.exit(3, "exit status 1");
    assert_eq!(t.said(), "gone 3, spawn 6 a c2 g2");
}

#[test]
fn a_removed_group_leaves_and_a_smaller_one_shrinks() {
    let mut t = Table::serving(&[("a", 2), ("b", 1)]);
    t.event(Event::Hangup);
    t.event(Event::Configured(Ok(outline(2, &[("a", 1)]))));
    t.said();
    t.ready(4);
    let said = t.said();
    for old in ["drain 1", "drain 2", "drain 3"] {
        assert!(said.contains(old), "{said}");
    }
    // One that hangs has the time that its group gave it.
    assert!(said.contains("worker 3 NoSuccessors") && said.ends_with("leave 3 reload 15, done"), "{said}");
    assert_eq!(t.states(), "1:leaving 2:leaving 3:leaving 4:ready");
}

#[test]
fn an_import_failure_refuses_the_reload_and_the_old_stay() {
    let mut t = Table::serving(&[("a", 2)]);
    t.event(asked(1));
    t.event(Event::Configured(Ok(outline(2, &[("a", 2)]))));
    t.ready(3);
    t.said();
    t.broken(4);
    let log = t.said.iter().find(|s| s.starts_with("log error: reload refused")).unwrap().clone();
    assert!(log.contains("SyntaxError: oh"), "{log}");
    assert_eq!(
        t.said(),
        "stop 3 reload refused, stop 4 reload refused, forget c2, keep 1, keep 2, answer [1] false"
    );
    assert_eq!(t.states(), "1:ready 2:ready 3:stopping 4:stopping");
    t.exit(3, "exit status 0");
    t.exit(4, "exit status 0");
    t.exit(1, "exit status 1");
    assert_eq!(t.said(), "gone 1, spawn 5 a c1 g1");
}

#[test]
fn a_new_worker_that_dies_refuses_the_reload() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(asked(1));
    t.event(Event::Configured(Ok(outline(2, &[("a", 1)]))));
    t.said();
    t.exit(2, "signal 9 (KILL)");
    assert_eq!((t.said().as_str(), t.states().as_str()), ("forget c2, keep 1, answer [1] false", "1:ready"));
}

#[test]
fn an_old_worker_that_dies_during_a_reload_is_replaced_meanwhile() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(asked(1));
    t.event(Event::Configured(Ok(outline(2, &[("a", 1)]))));
    t.said();
    t.exit(1, "exit status 1");
    assert_eq!(t.said(), "gone 1, spawn 3 a c1 g1");
    t.ready(2);
    assert_eq!(t.said(), "site c2 g2, adopt c2, link 2, stop 3 reload, signal 3 15, answer [1] true");
}

#[test]
fn a_broken_configuration_keeps_the_old_one() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Hangup);
    t.event(Event::Configured(Err("line 3: no such directive".into())));
    assert!(t.logged().contains("the old workers stay: the configuration cannot be used: line 3"));
    assert_eq!(t.states(), "1:ready");
    t.event(asked(4));
    assert_eq!(t.said(), "read");
}

#[test]
fn a_second_reload_follows_the_first_and_answers_all_who_asked() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(asked(1));
    t.event(asked(2));
    t.event(Event::Reload { client: 3, group: Some("a".into()) });
    t.event(Event::Configured(Ok(outline(2, &[("a", 1)]))));
    t.said();
    t.ready(2);
    assert_eq!(t.said(), "site c2 g2, adopt c2, link 2, drain 1, leave 1 reload 15, answer [1] true, read");
    t.event(Event::Configured(Ok(outline(3, &[("a", 1)]))));
    t.ready(3);
    assert!(t.said().ends_with("answer [2, 3] true"));
}

#[test]
fn one_group_is_reloaded_without_reading_the_configuration() {
    let mut t = Table::serving(&[("a", 1), ("b", 1)]);
    t.event(Event::Reload { client: 1, group: Some("b".into()) });
    assert_eq!(t.said(), "spawn 3 b c1 g2");
    t.ready(3);
    assert_eq!(t.said(), "link 3, drain 2, leave 2 reload 15, answer [1] true");
    t.event(Event::Reload { client: 2, group: Some("nope".into()) });
    assert_eq!(t.said(), "answer [2] false");
}

#[test]
fn usr1_replaces_all_workers_with_the_eviction_window() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Evict);
    assert_eq!(t.said(), "spawn 2 a c1 g2");
    t.ready(2);
    assert_eq!(t.said(), "link 2, drain 1, leave 1 eviction_signal 3, done");
    t.pass(3.6);
    assert_eq!(t.said(), "stop 1 graceful_timeout");
}

#[test]
fn a_changed_script_reloads_its_group_once_after_it_settled() {
    let mut t = Table::serving(&[("a", 2), ("b", 1)]);
    let changed = || FromWorker::ScriptChanged { script: "site.wsgi".into() };
    t.worker(1, changed());
    t.pass(0.1);
    t.worker(2, changed());
    assert_eq!(t.said(), "");
    t.pass(0.1);
    assert_eq!(t.said(), "spawn 4 a c1 g2, spawn 5 a c1 g2");
    // The same change, reported late by an old worker, is no second change.
    t.worker(2, changed());
    t.ready(4);
    t.ready(5);
    t.pass(1.0);
    assert!(!t.said().contains("spawn"));
    assert_eq!(t.plan.generation(), 2);
}

/// Reported: three lines for each saved file. Met by everybody who uses `gilkeeper dev`.
#[test]
fn a_changed_script_is_a_notice_at_the_beginning_and_one_at_the_end() {
    let mut t = Table::serving(&[("a", 1)]);
    t.logged();
    t.worker(1, FromWorker::ScriptChanged { script: "site.wsgi".into() });
    t.pass(0.2);
    t.ready(2);
    let logged = t.logged();
    let notices: Vec<&str> = logged.lines().filter(|line| line.starts_with("notice: ")).collect();
    assert_eq!(
        notices,
        [
            "notice: site.wsgi changed: process group 'a' is reloaded",
            "notice: reload done: generation 2 serves, 1 old worker drains"
        ],
        "{logged}"
    );
    assert!(logged.contains("info: reload begins: script changed"), "{logged}");
}

#[test]
fn a_repair_during_a_failing_reload_is_not_missed() {
    let mut t = Table::serving(&[("a", 1)]);
    let changed = || FromWorker::ScriptChanged { script: "site.wsgi".into() };
    t.worker(1, changed());
    t.pass(0.2);
    t.said();
    t.worker(1, changed());
    t.broken(2);
    assert_eq!(t.said(), "stop 2 reload refused");
    t.pass(0.2);
    assert_eq!(t.said(), "spawn 3 a c1 g2");
}

#[test]
fn the_old_workers_watch_what_the_refused_ones_read() {
    let mut t = Table::serving(&[("a", 2), ("b", 1)]);
    t.worker(1, FromWorker::ScriptChanged { script: "site.wsgi".into() });
    t.pass(0.2);
    t.said();
    let file = gk_wire::control::SourceFile { path: "/new.py".into(), read: Some(1) };
    t.worker(4, FromWorker::Tried { files: vec![file] });
    t.broken(4);
    assert_eq!(
        t.said(),
        "watch 1 /new.py, watch 2 /new.py, stop 4 reload refused, stop 5 reload refused, signal 5 15, keep 1, keep 2"
    );
}

#[test]
fn new_workers_that_hang_end_the_reload() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Reload { client: 1, group: Some("a".into()) });
    t.said();
    t.pass(20.1);
    assert_eq!(t.said(), "stop 2 reload refused, signal 2 15, keep 1, answer [1] false");
    assert_eq!(t.states(), "1:ready 2:stopping");
}

#[test]
fn a_reload_without_a_front_links_when_it_is_back() {
    let mut t = Table::serving(&[("a", 1)]);
    t.front_exit("exit status 1");
    t.front_ready();
    t.front_exit("exit status 1");
    t.said();
    t.event(asked(1));
    t.event(Event::Configured(Ok(outline(2, &[("a", 1)]))));
    t.ready(2);
    t.pass(0.25);
    assert!(t.said().ends_with("leave 1 reload 15, answer [1] true, front, link 2"));
}

#[test]
fn a_front_that_does_not_say_that_it_gives_an_old_worker_nothing_more_is_named() {
    let mut t = Table::serving(&[("a", 1)]);
    t.mute = vec![0];
    t.event(Event::Reload { client: 7, group: Some("a".into()) });
    t.ready(2);
    assert!(!t.said().contains("answer"));
    t.pass(5.1);
    let named = |said: &String| said.contains("; within 5 s there was no word of the front (pid ");
    assert!(t.said.iter().any(named), "{:?}", t.said);
    assert!(t.said().contains("answer [7] true"));
}
