//! The state of one client connection: its socket, the phase it is in and since when, the access-log entry that waits for the
//! last byte. HTTP is spoken in `http1` and `http2`, timeouts are applied in `timeouts`.

mod passing;
mod sending;

use std::cell::{Cell, RefCell, RefMut};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::client::endpoints::{Endpoints, ToldEndpoints};
use crate::client::stream::Stream;
use crate::engine;
use crate::log::access_log::{self, Entry};
use crate::request::target::RawTarget;

/// The party that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The client: its part of the handshake of TLS.
    Handshake,
    /// The client: the first byte of its first or next request.
    Idle,
    /// The client: the rest of a request head.
    Head,
    /// The client: the request body.
    Body,
    /// The server: the request is being served, or with HTTP/2 at least one.
    Serving,
    /// Nobody: the connection ends after the response, and whatever arrives is thrown away.
    Ending,
}

/// Whether a connection that waits for a head holds hyper's buffers. A sleeping one holds its socket, and what there is of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Awake,
    Requested,
    Asleep,
}

/// A connection, shared by hyper's side (`ClientIo`), the service and the ticker. One thread only.
pub struct Conn {
    /// Unique in this front's life.
    pub id: u64,
    /// Addresses of both ends.
    pub endpoints: ToldEndpoints,
    stream: RefCell<Stream>,
    phase: Cell<Phase>,
    /// Coarse time of the last change of phase or progress, in milliseconds.
    since: Cell<u64>,
    /// The front's coarse clock.
    now: Rc<Cell<u64>>,
    /// The client does not take response bytes.
    stalled: Cell<bool>,
    /// Milliseconds that a write may stall.
    pub write_limit: Cell<u64>,
    /// Requests begun on this connection.
    pub requests: Cell<u64>,
    /// hyper may hold bytes that it has not written.
    behind_hyper: Cell<bool>,
    /// Bytes received since the last access-log line.
    received: Cell<u64>,
    /// Bytes sent since the last access-log line.
    sent: Cell<u64>,
    killed: Cell<bool>,
    sleep: Cell<Sleep>,
    /// A request body was not read to its end: the connection ends with the answer, after the rest was read and dropped.
    /// Otherwise the client would meet a reset before it has read the answer.
    pub linger: Cell<bool>,
    /// The client did not send its request in time, and got a 408.
    timed_out: Cell<bool>,
    /// A response has begun and has not ended.
    answering: Cell<bool>,
    /// [`Conn::give_up`] was called.
    given_up: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Access-log entry of a response whose last bytes hyper has not written yet.
    entry: RefCell<Option<Box<Entry>>>,
    /// Coarse time at which the present stage of the request began, in milliseconds.
    stage_began: Cell<u64>,
    /// Bytes received of the present head.
    head_bytes: Cell<u64>,
    /// When the rest of the present head was first waited for, if it was.
    head_awaited: Cell<Option<Instant>>,
    /// Bytes received of the present body, those that came with the head among them.
    body_bytes: Cell<u64>,
    /// Index of the host of the request whose body is received.
    pub body_host: Cell<u32>,
    /// [`Conn::ambiguous_framing`].
    ambiguous: Cell<bool>,
    /// Number of the requests it had when another process passed it on: it stays here until the next has begun.
    arrived: Cell<Option<u64>>,
    /// The target of the request that hyper reads, where hyper gets another.
    raw_target: Cell<Option<Arc<RawTarget>>>,
}

impl Conn {
    /// Wraps an accepted socket. `now` is the front's coarse clock in milliseconds.
    pub fn new(id: u64, endpoints: Endpoints, stream: Stream, now: Rc<Cell<u64>>) -> Rc<Self> {
        Rc::new(Self {
            id,
            endpoints: ToldEndpoints::new(endpoints),
            stream: RefCell::new(stream),
            phase: Cell::new(Phase::Idle),
            since: Cell::new(now.get()),
            stalled: Cell::new(false),
            write_limit: Cell::new(0),
            requests: Cell::new(0),
            behind_hyper: Cell::new(false),
            received: Cell::new(0),
            sent: Cell::new(0),
            killed: Cell::new(false),
            sleep: Cell::new(Sleep::Awake),
            linger: Cell::new(false),
            timed_out: Cell::new(false),
            answering: Cell::new(false),
            given_up: Cell::new(false),
            waker: RefCell::new(None),
            entry: RefCell::new(None),
            stage_began: Cell::new(now.get()),
            head_bytes: Cell::new(0),
            head_awaited: Cell::new(None),
            body_bytes: Cell::new(0),
            body_host: Cell::new(0),
            ambiguous: Cell::new(false),
            arrived: Cell::new(None),
            raw_target: Cell::new(None),
            now,
        })
    }

