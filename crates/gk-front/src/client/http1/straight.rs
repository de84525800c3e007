//! Large pieces of a response body on their way past hyper. hyper copies each piece behind the head, so that a small response leaves in one
//! plain send. A large piece costs more copied than the kernel takes for sending it. So a body writes it to the socket itself, as soon as
//! hyper has written what it holds, and then tells hyper how many of the promised bytes are sent ([`Chunk::Sent`]).
//!
//! Only where hyper counts bytes and adds none of its own: the response has a length, or ends with its connection. And only on plain
//! sockets: TLS copies what it encrypts anyway.

use bytes::{Buf, Bytes};
use std::io;
use std::task::{Context, Poll, ready};

use crate::client::connection::Conn;

/// Bytes of a piece that is worth a write of its own.
pub const LEAST: usize = 64 * 1024;
/// Most bytes of a piece. Fewer system calls would follow from more; a client that reads nothing keeps one.
pub const MOST: usize = 256 * 1024;
/// Bytes of the first one that hyper sends with the head. They fit into the buffer that it begins with.
const WITH_HEAD: usize = 4 * 1024;

/// A part of a response body, as hyper takes it.
pub enum Chunk {
    /// Bytes to send.
    Bytes(Bytes),
    /// So many bytes were sent past hyper.
    Sent(usize),
}

/// hyper asks for the number of bytes first and counts them; then it copies slices until there is an empty one. So bytes that were sent
/// count, and nothing of them is copied.
impl Buf for Chunk {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Sent(count) => *count,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Sent(_) => &[],
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Sent(left) => *left -= count,
        }
    }
}

impl From<Chunk> for Bytes {
    fn from(chunk: Chunk) -> Self {
        match chunk {
            Chunk::Bytes(bytes) => bytes,
            Chunk::Sent(_) => Self::new(),
        }
    }
}

/// The way past hyper for one body.
#[derive(Default)]
pub struct Straight {
    /// Bytes of the body that were promised and have not passed; 0 where nothing may go past hyper.
    left: u64,
    /// A piece that is being written.
    piece: Bytes,
}

impl Straight {
    /// For a body of which so many bytes are promised; 0: all of it goes through hyper.
    pub fn new(promised: u64) -> Self {
        Self { left: promised, piece: Bytes::new() }
    }

    /// Whether no piece is being written.
    pub fn is_empty(&self) -> bool {
        self.piece.is_empty()
    }

    /// The next piece of the body. Returns the part that goes through hyper, if any does.
    pub fn pass(&mut self, mut bytes: Bytes, conn: &Conn) -> Option<Bytes> {
        let may = bytes.len() >= LEAST && bytes.len() as u64 <= self.left;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        if !may {
            return Some(bytes);
        }
        let part = conn.is_behind_hyper().then(|| bytes.split_to(WITH_HEAD));
        self.piece = bytes;
        part
    }

    /// Writes the piece. Ready with the number of bytes that the socket took.
    pub fn poll_write(&mut self, conn: &Conn, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if conn.is_behind_hyper() {
            // hyper writes what it holds when it has asked for pieces in vain, and may not ask again by itself. If the socket takes
            // nothing, its readiness wakes the task.
            if !conn.is_stalled() {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let count = ready!(conn.poll_write(cx, &self.piece))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.piece.advance(count);
        if self.piece.is_empty() {
            // A block is given back now, not with the body.
            self.piece = Bytes::new();
            if self.left == 0 {
                // hyper looks for the next request when it has written something, and it does not know that anything was.
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(count))
    }
}

#[cfg(test)]
#[path = "straight_tests.rs"]
mod tests;
