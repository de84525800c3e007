//! The state of one response while the application produces it: head pending, head sent, bytes counted, ended.
//! `start_response`, the write callable, `wsgi.input` and the iteration share it; each takes the lock for a moment only and
//! never while Python runs.

pub(crate) mod input;
pub(crate) mod outcome;
pub(crate) mod start_response;

use crate::conversation::outcome::Outcome;
use crate::exchange::{Exchange, Head, Sent};
use bytes::{Buf, Bytes};
use gk_python::{Attached, Loans, Object};
use gk_sys::clock::Moment;
use gk_wire::response::Headers;
use smallvec::SmallVec;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a piece that is worth a loan.
const LENT_LEAST: usize = 64 * 1024;

/// The conversation of one request.
pub(crate) struct Conversation {
    pub(crate) exchange: Arc<dyn Exchange>,
    started: Moment,
    /// The application subscribed to events: every read and write is timed.
    watched: bool,
    state: Mutex<ResponseState>,
}

/// Stage and counters of the response.
struct ResponseState {
    /// Set by `start_response`, taken when the head goes out.
    pending: Option<PendingHead>,
    head_sent: bool,
    length: Option<u64>,
    written: u64,
    body_allowed: bool,
    /// The response is over.
    ended: bool,
    /// The request is over: `close()` was called.
    closed: bool,
    gone: bool,
    /// Figures so far.
    outcome: Outcome,
}

/// Arguments of `start_response`, checked.
pub(crate) struct PendingHead {
    pub(crate) status: u16,
    pub(crate) reason: SmallVec<[u8; 32]>,
    pub(crate) headers: Headers,
    pub(crate) length: Option<u64>,
}

/// Why a block was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// The client is gone.
    Gone,
    /// `start_response` was not called.
    NoHead,
}

/// Stage of a response, for `start_response`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The head is not sent and may still be changed.
    Open,
    /// The head is sent.
    HeadSent,
    /// The response is over.
    Ended,
}

/// The end of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseEnd {
    /// As long as the head said.
    Complete,
    /// This many bytes shorter than its Content-Length.
    Short(u64),
    /// `start_response` was never called.
    NoHead,
}

