//! The seam between the PEP 3333 conversation and its transport: the request body comes in, the response goes out. The
//! worker's link implements it; an embedded mode or a test can do so in another way. It knows no frames and no sockets.

use bytes::Bytes;
use gk_wire::response::Headers;
use std::os::fd::OwnedFd;

/// Next piece of the request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Some bytes, at least one.
    Bytes(Bytes),
    /// The body is over.
    End,
    /// Nothing has arrived yet: call [`Exchange::wait_body`], detached.
    Wait,
    /// The body will never be complete; the text says why.
    Failed(String),
}

/// Result of sending response bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// This many bytes were taken, all or a part.
    Took(usize),
    /// The client does not read: call [`Exchange::wait_room`], detached.
    Full,
    /// The client is gone.
    Gone,
}

/// A response head.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Three-digit status.
    pub status: u16,
    /// Reason phrase.
    pub reason: &'a [u8],
    /// Headers.
    pub headers: &'a Headers,
    /// The headers say how long the body is.
    pub has_length: bool,
    /// The application gave no response: the front sends an error page.
    pub worker_error: bool,
    /// No body follows.
    pub end: bool,
    /// Seconds since the request was taken.
    pub application_seconds: f32,
}

/// The two streams of one request. Only `file` and the two `wait_` functions block; they are called detached.
pub trait Exchange: Send + Sync {
    /// Takes at most `most` bytes of the request body.
    fn body(&self, most: usize) -> Body;
    /// Blocks until [`Exchange::body`] no longer returns [`Body::Wait`].
    fn wait_body(&self);
    /// Length of the request body in bytes; `None` if it is not known.
    fn body_length(&self) -> Option<u64>;
    /// After [`Body::End`]: the body begins again.
    fn rewind(&self);
    /// Sends the head. Once, before any data.
    fn head(&self, head: &Head<'_>);
    /// Sends body bytes. `end`: they are the last ones, if all of them are taken.
    fn data(&self, data: &[u8], end: bool) -> Sent;
    /// Whether [`Exchange::lend`] is to be called for large pieces: the bytes are sent from where they lie.
    fn borrows(&self) -> bool {
        false
    }
    /// As [`Exchange::data`], without a copy.
    fn lend(&self, data: &Bytes, end: bool) -> Sent {
        self.data(data, end)
    }
    /// Returns true if the client is gone.
    fn is_gone(&self) -> bool;
    /// Blocks until [`Exchange::data`] no longer returns [`Sent::Full`].
    fn wait_room(&self);
    /// Hands over `len` bytes of a file from `offset` as the whole body. May block; aborts the response if it fails.
    fn file(&self, file: OwnedFd, offset: u64, len: u64);
    /// Aborts the response so that it does not look complete.
    fn abort(&self, reason: &str);
    /// Sends collected frames now, for applications that yield block by block.
    fn flush(&self);
}
