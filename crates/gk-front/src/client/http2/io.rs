//! An HTTP/2 connection as h2 reads and writes it: the socket, with a look at every frame that passes.

use bytes::{Buf, Bytes};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::connection::Conn;
use crate::client::http2::streams::Streams;

/// Reads and writes a connection.
pub struct Http2Io {
    conn: Rc<Conn>,
    streams: Rc<Streams>,
    /// Bytes that were read before, and counted then.
    before: Bytes,
}

impl Http2Io {
    /// `before`: bytes that were already read from the socket.
    pub fn new(conn: &Rc<Conn>, streams: &Rc<Streams>, before: Bytes) -> Self {
        Self { conn: Rc::clone(conn), streams: Rc::clone(streams), before }
    }
}

impl AsyncRead for Http2Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.streams.verdict().is_some() {
            // The connection's task looks at the verdict behind each poll of h2.
            return Poll::Pending;
        }
        let start = buf.filled().len();
        if this.before.is_empty() {
            ready!(Pin::new(&mut *this.conn.stream()).poll_read(cx, buf))?;
            this.conn.note_received(buf.filled().len() - start);
        } else {
            let piece = this.before.len().min(buf.remaining());
            buf.put_slice(&this.before[..piece]);
            this.before.advance(piece);
        }
        this.streams.received(&buf.filled()[start..]);
        if this.streams.verdict().is_some() {
            buf.set_filled(start);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Http2Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = self.conn.keep_idle(|conn| conn.poll_write(cx, buf));
        if let Poll::Ready(Ok(written)) = &result {
            self.streams.sent(&buf[..*written]);
        }
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = self.conn.keep_idle(|conn| conn.poll_write_vectored(cx, bufs));
        if let Poll::Ready(Ok(written)) = &result {
            let mut left = *written;
            for buf in bufs {
                let piece = left.min(buf.len());
                self.streams.sent(&buf[..piece]);
                left -= piece;
            }
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.conn.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.conn.poll_shutdown(cx)
    }
}
