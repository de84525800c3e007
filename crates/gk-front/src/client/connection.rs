//! One client connection as this process sees it: its socket behind a counting reader and writer, what it is waiting
//! for and since when. HTTP itself is hyper's; which timeout applies to which phase is decided in `server`.

use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::client::framing::HeadScan;
use crate::log::access_log::Entry;

/// A client's socket.
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(s) => s.as_fd(),
            Self::Unix(s) => s.as_fd(),
        }
    }
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The first byte of a request (of the first one, or of the next one on a kept-alive connection).
    Idle,
    /// The rest of a request head.
    Head,
    /// The request body from the client.
    Body,
    /// Us: the request is being served.
    Serving,
    /// Nothing: the connection ends after what was written, and what still arrives is not looked at.
    Ending,
}

/// Whether an idle connection keeps more than its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Awake,
    Asked,
    Asleep,
}

/// Who is at both ends, as texts made once per connection.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    /// Client's address without port; empty on a Unix socket.
    pub peer: String,
    /// Client's port, 0 on a Unix socket.
    pub peer_port: u16,
    /// Our address without port; empty on a Unix socket.
    pub local: String,
    /// Our port, 0 on a Unix socket.
    pub local_port: u16,
    /// `peer:port` for log lines.
    pub client: String,
    /// Number of the listener.
    pub listener: usize,
    /// TLS.
    pub https: bool,
}

/// A connection. Shared by hyper's side ([`ClientIo`]), the service and the ticker; one thread only.
pub struct Conn {
    /// Unique in this front's life.
    pub id: u64,
    /// Both ends.
    pub ends: Ends,
    stream: RefCell<Stream>,
    phase: Cell<Phase>,
    /// Clock (milliseconds) of the last change of phase or progress.
    since: Cell<u64>,
    now: Rc<Cell<u64>>,
    stalled: Cell<bool>,
    /// Milliseconds that a write may stand still.
    pub write_limit: Cell<u64>,
    /// Requests begun on this connection.
    pub requests: Cell<u64>,
    /// Bytes received since the last [`Conn::take_bytes`].
    received: Cell<u64>,
    sent: Cell<u64>,
    killed: Cell<bool>,
    sleep: Cell<Sleep>,
    /// A request body was not read, or not to its end: the connection ends with the answer, but only after the rest was
    /// read away, or else the client could not read the answer.
    pub linger: Cell<bool>,
    /// The client did not send its body in time, and was told so.
    timed_out: Cell<bool>,
    /// A response was begun and is not over.
    answering: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Access-log entry of a response whose last bytes hyper has not written yet.
    entry: RefCell<Option<Box<Entry>>>,
    scan: RefCell<HeadScan>,
}

impl Conn {
    /// Wraps an accepted socket. `now` is the front's coarse clock in milliseconds.
    pub fn new(id: u64, ends: Ends, stream: Stream, now: Rc<Cell<u64>>) -> Rc<Self> {
        Rc::new(Self {
            id,
            ends,
            stream: RefCell::new(stream),
            phase: Cell::new(Phase::Idle),
            since: Cell::new(now.get()),
            now,
            stalled: Cell::new(false),
            write_limit: Cell::new(0),
            requests: Cell::new(0),
            received: Cell::new(0),
            sent: Cell::new(0),
            killed: Cell::new(false),
            sleep: Cell::new(Sleep::Awake),
            linger: Cell::new(false),
            timed_out: Cell::new(false),
            answering: Cell::new(false),
            waker: RefCell::new(None),
            entry: RefCell::new(None),
            scan: RefCell::new(HeadScan::default()),
        })
    }

