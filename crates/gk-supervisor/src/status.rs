//! Answers to `gilkeeper status`: the plan's own knowledge, and the figures of the children that answer within a deadline.

use crate::certificates::facts;
use crate::plan::Plan;
use gk_wire::admin::{Certificate, Front, Status, Worker};
use gk_wire::certificates::CertificateFacts;
use gk_wire::control::{FrontStatus, WorkerFigures};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Time limit for the children's answers.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// A question from `gilkeeper status` under way.
#[derive(Debug)]
pub struct StatusQuery {
    /// The client that asked.
    pub client: u64,
    /// Identifies the answers.
    pub token: u64,
    /// Latest time of the answer.
    pub deadline: Duration,
    front_waited: bool,
    waited: BTreeSet<u64>,
    front: Option<FrontStatus>,
    workers: BTreeMap<u64, WorkerFigures>,
}

impl StatusQuery {
    /// From a client. `front`, `workers`: the children that were asked.
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

    /// A child has ended and will not answer. `None`: the front.
    pub fn lost(&mut self, worker: Option<u64>) {
        match worker {
            Some(worker) => drop(self.waited.remove(&worker)),
            None => self.front_waited = false,
        }
    }

    /// Whether all answers are here, or the deadline is over.
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
            silent: silence(handle.signs.silence(now), self.front_waited),
            accepting: plan
                .accepting(|w| silence(w.signs.silence(now), self.waited.contains(&w.worker)) > 0.0),
            unanswered: self.front_waited,
            figures: self.front.clone().unwrap_or_default(),
        });
        let workers = plan.workers().filter_map(|w| {
            let figures = self.workers.get(&w.worker).cloned().unwrap_or_default();
            let about = w.about.as_ref();
            Some(Worker {
                worker: w.worker,
                pid: w.pid?,
                process_group: w.group.clone(),
                state: w.word().to_owned(),
                front: w.front,
                // From its report when it was ready, unless its figures have a newer value.
                gil_mode: Some(figures.gil_mode)
                    .filter(|mode| !mode.is_empty())
                    .or(about.map(|a| a.gil_mode.clone()))
                    .unwrap_or_default(),
                gil_returned: w.gil_returned.as_ref().map(|(module, _)| module.clone()),
                python: about.map(|a| a.python.clone()).unwrap_or_default(),
                switch_interval: match figures.interpreters.iter().find(|i| i.application_group.is_empty()) {
                    Some(main) => main.switch_interval,
                    None => about.and_then(|a| a.switch_interval),
                },
                threads: w.threads,
                busy: figures.busy,
                requests: figures.requests,
                unanswered: self.waited.contains(&w.worker),
                uptime: now.saturating_sub(w.started).as_secs_f64(),
                silent: silence(w.signs.silence(now), self.waited.contains(&w.worker)),
                generation: w.generation,
                application_groups: figures.application_groups,
                interpreters: figures.interpreters,
                lazy_imports: figures.lazy_imports,
                importing: figures.importing,
            })
        });
        Status {
            version: gk_wire::PACKAGE_VERSION.to_owned(),
            pid: std::process::id(),
            uptime: now.as_secs_f64(),
            generation: plan.generation(),
            draining: plan.drains(),
            listen,
            admin,
            front,
            workers: workers.collect(),
            certificates: Vec::new(),
        }
    }
}

/// The certificates, with the days that they are good for.
pub fn certificates(facts: &[CertificateFacts]) -> Vec<Certificate> {
    let now = gk_sys::clock::epoch_seconds() as i64;
    let each =
        facts.iter().map(|one| Certificate { facts: one.clone(), days_left: facts::days_left(one, now) });
    each.collect()
}

/// Seconds of silence. `unanswered`: this question has no answer either.
fn silence(known: Duration, unanswered: bool) -> f64 {
    let least = if unanswered { PATIENCE } else { Duration::ZERO };
    // A question that was asked a moment ago is no silence.
    if known < PATIENCE && !unanswered { 0.0 } else { known.max(least).as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_complete_when_nobody_is_left_to_answer() {
        let new = || StatusQuery::new(1, 1, Duration::ZERO, true, BTreeSet::from([1, 2]));
        let mut query = new();
        query.worker(1, WorkerFigures::default());
        query.lost(Some(2));
        assert!(!query.complete(Duration::ZERO));
        query.front(FrontStatus::default());
        assert!(query.complete(Duration::ZERO));
        query = new();
        query.lost(None);
        assert!(!query.complete(query.deadline - Duration::from_nanos(1)));
        assert!(query.complete(query.deadline));
    }
}
