//! A request that no worker took, or whose worker gave no head: what the log says, what the client is told, and whether the request is
//! tried again.

use gk_wire::control::{Happened, What};
use gk_wire::feed::ToAdmin;
use gk_wire::log::Level;
use http::Method;
use http::request::Parts;
use std::rc::Rc;
use tokio::sync::SemaphorePermit;

use crate::engine::Failure;
use crate::front::Front;
use crate::request::refusal::Refusal;
use crate::worker::dispatcher::QueueRefusal;
use crate::worker::link::Link;
use crate::worker::pool::Pool;
use crate::worker::suspects;

/// The refusal of a request that no worker took.
pub fn refused(pool: &Pool, why: QueueRefusal, client: &str) -> Refusal {
    pool.tally.refused(&pool.name, why, pool.now(), client);
    Refusal::Busy(pool.retry_after())
}

/// A request that a worker took and gave no head for.
pub struct FailedRequest<'a> {
    /// The front.
    pub front: &'a Front,
    /// The pool of its process group.
    pub pool: &'a Pool,
    /// The client's address.
    pub client: &'a str,
    /// Its head.
    pub parts: &'a Parts,
    /// The link to its worker.
    pub worker: Rc<Link>,
    /// It has no body and was not tried again before.
    pub repeatable: bool,
}

impl<'a> FailedRequest<'a> {
    /// Logs the failure. `Ok`: the request is tried again; it keeps what is returned until its head is there.
    pub async fn end(self, failure: Failure) -> Result<Option<SemaphorePermit<'a>>, Refusal> {
        let (method, path) = (&self.parts.method, self.parts.uri.path());
        let (pid, group) = (self.worker.info.pid, &self.pool.name);
        let client = Some(self.client);
        match failure {
            Failure::TimedOut => {
                let text = format!(
                    "no response head within socket-timeout from worker {pid} of process group '{group}' for {method} {path}; the application may still be running it"
                );
                crate::note_code(Level::Error, "WSGI0145", client, &text);
                Err(Refusal::TimedOut)
            }
            Failure::Silent => {
                let text = format!(
                    "worker {pid} of process group '{group}' does not run, as if it was stopped, and has no response head for {method} {path} yet; the request is tried again on another worker"
                );
                crate::note_code(Level::Warn, "GK0031", client, &text);
                self.pool.tally.retried();
                Ok(None)
            }
            Failure::Died | Failure::NotStarted => {
                let exit = self.worker.exit().await;
                let died = exit.as_ref().is_some_and(|exit| exit.died);
                let how = exit.map_or_else(|| "cause unknown".into(), |exit| exit.how);
                let text = format!(
                    "worker {pid} of process group '{group}' ended ({how}) before the response head of {method} {path}"
                );
                if died && self.may_repeat() {
                    let text = text + "; the request is tried again on another worker";
                    crate::note_code(Level::Warn, "GK0031", client, &text);
                    self.pool.tally.retried();
                    return Ok(self.pool.second_attempt().await);
                }
                crate::note_code(Level::Error, "WSGI0146", client, &text);
                Err(Refusal::WorkerDied)
            }
            Failure::Aborted(reason) => {
                let text = format!("worker {pid} gave no response for {method} {path}: {reason}");
                crate::note(Level::Error, client, &text);
                Err(Refusal::Internal)
            }
        }
    }

    /// Whether it may be served twice.
    pub fn is_safe(&self) -> bool {
        let safe = matches!(self.parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        self.pool.limits().retry && self.repeatable && safe
    }

    /// Its worker died. Whether another worker gets it: not a request that may change something, and none of a route that workers
    /// die of again and again.
    fn may_repeat(&self) -> bool {
        let route = suspects::route(&self.parts.method, self.parts.uri.path());
        if let Some(deaths) = self.pool.suspects.died(&route, self.pool.now()) {
            self.accuse(&route, deaths);
        }
        self.is_safe() && !self.pool.suspects.is_deadly(&route)
    }

    /// Names a route that workers die of.
    fn accuse(&self, route: &str, deaths: u32) {
        let group = &self.pool.name;
        let text = format!(
            "workers of process group '{group}' die again and again while they serve {route} ({deaths} lately), and it is hardly ever answered: look at what this route runs"
        );
        crate::note_code(Level::Error, "GK0032", None, &text);
        self.front.tell(&ToAdmin::Happened(Happened {
            at: gk_sys::clock::epoch_seconds(),
            what: What::DeadlyRoute,
            process_group: Some(group.clone()),
            text,
            ..Happened::default()
        }));
    }
}
