//! `/api/v1/totals`: every scoreboard read at this very moment, not at the last turn of the second.

use crate::kept::hub::Hub;
use gk_sys::usage::accounts::{self, Used};
use gk_telemetry::totals::{Process, Totals, Worker};

/// Everything as it is now; `now`: epoch seconds. The seconds that the hub keeps stay as they are.
pub fn now(hub: &mut Hub, now: f64) -> Totals {
    hub.hear(now);
    let mut totals = Totals { at: gk_sys::clock::monotonic_nanos(), ..Totals::default() };
    totals.front = process(hub.front, accounts::of_process(hub.front));
    for figures in hub.retired().values() {
        totals.figures.merge(figures);
    }
    for tracked in hub.workers.values() {
        let fresh = tracked.look();
        let Some(sample) = fresh.as_ref().or(tracked.sample.as_ref()) else { continue };
        totals.figures.merge(&sample.total());
        if tracked.gone.is_some() {
            continue;
        }
        let first = sample.groups.first();
        totals.workers.push(Worker {
            process: process(tracked.link.pid, tracked.used_now()),
            process_group: tracked.link.process_group.clone(),
            python: sample.python.clone(),
            threads: tracked.link.threads,
            gil_mode: first.map_or(sample.gil_mode, |first| first.gil_mode),
            gil_enabled: sample.gil_enabled,
            gil_module: sample.gil_module.clone(),
            exact: sample.exact,
            switch_interval: first.map_or(sample.switch_interval, |first| first.switch_interval),
        });
    }
    totals
}

fn process(pid: u32, used: Option<Used>) -> Process {
    let used = used.unwrap_or_default();
    Process { pid, cpu: used.cpu, resident: used.resident, run_delay: used.run_delay }
}