    /// Enters a phase; the waiting time starts anew.
    pub fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.now.get());
        if phase == Phase::Idle {
            self.scan.borrow_mut().restart();
        }
    }

    /// The head of a response goes to hyper.
    pub fn begin_response(&self) {
        self.answering.set(true);
    }

    /// The last of a response went to hyper.
    pub fn end_response(&self) {
        self.answering.set(false);
        self.enter(if self.linger.get() { Phase::Ending } else { Phase::Idle });
    }

    /// Whether [`Conn::time_out`] was called.
    pub fn timed_out(&self) -> bool {
        self.timed_out.get()
    }

    /// Something arrived: the waiting time starts anew.
    pub fn progress(&self) {
        self.since.set(self.now.get());
    }

    /// What it waits for, and for how many milliseconds already. `true`: for the client to take response bytes.
    pub fn waiting(&self) -> (Phase, bool, u64) {
        (self.phase.get(), self.stalled.get(), self.now.get().saturating_sub(self.since.get()))
    }

    /// Whether the head being served carried both `Content-Length` and `Transfer-Encoding`.
    pub fn ambiguous_framing(&self) -> bool {
        self.scan.borrow().ambiguous()
    }

    /// Bytes received and sent since the last call.
    pub fn take_bytes(&self) -> (u64, u64) {
        (self.received.take(), self.sent.take())
    }

    /// Ends the connection's task at its next poll, without another word to the client.
    pub fn kill(&self) {
        self.killed.set(true);
        self.nudge();
    }

    /// Whether [`Conn::kill`] was called.
    pub fn is_killed(&self) -> bool {
        self.killed.get()
    }

    /// Ends the connection now; a response that is not out whole must not look as if it were.
    pub fn cut(&self) {
        if self.answering.get() || self.stalled.get() {
            self.reset_on_close();
        }
        self.linger.set(false);
        self.kill();
    }

    /// Polls the connection's task.
    pub fn nudge(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Asks the connection's task to let go of everything but the socket.
    pub fn send_to_sleep(&self) {
        if self.sleep.get() == Sleep::Awake {
            self.sleep.set(Sleep::Asked);
            self.nudge();
        }
    }

    /// Whether it was asked to, and is still idle with everything written.
    pub fn may_sleep(&self) -> bool {
        if self.sleep.get() != Sleep::Asked {
            return false;
        }
        let may = self.phase.get() == Phase::Idle && !self.stalled.get();
        self.sleep.set(if may { Sleep::Asleep } else { Sleep::Awake });
        may
    }

    /// Ends the sleep.
    pub fn wake_up(&self) {
        self.sleep.set(Sleep::Awake);
    }

    /// Waits for a byte or the end.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &*self.stream.borrow() {
            Stream::Tcp(s) => s.poll_read_ready(cx).map(drop),
            Stream::Unix(s) => s.poll_read_ready(cx).map(drop),
        }
    }

    /// Keeps an access-log entry until the last byte of its response went out.
    pub fn park_entry(&self, entry: Box<Entry>) {
        *self.entry.borrow_mut() = Some(entry);
    }

    /// Writes the entry that was kept.
    pub fn finish_entry(&self) {
        let entry = self.entry.borrow_mut().take();
        drop(entry);
    }

    /// Whether [`Conn::kill`] was called. Remembers who to wake when it is.
    pub fn poll_killed(&self, cx: &Context<'_>) -> bool {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.killed.get()
    }

    /// Whether the client is gone for good: reset, or closed in both directions. A client that only closed its
    /// sending side is still there.
    pub fn client_gone(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stream = self.stream.borrow();
        let mut fds = [PollFd::new(&*stream, PollFlags::empty())];
        let gone = PollFlags::HUP | PollFlags::ERR;
        matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(n) if n > 0)
            && fds[0].revents().intersects(gone)
    }

    /// Makes the coming close a reset, so that a response delimited by the end of the connection does not look whole.
    pub fn reset_on_close(&self) {
        let _ =
            rustix::net::sockopt::set_socket_linger(&*self.stream.borrow(), Some(std::time::Duration::ZERO));
    }

    /// The client did not send a request in time: says so past hyper, which has nothing of its own to say on this
    /// connection any more, and ends it.
    pub fn time_out(&self) {
        self.timed_out.set(true);
        self.linger.set(true);
        if !self.answering.get() {
            self.last_word(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
        self.kill();
    }

    fn last_word(&self, text: &[u8]) {
        let _ = match &*self.stream.borrow() {
            Stream::Tcp(s) => s.try_write(text),
            Stream::Unix(s) => s.try_write(text),
        };
    }

    fn note_read(&self, fresh: &[u8]) {
        if fresh.is_empty() {
            return;
        }
        self.received.set(self.received.get() + fresh.len() as u64);
        self.see(fresh);
    }

    /// Bytes that hyper gets to read.
    fn see(&self, fresh: &[u8]) {
        match self.phase.get() {
            Phase::Idle => {
                self.enter(Phase::Head);
                self.scan.borrow_mut().feed(fresh);
            }
            Phase::Head => self.scan.borrow_mut().feed(fresh),
            Phase::Body => self.progress(),
            Phase::Serving | Phase::Ending => {}
        }
    }

    fn note_write(&self, result: &Poll<io::Result<usize>>) {
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
}

/// The connection as hyper reads and writes it.
pub struct ClientIo {
    conn: Rc<Conn>,
    /// Bytes to be read before those of the socket.
    before: Bytes,
}

impl ClientIo {
    /// `before`: bytes that were read from the socket already.
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
        let result = match &mut *self.conn.stream.borrow_mut() {
            Stream::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            Stream::Unix(s) => Pin::new(s).poll_read(cx, buf),
        };
        self.conn.note_read(&buf.filled()[before..]);
        result
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = match &mut *self.conn.stream.borrow_mut() {
            Stream::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Stream::Unix(s) => Pin::new(s).poll_write(cx, buf),
        };
        self.conn.note_write(&result);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut *self.conn.stream.borrow_mut() {
            Stream::Tcp(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Stream::Unix(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        };
        self.conn.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper asks this when its own buffer is empty.
        self.conn.finish_entry();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.conn.stream.borrow_mut() {
            Stream::Tcp(s) => Pin::new(s).poll_shutdown(cx),
            Stream::Unix(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}
