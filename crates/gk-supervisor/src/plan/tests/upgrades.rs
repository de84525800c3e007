//! Upgrades: the old server and the new one.

use super::*;
use crate::plan::event::Succession;
use gk_wire::handover::{ToPredecessor, ToSuccessor};

fn succession(t: &mut Table, event: Succession) {
    t.event(Event::Succession(event));
}

fn asked(t: &mut Table, client: u64) {
    succession(t, Succession::Asked { client, program: vec!["python".into()] });
}

fn from_new(t: &mut Table, message: ToPredecessor) {
    succession(t, Succession::FromSuccessor(message));
}

fn from_old(t: &mut Table, message: ToSuccessor) {
    succession(t, Succession::FromPredecessor(message));
}

fn service(name: &str) -> ProcessGroup {
    ProcessGroup { threads: 0, ..group(name, 1) }
}

fn refused(why: &str) -> ToPredecessor {
    ToPredecessor::Refused { why: why.into() }
}

/// A server with a group and a service script that starts another one, with the process id 9.
fn old() -> Table {
    let mut t = Table::start(outline_of(1, vec![group("a", 1), service("s")]), Duration::from_secs(100));
    t.front_ready();
    t.ready(1);
    t.ready(2);
    t.said.clear();
    asked(&mut t, 5);
    assert_eq!(t.said(), "successor python");
    succession(&mut t, Succession::Started { pid: 9 });
    t
}

#[test]
fn the_old_server_hands_over_when_the_new_one_serves_and_finishes_its_requests() {
    let mut t = old();
    from_new(&mut t, ToPredecessor::Serving);
    assert_eq!(
        t.said(),
        "hand over, to successor Yours, front HandedOver, front stop 15, hear 1, signal 2 15, answer [5] true"
    );
    t.exit(2, "exit status 0");
    assert_eq!(t.said(), "to successor ServicesEnded");
    t.front_exit("exit status 0");
    assert_eq!(t.said(), "stop 1 shutdown_signal");
    t.exit(1, "exit status 0");
    assert_eq!(t.said(), "done, to successor Ended, exit 0");
}

/// Met as after a reload: the next connection could still come to the old server.
#[test]
fn an_upgrade_ends_when_the_old_server_accepts_no_more() {
    let mut t = old();
    t.mute = vec![0];
    from_new(&mut t, ToPredecessor::Serving);
    assert!(!t.said().contains("answer"));
    t.event(Event::FromFront(FromFront::AcceptsNoMore));
    assert_eq!(t.said(), "answer [5] true");
    let mut t = old();
    t.mute = vec![0];
    from_new(&mut t, ToPredecessor::Serving);
    t.pass(5.1);
    let said = t.said.iter().find(|said| said.starts_with("log warn: upgrade done: pid 9 serves")).unwrap();
    assert!(said.contains("no word of the front (pid"), "{said}");
}

#[test]
fn a_new_server_that_fails_before_it_serves_changes_nothing() {
    type Failing = fn(&mut Table);
    let failures: [(Failing, &str); 4] = [
        (|t| succession(t, Succession::NotStarted { why: "no file".into() }), ""),
        (
            |t| {
                from_new(t, refused("SyntaxError"));
                succession(t, Succession::Ended(ended("exit status 3")));
            },
            "",
        ),
        (|t| succession(t, Succession::Ended(ended("signal 9 (KILL)"))), ""),
        (|t| t.pass(81.0), "signal successor 9, "),
    ];
    for (fail, before) in failures {
        let mut t = old();
        fail(&mut t);
        assert_eq!(t.said(), format!("{before}answer [5] false"));
        // It may be tried again, and the first one says nothing more.
        from_new(&mut t, ToPredecessor::Serving);
        succession(&mut t, Succession::Ended(ended("signal 9 (KILL)")));
        asked(&mut t, 6);
        assert_eq!(t.said(), "successor python");
    }
    let mut t = old();
    from_new(&mut t, refused("process group 'a' cannot serve: SyntaxError"));
    succession(&mut t, Succession::Ended(ended("exit status 3")));
    assert!(
        t.logged()
            .contains("upgrade refused, the old server stays: process group 'a' cannot serve: SyntaxError")
    );
}

