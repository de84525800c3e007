//! A connection as hyper reads and writes it: the socket, with a note of every byte in the connection's state. hyper gets one
//! request at a time, so that the state of a connection is always about one, and a request line without bytes that it
//! does not take ([`crate::request::target`]).

use bytes::Bytes;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::client::connection::Conn;
use crate::client::http1::framing::{Found, RequestScan};
use crate::request::target;

/// The answer to a request of another major version of HTTP. hyper has a 400 for it.
const OTHER_VERSION: &[u8] =
    b"HTTP/1.1 505 HTTP Version Not Supported\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Most bytes of a body that are read at once. hyper's buffer is smaller with the standard limits, and then it is read into as it is.
const PIECE: usize = 80 * 1024;

/// Reads and writes a connection.
pub struct ClientIo {
    conn: Rc<Conn>,
    scan: RequestScan,
    /// Bytes of the next requests. They came with the end of the request before, and were counted then.
    next: Bytes,
    /// Start of a request line of which the end has not come.
    line: Vec<u8>,
    /// Bytes for hyper that are not those of the socket, from `given` on.
    changed: Vec<u8>,
    given: usize,
    /// The body went wrong behind `changed`.
    malformed: bool,
    /// Status with which a request was refused before its head was complete.
    refused: Option<u16>,
}

impl ClientIo {
    /// `next`: bytes that were already read from the socket.
    pub fn new(conn: &Rc<Conn>, next: Bytes) -> Self {
        Self {
            conn: Rc::clone(conn),
            scan: RequestScan::default(),
            next,
            line: Vec::new(),
            changed: Vec::new(),
            given: 0,
            malformed: false,
            refused: None,
        }
    }

    /// To read and drop what comes: nothing of it is a request.
    pub fn to_drop(conn: &Rc<Conn>) -> Self {
        let mut io = Self::new(conn, Bytes::new());
        io.scan.lose(&[]);
        io
    }

    /// Status with which a request was refused before its head was complete.
    pub fn refused(&self) -> Option<u16> {
        self.refused
    }

    fn refuse_version(&mut self) {
        self.refused = Some(505);
        // A socket that takes nothing belongs to a client that reads nothing.
        let written = self.conn.stream().try_write(OTHER_VERSION);
        self.conn.note_write(&Poll::Ready(written));
    }

    /// Takes empty lines off bytes that come between requests (RFC 9112, 2.2): they begin no request, for which the client would be
    /// late. `None`: there is something else.
    fn without_blank_lines(&self, bytes: &Bytes) -> Option<Bytes> {
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        (blank > 0 && self.conn.is_idle()).then(|| bytes.slice(blank..))
    }

    /// Bytes that were read and that hyper has not got.
    pub fn pending(&self) -> Bytes {
        match (self.given < self.changed.len(), self.line.is_empty(), self.next.is_empty()) {
            (false, true, true) => Bytes::new(),
            _ => {
                let parts: [&[u8]; 3] = [&self.changed[self.given..], &self.line, &self.next];
                parts.concat().into()
            }
        }
    }

    /// The first bytes of the last request line, or of what there is of it.
    pub fn shown(&self) -> &[u8] {
        if self.line.is_empty() { self.scan.shown() } else { &self.line }
    }

    /// Sorts bytes that are not all for hyper as they are. `found` is the scan's finding in `bytes`.
    fn sort(&mut self, bytes: Bytes, found: Found) {
        self.changed.clear();
        self.given = 0;
        let (mut rest, mut found) = (bytes, found);
        loop {
            match found {
                Found::Nothing => return self.changed.extend_from_slice(&rest),
                Found::End(end) => {
                    self.changed.extend_from_slice(&rest[..end]);
                    self.next = rest.slice(end..);
                    return;
                }
                Found::Malformed(at) => {
                    self.changed.extend_from_slice(&rest[..at]);
                    self.malformed = true;
                    return;
                }
                Found::PartLine(start) => {
                    self.changed.extend_from_slice(&rest[..start]);
                    self.line = rest[start..].to_vec();
                    return;
                }
                Found::OddLine(start, end) => {
                    self.changed.extend_from_slice(&rest[..start]);
                    let line = &rest[start..end];
                    match target::encode(line) {
                        Some((encoded, raw)) => {
                            self.changed.extend_from_slice(&encoded);
                            self.conn.set_raw_target(raw);
                        }
                        None => self.changed.extend_from_slice(line),
                    }
                    self.changed.push(b'\n');
                    self.scan.pass_line(line);
                    rest = rest.slice(end + 1..);
                    found = self.scan.feed(&rest);
                }
            }
        }
    }