impl Conversation {
    pub(crate) fn new(
        exchange: Arc<dyn Exchange>,
        head_request: bool,
        started: Moment,
        watched: bool,
    ) -> Self {
        let state = ResponseState {
            pending: None,
            head_sent: false,
            length: None,
            written: 0,
            body_allowed: !head_request,
            ended: false,
            closed: false,
            gone: false,
            outcome: Outcome::default(),
        };
        Self { exchange, started, watched, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, ResponseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn watched(&self) -> bool {
        self.watched
    }

    /// Figures so far.
    pub(crate) fn outcome(&self) -> Outcome {
        self.state().outcome
    }

    /// Counts a read of the request body that began at `begun` and gave `bytes` bytes.
    pub(crate) fn count_read(&self, begun: Moment, bytes: usize) {
        let outcome = &mut self.state().outcome;
        outcome.reads += 1;
        outcome.bytes_in += bytes as u64;
        outcome.input += begun.elapsed();
    }

    fn writing_took(&self, begun: Moment) {
        self.state().outcome.output += begun.elapsed();
    }

    /// Returns true if the request is over: a `wsgi.input` that the application kept may not be used any more.
    pub(crate) fn input_closed(&self) -> bool {
        self.state().closed
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = self.state();
        match (state.ended, state.head_sent) {
            (true, _) => Progress::Ended,
            (false, true) => Progress::HeadSent,
            (false, false) => Progress::Open,
        }
    }

    /// Returns true if a block would come after the end. Bytes beyond a Content-Length that is reached are dropped instead.
    pub(crate) fn takes_no_more(&self) -> bool {
        let state = self.state();
        state.ended && state.length != Some(state.written)
    }

    /// Returns true if `start_response` was called and the head is not sent yet.
    pub(crate) fn head_waits(&self) -> bool {
        self.state().pending.is_some()
    }

    /// Returns true if `start_response` was called.
    pub(crate) fn has_head(&self) -> bool {
        let state = self.state();
        state.pending.is_some() || state.head_sent
    }

    /// Sets the head to send with the first block.
    pub(crate) fn set_pending(&self, pending: PendingHead) {
        self.state().pending = Some(pending);
    }

    /// Gives the response a Content-Length if it has none yet (a body of one block).
    pub(crate) fn fill_length(&self, length: u64) {
        let mut state = self.state();
        // An empty block of a HEAD request says nothing about the length of GET.
        let known = state.body_allowed || length > 0;
        if let Some(pending) = &mut state.pending
            && known
            && pending.length.is_none()
            && pending.status >= 200
            && pending.status != 204
            && pending.status != 304
        {
            pending.length = Some(length);
            pending.headers.push(b"Content-Length", length.to_string().as_bytes());
        }
    }

    /// Sends a block, after the head if that is still pending. An empty block changes nothing, and bytes beyond the
    /// Content-Length are dropped. `last`: the application gives no more. For HEAD only the head is sent, at the time it
    /// would be for GET; as no data is sent that would notice it, the exchange is asked if the client is gone.
    pub(crate) fn block(&self, py: Attached<'_>, data: &[u8], last: bool) -> Result<(), Unsent> {
        self.send(py, data, None, last)
    }

    /// As [`Self::block`], with a `bytes` object, whose contents need not be copied if they are large.
    pub(crate) fn object(
        &self,
        object: &Object<'_>,
        data: &[u8],
        loans: &Arc<Loans>,
        last: bool,
    ) -> Result<(), Unsent> {
        let lend: &dyn Fn() -> Option<Bytes> = &|| loans.lend(object).map(Bytes::from_owner);
        let large = data.len() >= LENT_LEAST && self.exchange.borrows();
        self.send(object.py(), data, large.then_some(lend), last)
    }

    fn send(
        &self,
        py: Attached<'_>,
        mut data: &[u8],
        lend: Option<&dyn Fn() -> Option<Bytes>>,
        last: bool,
    ) -> Result<(), Unsent> {
        let end = {
            let mut state = self.state();
            if !state.head_sent && state.pending.is_none() {
                return Err(Unsent::NoHead);
            }
            if data.is_empty() {
                return Ok(());
            }
            if state.gone {
                return Err(Unsent::Gone);
            }
            // Nothing may follow the last frame of the response: the front would treat the link as broken.
            if state.ended {
                return Ok(());
            }
            if !state.body_allowed {
                let all = last && !state.head_sent;
                self.send_head(&mut state, all);
                state.ended |= all;
                state.gone = self.exchange.is_gone();
                return if state.gone { Err(Unsent::Gone) } else { Ok(()) };
            }
            if let Some(length) = state.pending.as_ref().map_or(state.length, |p| p.length) {
                data = &data[..data.len().min(usize::try_from(length - state.written).unwrap_or(usize::MAX))];
            }
            self.send_head(&mut state, false);
            state.written += data.len() as u64;
            state.outcome.writes += 1;
            state.outcome.bytes_out += data.len() as u64;
            let end = state.length.map_or(last, |length| length == state.written);
            // A block of another thread must not follow the last frame, which is sent below.
            state.ended |= end && !data.is_empty();
            end
        };
        if data.is_empty() {
            return Ok(());
        }
        let mut lent = lend.and_then(|lend| lend()).map(|whole| whole.slice(..data.len()));
        // Two clock reads are noticeable in a small response, so only waiting is timed unless somebody subscribed.
        let begun = self.watched.then(Moment::now);
        loop {
            let sent = match &lent {
                Some(lent) => self.exchange.lend(lent, end),
                None => self.exchange.data(data, end),
            };
            match sent {
                Sent::Took(taken) if taken == data.len() => break,
                Sent::Took(taken) => {
                    data = &data[taken..];
                    if let Some(lent) = &mut lent {
                        lent.advance(taken);
                    }
                }
                Sent::Full => {
                    let waiting = Moment::now();
                    py.detach(|| self.exchange.wait_room());
                    if begun.is_none() {
                        self.writing_took(waiting);
                    }
                }
                Sent::Gone => {
                    self.state().gone = true;
                    return Err(Unsent::Gone);
                }
            }
        }
        if let Some(begun) = begun {
            self.writing_took(begun);
        }
        Ok(())
    }

    /// Hands a file over as the whole body, if nothing was sent yet. `len`: bytes from `offset` to the end of the file.
    pub(crate) fn file(&self, py: Attached<'_>, file: std::os::fd::OwnedFd, offset: u64, len: u64) -> bool {
        let mut state = self.state();
        if state.head_sent {
            return false;
        }
        let body_allowed = state.body_allowed;
        let Some(pending) = &mut state.pending else { return false };
        let len = match pending.length {
            Some(length) if length > len => return false,
            Some(length) => length,
            None => {
                pending.length = Some(len);
                pending.headers.push(b"Content-Length", len.to_string().as_bytes());
                len
            }
        };
        self.send_head(&mut state, !body_allowed);
        if !body_allowed {
            state.ended = true;
            return true;
        }
        state.written = len;
        state.outcome.writes += 1;
        state.outcome.bytes_out += len;
        state.ended = true;
        drop(state);
        // This may wait for room in the link.
        py.detach(|| self.exchange.file(file, offset, len));
        true
    }

    /// Ends the response after the iterable is exhausted.
    pub(crate) fn finish(&self) -> ResponseEnd {
        let mut state = self.state();
        if state.ended || state.gone {
            return ResponseEnd::Complete;
        }
        if !state.head_sent {
            if state.pending.is_none() {
                return ResponseEnd::NoHead;
            }
            let missing = match (&state.pending, state.body_allowed) {
                (Some(PendingHead { length: Some(length), status, .. }), true) if *status != 304 => *length,
                _ => 0,
            };
            self.send_head(&mut state, missing == 0);
            state.ended = true;
            return self.end_short(missing);
        }
        state.ended = true;
        let missing = state.length.map_or(0, |length| length - state.written);
        // An empty last piece is always taken.
        if !state.body_allowed {
            let _ = self.exchange.data(&[], true);
            return ResponseEnd::Complete;
        }
        if missing == 0 {
            let _ = self.exchange.data(&[], true);
        }
        self.end_short(missing)
    }

    fn end_short(&self, missing: u64) -> ResponseEnd {
        if missing == 0 {
            return ResponseEnd::Complete;
        }
        self.exchange.abort("the application gave fewer bytes than its Content-Length said");
        ResponseEnd::Short(missing)
    }

    /// Ends the response after a failure of the application. Before the head is sent the client gets an error page of this
    /// status; afterwards the response is cut so that it does not look complete.
    pub(crate) fn fail(&self, status: u16, reason: &str) {
        let mut state = self.state();
        state.outcome.error = true;
        if state.ended {
            return;
        }
        state.ended = true;
        state.pending = None;
        if state.head_sent {
            self.exchange.abort(reason);
            return;
        }
        state.head_sent = true;
        state.outcome.status = status;
        self.exchange.head(&Head {
            status,
            reason: b"",
            headers: &Headers::default(),
            has_length: false,
            worker_error: true,
            end: true,
            application_seconds: self.started.elapsed() as f32 / 1e9,
        });
    }

    /// Ends the request for objects that the application kept; returns its figures.
    pub(crate) fn close(&self) -> Outcome {
        let mut state = self.state();
        state.ended = true;
        state.closed = true;
        state.outcome
    }

    fn send_head(&self, state: &mut ResponseState, end: bool) {
        let Some(pending) = state.pending.take() else { return };
        state.head_sent = true;
        state.length = pending.length;
        state.outcome.status = pending.status;
        self.exchange.head(&Head {
            status: pending.status,
            reason: &pending.reason,
            headers: &pending.headers,
            has_length: pending.length.is_some(),
            worker_error: false,
            end,
            application_seconds: self.started.elapsed() as f32 / 1e9,
        });
    }
}
