//! What a connection sends, whatever HTTP is spoken: each write with a note of how it went.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

use crate::client::connection::Conn;
use crate::client::stream::Stream;

impl Conn {
    /// Writes to the socket.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.stream()).poll_write(cx, buf);
        self.note_write(&result);
        result
    }

    /// Writes several pieces to the socket.
    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.stream()).poll_write_vectored(cx, bufs);
        self.note_write(&result);
        result
    }

    /// Sees to it that the socket takes everything.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.stream()).poll_flush(cx);
        self.note_flush(flushed.is_ready());
        flushed
    }

    /// hyper gets bytes to write.
    pub(crate) fn let_hyper_write(&self) {
        self.behind_hyper.set(true);
    }

    /// hyper has written everything that it got.
    pub(crate) fn note_written(&self) {
        self.behind_hyper.set(false);
    }

    /// Whether hyper may hold bytes that it has not written: none may go past them.
    pub(crate) fn is_behind_hyper(&self) -> bool {
        self.behind_hyper.get()
    }

    /// Whether a write waits for the socket.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.get()
    }

    /// Whether what is written goes to the socket as it is.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(&*self.stream.borrow(), Stream::Plain(_))
    }

    /// Ends what is sent.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_shutdown(cx)
    }

    /// A write of HTTP/2: an idle client stays idle when it gets an answer to a PING.
    pub(crate) fn keep_idle<T>(&self, write: impl FnOnce(&Self) -> Poll<T>) -> Poll<T> {
        let idle_since = self.is_idle().then(|| self.since.get());
        let result = write(self);
        if let (Some(since), Poll::Ready(_)) = (idle_since, &result) {
            self.since.set(since);
        }
        result
    }

    /// A write to the socket succeeded, or has to wait.
    pub(crate) fn note_write(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(n)) => {
                self.sent.set(self.sent.get() + *n as u64);
                self.stalled.set(false);
                self.progress();
            }
            Poll::Pending if !self.stalled.replace(true) => self.progress(),
            _ => {}
        }
    }

    /// Whether the socket has taken everything. Plain sockets hold nothing back.
    fn note_flush(&self, flushed: bool) {
        if !flushed {
            if !self.stalled.replace(true) || self.stream.borrow().take_progress() {
                self.progress();
            }
        } else if self.stalled.replace(false) {
            self.progress();
        }
    }
}
