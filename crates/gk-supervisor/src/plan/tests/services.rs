//! Service scripts: processes without request threads.

use super::*;

fn service(name: &str, processes: u32) -> ProcessGroup {
    ProcessGroup { threads: 0, ..group(name, processes) }
}

fn with(configuration: u64, groups: Vec<ProcessGroup>) -> ConfigurationOutline {
    outline_of(configuration, groups)
}

/// A site (worker 1) and a service script (worker 2), both ready.
fn beside_a_site() -> Table {
    let mut t = Table::start(with(1, vec![group("a", 1), service("s", 1)]), Duration::from_secs(100));
    t.front_ready();
    t.ready(1);
    t.ready(2);
    assert_eq!(t.said(), "front, spawn 1 a c1 g1, spawn 2 s c1 g1, link 1, announce");
    t
}

#[test]
fn announcements_and_reloads_do_not_wait_for_service_scripts() {
    let mut t = Table::start(with(1, vec![service("s", 1), group("a", 1)]), Duration::ZERO);
    t.front_ready();
    t.ready(2);
    assert_eq!(t.said(), "front, spawn 1 s c1 g1, spawn 2 a c1 g1, link 2, announce");
    // Not ready within startup-timeout: a failure.
    t.pass(20.0);
    assert_eq!((t.said().as_str(), t.states().as_str()), ("signal 1 15", "1:stopping 2:ready"));
}

#[test]
fn a_service_script_that_ends_is_restarted_with_the_usual_delays() {
    let mut t = beside_a_site();
    t.exit(2, "exit status 0");
    assert_eq!(t.said(), "spawn 3 s c1 g1");
    t.ready(3);
    t.exit(3, "exit status 1");
    assert_eq!(t.logged().lines().filter(|line| line.starts_with("error")).count(), 1);
    t.pass(0.1);
    assert_eq!(t.said(), "spawn 4 s c1 g1");
    t.ready(4);
    t.pass(10.0);
    t.exit(4, "exit status 0");
    assert_eq!(t.said(), "spawn 5 s c1 g1", "it lived long enough");
}

#[test]
fn a_reload_ends_the_script_and_its_end_starts_the_new_one() {
    let mut t = beside_a_site();
    t.event(Event::Reload { client: 7, group: None });
    t.event(Event::Configured(Ok(with(2, vec![group("a", 1), service("s", 2)]))));
    assert_eq!(t.said(), "read, spawn 3 a c2 g2");
    t.ready(3);
    let order = "site c2 g2, adopt c2, link 3, drain 1, leave 1 reload 15, signal 2 15, spawn 4 s c2 g2, answer [7] true";
    assert_eq!(t.said(), order, "the second process is new and waits for nothing");
    t.exit(2, "exit status 0");
    assert_eq!(t.said(), "spawn 5 s c2 g2");
    // A script that does not end is killed and then restarted.
    t.ready(4);
    t.ready(5);
    t.event(Event::Reload { client: 8, group: Some("s".into()) });
    assert_eq!(t.said(), "signal 5 15, signal 4 15, answer [8] true");
    t.exit(4, "signal 15 (TERM)");
    assert_eq!(t.said(), "spawn 6 s c2 g3");
    t.pass(5.6);
    assert_eq!(t.said(), "signal 5 9");
    t.exit(5, "signal 9 (KILL)");
    assert_eq!(t.said(), "spawn 7 s c2 g3");
}

#[test]
fn a_refused_reload_does_not_touch_service_scripts() {
    let mut t = beside_a_site();
    t.event(Event::Hangup);
    t.event(Event::Configured(Ok(with(2, vec![group("a", 1), service("s", 1)]))));
    t.broken(3);
    assert_eq!(t.said(), "read, spawn 3 a c2 g2, stop 3 reload refused, forget c2, keep 1");
    assert_eq!(t.states(), "1:ready 2:ready 3:stopping");
}

#[test]
fn a_group_may_become_a_service_and_back() {
    let mut t = beside_a_site();
    t.event(Event::Hangup);
    t.event(Event::Configured(Ok(with(2, vec![service("a", 1), group("s", 1)]))));
    assert_eq!(t.said(), "read, spawn 3 s c2 g2");
    t.ready(3);
    let order = "site c2 g2, adopt c2, link 3, worker 1 NoSuccessors, drain 1, leave 1 reload 15, signal 2 15, spawn 4 a c2 g2, done";
    assert_eq!(t.said(), order);
    t.exit(2, "exit status 0");
    assert_eq!(t.said(), "");
    t.event(Event::Hangup);
    t.event(Event::Configured(Ok(with(3, vec![group("s", 1)]))));
    t.said();
    t.ready(5);
    assert!(t.said().contains("signal 4 15"), "a service that is gone from the configuration ends");
}

#[test]
fn a_stopping_server_starts_no_service_script() {
    let mut t = beside_a_site();
    t.exit(2, "exit status 0");
    t.ready(3);
    t.exit(3, "exit status 0");
    t.said();
    t.event(Event::Terminate);
    t.pass(1.0);
    assert_eq!(t.said(), "front stop 15, hear 1");
    let mut t = beside_a_site();
    t.event(Event::Terminate);
    // By the same Ctrl-C.
    t.exit(2, "exit status 0");
    t.pass(1.0);
    assert_eq!(t.said(), "front stop 15, hear 1");
    t.front_exit("exit status 0");
    assert_eq!(t.said(), "stop 1 shutdown_signal");
}
