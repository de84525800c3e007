//! Frames of the request threads to the front: collected in one buffer, pushed into the link's ring response by response.
//! This file and `link` decide when a batch is due and the front is woken; `exchange` fills the frames. A child that the
//! application forked has a copy of it and sends nothing: the ring is its parent's.

use bytes::{Buf, Bytes, BytesMut};
use gk_sys::clock::Moment;
use gk_sys::event_loop::EventLoop;
use gk_sys::fork;
use gk_sys::memory::channel::blocks::{Blocks, Draft};
use gk_sys::memory::channel::{Room, Sender};
use gk_sys::memory::loans;
use gk_wire::frame::ToFrontFrame;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes in the buffer above which it is written at once.
const FLUSH_AT: usize = 32 * 1024;
/// Bytes in the buffer above which a response waits for the ring.
const CROWDED: usize = 256 * 1024;
/// Finished responses before a sleeping front is woken: more would leave it idle, fewer cost more system calls.
const FLUSH_EVERY: u32 = 8;
/// Longest wait of a finished response for others of its batch, in nanoseconds.
const LINGER: u64 = 200_000;

/// The sending half of a link.
pub(crate) struct Outbox {
    out: Mutex<OutBuffer>,
    room: Room,
    blocks: Blocks,
    /// The front's, if that is in this process.
    event_loop: Option<Arc<EventLoop>>,
}

struct OutBuffer {
    sender: Sender,
    buffer: BytesMut,
    /// Time of the oldest frame that the front has not been woken for.
    since: Option<Moment>,
    /// Number of responses that ended since then.
    responses: u32,
    /// A block came since then: it takes the front a while to send it.
    large: bool,
}

impl Outbox {
    pub(crate) fn new(sender: Sender, event_loop: Option<Arc<EventLoop>>) -> Self {
        let (room, blocks) = (sender.room(), sender.blocks());
        let buffer = BytesMut::with_capacity(FLUSH_AT);
        let out = OutBuffer { sender, buffer, since: None, responses: 0, large: false };
        Self { out: Mutex::new(out), room, blocks, event_loop }
    }

    fn out(&self) -> MutexGuard<'_, OutBuffer> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `write` append to the buffer.
    pub(crate) fn put(&self, write: impl FnOnce(&mut BytesMut)) {
        if fork::is_child() {
            return;
        }
        let mut out = self.out();
        write(&mut out.buffer);
        out.since.get_or_insert_with(Moment::now);
    }

    /// Appends a frame.
    pub(crate) fn send(&self, frame: &ToFrontFrame<'_>) {
        self.put(|buffer| frame.encode(buffer));
    }

    /// Appends a piece of a response; returns true if much waits for the ring.
    pub(crate) fn send_piece(&self, frame: &ToFrontFrame<'_>) -> bool {
        let mut out = self.out();
        frame.encode(&mut out.buffer);
        out.since.get_or_insert_with(Moment::now);
        out.buffer.len() > CROWDED
    }

    /// A block for a large piece of a response, if there is room.
    pub(crate) fn draft(&self, len: usize) -> Option<Draft<'_>> {
        self.blocks.draft(len)
    }

    /// Appends a piece of a response that is a block.
    pub(crate) fn send_block(&self, id: u32, end: bool, block: Draft<'_>) {
        let mut out = self.out();
        ToFrontFrame::Block { id, end, place: block.hand_over() }.encode(&mut out.buffer);
        out.since.get_or_insert_with(Moment::now);
        out.large = true;
    }

    /// Appends a piece of a response that stays where it is: the front is in this process.
    pub(crate) fn send_lent(&self, id: u32, end: bool, piece: Bytes) {
        let mut out = self.out();
        ToFrontFrame::Lent { id, end, number: loans::lend(piece) }.encode(&mut out.buffer);
        out.since.get_or_insert_with(Moment::now);
        out.large = true;
    }

    /// Counts a response that ended at `ended` and pushes it; returns true if a sleeping front should be woken.
    pub(crate) fn response_ended(&self, ended: Moment) -> bool {
        let mut out = self.out();
        out.responses += 1;
        out.push();
        out.responses >= FLUSH_EVERY || out.large || out.buffer.len() > FLUSH_AT || out.overdue(ended)
    }

    /// Returns true if a frame has waited longer than `LINGER`.
    pub(crate) fn overdue(&self, now: Moment) -> bool {
        self.out().overdue(now)
    }

    /// Whether something waits for room in the ring.
    pub(crate) fn waits(&self) -> bool {
        !self.out().buffer.is_empty()
    }

    /// Writes everything; waits for the front without the lock if the ring is full. The reader notices a dead front.
    pub(crate) fn flush(&self) {
        while !self.try_flush() {
            self.wait_for_room();
        }
    }

    /// Blocks until the ring has room or the front is gone. In embedded mode the thread runs the front meanwhile.
    fn wait_for_room(&self) {
        match &self.event_loop {
            Some(event_loop) => event_loop.watch_until(|| self.room.want()),
            None => self.room.wait(),
        }
    }

    /// Whether the front is gone.
    fn is_for_nobody(&self) -> bool {
        self.event_loop.as_ref().map_or_else(|| self.room.peer_closed(), |event_loop| event_loop.has_ended())
    }

    /// Writes as much as the ring takes and wakes the front; returns true if that was everything.
    pub(crate) fn try_flush(&self) -> bool {
        // In a forked child the lock may be held for ever.
        fork::is_child() || self.write(&mut self.out())
    }

    /// Sends a frame with a descriptor after everything in the buffer; blocks while the ring is full. Returns true if the
    /// descriptor was sent.
    pub(crate) fn send_with(&self, frame: &ToFrontFrame<'_>, file: &OwnedFd) -> bool {
        loop {
            let mut out = self.out();
            if self.write(&mut out) {
                let attached = out.sender.attach(&[file.as_fd()]).is_ok();
                if attached {
                    frame.encode(&mut out.buffer);
                    out.since.get_or_insert_with(Moment::now);
                }
                return attached;
            }
            drop(out);
            self.wait_for_room();
        }
    }

    fn write(&self, out: &mut OutBuffer) -> bool {
        out.push();
        out.sender.wake();
        if !out.buffer.is_empty() {
            if !self.is_for_nobody() {
                return false;
            }
            out.buffer.clear();
        }
        out.since = None;
        out.responses = 0;
        out.large = false;
        true
    }
}

impl OutBuffer {
    /// Moves as much as the ring takes from the buffer into it.
    fn push(&mut self) {
        match self.sender.push(&self.buffer) {
            Ok(count) if count == self.buffer.len() => self.buffer.clear(),
            Ok(count) => self.buffer.advance(count),
            // The front has damaged the ring; the reader ends the link.
            Err(_) => self.buffer.clear(),
        }
    }

    fn overdue(&self, now: Moment) -> bool {
        self.since.is_some_and(|since| now.since(since) > LINGER)
    }
}
