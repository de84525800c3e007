//! One request of the link: its frame and profile, and its two streams: the body received so far, the bytes that the response may still
//! send, and whether the request was cancelled. The link's reader writes, the request's thread reads.

use bytes::Bytes;
use gk_wire::frame;
use gk_wsgi::application::NumberedProfile;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A request, and the flow of its two streams.
pub(crate) struct RequestStreams {
    pub(crate) id: u32,
    /// Payload of its frame.
    pub(crate) payload: Box<[u8]>,
    pub(crate) profile: Arc<NumberedProfile>,
    /// The request was cancelled. Written under the link's lock, which a waiting thread holds when it checks.
    gone: AtomicBool,
    flow: Mutex<Flow>,
}

/// Body and window of one request.
pub(super) struct Flow {
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) body_ended: bool,
    /// Bytes that the response may send before the next credit.
    pub(super) room: u32,
    /// Much of the response waits for the ring.
    pub(super) crowds: bool,
    /// A piece of the response was sent that is not its last.
    pub(super) begun: bool,
    /// Body bytes that the application has read and that the front has no credit for yet.
    pub(super) owed: u32,
}

impl RequestStreams {
    /// `wide`: the front keeps more of the response than it must.
    pub(crate) fn new(
        id: u32,
        body_ended: bool,
        wide: bool,
        payload: Box<[u8]>,
        profile: Arc<NumberedProfile>,
    ) -> Self {
        let room = if wide { frame::WIDE_WINDOW } else { frame::INITIAL_WINDOW };
        let flow = Flow { pieces: VecDeque::new(), body_ended, room, crowds: false, begun: false, owed: 0 };
        Self { id, payload, profile, gone: AtomicBool::new(false), flow: Mutex::new(flow) }
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

    /// Returns true if a part of the response was sent and more is to come.
    pub(crate) fn has_begun(&self) -> bool {
        self.flow().begun
    }

    /// The front cancelled the request, or is gone.
    pub(crate) fn cancelled(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Returns true if the request was cancelled or the front is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}
