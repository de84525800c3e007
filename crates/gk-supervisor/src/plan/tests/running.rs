//! Starting, crashing, leaving.

use super::*;

#[test]
fn start_spawns_the_front_first_and_announces_once() {
    let mut t = Table::new(&[("a", 2), ("b", 1)]);
    assert_eq!(t.said(), "front, spawn 1 a c1 g1, spawn 2 a c1 g1, spawn 3 b c1 g1");
    t.ready(2);
    t.front_ready();
    assert_eq!(t.said(), "link 2");
    t.ready(1);
    assert_eq!(t.said(), "link 1");
    t.ready(3);
    assert_eq!(t.said(), "link 3, announce");
    assert_eq!(t.states(), "1:ready 2:ready 3:ready");
    t.exit(1, "exit status 1");
    t.ready(4);
    assert_eq!(t.said(), "gone 1, spawn 4 a c1 g1, link 4");
}

/// Milliseconds until the slot of a worker that has just ended has another one.
fn pause(t: &mut Table) -> u128 {
    let before = t.now;
    while !t.said().contains("spawn") {
        let due = t.plan.next_deadline().unwrap();
        t.pass((due - t.now).as_secs_f64());
    }
    (t.now - before).as_millis()
}

#[test]
fn processes_that_never_serve_are_started_again_after_a_growing_pause() {
    let mut t = Table::new(&[("a", 1)]);
    t.said();
    let mut pauses = Vec::new();
    for worker in 1..12 {
        t.exit(worker, "signal 11 (SEGV)");
        pauses.push(pause(&mut t));
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
    // One that served ends the row.
    t.ready(12);
    t.exit(12, "signal 11 (SEGV)");
    assert_eq!(pause(&mut t), 0);
    t.exit(13, "signal 11 (SEGV)");
    assert_eq!(pause(&mut t), 100);
}

/// Reported: a crash each 0.5 s for 15 s, and the first good answer came 40 s after the last one. Met when a request kills its
/// worker and its client tries again.
#[test]
fn a_worker_that_served_is_replaced_within_a_second_however_often_it_dies() {
    // The time from a start to the death, and the pauses: of a group with one process, and of one of three.
    let table = [(0.5, 0, 500), (0.1, 150, 900), (1.5, 0, 0)];
    for (life, alone, one_of_three) in table {
        for (processes, expected) in [(1, alone), (3, one_of_three)] {
            let mut t = Table::serving(&[("a", processes)]);
            t.pass(60.0);
            let mut victim = 1;
            t.said();
            t.exit(victim, "signal 11 (SEGV)");
            assert_eq!(pause(&mut t), 0, "the first one");
            for _ in 0..30 {
                victim = t.plan.workers().map(|w| w.worker).max().unwrap();
                t.ready(victim);
                t.pass(life);
                t.said();
                t.exit(victim, "signal 11 (SEGV)");
                assert_eq!(pause(&mut t), expected, "{processes} processes that live {life} s");
            }
        }
    }
}

#[test]
fn a_crash_loop_of_one_group_leaves_the_others_alone() {
    let mut t = Table::serving(&[("a", 1), ("b", 1)]);
    let mut last = 1;
    for _ in 0..8 {
        t.exit(last, "exit status 1");
        t.pass(31.0);
        last = t.plan.workers().find(|w| w.group == "a").unwrap().worker;
    }
    t.said();
    t.exit(2, "signal 9 (KILL)");
    assert!(t.said().contains(" b c1 g1"), "b is replaced at once");
}

#[test]
fn how_a_worker_ended_is_logged_once() {
    let mut t = Table::serving(&[("a", 1)]);
    t.exit(1, "exit status 3");
    let log = t.logged();
    assert_eq!(log.matches("exit status 3").count(), 1);
    assert!(log.contains("error: worker 1 (pid"), "{log}");
}

#[test]
fn a_leaving_worker_is_replaced_at_once_and_its_window_is_enforced() {
    let mut t = Table::serving(&[("a", 1)]);
    t.worker(1, FromWorker::Leaving { reason: "maximum_requests".into() });
    assert_eq!((t.said().as_str(), t.states().as_str()), ("spawn 2 a c1 g1", "1:leaving 2:starting"));
    t.ready(2);
    assert_eq!(t.said(), "link 2");
    t.pass(15.6);
    assert_eq!((t.said().as_str(), t.states().as_str()), ("stop 1 graceful_timeout", "1:stopping 2:ready"));
    t.pass(5.6);
    assert_eq!(t.said(), "signal 1 9");
    t.exit(1, "signal 9 (KILL)");
    assert_eq!((t.said().as_str(), t.states().as_str()), ("gone 1", "2:ready"));
}

#[test]
fn a_worker_that_stops_by_itself_is_replaced() {
    let mut t = Table::serving(&[("a", 1)]);
    t.worker(1, FromWorker::Stopping { reason: "deadlock_timeout".into() });
    assert_eq!(t.said(), "spawn 2 a c1 g1");
    t.pass(5.6);
    assert_eq!(t.said(), "signal 1 9");
}

#[test]
fn a_worker_that_is_never_ready_is_stopped_after_startup_timeout() {
    let mut t = Table::new(&[("a", 1)]);
    t.front_ready();
    t.said();
    t.pass(20.0);
    assert_eq!(t.said(), "stop 1 startup_timeout, signal 1 15");
    t.pass(0.2);
    assert_eq!(t.said(), "spawn 2 a c1 g1");
    t.pass(5.6);
    assert_eq!(t.said(), "signal 1 9");
}

/// Reported: on a busy machine the server gave up, as two workers that compiled Flask were not ready within fifteen seconds, of which they
/// had waited twelve for a CPU.
#[test]
fn time_in_which_a_worker_waits_for_a_cpu_does_not_count_for_startup_timeout() {
    let mut t = Table::new(&[("a", 1)]);
    t.front_ready();
    t.said();
    assert_eq!(t.plan.starting().iter().map(|(worker, _)| *worker).collect::<Vec<_>>(), [1]);
    t.pass(19.0);
    t.now += Duration::from_secs(1);
    t.plan.waited_for_cpu(1, Duration::from_secs(12));
    t.pass(11.0);
    assert_eq!((t.said().as_str(), t.states().as_str()), ("", "1:starting"));
    // It has waited again, and then only for itself.
    t.now += Duration::from_secs(1);
    t.plan.waited_for_cpu(1, Duration::from_secs(15));
    t.pass(2.5);
    assert_eq!(t.said(), "");
    t.pass(0.5);
    assert_eq!(t.states(), "1:stopping");
    let logged = t.logged();
    assert!(
        logged.contains("not ready within 20 s (startup-timeout), beside 15 s in which it waited for a CPU"),
        "{logged}"
    );
}

#[test]
fn a_worker_that_never_has_a_cpu_is_not_waited_for_without_end() {
    let mut t = Table::new(&[("a", 1)]);
    t.front_ready();
    for second in 1..=200 {
        t.now += Duration::from_secs(1);
        t.plan.waited_for_cpu(1, Duration::from_secs(second));
        t.said();
        t.pass(0.0);
        assert_eq!(t.said().is_empty(), second < 200, "{second}");
    }
}

/// Reported: a worker whose first request waited for an import in vain was replaced at once, again and again. Met with an application
/// that connects to a database at its import, where nothing is imported at the start.
#[test]
fn a_worker_that_loads_no_script_in_time_is_replaced_after_a_growing_pause() {
    let mut t = Table::serving(&[("a", 1)]);
    for (worker, pause) in [(1, 0.1), (2, 0.2), (3, 0.4)] {
        t.worker(worker, FromWorker::Leaving { reason: "startup_timeout".into() });
        let logged = t.logged();
        assert!(
            logged.contains(&format!("failure {worker} in a row, the next process starts in {pause} s")),
            "{logged}"
        );
        t.worker(worker, FromWorker::Stopping { reason: "startup_timeout".into() });
        t.exit(worker, "exit status 0");
        t.said();
        t.pass(pause);
        assert_eq!(t.said(), format!("spawn {} a c1 g1", worker + 1));
        t.ready(worker + 1);
        t.said();
    }
}

/// Reported: `failure 21 in a row` of a process group whose processes had all served. Met with a storm of kills.
#[test]
fn a_process_that_served_is_no_failure_to_start() {
    let mut t = Table::serving(&[("a", 1)]);
    let mut logged = String::new();
    for worker in 1..=5 {
        t.exit(worker, "signal 9 (KILL)");
        t.pass(0.2);
        t.ready(worker + 1);
        logged += &t.logged();
    }
    assert!(
        logged.contains("its last process served for 0.0 s only") && !logged.contains("in a row"),
        "{logged}"
    );
}

#[test]
fn a_front_that_dies_is_restarted_and_linked_with_the_living_workers() {
    let mut t = Table::serving(&[("a", 2)]);
    t.worker(2, FromWorker::Leaving { reason: "restart_interval".into() });
    t.said();
    t.front_exit("signal 11 (SEGV)");
    assert_eq!(t.said(), "front, link 1");
    t.ready(3);
    t.front_ready();
    assert_eq!((t.said().as_str(), t.plan.front().restarts), ("link 3", 1));
    // After the next crash it waits a little; workers that become ready meanwhile are linked when it is back.
    t.front_exit("exit status 101");
    t.exit(1, "exit status 1");
    t.ready(4);
    assert_eq!(t.said(), "spawn 4 a c1 g1");
    t.pass(0.25);
    assert_eq!(t.said(), "front, link 3, link 4");
}

#[test]
fn a_front_that_never_works_ends_the_server() {
    let mut t = Table::new(&[("a", 1)]);
    t.said();
    t.front_exit("exit status 2");
    assert_eq!(t.said(), "stop 1 shutdown_signal, signal 1 15");
    t.exit(1, "signal 15 (TERM)");
    assert_eq!(t.said(), "done, exit 2 (the front cannot be started)");
}

#[test]
fn a_group_without_a_usable_python_ends_the_first_start_only() {
    let mut t = Table::new(&[("a", 1), ("b", 1)]);
    t.front_ready();
    t.ready(2);
    t.said();
    t.exit(1, "exit status 78");
    assert_eq!(t.said(), "front stop 0, stop 2 shutdown_signal");
    t.front_exit("exit status 0");
    t.exit(2, "exit status 0");
    let said = t.said();
    assert!(said.starts_with("done, exit 2 (a process group cannot be started: worker 1"), "{said}");
    let mut t = Table::serving(&[("a", 1)]);
    t.exit(1, "exit status 78");
    assert_eq!(t.said(), "gone 1, spawn 2 a c1 g1");
}

#[test]
fn a_refused_link_is_a_failure_of_the_worker() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::FromFront(FromFront::LinkRefused { worker: 1, why: "version 2".into() }));
    assert_eq!((t.said().as_str(), t.states().as_str()), ("stop 1 link refused", "1:stopping"));
    t.pass(0.1);
    assert_eq!((t.said().as_str(), t.states().as_str()), ("spawn 2 a c1 g1", "1:stopping 2:starting"));
}

