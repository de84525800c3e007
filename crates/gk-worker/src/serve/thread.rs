//! A request thread: takes requests off the link and serves them, attached to the interpreter of their application group.
//! It stays attached for consecutive requests of the same group, so that a batch costs one attach; if the group has several
//! interpreters, only while no other one is less busy.

use crate::measure::{self, MeasuredRequest, ThreadMeasure};
use crate::serve::engine::{Engine, RequestSlot};
use crate::serve::exchange::LinkExchange;
use crate::serve::groups::{GroupInterpreter, Seat};
use crate::serve::link::{Job, Link, OwnLink};
use crate::serve::streams::RequestStreams;
use gk_python::{Attached, ThreadStates};
use gk_sys::clock::{Moment, WallClock};
use gk_wire::frame::{self, ToFrontFrame};
use gk_wire::request::RequestView;
use gk_wire::response::HeadWriter;
use gk_wsgi::Outcome;
use gk_wsgi::application::NumberedProfile;
use gk_wsgi::call::prepared::Prepared;
use gk_wsgi::call::{Call, serve};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Most interpreters in which a request thread has a Python frame between requests: each lies deeper in its stack, by some kilobytes.
const MOST_FRAMES: usize = 16;
/// The same for a stack that is smaller than `SMALL_STACK`.
const FRAMES_IN_SMALL_STACK: usize = 1;
const SMALL_STACK: u64 = 1 << 20;

/// Serves until the worker stops.
pub(crate) fn run(states: &mut ThreadStates, engine: &Arc<Engine>, index: usize) {
    let measured = measure::get().and_then(|measure| ThreadMeasure::new(measure, index, engine.embedded));
    let is_small = engine.setup.group.stack_size.is_some_and(|bytes| bytes < SMALL_STACK);
    let frames = if is_small { FRAMES_IN_SMALL_STACK } else { MOST_FRAMES };
    let wall = WallClock::default();
    RequestThread { engine, index, link: None, left: None, measured, wall, frames }.serve(states);
}

/// A request thread between its batches.
struct RequestThread<'e> {
    engine: &'e Arc<Engine>,
    index: usize,
    /// The link that it takes requests off; a broken one when it waits for the next.
    link: Option<Arc<OwnLink>>,
    /// A request that is to be served after the frame it was taken in.
    left: Option<(Arc<OwnLink>, Job)>,
    measured: Option<ThreadMeasure>,
    wall: WallClock,
    /// Frames that it may still get.
    frames: usize,
}

impl RequestThread<'_> {
    /// Serves until the worker stops. The first request in an interpreter is served inside a Python frame of the thread there, and with it
    /// all that follow: so the depth is the number of interpreters that the thread has served in, within a bound. In a free-threaded build the
    /// frame ends with the first request in another interpreter, which it would hide, and none follows.
    fn serve(&mut self, states: &mut ThreadStates) {
        while let Some((link, job)) = self.left.take().or_else(|| self.next()) {
            self.engine.ticker.arm();
            let Some(seat) = self.engine.groups.get(states, &job.streams.profile.profile.application_group)
            else {
                refuse(&link, &job);
                continue;
            };
            if states.is_hidden(&seat.interpreter) {
                (self.left, self.frames) = (Some((link, job)), 0);
                return;
            }
            if self.frames == 0 || !states.lacks_frame(&seat.interpreter) {
                self.batch(states, &link, &seat, job);
                continue;
            }
            self.frames -= 1;
            let interpreter = seat.interpreter.clone();
            states.within(&interpreter, |states| {
                self.batch(states, &link, &seat, job);
                drop((link, seat));
                self.serve(states);
            });
            if self.left.is_none() {
                return;
            }
        }
    }

    /// The next request; waits for one. `None`: the worker stops.
    fn next(&mut self) -> Option<(Arc<OwnLink>, Job)> {
        self.engine.intake.next(&mut self.link)
    }

    fn batch(&mut self, states: &mut ThreadStates, link: &Arc<OwnLink>, seat: &Seat, job: Job) {
        let batch = Batch {
            engine: self.engine,
            slot: &self.engine.slots[self.index],
            index: self.index,
            link,
            seat,
            measured: &mut self.measured,
            begun: false,
            ended: Moment::now(),
            wall: &mut self.wall,
        };
        batch.serve(states, job);
    }
}

