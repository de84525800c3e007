//! TLS on a socket: the records of rustls go to and from it without waiting. A broken-off response never gets a `close_notify`,
//! so it does not look complete.

use rustls::ServerConnection;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncWrite, ReadBuf};

use crate::client::http1::framing::SHOWN;
use crate::client::stream::socket::Socket;

/// Most bytes that are encrypted before the socket has taken them: what a client that reads slowly costs.
const AHEAD: usize = 32 * 1024;

/// Most bytes of one read of what nobody understands.
const UNREADABLE: usize = 1024;

/// TLS on a client's socket.
pub struct TlsStream {
    socket: Socket,
    side: Side,
    /// Decrypted bytes that wait.
    plain: usize,
    /// The client sends nothing any more.
    ended: bool,
    /// `close_notify` was said.
    closed: bool,
    /// What was sent is not complete.
    broken: bool,
    traffic: Traffic,
}

/// How far TLS has come.
enum Side {
    /// The client's hello is awaited.
    Hello(Box<Acceptor>),
    /// What came is no TLS, and too little to say whether it is HTTP.
    Unclear(Box<(rustls::Error, AcceptedAlert)>),
    /// The handshake is under way, or done.
    Open(Box<ServerConnection>),
    /// Nothing more will come.
    Over,
}

/// Bytes of the socket since they were last asked for.
#[derive(Default)]
struct Traffic {
    received: Cell<u64>,
    sent: Cell<u64>,
    progress: Cell<bool>,
    /// The first bytes of all, up to the client's hello.
    first: Vec<u8>,
}

/// Why a handshake does not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The client went away.
    #[error("the client closed the connection")]
    Gone,
    /// The client speaks plain HTTP; its first bytes.
    #[error("HTTP was spoken on a port for HTTPS")]
    PlainHttp(Vec<u8>),
    /// The socket.
    #[error("{0}")]
    Io(io::Error),
    /// TLS.
    #[error("{0}")]
    Tls(rustls::Error),
}

/// The socket as rustls reads and writes it.
struct Raw<'a> {
    socket: &'a Socket,
    traffic: &'a mut Traffic,
    /// The first bytes are kept.
    keeps: bool,
}

impl Read for Raw<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let got = self.socket.try_read(bytes)?;
        self.traffic.received.set(self.traffic.received.get() + got as u64);
        if self.keeps {
            let room = SHOWN.saturating_sub(self.traffic.first.len());
            self.traffic.first.extend_from_slice(&bytes[..got.min(room)]);
        }
        Ok(got)
    }
}

