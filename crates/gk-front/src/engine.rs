//! The seam between the front and an *engine*, which runs applications. The workers ([`crate::worker`]) are the one engine so far: a
//! queue and links per process group. An engine answers a request through [`Exchange`] and asks about its client through
//! [`Client`]; it knows no sockets of clients, and [`crate::answer`] knows no workers. Generic code, so the seam costs a request
//! nothing.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

/// Most bytes of a piece that is copied on its way to the client, which is cheap as long as they stay in the processor's cache.
pub const COPIED: usize = 128 * 1024;

/// A request that an engine has taken, from the front's side. Dropping it cancels the request.
pub trait Exchange {
    /// Ready once the response head is there, or will never be.
    fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>>;

    /// Takes the head that [`Exchange::poll_head`] waited for, and the part of the body that is there. `headers` is emptied and
    /// gets the response's fields.
    fn take_head(&self, headers: &mut HeaderMap) -> (ResponseHead, BodyStart);

    /// The next piece of the body, of so many bytes at most; `None` at its end. Taking a piece lets the application send more.
    fn poll_piece(&self, cx: &mut Context<'_>, most: usize) -> Poll<Option<Result<Piece, Failure>>>;

    /// Whether the whole response was taken and nothing went wrong.
    fn is_finished(&self) -> bool;
}

/// The client of a request that waits in an engine's queue.
pub trait Client {
    /// Whether the client is gone for good.
    fn is_gone(&self) -> bool;

    /// Ends the client's connection, and with it the wait.
    fn disconnect(&self);
}

/// A response head as an application gave it.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// Status.
    pub status: StatusCode,
    /// Reason phrase, where it differs from the usual one.
    pub reason: Option<Vec<u8>>,
    /// `Content-Length`, which is not among the headers.
    pub length: Option<u64>,
    /// The application sent a `Server` header.
    pub server: bool,
    /// Bytes of the longest header line.
    pub longest: usize,
    /// The application asked to close the connection.
    pub close: bool,
    /// The engine made this head itself: the application produced no response.
    pub worker_error: bool,
    /// Seconds from the call of the application to its head.
    pub application_seconds: f32,
    /// Why the head cannot be sent, if it cannot.
    pub bad: Option<&'static str>,
}

/// The part of a response body that came with its head.
pub enum BodyStart {
    /// All of it.
    Whole(Bytes),
    /// All of it, as a file.
    File(FileSlice),
    /// More will come through [`Exchange::poll_piece`].
    Streamed,
}

/// A piece of a response body.
pub enum Piece {
    /// Bytes.
    Data(Bytes),
    /// The rest, as a file.
    File(FileSlice),
}

/// A range of an open file.
#[derive(Debug)]
pub struct FileSlice {
    /// Open for reading.
    pub file: OwnedFd,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
}

/// Why an engine cannot complete a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The process ended before a request thread began the request: another one may serve it.
    NotStarted,
    /// The process ended while it served the request.
    Died,
    /// The process that serves the request does not run at the moment. Said once; the head may still come.
    Silent,
    /// Nothing came for `socket-timeout`.
    TimedOut,
    /// The process says that the response cannot be completed.
    Aborted(String),
}
