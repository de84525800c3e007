//! Timers and limits of a worker, as a pure function: an observation in, actions out. Nothing here reads a clock, calls
//! Python or stops anything.

use crate::watch::freezes::Freezes;
use gk_wire::setup::ProcessGroup;

/// Input of a tick. Times are seconds since the worker's start.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Observation {
    pub(crate) now: f64,
    /// Start of its current request, for each request thread.
    pub(crate) busy_since: Vec<Option<f64>>,
    pub(crate) started: u64,
    pub(crate) finished: u64,
    /// Time of the last activity, if there was a request.
    pub(crate) last_activity: Option<f64>,
    /// A script was loaded.
    pub(crate) loaded: bool,
    /// Time at which the Python thread last finished a task.
    pub(crate) python_alive: f64,
}

/// An action for the main thread.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Raise `RequestTimeout` in the request that this thread serves since `since`.
    Interrupt { slot: usize, since: f64 },
    /// Log the stacks after this sentence.
    Stacks(String),
    /// Log this sentence: Python does not run, and no stack can be read.
    Deadlock(String),
    /// Leave gracefully within this many seconds (0: no limit).
    Leave(&'static str, f64),
    /// Stop at once.
    Stop(&'static str),
}

/// State between ticks.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// The options of the process group.
    options: ProcessGroup,
    /// Start of the interrupted request and time of the interrupt, for each request thread.
    interrupted: Vec<Option<(f64, f64)>>,
    first_request: Option<f64>,
    over: bool,
    /// The deadlock was reported.
    locked: bool,
    freezes: Freezes,
}

impl Watchdog {
    pub(crate) fn new(options: ProcessGroup) -> Self {
        Self {
            interrupted: vec![None; options.threads as usize],
            options,
            first_request: None,
            over: false,
            locked: false,
            freezes: Freezes::default(),
        }
    }

    /// The limit grows with the number of threads, as in mod_wsgi: one slow request matters less with many threads.
    fn fires_after(&self) -> f64 {
        self.options.request_timeout * (1.0 + f64::from(self.options.threads.max(1)).ln())
    }

    /// Looks for a freeze of this process, which the timers do not count; returns its seconds. Comes before [`Watchdog::tick`].
    pub(crate) fn notice_freeze(&mut self, seen: &Observation) -> Option<f64> {
        let frozen = self.freezes.tick(seen.now, &seen.busy_since)?;
        self.first_request = self.first_request.map(|first| first + frozen);
        for (_, at) in self.interrupted.iter_mut().flatten() {
            *at += frozen;
        }
        Some(frozen)
    }

    /// Returns true if every request has run longer than request-timeout and interrupt-timeout together: none counts as active any
    /// more.
    pub(crate) fn all_stale(&self, seen: &Observation) -> bool {
        let limit = self.options.request_timeout + self.options.interrupt_timeout;
        let mut ages = seen
            .busy_since
            .iter()
            .enumerate()
            .filter_map(|(thread, since)| since.map(|since| self.freezes.age(thread, since, seen.now)));
        ages.all(|age| self.options.request_timeout > 0.0 && age > limit)
    }

    /// Checks everything once. After a `Leave` or `Stop` only request timeouts and the deadlock are still checked.
    pub(crate) fn tick(&mut self, seen: &Observation) -> Vec<Action> {
        let mut acts = Vec::new();
        self.requests(seen, &mut acts);
        let deadlock = self.options.deadlock_timeout;
        let alive = seen.python_alive.max(self.freezes.awake_since());
        if deadlock > 0.0 && seen.now - alive > deadlock && !self.locked {
            // Also while leaving: without the GIL the worker would never end.
            acts.push(Action::Deadlock(format!(
                "Python has not run for {:.1} s, longer than deadlock-timeout={deadlock} allows: code of an extension module holds the \
                 GIL, or threads wait for each other",
                seen.now - alive
            )));
            acts.push(Action::Stop("deadlock_timeout"));
            (self.locked, self.over) = (true, true);
        } else if !self.over {
            if let Some(act) = self.process(seen) {
                if act == Action::Stop("startup_timeout") {
                    acts.push(Action::Stacks(format!(
                        "No script was loaded within {0} s of the first request (startup-timeout={0}); this process is replaced",
                        self.options.startup_timeout
                    )));
                }
                acts.push(act);
            }
            self.over = acts.iter().any(|act| matches!(act, Action::Leave(..) | Action::Stop(_)));
        }
        acts
    }

