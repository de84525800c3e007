//! New configurations that the front has to take before the new workers take over.

use super::*;

/// A table in which client 7 has asked for a reload and the one new worker, 2, is about to be ready. The front says nothing by itself.
fn reloading(front_timeout: f64) -> Table {
    let mut t =
        Table::start(ConfigurationOutline { front_timeout, ..outline(1, &[("a", 1)]) }, Duration::ZERO);
    t.front_ready();
    t.ready(1);
    t.mute = vec![0];
    t.event(Event::Reload { client: 7, group: None });
    t.event(Event::Configured(Ok(outline(2, &[("a", 1)]))));
    t.said.clear();
    t
}

fn answer(configuration: u64, refused: Option<&str>) -> Event {
    Event::FromFront(FromFront::Site { configuration, refused: refused.map(str::to_owned) })
}

/// Reported: `gilkeeper reload` said that it was done, and exited with 0, although the front had refused the new configuration; the new
/// workers served the old one. Met with an authority of client certificates that the supervisor took and the front did not.
#[test]
fn what_the_front_refuses_replaces_nothing() {
    let mut t = reloading(15.0);
    t.ready(2);
    assert_eq!(t.said(), "site c2 g2");
    t.event(answer(2, Some("an authority is malformed")));
    let told = "log error: reload refused, the old workers stay: the front cannot use the new configuration: an authority is malformed";
    assert!(t.said.iter().any(|said| said == told), "{:?}", t.said);
    assert_eq!(t.said(), "stop 2 reload refused, forget c2, keep 1, answer [7] false");
    assert_eq!((t.states().as_str(), t.plan.generation()), ("1:ready 2:stopping", 1));
    t.exit(1, "exit status 1");
    assert_eq!(t.said(), "gone 1, spawn 3 a c1 g1");
}

#[test]
fn a_front_that_does_not_answer_ends_the_reload_and_gets_back_what_it_had() {
    let mut t = reloading(0.0);
    t.ready(2);
    t.pass(29.9);
    assert_eq!(t.said(), "site c2 g2");
    t.pass(0.2);
    assert_eq!(t.said(), "stop 2 reload refused, site c1 g1, forget c2, keep 1, answer [7] false");
    // What it says at last is about nothing any more.
    t.event(answer(2, None));
    t.event(answer(1, None));
    assert_eq!(t.said(), "");
    t.event(Event::Reload { client: 8, group: None });
    t.event(Event::Configured(Ok(outline(3, &[("a", 1)]))));
    t.ready(3);
    assert_eq!(t.said(), "read, spawn 3 a c3 g2, site c3 g2");
    t.event(answer(2, None));
    assert_eq!(t.said(), "");
    t.mute.clear();
    t.event(answer(3, None));
    assert_eq!(t.said(), "adopt c3, link 3, drain 1, leave 1 reload 15, answer [8] true");
}

#[test]
fn a_front_that_ends_before_its_answer_is_followed_by_one_with_the_old_configuration() {
    let mut t = reloading(15.0);
    t.ready(2);
    t.front_exit("signal 9 (KILL)");
    assert_eq!(
        t.said(),
        "site c2 g2, stop 2 reload refused, forget c2, keep 1, answer [7] false, front, link 1"
    );
}

#[test]
fn a_front_that_never_served_is_followed_by_one_with_the_new_configuration() {
    let mut t = reloading(15.0);
    t.front_exit("exit status 1");
    assert_eq!(t.said(), "front, link 1");
    t.ready(2);
    assert_eq!(t.said(), "site c2 g2");
    t.front_exit("exit status 1");
    assert_eq!(t.said(), "adopt c2, leave 1 reload 15, answer [7] true");
    t.pass(1.0);
    assert_eq!(t.said(), "front, link 2");
}

#[test]
fn a_new_worker_that_dies_meanwhile_takes_the_offer_back() {
    let mut t = reloading(15.0);
    t.ready(2);
    t.exit(2, "signal 9 (KILL)");
    assert_eq!(t.said(), "site c2 g2, site c1 g1, forget c2, keep 1, answer [7] false");
    t.event(answer(2, None));
    assert_eq!((t.said().as_str(), t.states().as_str()), ("", "1:ready"));
}

#[test]
fn one_group_alone_is_nothing_that_the_front_is_asked() {
    let mut t = Table::serving(&[("a", 1)]);
    t.refuses = Some("it is never asked".into());
    t.event(Event::Reload { client: 1, group: Some("a".into()) });
    t.ready(2);
    assert_eq!(t.said(), "spawn 2 a c1 g2, link 2, drain 1, leave 1 reload 15, answer [1] true");
}
