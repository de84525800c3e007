//! The way out of a link: responses are put together in one buffer and written when a batch is done.

use super::{Link, Out};
use bytes::{Buf, BytesMut};
use gk_sys::fds;
use gk_wire::frame::ToFrontFrame;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

impl Link {
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

    /// Writes everything; waits for the front if need be. A dead front is noticed by the reader.
    pub(crate) fn flush(&self) {
        self.drain(&mut self.out());
    }

    fn drain(&self, out: &mut Out) {
        while !out.buffer.is_empty() {
            let sent = fds::try_send(&self.socket, &out.buffer);
            if !advance(out, sent) {
                wait_writable(&self.socket);
            }
        }
        out.since = None;
        out.responses = 0;
    }

    /// Writes what the socket takes without waiting.
    pub(crate) fn try_flush(&self) {
        let mut out = self.out();
        while !out.buffer.is_empty() {
            let sent = fds::try_send(&self.socket, &out.buffer);
            if !advance(&mut out, sent) {
                return;
            }
        }
        out.since = None;
        out.responses = 0;
    }

    /// Sends a frame with a descriptor riding on its first byte.
    pub(crate) fn send_with(&self, frame: &ToFrontFrame<'_>, file: &OwnedFd) {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        let mut out = self.out();
        self.drain(&mut out);
        if let Ok(sent) = fds::send(&self.socket, &bytes, &[file.as_fd()]) {
            // The stream rarely takes a part of so few bytes; the rest then goes first.
            out.buffer.extend_from_slice(&bytes[sent..]);
        }
    }
}

/// `false`: the socket is full.
fn advance(out: &mut Out, sent: std::io::Result<usize>) -> bool {
    match sent {
        Ok(bytes) => {
            if bytes == out.buffer.len() {
                out.buffer.clear();
            } else {
                out.buffer.advance(bytes);
            }
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
        Err(_) => {
            out.buffer.clear();
            true
        }
    }
}

fn wait_writable(socket: &OwnedFd) {
    let mut poll = [rustix::event::PollFd::new(socket, rustix::event::PollFlags::OUT)];
    let _ = rustix::event::poll(&mut poll, None);
}
