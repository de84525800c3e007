//! Notices for the service manager.

use super::*;

fn managed(watchdog: Option<u64>) -> Table {
    let plan = Plan::new(outline(1, &[("a", 1)])).with_service_manager(watchdog.map(Duration::from_secs));
    let mut table = Table {
        plan,
        now: Duration::from_secs(100),
        said: Vec::new(),
        pids: 1000,
        mute: Vec::new(),
        debugged: false,
        refuses: None,
    };
    table.event(Event::Start);
    table
}

/// What the service manager was told since the last call.
fn told(t: &mut Table) -> String {
    let said = std::mem::take(&mut t.said);
    said.iter().filter_map(|words| words.strip_prefix("notify ")).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_start_asks_for_time_until_the_server_is_ready() {
    let mut t = managed(None);
    assert_eq!(told(&mut t), "extend 30");
    t.pass(15.0);
    assert_eq!(told(&mut t), "extend 30");
    t.front_ready();
    assert_eq!(told(&mut t), "");
    t.ready(1);
    assert_eq!(told(&mut t), "ready");
    t.pass(1000.0);
    assert_eq!(told(&mut t), "");
}

#[test]
fn a_reload_is_told_from_its_beginning_to_its_end() {
    let mut t = managed(None);
    t.front_ready();
    t.ready(1);
    told(&mut t);
    t.event(Event::Evict);
    assert_eq!(told(&mut t), "reloading signal USR1");
    t.pass(11.0);
    assert_eq!(told(&mut t), "extend 30");
    t.ready(2);
    assert_eq!(told(&mut t), "reloaded reload done: generation 2 serves, 1 old worker drains");
    t.event(Event::Hangup);
    assert_eq!(told(&mut t), "reloading signal HUP");
    // One that follows is told when it begins.
    t.event(Event::Hangup);
    assert_eq!(told(&mut t), "");
    t.event(Event::Configured(Err("nonsense".into())));
    let refused = "reloaded reload refused, the old workers stay: the configuration cannot be used: nonsense";
    assert_eq!(told(&mut t), format!("{refused}, reloading signal HUP"));
    t.event(Event::Configured(Err("nonsense".into())));
    assert_eq!(told(&mut t), refused);
}

#[test]
fn a_stop_is_told_once_and_asks_for_the_time_that_it_takes() {
    let mut t = managed(None);
    t.front_ready();
    t.ready(1);
    told(&mut t);
    t.event(Event::Hangup);
    told(&mut t);
    t.event(Event::Terminate);
    assert_eq!(told(&mut t), "stopping");
    t.pass(12.0);
    assert_eq!(told(&mut t), "extend 30");
    t.event(Event::Terminate);
    assert_eq!(told(&mut t), "");
}

#[test]
fn a_server_that_gives_up_says_why() {
    let mut t = managed(None);
    for _ in 0..3 {
        t.front_exit("exit status 1");
        t.pass(1.0);
    }
    let said = told(&mut t);
    assert!(said.contains("stopping, status giving up: the front cannot be started"), "{said}");
}

#[test]
fn signs_of_life_stop_with_those_of_the_front() {
    let mut t = managed(Some(20));
    t.front_ready();
    t.ready(1);
    t.pass(0.0);
    told(&mut t);
    t.pass(20.0);
    assert_eq!(told(&mut t), "watchdog, watchdog");
    t.mute = vec![0];
    t.pass(14.9);
    assert!(told(&mut t).len() <= "watchdog".len(), "a front that is silent for 5 s is not vouched for");
    // It is killed and replaced, and they go on.
    t.mute.clear();
    t.front_exit("signal 9 (KILL)");
    t.pass(10.0);
    assert_eq!(told(&mut t), "", "no front accepts connections");
    t.front_ready();
    t.pass(1.0);
    assert_eq!(told(&mut t), "watchdog");
}

#[test]
fn without_a_service_manager_nothing_is_said() {
    let mut t = Table::serving(&[("a", 1)]);
    t.event(Event::Evict);
    t.ready(2);
    t.event(Event::Terminate);
    assert_eq!(told(&mut t), "");
}