#[test]
fn a_process_that_cannot_be_made_is_tried_again_later() {
    let mut t = Table::serving(&[("a", 1)]);
    t.exit(1, "exit status 1");
    t.said();
    t.event(Event::WorkerNotStarted { worker: 2, code: Some("WSGI0024"), why: "no memory".into() });
    assert_eq!(t.said(), "");
    t.pass(0.2);
    assert_eq!(t.said(), "spawn 3 a c1 g1");
}

#[test]
fn a_worker_with_a_gil_again_is_marked_and_fails_where_that_is_refused() {
    let mut t = Table::serving(&[("a", 2)]);
    let back = |refused| FromWorker::GilReturned { module: "the module 'x'".into(), refused };
    t.worker(1, back(false));
    assert_eq!(t.said(), "front GilReturned { worker: 1, module: \"the module 'x'\", refused: false }");
    t.worker(2, back(true));
    t.said();
    assert_eq!(t.states(), "1:ready 2:failed");
    // A new front is told with the link.
    t.front_exit("signal 11 (SEGV)");
    let said = t.said();
    assert!(said.contains("link 1, front GilReturned { worker: 1"), "{said}");
}

#[test]
fn a_reload_is_refused_when_the_gil_comes_back_against_the_configuration() {
    let mut t = Table::serving(&[("a", 2)]);
    t.event(Event::Reload { client: 1, group: None });
    t.event(Event::Configured(Ok(outline(2, &[("a", 2)]))));
    t.ready(3);
    t.said();
    t.worker(3, FromWorker::GilReturned { module: "the module 'x'".into(), refused: true });
    assert_eq!(
        t.said(),
        "stop 3 reload refused, stop 4 reload refused, signal 4 15, forget c2, keep 1, keep 2, answer [1] false"
    );
    assert_eq!(t.states(), "1:ready 2:ready 3:stopping 4:stopping");
}

#[test]
fn a_crash_while_leaving_is_no_ordinary_end() {
    let mut t = Table::serving(&[("a", 1)]);
    t.worker(1, FromWorker::Leaving { reason: "maximum_requests".into() });
    t.logged();
    t.exit(1, "signal 11 (SEGV)");
    let logged = t.logged();
    assert!(logged.contains("error") && logged.contains("signal 11 (SEGV)"), "{logged}");
}
