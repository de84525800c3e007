//! Slow requests: each is reported once with its Python stack while it runs. Also the stack of any running request on
//! demand. The scoreboard decides which requests are kept after their end.

use crate::serve::engine::{Engine, RequestSlot};
use gk_python::ThreadStates;
use gk_sys::log::{Context, write};
use gk_wire::control::RequestStack;
use gk_wire::log::Level;
use gk_wire::request::RequestView;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest stack sent to the supervisor, in bytes; the innermost frames are at its end and stay.
const MOST_STACK: usize = 16 * 1024;

/// Slow requests reported so far.
pub(crate) struct SlowRequests {
    /// Microseconds; `None`: off.
    threshold: Option<u64>,
    /// `RequestSlot::since` of the last reported request, by slot.
    told: Vec<u64>,
}

impl SlowRequests {
    /// `threshold` in seconds, 0: off.
    pub(crate) fn new(threshold: f64, slots: usize) -> Self {
        Self { threshold: (threshold > 0.0).then_some((threshold * 1e6) as u64), told: vec![0; slots] }
    }

    /// Longest interval between two calls of [`SlowRequests::crossed`].
    pub(crate) fn every(&self) -> Duration {
        self.threshold
            .map_or(Duration::MAX, |micros| Duration::from_micros(micros / 2).max(Duration::from_millis(10)))
    }

    /// Requests that became slow since the last call: slot, and the time it took the request.
    pub(crate) fn crossed(&mut self, engine: &Engine) -> Vec<(usize, u64)> {
        let Some(threshold) = self.threshold else { return Vec::new() };
        let now = engine.now();
        let mut crossed = Vec::new();
        for (index, (slot, told)) in engine.slots.iter().zip(&mut self.told).enumerate() {
            let since = slot.since.load(Ordering::Acquire);
            if since != 0 && since != *told && now.saturating_sub(since) >= threshold {
                *told = since;
                crossed.push((index, since));
            }
        }
        crossed
    }
}

/// Slot that serves the request with the front's number `request`, and the time it took it.
pub(crate) fn find(engine: &Engine, request: u64) -> Option<(usize, u64)> {
    let serves = |slot: &RequestSlot| described(slot).is_some_and(|told| told.request == request);
    let index = engine.slots.iter().position(serves)?;
    let since = engine.slots[index].since.load(Ordering::Acquire);
    (since != 0).then_some((index, since))
}

/// Stack of the request that this slot took at `since`, if it still runs. Called on the thread that may call Python.
pub(crate) fn stack(
    engine: &Engine,
    states: &mut ThreadStates,
    index: usize,
    since: u64,
    slow: bool,
) -> Option<RequestStack> {
    let slot = &engine.slots[index];
    let serves = slot.interpreter.load(Ordering::Relaxed);
    let (name, group) = engine.groups.all().into_iter().find(|(_, g)| g.interpreter.id() == serves)?;
    let several_gils = engine.groups.gil_mode() == "own";
    let threads = [(slot.ident.load(Ordering::Relaxed), slot.state.load(Ordering::Relaxed))];
    let stacks = states.visit(&group.interpreter, |py| {
        // With this GIL held the request can end, but its thread cannot take another one in Python.
        let stacks = group.application.stacks(py, &threads, several_gils);
        (slot.since.load(Ordering::Acquire) == since).then_some(stacks)
    })?;
    let mut stack = stacks.into_iter().next().map(|(_, text)| text.trim_end().to_owned())?;
    if stack.len() > MOST_STACK {
        let cut = stack.ceil_char_boundary(stack.len() - MOST_STACK);
        stack = stack.split_off(cut);
    }
    let seconds = engine.now().saturating_sub(since) as f64 / 1e6;
    let told = described(slot)?;
    Some(RequestStack { thread: index as u32 + 1, application_group: name, seconds, stack, slow, ..told })
}

/// Writes a slow request into the log.
pub(crate) fn log(told: &RequestStack) {
    let RequestStack { method, path, seconds, thread, application_group: group, stack, .. } = told;
    let text = format!(
        "Slow request: {method} {path} has been running for {seconds:.1} s in thread {thread}, application group '{group}'\n{stack}"
    );
    let request = Some(told.id.as_str()).filter(|id| !id.is_empty());
    write(Level::Notice, "wsgi", Context { request, ..Context::default() }, &text);
}

/// Method, path and number of the request in a slot.
fn described(slot: &RequestSlot) -> Option<RequestStack> {
    let request = slot.request().clone()?;
    let view = RequestView::decode(&request.payload).ok()?;
    let path = view.texts.uri.split(|byte| *byte == b'?').next().unwrap_or_default();
    Some(RequestStack {
        request: view.numbers.request_id,
        id: String::from_utf8_lossy(view.texts.id).into_owned(),
        method: String::from_utf8_lossy(view.texts.method).into_owned(),
        path: String::from_utf8_lossy(path).into_owned(),
        ..RequestStack::default()
    })
}
