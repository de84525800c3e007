//! Answers to `gilkeeper status`: the plan's own knowledge at once, the children's figures as far as they come within a
//! deadline. A child that does not answer costs its figures only.

use crate::plan::Plan;
use gk_wire::admin::{Front, Status, Worker};
use gk_wire::control::{FrontStatus, WorkerFigures};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long children may take to answer.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// One question under way.
#[derive(Debug)]
pub struct Gather {
    /// Who asked.
    pub client: u64,
    /// Marks the answers.
    pub token: u64,
    /// When it is answered at the latest.
    pub deadline: Duration,
    front_waited: bool,
    waited: BTreeSet<u64>,
    front: Option<FrontStatus>,
    workers: BTreeMap<u64, WorkerFigures>,
}

impl Gather {
    /// For a client; `front` and `workers` were asked.
    pub fn new(client: u64, token: u64, now: Duration, front: bool, workers: BTreeSet<u64>) -> Self {
        let deadline = now + PATIENCE;
        Self {
            client,
            token,
            deadline,
            front_waited: front,
            waited: workers,
            front: None,
            workers: BTreeMap::new(),
        }
    }

    /// The front answers.
    pub fn front(&mut self, status: FrontStatus) {
        self.front_waited = false;
        self.front = Some(status);
    }

    /// A worker answers.
    pub fn worker(&mut self, worker: u64, figures: WorkerFigures) {
        self.waited.remove(&worker);
        self.workers.insert(worker, figures);
    }

    /// A child is gone: it will not answer.
    pub fn lost(&mut self, worker: Option<u64>) {
        match worker {
            Some(worker) => drop(self.waited.remove(&worker)),
            None => self.front_waited = false,
        }
    }

    /// Whether nothing more is to come.
    pub fn complete(&self, now: Duration) -> bool {
        (self.waited.is_empty() && !self.front_waited) || self.deadline <= now
    }

    /// The answer.
    pub fn status(&self, plan: &Plan, listen: Vec<String>, admin: Option<String>, now: Duration) -> Status {
        let handle = plan.front();
        let front = handle.pid.map(|pid| Front {
            pid,
            state: handle.state.word().to_owned(),
            restarts: handle.restarts,
            figures: self.front.clone().unwrap_or_default(),
        });
        let workers = plan.workers().filter_map(|w| {
            let figures = self.workers.get(&w.worker).cloned().unwrap_or_default();
            let about = w.about.as_ref();
            Some(Worker {
                worker: w.worker,
                pid: w.pid?,
                process_group: w.group.clone(),
                state: w.state.word().to_owned(),
                // What it was when it reported, unless it has said something newer.
                gil_mode: Some(figures.gil_mode)
                    .filter(|mode| !mode.is_empty())
                    .or(about.map(|a| a.gil_mode.clone()))
                    .unwrap_or_default(),
                python: about.map(|a| a.python.clone()).unwrap_or_default(),
                switch_interval: match figures.interpreters.iter().find(|i| i.application_group.is_empty()) {
                    Some(main) => main.switch_interval,
                    None => about.and_then(|a| a.switch_interval),
                },
                threads: w.threads,
                busy: figures.busy,
                requests: figures.requests,
                uptime: now.saturating_sub(w.started).as_secs_f64(),
                generation: w.generation,
                application_groups: figures.application_groups,
                interpreters: figures.interpreters,
            })
        });
        Status {
            version: gk_wire::PACKAGE_VERSION.to_owned(),
            pid: std::process::id(),
            uptime: now.as_secs_f64(),
            generation: plan.generation(),
            listen,
            admin,
            front,
            workers: workers.collect(),
        }
    }
}
