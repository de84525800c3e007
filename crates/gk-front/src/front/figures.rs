//! What the front tells of itself: figures for the supervisor and the admin process, and whether it is ready.

use gk_config::site::ProcessGroup;
use gk_telemetry::{Answered, Reason};
use gk_wire::control::{EmbeddedFigures, EmbeddedSpans, FrontStatus};
use gk_wire::feed::span::FrontSpan;
use gk_wire::feed::{FrontFigures, ToAdmin};
use gk_wire::setup::{LOST_ACCESS_LINES, LOST_ERROR_LINES};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::Front;
use crate::log::answers::AnswerTally;
use crate::process::admin::Admin;
use crate::worker::info::WorkerInfo;

/// Spans in a message: with the longest texts they fit into a packet.
const SPANS: usize = 32;
/// Most spans that a front within a worker tells in a second, so that the supervisor does not take it for one that floods it.
const EMBEDDED_SPANS: usize = 1024;

impl Front {
    /// Counts a request that was answered before its head was complete: nothing else counts it.
    pub fn refused_head(&self, status: u16, reason: Reason, micros: u64) {
        self.finished.set(self.finished.get() + 1);
        self.count_malformed(reason == Reason::Malformed || reason == Reason::TooSlow);
        self.answers.count(status, reason, micros);
    }

    /// Counts a request that was refused because it is malformed, longer than allowed, or of a head that came too late.
    pub fn count_malformed(&self, is_so: bool) {
        self.malformed.set(self.malformed.get() + u64::from(is_so));
    }

    /// The figures for the supervisor and the admin page.
    pub fn status(&self) -> FrontStatus {
        let pools = self.pools.borrow();
        let links = self.links.borrow();
        let fronts = self.fronts();
        let served = || pools.iter().filter(|(name, _)| Some(name.as_str()) != fronts.as_deref());
        let mut status = FrontStatus {
            connections: self.conns.borrow().len() as u64,
            requests: self.finished.get(),
            queued: served().map(|(name, pool)| (name.clone(), pool.queued() as u64)).collect(),
            queues: served().map(|(name, pool)| (name.clone(), pool.figures())).collect(),
            in_flight: links.iter().map(|(worker, link)| (*worker, u64::from(link.in_flight()))).collect(),
            admin: self.admin.get().and_then(|admin| admin.life()),
        };
        if let Some(others) = self.others.all() {
            let in_flight = others.in_flight;
            status.connections += others.connections;
            status.requests += others.requests;
            status.queued.extend(others.queued);
            status.queues.extend(others.queues);
            for (worker, requests) in in_flight {
                *status.in_flight.entry(worker).or_default() += requests;
            }
        }
        status
    }

    /// The process group of several fronts, which is given no requests.
    pub fn fronts(&self) -> Option<String> {
        let current = self.current();
        let fronts = current.compiled.site().groups.iter().find(|group| group.is_front());
        fronts.map(|group| group.name.clone())
    }

    /// The figures of a front within a worker, for the front that tells of all.
    pub fn embedded_figures(&self) -> EmbeddedFigures {
        let FrontStatus { connections, requests, queued, queues, in_flight, .. } = self.status();
        let answered = |name: &str, tally: &AnswerTally| Some((name.to_owned(), tally.news(true)?));
        let pools = self.pools.borrow();
        let groups = pools.iter().filter_map(|(name, pool)| answered(name, &pool.answers));
        EmbeddedFigures {
            connections,
            requests,
            in_flight,
            queued,
            queues,
            malformed_requests: self.malformed.get(),
            refused_connections: self.addresses.refused.count(),
            unproxied_connections: self.unproxied.count(),
            lost_log_lines: self.current().logs.lost(),
            waiting_responses: (self.space.in_memory(), self.space.on_disk()),
            answered: answered("", &self.answers).into_iter().chain(groups).collect(),
        }
    }

