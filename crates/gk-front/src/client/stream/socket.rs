//! A client's socket: TCP or Unix. What is spoken on it, plain or TLS, is in [`crate::client::stream`].

use gk_sys::fork;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, getsockname, recv};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::client::endpoints::Endpoints;

/// A client's socket.
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

impl Socket {
    /// A connected socket, and the addresses of its ends.
    pub fn of(socket: OwnedFd) -> io::Result<(Self, Endpoints)> {
        if getsockname(&socket)?.address_family() == AddressFamily::UNIX {
            return Ok((Self::Unix(UnixStream::from_std(socket.into())?), Endpoints::unix()));
        }
        let stream = TcpStream::from_std(socket.into())?;
        let endpoints = Endpoints::tcp(stream.peer_addr()?, stream.local_addr()?);
        Ok((Self::Tcp(stream), endpoints))
    }

    /// The same one under a number that children of this process do not get. An error: no such number is left.
    pub fn withheld(self) -> io::Result<Self> {
        match self {
            Self::Tcp(s) => Ok(Self::Tcp(TcpStream::from_std(fork::withheld(&s.into_std()?)?.into())?)),
            Self::Unix(s) => Ok(Self::Unix(UnixStream::from_std(fork::withheld(&s.into_std()?)?.into())?)),
        }
    }

    /// Ready when a byte or the end of the stream is there.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(s) => s.poll_read_ready(cx).map(drop),
            Self::Unix(s) => s.poll_read_ready(cx).map(drop),
        }
    }

    /// Ready when a byte can be written, or nobody will take one any more.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(s) => s.poll_write_ready(cx).map(drop),
            Self::Unix(s) => s.poll_write_ready(cx).map(drop),
        }
    }

    /// Reads what is there.
    pub fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.try_read(bytes),
            Self::Unix(s) => s.try_read(bytes),
        }
    }

    /// Writes as much as the socket takes at once.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.try_write(bytes),
            Self::Unix(s) => s.try_write(bytes),
        }
    }

    /// The same with several buffers.
    pub fn try_write_vectored(&self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(s) => s.try_write_vectored(bytes),
            Self::Unix(s) => s.try_write_vectored(bytes),
        }
    }

    /// Whether the other end is gone for good: reset, or closed in both directions. The event loop knows: thousands of requests may
    /// wait, and a system call for each, several times a second, would be dear.
    pub fn is_gone(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
        let ready = match self {
            Self::Tcp(s) => pin!(s.ready(interest)).poll(&mut cx),
            Self::Unix(s) => pin!(s.ready(interest)).poll(&mut cx),
        };
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_write_closed() || ready.is_error())
    }

    /// Whether bytes can be read; asks the system.
    pub fn has_request(&self) -> bool {
        matches!(recv(self, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT), Ok((_, n)) if n > 0)
    }

    /// Whether bytes can be read, or the end; asks the system.
    pub fn has_bytes(&self) -> bool {
        let mut fds = [PollFd::new(self, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(n) if n > 0)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(s) => s.as_fd(),
            Self::Unix(s) => s.as_fd(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Self::Unix(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Self::Unix(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has no buffer of ours.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Self::Unix(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