/// A request and the following ones of the same application group, with everything they share.
struct Batch<'b> {
    engine: &'b Engine,
    slot: &'b RequestSlot,
    index: usize,
    link: &'b Arc<OwnLink>,
    seat: &'b Seat,
    measured: &'b mut Option<ThreadMeasure>,
    /// A request of it was served.
    begun: bool,
    /// When the last one ended.
    ended: Moment,
    wall: &'b mut WallClock,
}

impl Batch<'_> {
    fn serve(mut self, states: &mut ThreadStates, job: Job) {
        let group: &GroupInterpreter = self.seat;
        let first = job.streams;
        let name = &first.profile.profile.application_group;
        let request = RequestView::decode(&first.payload).ok();
        // The time to attach counts for the first request.
        let begun = self
            .measured
            .as_mut()
            .zip(request.as_ref())
            .map(|(measured, request)| measured.begin(request, group.board, Moment::now(), true));
        states.attach(&group.interpreter, |py| {
            self.slot.ident.store(py.thread_ident(), Ordering::Relaxed);
            self.slot.state.store(py.state_id(), Ordering::Relaxed);
            self.slot.interpreter.store(group.interpreter.id(), Ordering::Relaxed);
            self.serve_one(py, begun, &first, request);
            let more =
                |profile: &NumberedProfile| profile.profile.application_group == *name && self.seat.stays();
            let mut left = self.engine.intake.turn();
            while left > 0
                && !self.link.front_is_due(self.ended)
                && let Some(Job { streams, .. }) = self.link.try_next(more)
            {
                left -= 1;
                self.engine.ticker.arm();
                self.serve_one(py, None, &streams, RequestView::decode(&streams.payload).ok());
            }
        });
        if let Some(measured) = self.measured {
            measured.end_batch();
        }
    }

    /// `request`: the decoded frame of `streams`, `None` if it is malformed.
    fn serve_one(
        &mut self,
        py: Attached<'_>,
        begun: Option<MeasuredRequest>,
        streams: &Arc<RequestStreams>,
        request: Option<RequestView<'_>>,
    ) {
        let (engine, slot, group) = (self.engine, self.slot, &**self.seat);
        let started = Moment::now();
        slot.begin(engine.at(started), streams);
        let Some((outcome, begun)) = self.answer(py, begun, streams, request, started) else {
            slot.withdraw();
            self.link.put_back(streams.id);
            return self.engine.intake.ended();
        };
        let ended = Moment::now();
        self.ended = ended;
        if outcome.status != 0 && !outcome.error && !engine.loaded.load(Ordering::Relaxed) {
            engine.loaded.store(true, Ordering::Relaxed);
        }
        if let (Some(measured), Some(begun)) = (&mut *self.measured, begun) {
            measured.end(&begun, started, ended, &outcome, group.board);
        }
        let outbox = self.link.outbox();
        if streams.is_gone() {
            // The conversation of a cancelled request stops without a last frame. The front counts this thread as busy
            // until one comes, and ignores a second one.
            let reason = if engine.intake.stopping() { "the worker was stopped" } else { "cancelled" };
            outbox.send(&ToFrontFrame::Abort { id: streams.id, reason });
        }
        // A thread that interrupts the request holds this lock meanwhile.
        let mut request = slot.request();
        let _served = request.take();
        slot.since.store(0, Ordering::Release);
        // An interrupt that came too late must not hit the next request.
        if slot.interrupted.load(Ordering::Acquire) {
            slot.interrupted.store(false, Ordering::Release);
            py.raise_in_thread(slot.ident.load(Ordering::Relaxed), None);
        }
        drop(request);
        slot.count_finished(engine.at(ended), streams);
        if engine.wears_out() {
            // Sent at once, so that the front sends no more requests; the main thread does the rest.
            outbox.send(&ToFrontFrame::Leaving { reason: "maximum_requests" });
            outbox.try_flush();
        }
        self.link.done(streams.id, started, ended);
        engine.intake.ended();
    }

    /// Lets the application answer. `None`: it does not, as the request was cancelled while it waited, or a new worker is to answer,
    /// with new code.
    fn answer(
        &mut self,
        py: Attached<'_>,
        begun: Option<MeasuredRequest>,
        streams: &Arc<RequestStreams>,
        request: Option<RequestView<'_>>,
        started: Moment,
    ) -> Option<(Outcome, Option<MeasuredRequest>)> {
        if streams.is_gone() {
            // It counts nowhere: neither as served nor for the mean time of a request.
            if let Some(measured) = &*self.measured {
                measured.forget();
            }
            return None;
        }
        let Some(request) = request else {
            self.link
                .outbox()
                .send(&ToFrontFrame::Abort { id: streams.id, reason: "a malformed request frame" });
            return Some((Outcome::default(), begun));
        };
        let begun = self.measured.as_mut().map(|measured| match begun {
            Some(begun) => {
                measured.entered();
                begun
            }
            None => measured.begin(&request, self.seat.board, started, false),
        });
        let call = Call {
            profile: &streams.profile,
            request,
            thread_id: self.index as i64 + 1,
            taken: started,
            in_a_row: std::mem::replace(&mut self.begun, true),
            daemon_start: self.wall.seconds(started),
        };
        let application = &self.seat.application;
        let reloads = self.engine.reloads.state();
        let prepared = Prepared::find(application, &call);
        let is_outdated = reloads & 1 == 1 || prepared.outdated(py, application, &call);
        // In embedded mode the connection is in this process and the new code in another one: the code that is here answers until that
        // takes over.
        if is_outdated && !self.engine.embedded && self.new_code_answers(py, streams, reloads) {
            if let Some(measured) = &*self.measured {
                measured.forget();
            }
            return None;
        }
        let served = LinkExchange { link: Arc::clone(self.link), streams: Arc::clone(streams) };
        Some((serve(py, application, &call, prepared, Arc::new(served)), begun))
    }

    /// Waits for the reload that follows from a changed file. Meanwhile the thread counts as idle, for request-timeout.
    #[cold]
    fn new_code_answers(&self, py: Attached<'_>, streams: &RequestStreams, reloads: u64) -> bool {
        let (engine, slot) = (self.engine, self.slot);
        slot.since.store(0, Ordering::Release);
        let leaves = py.detach(|| engine.reloads.wait(reloads, || streams.is_gone()));
        slot.since.store(engine.now(), Ordering::Release);
        leaves && !streams.is_gone()
    }
}

/// Answers 500, as the application group has no interpreter. The next request tries again.
fn refuse(link: &Arc<Link>, job: &Job) {
    gk_sys::log::plain(
        gk_wire::log::Level::Error,
        "wsgi",
        Some("WSGI0087"),
        &format!(
            "The interpreter of application group '{}' is not available",
            job.streams.profile.profile.application_group
        ),
    );
    link.outbox().put(|out| {
        HeadWriter::begin(out, job.streams.id, frame::END | frame::WORKER_ERROR, 500, b"", 0.0).finish();
    });
    let now = Moment::now();
    link.done(job.streams.id, now, now);
    link.outbox().flush();
}

/// Announces on the link that this worker wants to leave.
pub(crate) fn announce(link: &Link, reason: &str) {
    link.outbox().send(&ToFrontFrame::Leaving { reason });
    link.outbox().flush();
}