    /// Sends the present figures to the admin process.
    pub fn tell_figures(&self) {
        let Some(admin) = self.admin.get() else { return };
        let current = self.current();
        let links = self.links.borrow();
        let waiting = self.waiting();
        let ready = waiting.is_empty() && !self.is_ending() && !self.draining.get();
        self.sent_ready.set(ready);
        let others = self.others.all().unwrap_or_default();
        let name = |worker: u64| match links.get(&worker) {
            Some(link) => {
                let WorkerInfo { pid, process_group, .. } = &link.info;
                format!("worker {worker} (pid {pid}) of process group '{process_group}'")
            }
            None => format!("worker {worker}"),
        };
        admin.tell_figures(&ToAdmin::Figures(FrontFigures {
            ready,
            draining: self.draining.get(),
            generation: current.generation,
            status: self.status(),
            lost_log_lines: current.logs.lost()
                + self.lost_before.get()
                + self.lost_lines(LOST_ACCESS_LINES)
                + others.lost_log_lines,
            lost_error_lines: self.lost_lines(LOST_ERROR_LINES),
            malformed_requests: self.malformed.get() + others.malformed_requests,
            refused_connections: self.addresses.refused.count() + others.refused_connections,
            unproxied_connections: self.unproxied.count() + others.unproxied_connections,
            waiting_responses: (
                self.space.in_memory() + others.waiting_responses.0,
                self.space.on_disk() + others.waiting_responses.1,
            ),
            remarks: links.values().filter_map(|link| link.remark()).collect(),
            waiting,
            silent: self.life.lines(name),
            supervisor_silent: self.life.supervisor_silent(),
        }));
        self.tell_answers(admin, others.answered);
    }

    /// Sends the answers of the groups that had some since the last time, to a new admin process those of all groups.
    fn tell_answers(&self, admin: &Admin, others: BTreeMap<String, Answered>) {
        let pid = admin.life().map_or(0, |admin| admin.pid);
        if !admin.takes_figures() {
            return;
        }
        let (spans, mut lost) = self.answers.spans.take();
        for few in spans.chunks(SPANS) {
            admin.tell(&ToAdmin::Spans { spans: few.to_vec(), lost: std::mem::take(&mut lost) });
        }
        let all = self.told.replace(pid) != pid;
        if !others.is_empty() {
            // Here nobody is answered.
            for (process_group, answered) in others {
                admin.tell(&ToAdmin::Answered { process_group, answered });
            }
            return;
        }
        let send = |process_group: &str, tally: &AnswerTally| {
            if let Some(answered) = tally.news(all) {
                admin.tell(&ToAdmin::Answered { process_group: process_group.to_owned(), answered });
            }
        };
        send("", &self.answers);
        self.pools.borrow().iter().for_each(|(name, pool)| send(name, &pool.answers));
    }

    /// Takes the requests of traces of a front within a worker, a few in each message, for the front that tells of all.
    pub fn embedded_spans(&self) -> Vec<EmbeddedSpans> {
        let (mut spans, lost) = self.answers.spans.take();
        let mut lost = lost + spans.len().saturating_sub(EMBEDDED_SPANS) as u64;
        spans.truncate(EMBEDDED_SPANS);
        let few = |few: &[FrontSpan]| EmbeddedSpans { spans: few.to_vec(), lost: std::mem::take(&mut lost) };
        spans.chunks(SPANS).map(few).collect()
    }

    /// Another front's requests of traces, to be told with the next figures.
    pub fn keep_spans(&self, told: EmbeddedSpans) {
        self.answers.spans.lose(told.lost);
        told.spans.into_iter().for_each(|span| self.answers.spans.put(span));
    }

    fn lost_lines(&self, word: usize) -> u64 {
        self.lost_lines.as_ref().and_then(|words| words.get(word)).map_or(0, |w| w.load(Ordering::Relaxed))
    }

    /// Whether readiness has changed since the last figures.
    pub fn readiness_changed(&self) -> bool {
        self.admin.get().is_some() && self.sent_ready.get() != self.is_ready()
    }

    /// Sends a message to the admin process, if there is one.
    pub fn tell(&self, message: &ToAdmin) {
        if let Some(admin) = self.admin.get() {
            admin.tell(message);
        }
    }

    /// Whether every process group for requests has a worker that imported its applications and takes requests, in the required
    /// GIL mode.
    pub fn is_ready(&self) -> bool {
        !self.is_ending() && !self.draining.get() && self.waiting().is_empty()
    }

    /// Whether every process group for requests has such a worker, whatever the server was told.
    pub fn is_served(&self) -> bool {
        self.waiting().is_empty()
    }

    /// Whether the server ends. One that another server replaces stays ready for whom its last pages still answer.
    fn is_ending(&self) -> bool {
        self.stopping.get() && !self.is_patient.get()
    }

    /// A line for each process group for requests without such a worker.
    fn waiting(&self) -> Vec<String> {
        let current = self.current();
        let groups = current.compiled.site().groups.iter().filter(|g| !g.service());
        let waits = |name: &str| {
            !self.pool(name).is_some_and(|pool| pool.has_ready_worker(|worker| self.life.is_silent(worker)))
        };
        let line = |group: &ProcessGroup| match group.is_front() {
            true => "no front accepts connections".to_owned(),
            false => {
                let name = &group.name;
                format!(
                    "process group '{name}' has no worker that imported its applications and takes requests"
                )
            }
        };
        groups.filter(|g| waits(&g.name)).map(line).collect()
    }
}
