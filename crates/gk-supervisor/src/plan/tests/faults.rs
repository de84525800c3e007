//! Links and control sockets that end while their worker lives.

use super::*;
use gk_wire::control::LinkFault;

fn link_ended(worker: u64, fault: LinkFault) -> Event {
    Event::FromFront(FromFront::LinkEnded { worker, fault, why: "as chosen".into() })
}

fn control_ended(worker: u64, fault: LinkFault) -> Event {
    Event::WorkerFault { worker, fault, why: "its control socket was closed".into() }
}

/// Reported: after a protocol error on its link a worker stayed ready for ever, and its group answered 503. Met with
/// applications that write to descriptors they do not own.
#[test]
fn a_worker_with_a_broken_link_is_stopped_and_replaced_at_once() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(link_ended(1, LinkFault::Broken));
    assert_eq!(t.said(), "stop 1 link_lost, signal 1 15, spawn 2 a c1 g1");
    assert_eq!(t.states(), "1:stopping 2:starting");
    t.ready(2);
    assert_eq!(t.said(), "link 2");
    t.pass(5.6);
    assert_eq!(t.said(), "signal 1 9");
    t.exit(1, "signal 9 (KILL)");
    assert_eq!((t.said().as_str(), t.states().as_str()), ("gone 1", "2:ready"));
}

#[test]
fn a_worker_that_floods_its_link_is_killed_and_replaced_at_once() {
    for event in [link_ended, control_ended] {
        let mut t = Table::serving(&[("a", 1)]);
        t.event(event(1, LinkFault::Abused));
        assert_eq!(t.said(), "stop 1 link_lost, signal 1 9, spawn 2 a c1 g1");
        // However often it is said.
        t.event(event(1, LinkFault::Abused));
        assert_eq!((t.said().as_str(), t.states().as_str()), ("", "1:stopping 2:starting"));
    }
}

#[test]
fn a_closed_socket_mostly_means_a_death() {
    for event in [link_ended, control_ended] {
        // The end of the process follows: an ordinary crash, logged once.
        let mut t = Table::serving(&[("a", 1)]);
        t.event(event(1, LinkFault::Closed));
        assert_eq!(t.said(), "");
        t.exit(1, "signal 11 (SEGV)");
        let log = t.logged();
        assert!(log.contains("error: worker 1") && log.contains("signal 11 (SEGV)"), "{log}");
        assert_eq!(t.states(), "2:starting");
        // It does not follow: the worker is of no use.
        let mut t = Table::serving(&[("a", 1)]);
        t.event(event(1, LinkFault::Closed));
        t.pass(0.9);
        assert_eq!(t.said(), "");
        t.pass(0.1);
        assert_eq!(t.said(), "stop 1 link_lost, signal 1 15, spawn 2 a c1 g1");
    }
}

#[test]
fn a_leaving_worker_may_close_its_link() {
    let mut t = Table::serving(&[("a", 1)]);
    t.worker(1, FromWorker::Leaving { reason: "maximum_requests".into() });
    t.said();
    t.event(link_ended(1, LinkFault::Closed));
    t.pass(2.0);
    assert_eq!((t.said().as_str(), t.states().as_str()), ("", "1:leaving 2:starting"));
    // But what it sends must make sense.
    t.event(link_ended(1, LinkFault::Broken));
    assert_eq!((t.said().as_str(), t.states().as_str()), ("stop 1 link_lost", "1:stopping 2:starting"));
}

#[test]
fn a_new_worker_of_a_reload_with_a_broken_socket_refuses_the_reload() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Reload { client: 7, group: None });
    t.event(Event::Configured(Ok(outline(2, &[("a", 1)]))));
    t.said();
    t.event(control_ended(2, LinkFault::Broken));
    assert_eq!(t.said(), "stop 2 reload refused, signal 2 15, forget c2, keep 1, answer [7] false");
    assert_eq!(t.states(), "1:ready 2:stopping");
}

/// Reported: a worker that had closed all its descriptors was never ended with shutdown-timeout=0, and the server did not stop. Met with
/// applications that daemonise, or close every descriptor before they run a program.
#[test]
fn a_worker_that_can_be_told_nothing_is_killed_also_without_a_shutdown_timeout() {
    let mut spec = group("a", 1);
    (spec.shutdown_timeout, spec.graceful_timeout) = (0.0, Some(0.0));
    let serving = || {
        let mut t = Table::start(outline_of(1, vec![spec.clone()]), Duration::from_secs(100));
        t.front_ready();
        t.ready(1);
        t.said();
        t
    };
    let mut t = serving();
    t.event(control_ended(1, LinkFault::Closed));
    t.pass(1.1);
    assert_eq!(t.said(), "stop 1 link_lost, signal 1 15, spawn 2 a c1 g1");
    t.ready(2);
    t.pass(29.0);
    assert_eq!(t.said(), "link 2");
    t.pass(1.5);
    assert_eq!(t.said(), "signal 1 9");
    // It was leaving already.
    let mut t = serving();
    t.worker(1, FromWorker::Leaving { reason: "maximum_requests".into() });
    t.event(control_ended(1, LinkFault::Closed));
    t.said();
    t.pass(31.0);
    assert_eq!(t.states().split(' ').next(), Some("1:stopping"));
    t.said();
    t.pass(31.0);
    assert!(t.said().contains("signal 1 9"));
    // One that is asked to end by its user has the time that it was promised.
    let mut t = serving();
    t.event(Event::Terminate);
    t.front_exit("exit status 0");
    t.event(link_ended(1, LinkFault::Closed));
    t.said();
    t.pass(3_600.0);
    assert_eq!(t.said(), "");
    t.event(control_ended(1, LinkFault::Closed));
    t.pass(31.0);
    assert_eq!(t.said(), "signal 1 9");
}

/// Reported: the log said that a worker was stopped and replaced which had ended in order. Met where its link closes before its last
/// words are read.
#[test]
fn a_worker_that_ends_in_order_after_its_socket_closed_is_not_called_lost() {
    for last in [
        FromWorker::Leaving { reason: "maximum_requests".into() },
        FromWorker::Stopping { reason: "restart_interval".into() },
    ] {
        let mut t = Table::serving(&[("a", 1)]);
        t.event(link_ended(1, LinkFault::Closed));
        t.worker(1, last);
        t.ready(2);
        t.pass(2.0);
        let log = t.logged();
        assert!(!log.contains("error") && !log.contains("replaced"), "{log}");
    }
}
