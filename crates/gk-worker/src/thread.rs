//! A request thread: takes requests off the link and serves them, attached to the interpreter of their application group.
//! It stays attached over consecutive requests of the same group, so that a batch costs one attach; where a group has
//! several interpreters, only as long as no other one of them is less busy.

use crate::engine::{Engine, Slot};
use crate::exchange::Served;
use crate::groups::{Group, Seat};
use crate::link::{Job, Link};
use crate::measure::{self, Begun, ThreadMeasure};
use gk_python::version::FREE_THREADED_BUILD;
use gk_python::{Attached, ThreadStates};
use gk_sys::clock::Moment;
use gk_wire::frame::{self, ToFrontFrame};
use gk_wire::request::RequestView;
use gk_wire::response::HeadWriter;
use gk_wsgi::Exchange;
use gk_wsgi::call::{Call, Outcome, serve};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Serves until the worker stops.
pub(crate) fn run(engine: &Arc<Engine>, index: usize) {
    let mut states = ThreadStates::new();
    let mut measured = measure::get().and_then(|measure| ThreadMeasure::new(measure, index));
    let mut link: Option<Arc<Link>> = None;
    while let Some(present) = engine.next_link(link.as_ref()) {
        while let Some(job) = present.next() {
            engine.arm_ticker();
            let name = job.profile.profile.application_group.clone();
            match engine.groups.get(&mut states, &name) {
                Some(seat) => serve_batch(engine, index, &mut states, &mut measured, &present, &seat, job),
                None => refuse(&present, &job),
            }
        }
        link = Some(present);
    }
    states.give_up();
}

/// Serves a request and those behind it of the same application group.
fn serve_batch(
    engine: &Engine,
    index: usize,
    states: &mut ThreadStates,
    measured: &mut Option<ThreadMeasure>,
    link: &Arc<Link>,
    seat: &Seat,
    job: Job,
) {
    let name = job.profile.profile.application_group.clone();
    let group: &Group = seat;
    // What attaching takes belongs to the first request.
    let mut begun = measured.as_mut().and_then(|measured| begin(measured, group, &job, Moment::now()));
    states.attach(group.interpreter, |py| {
        let slot = &engine.slots[index];
        slot.ident.store(py.thread_ident(), Ordering::Relaxed);
        slot.state.store(py.state_id(), Ordering::Relaxed);
        slot.interpreter.store(group.interpreter.id(), Ordering::Relaxed);
        let mut next = Some(job);
        while let Some(job) = next {
            serve_one(py, engine, slot, index, measured, begun.take(), link, group, &job);
            next = link.try_next(|profile| profile.profile.application_group == name && seat.stays());
        }
    });
}

fn begin(measured: &mut ThreadMeasure, group: &Group, job: &Job, taken: Moment) -> Option<Begun> {
    let request = RequestView::decode(&job.payload).ok()?;
    Some(measured.begin(&request, group.board, taken, true))
}

#[allow(clippy::too_many_arguments, reason = "one place calls it; each of them is of another owner")]
fn serve_one(
    py: Attached<'_>,
    engine: &Engine,
    slot: &Slot,
    index: usize,
    measured: &mut Option<ThreadMeasure>,
    mut begun: Option<Begun>,
    link: &Arc<Link>,
    group: &Group,
    job: &Job,
) {
    let started = Moment::now();
    let now = engine.at(started);
    *slot.request.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
        Some((Arc::clone(&job.payload), Arc::clone(&job.profile)));
    slot.since.store(now, Ordering::Release);
    engine.counters.started.fetch_add(1, Ordering::Relaxed);
    if !job.profile.profile.ignore_activity {
        engine.counters.last_activity.store(now, Ordering::Relaxed);
    }
    let mut outcome = Outcome::default();
    let served: Arc<dyn Exchange> =
        Arc::new(Served { link: Arc::clone(link), exchange: Arc::clone(&job.exchange) });
    // One that was cancelled while it waited is not begun.
    if !job.exchange.is_gone()
        && let Ok(request) = RequestView::decode(&job.payload)
    {
        if let Some(measured) = measured {
            begun = begun.or_else(|| Some(measured.begin(&request, group.board, started, false)));
            measured.entered();
        }
        let call = Call {
            profile: &job.profile,
            request,
            thread_id: index as i64 + 1,
            taken: started,
            daemon_start: gk_sys::clock::epoch_seconds(),
        };
        outcome = serve(py, &group.application, &call, served);
    }
    let ended = Moment::now();
    if outcome.status != 0 && !outcome.error && !engine.counters.loaded.load(Ordering::Relaxed) {
        engine.counters.loaded.store(true, Ordering::Relaxed);
    }
    if let (Some(measured), Some(begun)) = (measured, begun) {
        measured.end(&begun, started, ended, &outcome, group.board);
    }
    if job.exchange.is_gone() {
        // The conversation of a cancelled request stops without a word; the front counts this thread as busy until the
        // request's last frame, and takes no notice of a second last frame.
        link.outbox().send(&ToFrontFrame::Abort { id: job.exchange.id, reason: "cancelled" });
    }
    // With a GIL the interrupting thread cannot come in between: it holds the same one.
    let alone =
        FREE_THREADED_BUILD.then(|| slot.request.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    slot.since.store(0, Ordering::Release);
    // An interrupt that came too late must not hit the next request.
    if slot.interrupted.swap(false, Ordering::AcqRel) {
        py.raise_in_thread(slot.ident.load(Ordering::Relaxed), None);
    }
    drop(alone);
    if !job.profile.profile.ignore_activity {
        engine.counters.last_activity.store(engine.at(ended), Ordering::Relaxed);
    }
    let finished = engine.counters.finished.fetch_add(1, Ordering::Relaxed) + 1;
    if finished == engine.setup.timers.maximum_requests {
        // At once, so that the front sends no more; the main thread does the rest.
        link.outbox().send(&ToFrontFrame::Leaving { reason: "maximum_requests" });
        link.outbox().try_flush();
    }
    link.done(job.exchange.id, started, ended);
}

/// The application group has no interpreter: 500, and the next request tries again.
fn refuse(link: &Arc<Link>, job: &Job) {
    gk_sys::log::plain(
        gk_wire::log::Level::Error,
        "wsgi",
        Some("WSGI0087"),
        &format!(
            "The interpreter of application group '{}' is not available",
            job.profile.profile.application_group
        ),
    );
    link.outbox().put(|out| {
        HeadWriter::begin(out, job.exchange.id, frame::END | frame::WORKER_ERROR, 500, b"", 0.0).finish();
    });
    let now = Moment::now();
    link.done(job.exchange.id, now, now);
    link.outbox().flush();
}

/// Announces on the link that this worker wants to leave.
pub(crate) fn announce(link: &Link, reason: &str) {
    link.outbox().send(&ToFrontFrame::Leaving { reason });
    link.outbox().flush();
}
