//! What clients were answered: counters by process group, status and reason, and how long clients waited, for the admin process. An
//! [`Answering`] goes with each request and counts when it is over, however that comes.

use gk_telemetry::{Answered, Reason};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use crate::log::host_log;
use crate::log::spans::{SpanDraft, SpanOutbox, SpanOutcome};
use crate::process::clock::Clock;
use crate::request::identity::Identity;

/// Status of a request whose client went before there was an answer. It is none of HTTP's; other servers log the same.
const CLIENT_GONE: u16 = 499;

/// The answers of a process group, or of the front for no group.
pub struct AnswerTally {
    clock: Clock,
    /// Name of the process group; empty: none.
    name: String,
    answered: RefCell<Answered>,
    changed: Cell<bool>,
    /// Spans of all requests, where it is that of no group.
    pub spans: SpanOutbox,
}

impl AnswerTally {
    /// Without any answer.
    pub fn new(clock: &Clock, name: &str) -> Rc<Self> {
        let (clock, name) = (clock.clone(), name.to_owned());
        let (answered, changed, spans) = (RefCell::default(), Cell::new(false), SpanOutbox::default());
        Rc::new(Self { clock, name, answered, changed, spans })
    }

    /// Counts an answer that took so many microseconds.
    pub fn count(&self, code: u16, reason: Reason, micros: u64) {
        self.answered.borrow_mut().record(code, reason, micros.saturating_mul(1000));
        self.changed.set(true);
    }

    /// All answers so far, if there were any since the last call or the caller knows none (`all`).
    pub fn news(&self, all: bool) -> Option<Answered> {
        let fresh = self.changed.take() || all;
        let answered = self.answered.borrow();
        (fresh && !answered.is_empty()).then(|| answered.clone())
    }
}

/// One request on its way into the counters.
pub struct Answering {
    /// Where it counts as long as it is no process group's.
    front: Rc<AnswerTally>,
    group: OnceCell<Rc<AnswerTally>>,
    /// Microseconds on the front's clock.
    began: u64,
    code: Cell<u16>,
    reason: Cell<Reason>,
    /// Its id, where requests have one.
    pub identity: Option<Rc<Identity>>,
    /// On a site with traces.
    pub draft: Option<Box<SpanDraft>>,
    /// Microseconds on the front's clock: the head of its answer went out. On a site with traces.
    head: Cell<Option<u64>>,
}

impl Answering {
    /// A request whose first byte came at `began`.
    pub fn new(front: &Rc<AnswerTally>, began: u64) -> Self {
        let (code, reason) = (Cell::new(CLIENT_GONE), Cell::new(Reason::ClientGone));
        Self {
            front: Rc::clone(front),
            group: OnceCell::new(),
            began,
            code,
            reason,
            identity: None,
            draft: None,
            head: Cell::new(None),
        }
    }

    /// It is a process group's.
    pub fn belongs_to(&self, group: &Rc<AnswerTally>) {
        let _ = self.group.set(Rc::clone(group));
    }

    /// Who answers it, or why the front does.
    pub fn by(&self, reason: Reason) {
        self.reason.set(reason);
    }

    /// The head of its answer goes out.
    pub fn answered(&self, code: u16) {
        self.code.set(code);
        if self.draft.is_some() {
            self.head.set(Some(self.front.clock.micros().saturating_sub(self.began)));
        }
    }

    /// Gives its span to the outbox, if anybody wants it.
    #[cold]
    fn finish_span(&self, identity: &Identity, draft: &SpanDraft, code: u16, reason: Reason) {
        let Some(trace) = &identity.trace else { return };
        let took = self.front.clock.micros().saturating_sub(self.began);
        let outcome = SpanOutcome { code, reason, head: self.head.get(), took };
        if trace.sampled || draft.is_notable(&outcome) {
            let group = self.group.get().map_or("", |group| &group.name);
            self.front.spans.put(draft.finish(identity, trace, group, &outcome));
        }
    }

    /// Whether [`Answering::cut_off`] was called for our own sake.
    pub fn is_cut_off(&self) -> bool {
        self.reason.get() == Reason::BrokenOff
    }

    /// The client does not get all of its answer.
    pub fn cut_off(&self, why: Reason) {
        self.reason.set(why);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let tally = self.group.get().unwrap_or(&self.front);
        let code = self.code.get();
        let reason = if code == CLIENT_GONE { Reason::ClientGone } else { self.reason.get() };
        tally.count(code, reason, tally.clock.micros().saturating_sub(self.began));
        if let Some(identity) = &self.identity {
            if let Some(draft) = &self.draft {
                self.finish_span(identity, draft, code, reason);
            }
            // What is said of the connection from here on is not about this request.
            host_log::identify(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(tally: &AnswerTally) -> Vec<(u16, Reason, u64)> {
        let answered = tally.news(false).unwrap_or_default();
        answered.counts.iter().map(|answers| (answers.code, answers.reason, answers.count)).collect()
    }

    #[test]
    fn a_request_counts_once_and_where_it_belongs() {
        let clock = Clock::default();
        let (front, group) = (AnswerTally::new(&clock, ""), AnswerTally::new(&clock, "group"));
        // Its client went while the application worked.
        let gone = Answering::new(&front, 0);
        gone.by(Reason::Application);
        drop(gone);
        let cut = Answering::new(&front, 0);
        cut.belongs_to(&group);
        cut.by(Reason::Application);
        cut.answered(200);
        cut.cut_off(Reason::BrokenOff);
        drop(cut);
        assert_eq!(counts(&front), [(499, Reason::ClientGone, 1)]);
        assert_eq!(counts(&group), [(200, Reason::BrokenOff, 1)]);
        assert!(group.news(false).is_none(), "nothing is new");
        assert!(group.news(true).is_some(), "a new admin process knows nothing");
    }
}
