//! The figures of `/api/v1/totals`: every scoreboard read at the moment of the request, not at the last full second.

use crate::kept::hub::Hub;
use gk_sys::usage::accounts::{self, Used};
use gk_telemetry::totals::{Process, Totals, Worker};

/// Reads everything now. The hub's last second stays as it is.
pub fn read(hub: &mut Hub) -> Totals {
    hub.open_scoreboards();
    let mut totals = Totals { at: gk_sys::clock::monotonic_nanos(), ..Totals::default() };
    totals.front = process(hub.front(), accounts::of_process(hub.front()));
    for figures in hub.retired().figures() {
        totals.figures.merge(figures);
    }
    for worker in hub.workers().values() {
        let fresh = worker.peek();
        let Some(sample) = fresh.as_ref().or(worker.sample.as_ref()) else { continue };
        totals.figures.merge(&sample.total());
        if !worker.is_alive() {
            continue;
        }
        let first = sample.groups.first();
        totals.workers.push(Worker {
            process: process(worker.link.pid, worker.used_now()),
            process_group: worker.link.process_group.clone(),
            python: sample.python.clone(),
            threads: worker.link.threads,
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
