//! One load on one server, with the server's own figures of the same interval.

pub mod machine;
pub mod sample;
pub mod server;
pub mod totals;

use crate::plan::request::RequestSpec;
use crate::plan::{Form, Plan};
use gk_load::{Load, Moment, Pace, Request, Target, cpus, replay};
use machine::Ticks;
use sample::{LoadSummary, Sample};
use server::RunningServer;
use std::sync::Arc;
use std::time::Duration;

/// Connections where a plan does not say.
pub const CONNECTIONS: usize = 10;

/// The load of a trial, from a plan's workload and one of its forms. The server is given later.
#[derive(Debug, Clone)]
pub struct Task {
    /// The requests.
    pub requests: Vec<Request>,
    /// Closed loop, rate or schedule.
    pub pace: Pace,
    /// Connections.
    pub connections: usize,
    /// The generator's threads.
    pub threads: usize,
    /// See [`Load`].
    pub keep_alive: bool,
    /// See [`Load`].
    pub keep_cookies: bool,
    /// Seconds for one request.
    pub timeout: f64,
    /// Seconds.
    pub warm_up: f64,
    /// Seconds.
    pub duration: f64,
    /// The generator's cores, and the server's.
    pub cpus: Option<(Vec<usize>, Vec<usize>)>,
}

impl Task {
    /// For a form of a plan; reads the files it names.
    pub fn new(plan: &Plan, form: &Form) -> Result<Self, String> {
        let w = &plan.workload;
        let requests = match (form.requests.is_empty(), &form.path) {
            (false, _) => form.requests.clone(),
            (true, Some(path)) => vec![RequestSpec::get(path)],
            (true, None) if !w.requests.is_empty() => w.requests.clone(),
            (true, None) => vec![RequestSpec::get(w.path.as_deref().unwrap_or("/"))],
        };
        let requests: Result<Vec<Request>, String> =
            requests.iter().map(|r| r.request(&plan.folder)).collect();
        let rate = form.rate.or(w.rate);
        let threads = w.generator_threads.unwrap_or(1);
        let mut task = Self {
            requests: requests?,
            pace: rate.map_or(Pace::Closed, Pace::Rate),
            connections: form.connections.or(w.connections).unwrap_or(CONNECTIONS),
            threads,
            keep_alive: w.keep_alive.unwrap_or(true),
            keep_cookies: w.keep_cookies.unwrap_or(false),
            timeout: w.timeout.unwrap_or(30.0),
            warm_up: plan.warm_up(),
            duration: plan.duration(),
            cpus: cpus::share(&cpus::allowed(), threads, plan.cores),
        };
        if let Some(name) = &w.replay {
            let path = plan.folder.join(name);
            let shown = path.display();
            let bytes =
                gk_sys::whole_file::read(&path).map_err(|why| format!("{shown} cannot be read: {why}"))?;
            let read = replay::read(&String::from_utf8_lossy(&bytes), w.replay_speed.unwrap_or(1.0))
                .map_err(|why| format!("{shown}: {why}"))?;
            task.requests = read.requests;
            task.pace = Pace::Schedule(Arc::new(read.schedule));
        }
        Ok(task)
    }

    /// Seconds it takes.
    pub fn seconds(&self) -> f64 {
        self.warm_up + self.duration
    }
}

/// Runs a load on a server. `look` is called with the elapsed seconds; when it returns `false` the load ends and there is no sample.
/// `Err`: nothing could be measured; one sentence.
pub fn run(
    task: &Task,
    server: &dyn RunningServer,
    look: &mut dyn FnMut(f64) -> bool,
) -> Result<Option<Sample>, String> {
    let target = Target::parse(server.url())?;
    let load = Load {
        target,
        requests: task.requests.clone(),
        pace: task.pace.clone(),
        connections: task.connections,
        threads: task.threads.min(task.connections),
        keep_alive: task.keep_alive,
        keep_cookies: task.keep_cookies,
        timeout: Duration::from_secs_f64(task.timeout),
        warm_up: Duration::from_secs_f64(task.warm_up),
        duration: Duration::from_secs_f64(task.duration),
        cpus: task.cpus.as_ref().map(|(mine, _)| mine.clone()).unwrap_or_default(),
    };
    let (mut begin, mut end, mut ended_early) = (None, None, false);
    let report = gk_load::run(&load, |moment| {
        match moment {
            Moment::Begin => begin = Some((server.totals(), Ticks::now())),
            Moment::End => end = Some((server.totals(), Ticks::now())),
            Moment::Running(seconds) => {
                ended_early |= !look(seconds);
                return !ended_early;
            }
        }
        true
    })?;
    if ended_early {
        return Ok(None);
    }
    let (Some((first, ticks)), Some((last, later))) = (begin, end) else {
        return Err("the load ended before it was measured".into());
    };
    let span = last?.since(&first?);
    let fine: u64 = report.statuses.range(..400).map(|(_, count)| count).sum();
    if fine == 0 {
        let under_way = format!("{} still under way at the end", report.unanswered);
        let said = report.complaints().into_iter().chain((report.unanswered > 0).then_some(under_way));
        let why = said.collect::<Vec<_>>().join(", ");
        return Err(format!("not one request was answered as it should be ({why})"));
    }
    Ok(Some(Sample {
        at: gk_sys::clock::epoch_seconds(),
        load: LoadSummary::of(&report),
        server: span,
        cores_busy: later.busy_since(ticks),
        ..Sample::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_server_gets_the_number_of_cores_in_the_plan() {
        let text = "[workload]\nscript = 'a.py'\n[[variant]]\nname = 'a'\n";
        let mut plan = Plan::parse(text, "p.toml", Path::new("/plans")).unwrap();
        let (all, task) = (cpus::allowed(), |plan: &Plan| Task::new(plan, &plan.forms[0]).unwrap().cpus);
        assert_eq!(task(&plan), cpus::divide(&all, 1));
        plan.cores = Some(1);
        assert_eq!(task(&plan).map(|(_, server)| server), (all.len() > 1).then(|| vec![all[0]]));
    }
}
