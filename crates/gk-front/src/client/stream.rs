//! A client's stream of bytes: its socket, or TLS on it. Nothing here knows HTTP.

pub mod socket;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::stream::socket::Socket;
use crate::client::tls::stream::TlsStream;

/// A client's stream of bytes.
pub enum Stream {
    /// What is sent is what is meant.
    Plain(Socket),
    /// TLS.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// TLS on a socket, before its handshake.
    pub fn tls(socket: Socket) -> Self {
        Self::Tls(Box::new(TlsStream::new(socket)))
    }

    /// The socket. Bytes that are read from it before the handshake are none of TLS.
    pub fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.socket(),
        }
    }

    /// TLS, if it is spoken.
    pub fn as_tls(&mut self) -> Option<&mut TlsStream> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls),
        }
    }

    /// Ready when a byte or the end of the stream may be there.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(socket) => socket.poll_readable(cx),
            Self::Tls(tls) => tls.poll_readable(cx),
        }
    }

    /// Reads what is there.
    pub fn try_read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_read(bytes),
            Self::Tls(tls) => tls.try_read(bytes),
        }
    }

    /// Writes as much as the socket takes at once.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write(bytes),
            Self::Tls(tls) => tls.try_write(bytes),
        }
    }

    /// Whether the other end is gone for good: reset, or closed in both directions.
    pub fn is_gone(&self) -> bool {
        self.socket().is_gone()
    }

    /// Whether bytes can be read, or the end; asks the system.
    pub fn has_bytes(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.has_plain_bytes()) || self.socket().has_bytes()
    }

    /// What was sent is not complete: no end is said to follow it.
    pub fn break_off(&mut self) {
        if let Self::Tls(tls) = self {
            tls.break_off();
        }
    }

    /// Says the end of what is sent, where the protocol has words for it and they were not said.
    pub fn say_end(&mut self) {
        if let Self::Tls(tls) = self {
            tls.say_end();
        }
    }

    /// Bytes of the socket since the last call, received and sent, where they are not those of the stream.
    pub fn take_bytes(&self) -> Option<(u64, u64)> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls.take_bytes()),
        }
    }

    /// Whether the socket took bytes since the last call that an earlier write had left.
    pub fn take_progress(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.take_progress())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(tls) => tls.poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(tls) => tls.poll_write(cx, &[IoSlice::new(buf)]),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => tls.poll_write(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // A socket has no buffer of ours.
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => tls.poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => tls.poll_shutdown(cx),
        }
    }
}
