//! A connection as hyper reads and writes it: the socket, with a note of every byte in the connection's state.

use bytes::Bytes;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::connection::Conn;

/// Reads and writes a connection.
pub struct ClientIo {
    conn: Rc<Conn>,
    /// Bytes to be read before those of the socket.
    before: Bytes,
}

impl ClientIo {
    /// `before`: bytes that were already read from the socket.
    pub fn new(conn: &Rc<Conn>, before: Bytes) -> Self {
        Self { conn: Rc::clone(conn), before }
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let most = self.before.len().min(buf.remaining());
            let this = self.get_mut();
            let bytes = this.before.split_to(most);
            // They were counted when they came, but as part of the request before.
            this.conn.see(&bytes);
            buf.put_slice(&bytes);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut *self.conn.stream()).poll_read(cx, buf);
        self.conn.note_read(&buf.filled()[before..]);
        result
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.conn.stream()).poll_write(cx, buf);
        self.conn.note_write(&result);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut *self.conn.stream()).poll_write_vectored(cx, bufs);
        self.conn.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper calls this when its own buffer is empty.
        self.conn.finish_entry();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.conn.stream()).poll_shutdown(cx)
    }
}
