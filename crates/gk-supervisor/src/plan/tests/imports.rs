//! Workers that cannot import their applications, at the start and later.

use super::*;

/// A server that ends when its first workers cannot import.
fn strict(groups: &[(&str, u32)]) -> Table {
    let mut t = Table::start(
        ConfigurationOutline { keep_trying: false, ..outline(1, groups) },
        Duration::from_secs(100),
    );
    t.front_ready();
    t.said();
    t
}

/// The last action, when everything has ended.
fn end(t: &mut Table) -> String {
    t.front_exit("exit status 0");
    for worker in t.plan.workers().map(|w| w.worker).collect::<Vec<_>>() {
        t.exit(worker, "exit status 0");
    }
    t.said.retain(|words| words.starts_with("exit"));
    t.said()
}

/// Reported: a server whose application could not be imported printed that it serves, and its readiness was 200. Met with every
/// typing error in a deploy that starts a new container.
#[test]
fn a_first_generation_that_cannot_be_imported_ends_the_server_with_its_traceback() {
    let mut t = strict(&[("a", 2), ("b", 1)]);
    t.ready(3);
    t.broken(1);
    // The other process may be luckier: two may have wanted to make the same file.
    assert_eq!((t.said().as_str(), t.states().as_str()), ("link 3", "1:failed 2:starting 3:ready"));
    t.broken(2);
    assert!(t.said().starts_with("front stop 0, stop 1 shutdown_signal"));
    let said = end(&mut t);
    assert!(said.starts_with("exit 3 (process group 'a' cannot serve (--keep-trying"), "{said}");
    assert!(said.ends_with("site.wsgi:\nSyntaxError: oh)"), "{said}");
}

#[test]
fn a_first_generation_that_dies_or_is_late_ends_the_server_too() {
    let mut t = strict(&[("a", 2)]);
    t.exit(1, "exit status 1");
    t.pass(20.0);
    t.pass(1.0);
    let said = end(&mut t);
    assert!(
        said.starts_with("exit 3") && said.contains("was not ready within 20 s (startup-timeout)"),
        "{said}"
    );
}

#[test]
fn one_process_that_imports_is_enough_for_its_group() {
    let mut t = strict(&[("a", 2)]);
    t.ready(1);
    t.broken(2);
    // The second one serves nobody: the first one has the application.
    assert_eq!(t.said(), "link 1, announce");
    t.pass(0.1);
    assert_eq!(t.said(), "leave 2 import_failed 15, spawn 3 a c1 g1");
    t.broken(3);
    t.pass(0.2);
    assert_eq!(t.said(), "leave 3 import_failed 15, spawn 4 a c1 g1");
    t.ready(4);
    assert_eq!(t.said(), "link 4");
}

#[test]
fn a_server_that_keeps_trying_answers_errors_and_announces_when_it_serves() {
    let mut t = Table::new(&[("a", 2)]);
    t.front_ready();
    t.broken(1);
    t.broken(2);
    assert_eq!(t.said(), "front, spawn 1 a c1 g1, spawn 2 a c1 g1, link failed 1, link failed 2");
    t.pass(0.1);
    let both = "drain 1, leave 1 import_failed 15, spawn 3 a c1 g1, drain 2, leave 2 import_failed 15, spawn 4 a c1 g1";
    assert_eq!(t.said().split(", ").collect::<std::collections::BTreeSet<_>>(), both.split(", ").collect());
    t.broken(4);
    t.ready(3);
    assert_eq!(t.said(), "link 3, announce");
}

#[test]
fn the_pause_between_two_attempts_grows() {
    let mut t = Table::new(&[("a", 1)]);
    t.front_ready();
    for worker in 1..12 {
        t.broken(worker);
        t.said();
        t.pass(0.05);
        assert_eq!(t.said(), "", "worker {worker} answers meanwhile");
        t.pass(30.0);
        t.exit(worker, "exit status 0");
    }
    t.said();
    t.broken(12);
    t.said();
    t.pass(29.9);
    assert_eq!(t.said(), "");
    t.pass(0.1);
    assert_eq!(t.said(), "drain 12, leave 12 import_failed 15, spawn 13 a c1 g1");
}

#[test]
fn a_worker_with_some_of_its_applications_stays_until_another_has_them_all() {
    let partly = || match ready(&["one.wsgi"]) {
        FromWorker::Ready { python, gil_mode, switch_interval, failed, .. } => {
            FromWorker::Ready { python, gil_mode, switch_interval, failed, imported: 3 }
        }
        other => other,
    };
    let mut t = Table::new(&[("a", 2)]);
    t.front_ready();
    t.worker(1, partly());
    t.pass(3.0);
    t.worker(2, partly());
    t.said();
    t.pass(1000.0);
    assert_eq!((t.said().as_str(), t.states().as_str()), ("", "1:failed 2:failed"));
    let mut t = Table::new(&[("a", 2)]);
    t.front_ready();
    t.worker(1, partly());
    t.pass(3.0);
    t.said();
    t.ready(2);
    t.pass(1.0);
    assert_eq!(t.said(), "link 2, announce, leave 1 import_failed 15, spawn 3 a c1 g1");
}

#[test]
fn a_reload_that_imports_ends_the_attempts() {
    let mut t = Table::new(&[("a", 1)]);
    t.front_ready();
    t.broken(1);
    t.event(Event::Reload { client: 7, group: Some("a".into()) });
    t.said();
    t.ready(2);
    assert_eq!(t.said(), "link 2, drain 1, leave 1 reload 15, answer [7] true, announce");
    t.pass(60.0);
    assert_eq!(t.said(), "stop 1 graceful_timeout, signal 1 9");
}

#[test]
fn a_server_that_stops_tries_nothing_again() {
    let mut t = Table::new(&[("a", 1)]);
    t.front_ready();
    t.broken(1);
    t.event(Event::Terminate);
    t.said();
    t.pass(10.0);
    assert_eq!(t.said(), "");
}