#[test]
fn one_upgrade_runs_at_a_time_and_none_before_the_server_serves_or_when_it_ends() {
    let mut t = old();
    asked(&mut t, 6);
    assert_eq!(t.said(), "answer [6] false");
    t.event(Event::Terminate);
    assert_eq!(t.said(), "signal successor 9, answer [5] false, front stop 15, hear 1");
    asked(&mut t, 7);
    assert_eq!(t.said(), "answer [7] false");
    let mut t = Table::new(&[("a", 1)]);
    t.said.clear();
    asked(&mut t, 5);
    assert_eq!(t.said(), "answer [5] false");
}

#[test]
fn a_process_that_stays_in_front_passes_signals_on() {
    let mut t = old();
    t.plan = t.plan.that_stays();
    from_new(&mut t, ToPredecessor::Serving);
    t.exit(2, "exit status 0");
    t.said.clear();
    t.event(Event::Terminate);
    assert_eq!(t.said(), "signal successor 15");
    t.event(Event::Terminate);
    assert_eq!(t.said(), "signal successor 15, front stop 0, stop 1 shutdown_signal");
    // The new one ends while the old one does: its status counts.
    succession(&mut t, Succession::Ended(ended("exit status 4")));
    t.front_exit("exit status 0");
    t.exit(1, "exit status 0");
    assert_eq!(t.said(), "done, to successor Ended, exit 4");
}

/// A server that replaces another one.
fn new() -> Table {
    let mut t = Table {
        plan: Plan::new(outline_of(1, vec![group("a", 1), service("s")])).with_service_manager(None),
        now: Duration::from_secs(100),
        said: Vec::new(),
        pids: 1000,
        mute: Vec::new(),
        debugged: false,
        refuses: None,
    };
    succession(&mut t, Succession::Inherit);
    t
}

#[test]
fn the_new_server_imports_first_accepts_then_and_runs_services_last() {
    let mut t = new();
    assert_eq!(t.said(), "spawn 1 a c1 g1");
    t.pass(15.0);
    assert_eq!(t.said(), "", "the service manager does not know it yet");
    t.ready(1);
    assert_eq!(t.said(), "front, link 1");
    t.front_ready();
    assert_eq!(t.said(), "take over, to predecessor Serving, announce");
    from_old(&mut t, ToSuccessor::Yours);
    assert_eq!(t.said(), "notify ready");
    from_old(&mut t, ToSuccessor::ServicesEnded);
    assert_eq!(t.said(), "spawn 2 s c1 g1");
    from_old(&mut t, ToSuccessor::Ended);
    succession(&mut t, Succession::PredecessorGone);
    assert_eq!(t.said(), "");
}

#[test]
fn an_old_server_that_is_gone_leaves_everything_or_the_new_one_ends() {
    let mut t = new();
    t.said.clear();
    succession(&mut t, Succession::PredecessorGone);
    assert_eq!(t.said(), "stop 1 shutdown_signal, signal 1 15");
    let mut t = new();
    t.ready(1);
    t.front_ready();
    t.said.clear();
    succession(&mut t, Succession::PredecessorGone);
    assert_eq!(t.said(), "notify ready, spawn 2 s c1 g1");
}

#[test]
fn a_new_server_that_cannot_import_ends_although_it_is_to_keep_trying() {
    let mut t = new();
    t.said.clear();
    t.broken(1);
    assert_eq!(t.said(), "stop 1 shutdown_signal");
    t.exit(1, "exit status 0");
    let said = t.said();
    assert!(said.starts_with("done, exit 3 (process group 'a' cannot serve"), "{said}");
}

#[test]
fn the_new_servers_end_waits_for_the_old_one_but_not_for_ever() {
    let ready = || {
        let mut t = new();
        t.ready(1);
        t.front_ready();
        from_old(&mut t, ToSuccessor::Yours);
        t.event(Event::Terminate);
        t.front_exit("exit status 0");
        t.exit(1, "exit status 0");
        t.said.clear();
        t
    };
    let mut t = ready();
    t.pass(10.0);
    assert!(!t.said().contains("exit"));
    from_old(&mut t, ToSuccessor::Ended);
    assert_eq!(t.said(), "done, exit 0");
    let mut t = ready();
    t.pass(21.0);
    assert!(t.said().ends_with("done, exit 0"));
    let mut t = ready();
    t.event(Event::Terminate);
    assert_eq!(t.said(), "done, exit 0");
}