    fn requests(&mut self, seen: &Observation, acts: &mut Vec<Action>) {
        if self.options.request_timeout <= 0.0 {
            return;
        }
        let fires = self.fires_after();
        for (index, since) in seen.busy_since.iter().enumerate() {
            let Some(since) = *since else {
                self.interrupted[index] = None;
                continue;
            };
            let elapsed = self.freezes.age(index, since, seen.now);
            let before = self.interrupted[index].filter(|(of, _)| *of == since);
            match before {
                _ if elapsed <= fires => {}
                None => {
                    self.interrupted[index] = Some((since, seen.now));
                    acts.push(Action::Stacks(format!(
                        "A request has run {elapsed:.1} s, longer than request-timeout={} allows ({fires:.1} s with {} threads)",
                        self.options.request_timeout, self.options.threads
                    )));
                    if self.options.interrupt_timeout > 0.0 {
                        acts.push(Action::Interrupt { slot: index, since });
                    } else {
                        self.recycle(seen, acts);
                    }
                }
                Some((_, at)) if self.options.interrupt_timeout > 0.0 => {
                    if seen.now - at > self.options.interrupt_timeout && !self.over {
                        acts.push(Action::Stacks(format!(
                            "A request that was interrupted after request-timeout={} did not end within interrupt-timeout={}",
                            self.options.request_timeout, self.options.interrupt_timeout
                        )));
                        self.recycle(seen, acts);
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// Leaves if some request can still end in time, else stops.
    fn recycle(&mut self, seen: &Observation, acts: &mut Vec<Action>) {
        if self.over || acts.iter().any(|act| matches!(act, Action::Leave(..) | Action::Stop(_))) {
            return;
        }
        acts.push(if self.all_stale(seen) {
            Action::Stop("request_timeout")
        } else {
            Action::Leave("request_timeout", self.options.graceful_timeout())
        });
    }

    fn process(&mut self, seen: &Observation) -> Option<Action> {
        let t = &self.options;
        if seen.started > 0 {
            self.first_request.get_or_insert(seen.now);
        }
        if let Some(first) = self.first_request
            && t.startup_timeout > 0.0
            && !seen.loaded
            && seen.now - first > t.startup_timeout
        {
            return Some(Action::Stop("startup_timeout"));
        }
        if t.maximum_requests > 0 && seen.finished >= t.maximum_requests {
            return Some(Action::Leave("maximum_requests", t.graceful_timeout()));
        }
        if t.restart_interval > 0.0 && seen.now > t.restart_interval {
            return Some(Action::Leave("restart_interval", t.graceful_timeout()));
        }
        if let Some(last) = seen.last_activity.map(|last| last.max(self.freezes.awake_since()))
            && t.inactivity_timeout > 0.0
            && self.all_stale(seen)
            && seen.now - last > t.inactivity_timeout
        {
            return Some(Action::Leave("inactivity_timeout", t.graceful_timeout()));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults, with one thread.
    fn options() -> ProcessGroup {
        ProcessGroup { threads: 1, graceful_timeout: Some(15.0), ..ProcessGroup::default() }
    }

    fn seen(now: f64, busy_since: Vec<Option<f64>>) -> Observation {
        Observation { now, busy_since, loaded: true, python_alive: now, ..Observation::default() }
    }

    #[test]
    fn request_timeout_without_interruption_recycles_the_worker_once() {
        let options = ProcessGroup { request_timeout: 10.0, ..options() };
        let mut dog = Watchdog::new(options);
        assert_eq!(dog.tick(&seen(10.0, vec![Some(0.0)])), []);
        let acts = dog.tick(&seen(10.5, vec![Some(0.0)]));
        assert!(matches!(acts[..], [Action::Stacks(_), Action::Stop("request_timeout")]), "{acts:?}");
        assert_eq!(dog.tick(&seen(11.0, vec![Some(0.0)])), []);
    }

    #[test]
    fn with_threads_the_limit_is_stretched_and_other_requests_are_drained() {
        let options = ProcessGroup { threads: 5, request_timeout: 10.0, ..options() };
        let mut dog = Watchdog::new(options);
        // 10 × (1 + ln 5) = 26.09
        assert_eq!(dog.tick(&seen(26.0, vec![Some(0.0), None, None, None, None])), []);
        let acts = dog.tick(&seen(26.2, vec![Some(0.0), Some(26.0), None, None, None]));
        assert!(matches!(acts[..], [Action::Stacks(_), Action::Leave("request_timeout", 15.0)]), "{acts:?}");
    }

    #[test]
    fn interruption_comes_first_and_is_given_its_time() {
        let options = ProcessGroup {
            request_timeout: 1.0,
            interrupt_timeout: 2.0,
            graceful_timeout: Some(3.0),
            ..options()
        };
        let mut dog = Watchdog::new(options);
        let acts = dog.tick(&seen(1.5, vec![Some(0.0)]));
        assert!(matches!(acts[..], [Action::Stacks(_), Action::Interrupt { slot: 0, .. }]), "{acts:?}");
        assert_eq!(dog.tick(&seen(3.0, vec![Some(0.0)])), []);
        // The thread took another request: its time starts again.
        assert_eq!(dog.tick(&seen(4.0, vec![Some(3.5)])), []);
        let acts = dog.tick(&seen(5.0, vec![Some(3.5)]));
        assert!(matches!(acts[..], [Action::Stacks(_), Action::Interrupt { slot: 0, .. }]), "{acts:?}");
        let acts = dog.tick(&seen(7.5, vec![Some(3.5)]));
        assert!(matches!(acts[..], [Action::Stacks(_), Action::Stop("request_timeout")]), "{acts:?}");
    }

    #[test]
    fn process_timers() {
        let base = options();
        let cases: Vec<(ProcessGroup, Observation, Option<Action>)> = vec![
            (
                ProcessGroup { maximum_requests: 3, ..base.clone() },
                Observation { finished: 3, ..seen(1.0, vec![None]) },
                Some(Action::Leave("maximum_requests", 15.0)),
            ),
            (
                ProcessGroup { maximum_requests: 3, ..base.clone() },
                Observation { finished: 2, ..seen(1.0, vec![None]) },
                None,
            ),
            (
                ProcessGroup { restart_interval: 60.0, ..base.clone() },
                seen(60.1, vec![None]),
                Some(Action::Leave("restart_interval", 15.0)),
            ),
            (
                ProcessGroup { inactivity_timeout: 5.0, ..base.clone() },
                Observation { last_activity: Some(1.0), ..seen(6.1, vec![None]) },
                Some(Action::Leave("inactivity_timeout", 15.0)),
            ),
            (ProcessGroup { inactivity_timeout: 5.0, ..base.clone() }, seen(99.0, vec![None]), None),
            (
                ProcessGroup { inactivity_timeout: 5.0, ..base.clone() },
                Observation { last_activity: Some(1.0), ..seen(9.0, vec![Some(1.0)]) },
                None,
            ),
            (
                ProcessGroup { deadlock_timeout: 5.0, ..base.clone() },
                Observation { python_alive: 1.0, ..seen(6.5, vec![None]) },
                Some(Action::Stop("deadlock_timeout")),
            ),
        ];
        for (options, seen, expected) in cases {
            let mut dog = Watchdog::new(options.clone());
            let mut acts = dog.tick(&seen);
            let deadlock =
                |act: &Action| matches!(act, Action::Deadlock(text) if text.contains("deadlock-timeout=5"));
            assert_eq!(acts.iter().any(deadlock), expected == Some(Action::Stop("deadlock_timeout")));
            acts.retain(|act| !matches!(act, Action::Deadlock(_)));
            assert_eq!(acts, expected.into_iter().collect::<Vec<_>>(), "{options:?} {seen:?}");
            assert_eq!(dog.tick(&seen), [], "only once");
        }
    }

    /// Reported: after a machine was suspended for longer than deadlock-timeout every worker stopped itself, and requests were
    /// interrupted that had run for a moment. Met with laptops, paused containers and machines that are moved.
    #[test]
    fn time_in_which_the_process_did_not_run_counts_for_no_timer() {
        let options = ProcessGroup {
            request_timeout: 10.0,
            interrupt_timeout: 2.0,
            deadlock_timeout: 5.0,
            inactivity_timeout: 5.0,
            startup_timeout: 5.0,
            ..options()
        };
        let at = |now: f64, since: Option<f64>, python_alive: f64| Observation {
            python_alive,
            loaded: false,
            started: 1,
            last_activity: Some(9.0),
            ..seen(now, vec![since])
        };
        let mut dog = Watchdog::new(options);
        let mut tick = |seen: Observation| {
            let frozen = dog.notice_freeze(&seen);
            (frozen, dog.tick(&seen))
        };
        assert_eq!(tick(at(10.0, Some(9.0), 9.9)), (None, vec![]));
        assert_eq!(tick(at(10.25, Some(9.0), 9.9)), (None, vec![]));
        assert_eq!(tick(at(3610.25, Some(9.0), 9.9)), (Some(3600.0), vec![]));
        // The timers go on from where they were.
        for half in 1..=9 {
            let now = 3610.25 + f64::from(half) / 2.0;
            assert_eq!(tick(at(now, Some(9.0), now)), (None, vec![]), "{now}");
        }
        let (_, acts) = tick(at(3615.25, Some(9.0), 3615.0));
        assert!(matches!(acts[..], [Action::Stacks(_), Action::Stop("startup_timeout")]), "{acts:?}");
    }

    #[test]
    fn a_request_and_a_deadlock_have_their_whole_time_beside_a_freeze() {
        let options = ProcessGroup { request_timeout: 10.0, deadlock_timeout: 5.0, ..options() };
        let mut dog = Watchdog::new(options);
        let mut now = 9.0;
        let mut acts = |until: f64, python_alive: f64| {
            let mut acts = Vec::new();
            while now < until {
                now += 0.5;
                let seen = Observation { python_alive, ..seen(now, vec![Some(9.0)]) };
                dog.notice_freeze(&seen);
                acts.extend(dog.tick(&seen));
            }
            // The next tick comes an hour later.
            now += 3600.0;
            acts
        };
        assert_eq!(acts(12.0, 12.0), [], "3 s");
        assert_eq!(acts(3616.5, 3615.0), [], "and 4 s more");
        let late = acts(7223.5, 7223.0);
        assert!(matches!(late[..], [Action::Stacks(_), Action::Stop("request_timeout")]), "{late:?}");
        let mut dog = Watchdog::new(ProcessGroup { deadlock_timeout: 5.0, ..ProcessGroup::named("") });
        let seen = |now: f64| Observation { python_alive: 1.0, ..seen(now, vec![None]) };
        let mut tick = |now: f64| {
            dog.notice_freeze(&seen(now));
            dog.tick(&seen(now))
        };
        assert_eq!(tick(3.0), []);
        assert_eq!(tick(3603.0), []);
        let mut found = Vec::new();
        for step in 1..=11 {
            found.extend(tick(3603.0 + f64::from(step) * 0.5));
        }
        assert!(matches!(found[..], [Action::Deadlock(_), Action::Stop("deadlock_timeout")]), "{found:?}");
    }

    #[test]
    fn startup_timeout_counts_from_the_first_request() {
        let options = ProcessGroup { startup_timeout: 5.0, ..options() };
        let mut dog = Watchdog::new(options);
        let at = |now, started| Observation { started, loaded: false, ..seen(now, vec![None]) };
        assert_eq!(dog.tick(&at(100.0, 0)), []);
        assert_eq!(dog.tick(&at(101.0, 1)), []);
        let said = "No script was loaded within 5 s of the first request (startup-timeout=5); this process is replaced";
        assert_eq!(
            dog.tick(&at(106.5, 1)),
            [Action::Stacks(said.to_owned()), Action::Stop("startup_timeout")]
        );
    }
}
