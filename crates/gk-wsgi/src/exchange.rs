//! The seam between the PEP 3333 conversation and whatever carries it: one request's body comes in here, its response goes
//! out. The worker's link implements it; an embedded mode or a test implements it otherwise. No frames, no sockets.

use bytes::Bytes;
use gk_wire::response::Headers;
use std::os::fd::OwnedFd;

/// What is there of the request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Some bytes, at least one.
    Bytes(Bytes),
    /// There is no more.
    End,
    /// Not here yet: call [`Exchange::wait_body`], detached.
    Wait,
    /// It will never be complete; the sentence says why.
    Failed(String),
}

/// What became of response bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// So many bytes were taken (perhaps all).
    Took(usize),
    /// The client does not read: call [`Exchange::wait_room`], detached.
    Full,
    /// Nobody wants the response any more.
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
    /// The application gave no response: the front makes the error page.
    pub worker_error: bool,
    /// No body follows.
    pub end: bool,
    /// Seconds from the call of the application to now.
    pub application_seconds: f32,
}

/// One request's two streams. Nothing here blocks but `file` and the two `wait_`
/// functions, and those are called detached.
pub trait Exchange: Send + Sync {
    /// Takes at most `most` bytes of the request body.
    fn body(&self, most: usize) -> Body;
    /// Blocks until [`Exchange::body`] has something else than [`Body::Wait`] to say.
    fn wait_body(&self);
    /// Sends the head. Once, before any data.
    fn head(&self, head: &Head<'_>);
    /// Sends body bytes; `end`: they are the last (only if all of them are taken).
    fn data(&self, data: &[u8], end: bool) -> Sent;
    /// Whether nobody wants the response any more.
    fn is_gone(&self) -> bool;
    /// Blocks until [`Exchange::data`] would not say [`Sent::Full`].
    fn wait_room(&self);
    /// Hands over a file as the whole body: from `offset`, `len` bytes. May block; where it fails, the response is aborted.
    fn file(&self, file: OwnedFd, offset: u64, len: u64);
    /// The response cannot be completed and must not look complete.
    fn abort(&self, reason: &str);
    /// Sends out what was put together until now, for applications that yield block by block.
    fn flush(&self);
}