    /// Reads from the socket. hyper doubles its buffer whenever a read fills it, and keeps that for as long as a body takes: so a body
    /// comes in moderate pieces.
    fn poll_socket(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.conn.stream();
        if buf.remaining() <= PIECE || !self.conn.is_in_body() {
            let read = Pin::new(&mut *stream).poll_read(cx, buf);
            if read.is_pending() {
                self.conn.note_wait();
            }
            return read;
        }
        let mut piece = ReadBuf::new(buf.initialize_unfilled_to(PIECE));
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece))?;
        let got = piece.filled().len();
        buf.advance(got);
        Poll::Ready(Ok(()))
    }

    /// Scans the bytes of `buf` from `before` on. What hyper must not get is taken out.
    fn look(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let fresh = &buf.filled()[before..];
        let (bytes, found) = if self.line.is_empty() {
            match self.scan.feed(fresh) {
                Found::Nothing => return,
                Found::End(end) => {
                    self.next = Bytes::copy_from_slice(&fresh[end..]);
                    buf.set_filled(before + end);
                    return;
                }
                found => (Bytes::copy_from_slice(fresh), found),
            }
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(fresh);
            let found = self.scan.feed(&line);
            (Bytes::from(line), found)
        };
        buf.set_filled(before);
        self.sort(bytes, found);
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        loop {
            let changed = &this.changed[this.given..];
            if !changed.is_empty() {
                let most = changed.len().min(buf.remaining());
                buf.put_slice(&changed[..most]);
                this.given += most;
                return Poll::Ready(Ok(()));
            }
            if this.malformed {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a malformed chunk")));
            }
            if this.next.is_empty() {
                ready!(this.poll_socket(cx, buf))?;
                let fresh = buf.filled().len() - before;
                if fresh == 0 {
                    // The end. hyper gets what there is.
                    this.changed = std::mem::take(&mut this.line);
                    this.given = 0;
                    if this.changed.is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    this.scan.lose(&this.changed);
                    continue;
                }
                if matches!(buf.filled()[before], b'\r' | b'\n') && this.conn.is_idle() {
                    this.next = Bytes::copy_from_slice(&buf.filled()[before..]);
                    this.conn.note_received(fresh);
                    buf.set_filled(before);
                    continue;
                }
                this.conn.note_read(fresh);
                this.look(buf, before);
            } else {
                let bytes = std::mem::take(&mut this.next);
                if let Some(rest) = this.without_blank_lines(&bytes) {
                    this.next = rest;
                    continue;
                }
                this.conn.see(bytes.len());
                let found = this.scan.feed(&bytes);
                match found {
                    Found::Nothing if bytes.len() <= buf.remaining() => buf.put_slice(&bytes),
                    Found::End(end) if end <= buf.remaining() => {
                        buf.put_slice(&bytes[..end]);
                        this.next = bytes.slice(end..);
                    }
                    found => this.sort(bytes, found),
                }
            }
            this.conn.note_scan(this.scan.is_ambiguous(), this.scan.body_bytes());
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.conn.is_in_head() {
            // No request is served: hyper answers by itself.
            let this = self.get_mut();
            let status = status(buf);
            if this.refused.is_none() && status == Some(400) && this.scan.is_of_other_version() {
                this.refuse_version();
                return Poll::Ready(Ok(buf.len()));
            }
            this.refused = this.refused.or(status);
            return this.conn.poll_write(cx, buf);
        }
        self.conn.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.conn.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper calls this when its own buffer is empty.
        self.conn.note_written();
        if self.conn.is_stalled() && self.conn.is_plain() {
            // A write past hyper waits for the socket.
            return Poll::Pending;
        }
        ready!(self.conn.poll_flush(cx))?;
        self.conn.finish_entry();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.conn.poll_shutdown(cx)
    }
}

/// The status of a response head.
fn status(head: &[u8]) -> Option<u16> {
    let digits = head.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