impl Raw<'_> {
    fn sent(&self, result: io::Result<usize>) -> io::Result<usize> {
        let sent = result?;
        self.traffic.sent.set(self.traffic.sent.get() + sent as u64);
        self.traffic.progress.set(true);
        Ok(sent)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent(self.socket.try_write(bytes))
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.sent(self.socket.try_write_vectored(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TlsStream {
    /// On a socket, before the handshake.
    pub fn new(socket: Socket) -> Self {
        Self {
            socket,
            side: Side::Hello(Box::default()),
            plain: 0,
            ended: false,
            closed: false,
            broken: false,
            traffic: Traffic::default(),
        }
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// TLS as it was negotiated.
    pub fn connection(&self) -> Option<&ServerConnection> {
        match &self.side {
            Side::Open(tls) => Some(tls),
            Side::Hello(_) | Side::Unclear(_) | Side::Over => None,
        }
    }

    /// Reads the client's hello.
    pub fn poll_hello(&mut self, cx: &mut Context<'_>) -> Poll<Result<Accepted, Failed>> {
        loop {
            if matches!(self.side, Side::Unclear(_)) {
                return self.poll_method(cx).map(Err);
            }
            let Self { socket, side: Side::Hello(acceptor), traffic, .. } = self else {
                return Poll::Ready(Err(Failed::Gone));
            };
            let mut raw = Raw { socket, traffic, keeps: true };
            match acceptor.read_tls(&mut raw) {
                Ok(0) => return Poll::Ready(Err(Failed::Gone)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(socket.poll_readable(cx));
                    continue;
                }
                Err(error) => return Poll::Ready(Err(Failed::Io(error))),
            }
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    self.side = Side::Over;
                    self.traffic.first = Vec::new();
                    return Poll::Ready(Ok(accepted));
                }
                Err(wrong) => self.side = Side::Unclear(Box::new(wrong)),
            }
        }
    }

    /// Reads until it is clear whether bytes that are no TLS are HTTP: clients send a line in pieces, too.
    fn poll_method(&mut self, cx: &mut Context<'_>) -> Poll<Failed> {
        while may_become_http(&self.traffic.first) {
            let Self { socket, traffic, .. } = self;
            match (Raw { socket, traffic, keeps: true }).read(&mut [0; SHOWN]) {
                Ok(0) => return Poll::Ready(Failed::Gone),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(self.socket.poll_readable(cx)),
                Err(error) => return Poll::Ready(Failed::Io(error)),
            }
        }
        let Self { socket, side, traffic, .. } = self;
        let first = std::mem::take(&mut traffic.first);
        Poll::Ready(match std::mem::replace(side, Side::Over) {
            _ if is_http(&first) => Failed::PlainHttp(first),
            Side::Unclear(wrong) => {
                let (error, mut alert) = *wrong;
                // A socket that takes nothing belongs to a client that reads nothing.
                let _ = alert.write_all(&mut Raw { socket, traffic, keeps: false });
                Failed::Tls(error)
            }
            _ => Failed::Gone,
        })
    }

    /// Answers the hello with the configuration that was chosen for it. `number`: goes into the session's tickets.
    pub fn begin(
        &mut self,
        accepted: Accepted,
        config: Arc<rustls::ServerConfig>,
        number: &[u8],
    ) -> Result<(), Failed> {
        match accepted.into_connection(config) {
            Ok(mut tls) => {
                tls.set_buffer_limit(Some(AHEAD));
                tls.set_resumption_data(number);
                self.side = Side::Open(Box::new(tls));
                Ok(())
            }
            Err((error, mut alert)) => {
                let Self { socket, traffic, .. } = self;
                let _ = alert.write_all(&mut Raw { socket, traffic, keeps: false });
                Err(Failed::Tls(error))
            }
        }
    }

    /// Goes on until the handshake is done.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        loop {
            let sent = self.send();
            let Self { socket, side: Side::Open(tls), traffic, plain, .. } = self else {
                return Poll::Ready(Err(Failed::Gone));
            };
            match sent {
                // What is left goes with the first response.
                Ok(_) if !tls.is_handshaking() => return Poll::Ready(Ok(())),
                Ok(true) => {}
                Ok(false) => {
                    ready!(socket.poll_writable(cx));
                    continue;
                }
                Err(error) => return Poll::Ready(Err(Failed::Io(error))),
            }
            match tls.read_tls(&mut Raw { socket, traffic, keeps: false }) {
                Ok(0) => return Poll::Ready(Err(Failed::Gone)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(socket.poll_readable(cx));
                    continue;
                }
                Err(error) => return Poll::Ready(Err(Failed::Io(error))),
            }
            match tls.process_new_packets() {
                Ok(state) => *plain = state.plaintext_bytes_to_read(),
                Err(error) => {
                    // The alert.
                    let _ = self.send();
                    self.side = Side::Over;
                    return Poll::Ready(Err(Failed::Tls(error)));
                }
            }
        }
    }

    /// Writes what rustls has for the socket. `false`: the socket takes no more.
    fn send(&mut self) -> io::Result<bool> {
        let Self { socket, side: Side::Open(tls), traffic, .. } = self else { return Ok(true) };
        while tls.wants_write() {
            match tls.write_tls(&mut Raw { socket, traffic, keeps: false }) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Ready when a byte or the end may be there.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.plain > 0 || self.ended { Poll::Ready(()) } else { self.socket.poll_readable(cx) }
    }

    /// Whether decrypted bytes wait.
    pub fn has_plain_bytes(&self) -> bool {
        self.plain > 0
    }

    /// Reads what is there. An end without `close_notify` is an end all the same: HTTP says itself where a request ends.
    pub fn try_read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if let Self { side: Side::Over, socket, traffic, .. } = self {
            // Bytes that nobody understands, to be dropped.
            return Raw { socket, traffic, keeps: false }.read(bytes);
        }
        self.fill()?;
        let most = bytes.len().min(self.plain);
        let Side::Open(tls) = &mut self.side else { return Ok(0) };
        let got = if most == 0 { 0 } else { tls.reader().read(&mut bytes[..most])? };
        self.plain -= got;
        Ok(got)
    }

    /// Decrypts until bytes wait; none: the client has ended.
    fn fill(&mut self) -> io::Result<()> {
        while self.plain == 0 && !self.ended {
            let Self { socket, side: Side::Open(tls), traffic, .. } = self else { return Ok(()) };
            let got = tls.read_tls(&mut Raw { socket, traffic, keeps: false })?;
            let processed = tls.process_new_packets();
            // Answers to what was no data: a new key, an alert.
            let sent = self.send();
            let state = processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            self.plain = state.plaintext_bytes_to_read();
            self.ended = self.plain == 0 && (got == 0 || state.peer_has_closed());
            sent?;
        }
        Ok(())
    }

    /// Reads, or waits for something to read.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let read = self.fill().and_then(|()| {
                // Not the whole room: it would have to be cleared before.
                let most = if self.plain == 0 { UNREADABLE } else { self.plain };
                self.try_read(buf.initialize_unfilled_to(buf.remaining().min(most)))
            });
            match read {
                Ok(got) => {
                    buf.advance(got);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(self.socket.poll_readable(cx)),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Writes bytes as they are, where TLS has not come about.
    pub fn write_plain(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { socket, side: Side::Over, traffic, .. } = self else {
            return Err(ErrorKind::InvalidInput.into());
        };
        Raw { socket, traffic, keeps: false }.write(bytes)
    }

    /// Encrypts and writes as much as the socket takes at once; one record may be left.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.send()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let Side::Open(tls) = &mut self.side else { return Err(ErrorKind::NotConnected.into()) };
        let taken = tls.writer().write(bytes)?;
        self.send()?;
        Ok(taken)
    }

    /// Encrypts bytes once the socket has taken all that were encrypted before.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let Side::Open(tls) = &mut self.side else { return Poll::Ready(Err(ErrorKind::NotConnected.into())) };
        let taken = tls.writer().write_vectored(bytes)?;
        // What the socket does not take now waits for the next write or flush.
        self.send()?;
        self.traffic.progress.set(false);
        Poll::Ready(Ok(taken))
    }

    /// Ready once the socket has taken everything.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.send()? {
            ready!(self.socket.poll_writable(cx));
        }
        Poll::Ready(Ok(()))
    }

    /// Says the end, and closes the sending side.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.queue_end();
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn queue_end(&mut self) {
        if let Side::Open(tls) = &mut self.side
            && !self.broken
            && !std::mem::replace(&mut self.closed, true)
        {
            tls.send_close_notify();
        }
    }

    /// What was sent is not complete.
    pub fn break_off(&mut self) {
        self.broken = true;
    }

    /// Says the end, if the socket takes it at once.
    pub fn say_end(&mut self) {
        self.queue_end();
        // The connection ends anyway.
        let _ = self.send();
    }

    /// Bytes of the socket since the last call, received and sent.
    pub fn take_bytes(&self) -> (u64, u64) {
        (self.traffic.received.take(), self.traffic.sent.take())
    }

    /// Whether the socket took bytes since the last call that an earlier write had left.
    pub fn take_progress(&self) -> bool {
        self.traffic.progress.take()
    }
}

/// Bytes that tell a request: of its method, which no record of TLS begins with.
const METHOD: usize = 3;

/// Whether these are the first bytes of a request.
fn is_http(first: &[u8]) -> bool {
    first.get(..METHOD).is_some_and(|method| method.iter().all(u8::is_ascii_uppercase))
}

/// Whether these are too few bytes to say so.
fn may_become_http(first: &[u8]) -> bool {
    first.len() < METHOD && !first.is_empty() && first.iter().all(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_http_and_a_record_is_not() {
        for (first, http) in [
            (&b"GET / HTTP/1.1"[..], true),
            (b"DELETE /", true),
            (b"PRI * HTTP/2.0", true),
            (b"GE", false),
            (b"", false),
            (b"G\x16\x03", false),
            (b"\x16\x03\x01\x02\x00", false),
            (b"\x80\x2e\x01", false),
            (b"get /", false),
        ] {
            assert_eq!(is_http(first), http, "{first:?}");
            assert_eq!(may_become_http(first), first == b"GE", "{first:?}");
        }
    }
}
