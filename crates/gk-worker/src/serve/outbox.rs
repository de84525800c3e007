//! What the request threads send to the front: frames put together in one buffer, which goes into the link's ring response by
//! response; the front is woken when a batch of responses is due. When that is, is decided here and in `link`; what is in
//! them, in `exchange`.

use bytes::{Buf, BytesMut};
use gk_sys::clock::Moment;
use gk_sys::memory::channel::{Room, Sender};
use gk_wire::frame::ToFrontFrame;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that are put together before they are written in any case.
const FLUSH_AT: usize = 32 * 1024;
/// After so many finished responses a front that sleeps is woken: more would leave it idle meanwhile, fewer cost more calls.
const FLUSH_EVERY: u32 = 8;
/// Nanoseconds that a finished response waits at most for others of its batch.
const LINGER: u64 = 200_000;

/// The sending half of a link.
pub(crate) struct Outbox {
    out: Mutex<Out>,
    room: Room,
}

struct Out {
    sender: Sender,
    buffer: BytesMut,
    /// Since when the front has not been told of the oldest frame.
    since: Option<Moment>,
    /// Responses that ended since then.
    responses: u32,
}

impl Outbox {
    pub(crate) fn new(sender: Sender) -> Self {
        let room = sender.room();
        let out = Out { sender, buffer: BytesMut::with_capacity(FLUSH_AT), since: None, responses: 0 };
        Self { out: Mutex::new(out), room }
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends whatever `write` puts into the buffer.
    pub(crate) fn put(&self, write: impl FnOnce(&mut BytesMut)) {
        let mut out = self.out();
        write(&mut out.buffer);
        out.since.get_or_insert_with(Moment::now);
    }

    /// Appends a frame.
    pub(crate) fn send(&self, frame: &ToFrontFrame<'_>) {
        self.put(|buffer| frame.encode(buffer));
    }

    /// Counts a response that ended in the buffer at `ended`, and lets a front that is awake have it; whether it is time to
    /// wake one that sleeps.
    pub(crate) fn response_ended(&self, ended: Moment) -> bool {
        let mut out = self.out();
        out.responses += 1;
        out.push();
        out.responses >= FLUSH_EVERY || out.buffer.len() > FLUSH_AT || out.overdue(ended)
    }

    /// Whether something has waited too long.
    pub(crate) fn overdue(&self, now: Moment) -> bool {
        self.out().overdue(now)
    }

    /// Writes everything; waits for the front if need be, without the lock. A dead front is noticed by the reader.
    pub(crate) fn flush(&self) {
        while !self.try_flush() {
            self.room.wait();
        }
    }

    /// Writes what the ring takes, and wakes the front; whether that was all.
    pub(crate) fn try_flush(&self) -> bool {
        self.write(&mut self.out())
    }

    /// Sends a frame with a descriptor, behind all that waits; blocks while there is no room. Whether the descriptor went out.
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
            self.room.wait();
        }
    }

    fn write(&self, out: &mut Out) -> bool {
        out.push();
        out.sender.wake();
        if !out.buffer.is_empty() {
            if !self.room.is_alone() {
                return false;
            }
            out.buffer.clear();
        }
        out.since = None;
        out.responses = 0;
        true
    }
}

impl Out {
    /// Puts into the ring what it takes.
    fn push(&mut self) {
        match self.sender.push(&self.buffer) {
            Ok(count) if count == self.buffer.len() => self.buffer.clear(),
            Ok(count) => self.buffer.advance(count),
            // The front has spoilt the ring; its reader ends the link.
            Err(_) => self.buffer.clear(),
        }
    }

    fn overdue(&self, now: Moment) -> bool {
        self.since.is_some_and(|since| now.since(since) > LINGER)
    }
}
