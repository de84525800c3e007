//! An HTTP/2 connection as h2 reads and writes it: the socket, with a look at every frame that passes, and a mark on trailers.

use bytes::{Buf, Bytes};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::connection::Conn;
use crate::client::http2::streams::Streams;
use crate::client::http2::trailers::TrailerMarks;

/// Reads and writes a connection.
pub struct Http2Io {
    conn: Rc<Conn>,
    streams: Rc<Streams>,
    /// Bytes that were read before, and counted then.
    before: Bytes,
    trailers: TrailerMarks,
    /// Bytes that were read, for h2.
    ready: Bytes,
}

impl Http2Io {
    /// `before`: bytes that were already read from the socket.
    pub fn new(conn: &Rc<Conn>, streams: &Rc<Streams>, before: Bytes) -> Self {
        let (conn, streams) = (Rc::clone(conn), Rc::clone(streams));
        Self { conn, streams, before, trailers: TrailerMarks::new(), ready: Bytes::new() }
    }

    /// Reads the client's bytes as they came.
    fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        if self.before.is_empty() {
            ready!(Pin::new(&mut *self.conn.stream()).poll_read(cx, buf))?;
            self.conn.note_received(buf.filled().len() - start);
        } else {
            put(&mut self.before, buf);
        }
        Poll::Ready(Ok(()))
    }
}

/// Moves what has room.
fn put(from: &mut Bytes, buf: &mut ReadBuf<'_>) {
    let piece = from.len().min(buf.remaining());
    buf.put_slice(&from[..piece]);
    from.advance(piece);
}

impl AsyncRead for Http2Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let start = buf.filled().len();
        loop {
            if this.streams.verdict().is_some() {
                // The connection's task looks at the verdict behind each poll of h2.
                buf.set_filled(start);
                return Poll::Pending;
            }
            if !this.ready.is_empty() {
                put(&mut this.ready, buf);
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_bytes(cx, buf))?;
            let bytes = &buf.filled()[start..];
            this.streams.received(bytes);
            let open = |stream| this.streams.is_open(stream);
            let (came, pass) = (bytes.len(), this.trailers.pass(bytes, open));
            if pass < came {
                this.ready = this.trailers.rest(open);
                buf.set_filled(start + pass);
            }
            // Nothing came: the end of the connection.
            if (pass > 0 || came == 0) && this.streams.verdict().is_none() {
                return Poll::Ready(Ok(()));
            }
        }
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
