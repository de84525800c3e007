//! What the request threads send to the front: frames put together in one buffer, written when a batch of responses is due.
//! When that is, is decided here and in `link`; what is in them, in `exchange`.

use bytes::{Buf, BytesMut};
use gk_sys::fds;
use gk_wire::frame::ToFrontFrame;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of responses that are put together before they are written in any case.
const FLUSH_AT: usize = 32 * 1024;
/// So many finished responses are written together: more would leave the front idle meanwhile, fewer cost more calls.
const FLUSH_EVERY: u32 = 8;
/// A finished response waits at most this long for others of its batch.
const LINGER: Duration = Duration::from_micros(200);

/// The sending half of a link. Owns the socket, which the receiving half borrows.
pub(crate) struct Outbox {
    socket: OwnedFd,
    out: Mutex<Out>,
}

struct Out {
    buffer: BytesMut,
    /// Since when the oldest frame has been waiting.
    since: Option<Instant>,
    /// Responses that ended in the buffer.
    responses: u32,
}

impl Outbox {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        let out = Out { buffer: BytesMut::with_capacity(FLUSH_AT), since: None, responses: 0 };
        Self { socket, out: Mutex::new(out) }
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends whatever `write` puts into the buffer.
    pub(crate) fn put(&self, write: impl FnOnce(&mut BytesMut)) {
        let mut out = self.out();
        write(&mut out.buffer);
        out.since.get_or_insert_with(Instant::now);
    }

    /// Appends a frame.
    pub(crate) fn send(&self, frame: &ToFrontFrame<'_>) {
        self.put(|buffer| frame.encode(buffer));
    }

    /// Counts a response that ended in the buffer at `ended`; whether it is time to write.
    pub(crate) fn response_ended(&self, ended: Instant) -> bool {
        let mut out = self.out();
        out.responses += 1;
        out.responses >= FLUSH_EVERY || out.buffer.len() > FLUSH_AT || out.overdue(ended)
    }

    /// Whether something has waited too long.
    pub(crate) fn overdue(&self, now: Instant) -> bool {
        self.out().overdue(now)
    }

    /// Writes everything; waits for the front if need be, without the lock. A dead front is noticed by the reader.
    pub(crate) fn flush(&self) {
        while !self.try_flush() {
            wait_writable(&self.socket);
        }
    }

    /// Writes what the socket takes without waiting; whether that was all.
    pub(crate) fn try_flush(&self) -> bool {
        self.write(&mut self.out())
    }

    /// Sends a frame with a descriptor riding on its first byte, behind all that waits.
    pub(crate) fn send_with(&self, frame: &ToFrontFrame<'_>, file: &OwnedFd) {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        let mut out = self.out();
        while !self.write(&mut out) {
            wait_writable(&self.socket);
        }
        if let Ok(sent) = fds::send(&self.socket, &bytes, &[file.as_fd()]) {
            // The stream rarely takes a part of so few bytes; the rest then goes first.
            out.buffer.extend_from_slice(&bytes[sent..]);
        }
    }

    fn write(&self, out: &mut Out) -> bool {
        while !out.buffer.is_empty() {
            match fds::try_send(&self.socket, &out.buffer) {
                Ok(bytes) if bytes == out.buffer.len() => out.buffer.clear(),
                Ok(bytes) => out.buffer.advance(bytes),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
                Err(_) => out.buffer.clear(),
            }
        }
        out.since = None;
        out.responses = 0;
        true
    }
}

impl Out {
    fn overdue(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) > LINGER)
    }
}

fn wait_writable(socket: &OwnedFd) {
    let mut poll = [rustix::event::PollFd::new(socket, rustix::event::PollFlags::OUT)];
    let _ = rustix::event::poll(&mut poll, None);
}
