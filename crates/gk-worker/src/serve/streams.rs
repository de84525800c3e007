//! The two streams of one request on the link: the body that came, the room that its response has, and whether anybody still
//! wants it. The link's reader writes here, the request's thread reads.

use bytes::Bytes;
use gk_wire::frame;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Flow of one request's two streams.
pub(crate) struct RequestStreams {
    pub(crate) id: u32,
    /// Nobody wants the response any more. Written under the link's lock, under which it is waited for.
    gone: AtomicBool,
    flow: Mutex<Flow>,
}

pub(super) struct Flow {
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) body_ended: bool,
    pub(super) room: u32,
    /// Body bytes taken by the application that the front has not been told of.
    pub(super) owed: u32,
}

impl RequestStreams {
    pub(crate) fn new(id: u32, body_ended: bool) -> Self {
        let flow = Flow { pieces: VecDeque::new(), body_ended, room: frame::INITIAL_WINDOW, owed: 0 };
        Self { id, gone: AtomicBool::new(false), flow: Mutex::new(flow) }
    }

    pub(super) fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn body_came(&self, piece: Bytes, end: bool) {
        let mut flow = self.flow();
        if !piece.is_empty() {
            flow.pieces.push_back(piece);
        }
        flow.body_ended |= end;
    }

    pub(crate) fn room_came(&self, bytes: u32) {
        let mut flow = self.flow();
        flow.room = flow.room.saturating_add(bytes);
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
