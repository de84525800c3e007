//! One request on the link: what came of its body, how much room its response has, whether it is still wanted. The part
//! that the link's reader touches is [`LinkExchange`]; [`Served`] joins it with the link for the conversation.

use crate::serve::link::Link;
use bytes::Bytes;
use gk_wire::frame::{self, ToFrontFrame};
use gk_wire::response::HeadWriter;
use gk_wsgi::{Body, Exchange, Head, Sent};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// State of one request's two streams.
pub(crate) struct LinkExchange {
    pub(crate) id: u32,
    /// Nobody wants the response any more. Written under the link's lock, under which it is waited for.
    gone: AtomicBool,
    state: Mutex<State>,
}

struct State {
    pieces: VecDeque<Bytes>,
    body_ended: bool,
    room: u32,
    /// Body bytes taken by the application that the front has not been told of.
    owed: u32,
}

impl LinkExchange {
    pub(crate) fn new(id: u32, body_ended: bool) -> Self {
        let state = State { pieces: VecDeque::new(), body_ended, room: frame::INITIAL_WINDOW, owed: 0 };
        Self { id, gone: AtomicBool::new(false), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn body_came(&self, piece: Bytes, end: bool) {
        let mut state = self.state();
        if !piece.is_empty() {
            state.pieces.push_back(piece);
        }
        state.body_ended |= end;
    }

    pub(crate) fn room_came(&self, bytes: u32) {
        let mut state = self.state();
        state.room = state.room.saturating_add(bytes);
    }

    /// The front cancelled it, or is gone.
    pub(crate) fn cancelled(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Whether nobody wants the response any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

/// A request being served: its exchange and the link it came by.
pub(crate) struct Served {
    pub(crate) link: Arc<Link>,
    pub(crate) exchange: Arc<LinkExchange>,
}

impl Served {
    /// Waits until `ready`, or until it can never be: the request was cancelled, or the link is closed.
    fn wait_for(&self, ready: impl Fn(&State) -> bool) {
        self.link.wait_for(|| ready(&self.exchange.state()) || self.exchange.is_gone());
        if !ready(&self.exchange.state()) {
            // Who closed the link may have told nobody; asking again would never end.
            self.exchange.cancelled();
        }
    }
}

impl Exchange for Served {
    fn body(&self, most: usize) -> Body {
        let mut state = self.exchange.state();
        let Some(mut piece) = state.pieces.pop_front() else {
            return match (state.body_ended, self.exchange.is_gone()) {
                (true, _) => Body::End,
                (false, true) => Body::Failed("the client or the front has gone".to_owned()),
                (false, false) => Body::Wait,
            };
        };
        if piece.len() > most {
            let rest = piece.split_off(most);
            state.pieces.push_front(rest);
        }
        state.owed += piece.len() as u32;
        let tell = state.owed >= frame::INITIAL_WINDOW / 4 && !state.body_ended;
        let owed = if tell { std::mem::take(&mut state.owed) } else { 0 };
        drop(state);
        if tell {
            self.link.outbox().send(&ToFrontFrame::Credit { id: self.exchange.id, bytes: owed });
            self.link.outbox().try_flush();
        }
        Body::Bytes(piece)
    }

    fn wait_body(&self) {
        self.wait_for(|state| !state.pieces.is_empty() || state.body_ended);
    }

    fn head(&self, head: &Head<'_>) {
        let mut flags = 0;
        for (bit, set) in [
            (frame::END, head.end),
            (frame::WORKER_ERROR, head.worker_error),
            (frame::HAS_LENGTH, head.has_length),
        ] {
            flags |= if set { bit } else { 0 };
        }
        self.link.outbox().put(|out| {
            let mut writer = HeadWriter::begin(
                out,
                self.exchange.id,
                flags,
                head.status,
                head.reason,
                head.application_seconds,
            );
            writer.headers(head.headers);
            writer.finish();
        });
    }

    fn data(&self, data: &[u8], end: bool) -> Sent {
        let len = {
            if self.exchange.is_gone() {
                return Sent::Gone;
            }
            let mut state = self.exchange.state();
            let len = data.len().min(frame::CHUNK).min(state.room as usize);
            if len == 0 && !data.is_empty() {
                return Sent::Full;
            }
            state.room -= len as u32;
            len
        };
        let end = end && len == data.len();
        self.link.outbox().send(&ToFrontFrame::Data { id: self.exchange.id, end, data: &data[..len] });
        Sent::Took(len)
    }

    fn is_gone(&self) -> bool {
        self.exchange.is_gone()
    }

    fn wait_room(&self) {
        self.wait_for(|state| state.room > 0);
    }

    fn file(&self, file: OwnedFd, offset: u64, len: u64) {
        if !self.link.outbox().send_with(&ToFrontFrame::File { id: self.exchange.id, offset, len }, &file) {
            self.abort("the file could not be handed to the front");
        }
    }

    fn abort(&self, reason: &str) {
        let most = reason.len().min(200);
        let reason = reason.get(..most).unwrap_or("the response failed");
        self.link.outbox().send(&ToFrontFrame::Abort { id: self.exchange.id, reason });
    }

    fn flush(&self) {
        self.link.outbox().try_flush();
    }
}
