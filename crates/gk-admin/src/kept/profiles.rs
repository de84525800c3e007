//! Profiles of the request threads: begun and ended on demand, by two readings of each worker's tree of calls.

use crate::heard::worker::TrackedWorker;
use crate::kept::hub::Hub;
use gk_sys::clock::{epoch_seconds, monotonic_nanos};
use gk_telemetry::Profile;
use gk_telemetry::profile::CallTreeSample;
use std::collections::{BTreeMap, BTreeSet};

/// A profile that was begun.
#[derive(Debug)]
pub struct Running {
    process_group: Option<String>,
    /// Seconds.
    seconds: f64,
    /// Monotonic time of its end in nanoseconds.
    until: u64,
    before: BTreeMap<u64, CallTreeSample>,
}

/// A profile that has ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profiled {
    /// Epoch seconds of its end.
    pub ended: f64,
    /// Seconds.
    pub seconds: f64,
    /// Workers.
    pub workers: usize,
    /// Why workers could not be profiled.
    pub why: BTreeSet<String>,
    /// What they did.
    pub profile: Profile,
}

impl Running {
    /// Begins a profile of that many seconds of a process group, or of all. `Err`: no worker of that group can be profiled, in one sentence.
    pub fn begin(hub: &mut Hub, process_group: Option<String>, seconds: f64) -> Result<Self, String> {
        let until = monotonic_nanos().saturating_add((seconds * 1e9) as u64);
        let mut running = Self { process_group, seconds, until, before: BTreeMap::new() };
        hub.open_scoreboards();
        let mine = hub.workers().iter().filter(|(_, worker)| running.is_of(worker));
        running.before = mine.filter_map(|(number, worker)| Some((*number, worker.calls()?))).collect();
        if let Some(name) = running.process_group.as_ref().filter(|_| running.before.is_empty()) {
            let others = hub.workers().values().filter(|worker| worker.calls().is_some());
            let others: BTreeSet<String> =
                others.map(|worker| format!("'{}'", worker.link.process_group)).collect();
            let others = if others.is_empty() {
                "there is no other".to_owned()
            } else {
                format!("those with one: {}", others.into_iter().collect::<Vec<_>>().join(", "))
            };
            return Err(format!("no process group '{name}' has a worker that can be profiled; {others}"));
        }
        running.ask(hub);
        Ok(running)
    }

    /// Asks all workers, also those that have started since. Returns whether the time is over.
    pub fn ask(&self, hub: &mut Hub) -> bool {
        hub.open_scoreboards();
        for worker in hub.workers().values().filter(|worker| self.is_of(worker)) {
            worker.want_profile(self.until);
        }
        monotonic_nanos() >= self.until
    }

    /// A worker has samples that are not in its tree yet.
    pub fn is_under_way(&self, hub: &Hub) -> bool {
        hub.workers().values().any(|worker| self.is_of(worker) && worker.is_profiled())
    }

    /// Ends it. `route`: only what was done for that one.
    pub fn end(&self, hub: &Hub, route: Option<&str>) -> Profiled {
        let mut profiled = Profiled { ended: epoch_seconds(), seconds: self.seconds, ..Profiled::default() };
        for (number, worker) in hub.workers().iter().filter(|(_, worker)| self.is_of(worker)) {
            let Some(calls) = worker.calls() else { continue };
            profiled.workers += 1;
            profiled.profile.add(&calls, self.before.get(number));
            if !calls.why.is_empty() {
                profiled.why.insert(calls.why);
            }
        }
        if let Some(route) = route {
            profiled.profile = profiled.profile.of_route(route);
        }
        profiled
    }

    fn is_of(&self, worker: &TrackedWorker) -> bool {
        self.process_group.as_ref().is_none_or(|group| *group == worker.link.process_group)
    }
}