    /// Enters a phase and restarts the waiting time.
    pub fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        let now = self.now.get();
        self.since.set(now);
        // The time of the first head of a connection counts from the start of the connection.
        if phase == Phase::Body || (phase == Phase::Head && self.requests.get() > 0) {
            self.stage_began.set(now);
            self.head_bytes.set(0);
        }
    }

    /// The handshake of TLS is done: the time of the first head begins.
    pub fn begin_first(&self) {
        self.enter(Phase::Idle);
        self.stage_began.set(self.now.get());
    }

    /// Milliseconds since the present head or body began, and the bytes that came of it.
    pub fn stage(&self) -> (u64, u64) {
        let bytes = if self.phase.get() == Phase::Head { &self.head_bytes } else { &self.body_bytes };
        (self.now.get().saturating_sub(self.stage_began.get()), bytes.get())
    }

    /// A response head goes to hyper.
    pub fn begin_response(&self) {
        self.answering.set(true);
    }

    /// The end of a response went to hyper.
    pub fn end_response(&self) {
        self.answering.set(false);
        self.enter(if self.linger.get() { Phase::Ending } else { Phase::Idle });
    }

    /// Receives a request body: meanwhile the connection waits for its client, afterwards for the server.
    pub async fn receive<T, E>(&self, body: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.enter(Phase::Body);
        let received = body.await;
        self.enter(Phase::Serving);
        if received.is_ok() {
            self.linger.set(false);
        }
        received
    }

    /// Restarts the waiting time: something arrived.
    pub fn progress(&self) {
        self.since.set(self.now.get());
    }

    /// The phase, whether the client has stalled a write, and the milliseconds waited so far.
    pub fn waiting(&self) -> (Phase, bool, u64) {
        (self.phase.get(), self.stalled.get(), self.now.get().saturating_sub(self.since.get()))
    }

    /// Whether the head being served carried both `Content-Length` and `Transfer-Encoding`, or a length that cannot be followed.
    pub fn ambiguous_framing(&self) -> bool {
        self.ambiguous.get()
    }

    /// Tells of the request that hyper gets: [`Conn::ambiguous_framing`], and how much of its body has come.
    pub(crate) fn note_scan(&self, ambiguous: bool, body_bytes: u64) {
        self.ambiguous.set(ambiguous);
        self.body_bytes.set(body_bytes);
    }

    /// Keeps the target of the request that hyper gets with another.
    pub(crate) fn set_raw_target(&self, target: RawTarget) {
        self.raw_target.set(Some(Arc::new(target)));
    }

    /// The target of the request that hyper has just read, if hyper got another.
    pub fn take_raw_target(&self) -> Option<Arc<RawTarget>> {
        self.raw_target.take()
    }

    /// Whether the client did not send its request in time.
    pub fn is_timed_out(&self) -> bool {
        self.timed_out.get()
    }

    /// Whether the client did not send the whole of a request head in time.
    pub fn is_late_head(&self) -> bool {
        self.timed_out.get() && self.phase.get() == Phase::Head
    }

    /// Whether a request head has begun and is not complete.
    pub fn is_in_head(&self) -> bool {
        self.phase.get() == Phase::Head
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

    /// Ends the connection now, by a reset if a response is under way, so that the response does not look complete.
    pub fn cut(&self) {
        if self.answering.get() || self.stalled.get() {
            self.reset_on_close();
        }
        self.linger.set(false);
        self.kill();
    }

    /// Resets the connection, because its response holds the last request thread while others wait.
    pub fn give_up(&self) {
        self.given_up.set(true);
        self.cut();
    }

    /// Whether [`Conn::give_up`] was called.
    pub fn is_given_up(&self) -> bool {
        self.given_up.get()
    }

    /// Polls the connection's task.
    pub fn nudge(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Asks the connection's task to drop everything but the socket.
    pub fn send_to_sleep(&self) {
        if self.sleep.get() == Sleep::Awake {
            self.sleep.set(Sleep::Requested);
            self.nudge();
        }
    }

    /// Whether sleep was requested, the connection still waits for a head, and everything is written.
    pub fn may_sleep(&self) -> bool {
        if self.sleep.get() != Sleep::Requested {
            return false;
        }
        let may = matches!(self.phase.get(), Phase::Idle | Phase::Head) && !self.stalled.get();
        self.sleep.set(if may { Sleep::Asleep } else { Sleep::Awake });
        may
    }

    /// The bytes of the present head go to hyper once more.
    pub fn begin_again(&self) {
        self.head_bytes.set(0);
    }

    /// Sleeps until [`Conn::wake_up`].
    pub fn doze(&self) {
        self.sleep.set(Sleep::Asleep);
    }

    /// Ends the sleep.
    pub fn wake_up(&self) {
        self.sleep.set(Sleep::Awake);
    }

    /// Ready when a byte or the end of the stream is there.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let readable = self.stream.borrow().poll_readable(cx);
        if readable.is_pending() {
            self.note_wait();
        }
        readable
    }

    /// Nothing more has come. A head that comes at once needs no clock.
    pub(crate) fn note_wait(&self) {
        if self.phase.get() == Phase::Head && self.head_awaited.get().is_none() {
            self.head_awaited.set(Some(Instant::now()));
        }
    }

    /// Microseconds since the first byte of a head that did not come at once; 0 for one that did. Asked once when a head is there.
    pub fn take_head_time(&self) -> u64 {
        self.head_awaited.take().map_or(0, |first| first.elapsed().as_micros() as u64)
    }

    /// Whether bytes wait in the socket, or its end.
    pub fn has_bytes(&self) -> bool {
        self.stream.borrow().has_bytes()
    }

    /// Keeps an access-log entry until the last byte of its response is sent.
    pub fn park_entry(&self, entry: Box<Entry>) {
        *self.entry.borrow_mut() = Some(entry);
    }

    /// Writes the entry that was kept.
    pub fn finish_entry(&self) {
        let entry = self.entry.borrow_mut().take();
        drop(entry);
    }

    /// Whether [`Conn::kill`] was called; registers the waker for it.
    pub fn poll_killed(&self, cx: &Context<'_>) -> bool {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.killed.get()
    }

    /// Makes the close a reset, so that a response that ends with the connection does not look complete.
    pub fn reset_on_close(&self) {
        self.stream.borrow_mut().break_off();
        let _ =
            rustix::net::sockopt::set_socket_linger(&*self.stream.borrow(), Some(std::time::Duration::ZERO));
    }

    /// Ends a connection that did not send its request in time. The 408 is written past hyper, which writes nothing any more.
    pub fn time_out(&self) {
        self.timed_out.set(true);
        self.linger.set(true);
        if !self.answering.get() {
            let page = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            // A socket that takes nothing belongs to a client that reads nothing.
            let _ = self.stream.borrow_mut().try_write(page);
        }
        self.kill();
    }

    /// Writes past TLS, which has not come about.
    pub fn write_plain(&self, bytes: &[u8]) {
        if let Some(tls) = self.stream.borrow_mut().as_tls() {
            // A socket that takes nothing belongs to a client that reads nothing.
            let _ = tls.write_plain(bytes);
        }
    }

    /// Says the end of what is sent, where TLS is spoken and no response is broken off.
    pub fn say_end(&self) {
        if !self.answering.get() && !self.stalled.get() {
            self.stream.borrow_mut().say_end();
        }
    }

    /// The socket, for `ClientIo`.
    pub(crate) fn stream(&self) -> RefMut<'_, Stream> {
        self.stream.borrow_mut()
    }

    /// Whether no byte of the next request has come.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase.get() == Phase::Idle
    }

    /// Whether a request body is being received.
    pub(crate) fn is_in_body(&self) -> bool {
        self.phase.get() == Phase::Body
    }

    /// So many bytes came from the socket.
    pub(crate) fn note_read(&self, fresh: usize) {
        self.note_received(fresh);
        self.see(fresh);
    }

    /// So many bytes came from the socket, which may be none of a request.
    pub(crate) fn note_received(&self, fresh: usize) {
        self.received.set(self.received.get() + fresh as u64);
    }

    /// So many bytes go to hyper.
    pub(crate) fn see(&self, fresh: usize) {
        match self.phase.get() {
            Phase::Idle => self.enter(Phase::Head),
            Phase::Head | Phase::Body => self.progress(),
            Phase::Handshake | Phase::Serving | Phase::Ending => return,
        }
        self.head_bytes.set(self.head_bytes.get() + fresh as u64);
    }
}

impl engine::Client for Conn {
    /// Reset, or closed in both directions. A client that only closed its sending side is still there.
    fn is_gone(&self) -> bool {
        self.stream.borrow().is_gone()
    }

    fn disconnect(&self) {
        self.kill();
    }
}

impl access_log::Connection for Conn {
    fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    fn requests(&self) -> u64 {
        self.requests.get()
    }

    fn take_bytes(&self) -> (u64, u64) {
        let plain = (self.received.take(), self.sent.take());
        self.stream.borrow().take_bytes().unwrap_or(plain)
    }

    fn timed_out(&self) -> bool {
        self.timed_out.get()
    }
}
