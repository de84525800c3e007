//! One request on an HTTP/2 connection: the phase it is in and since when, what came and went, the access-log entry that waits for
//! the last byte.

use h2::Reason;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Waker};

use crate::client::connection::Conn;
use crate::client::endpoints::Endpoints;
use crate::engine;
use crate::log::access_log::{self, Entry};

/// The party that a stream waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamPhase {
    /// The server: the request is being served.
    Serving,
    /// The client: the request body.
    Body,
    /// The client: it takes no more of the response.
    Stalled,
}

/// A request and its response. One thread only.
pub struct Http2Stream {
    /// Its number on the connection.
    pub id: u32,
    /// Its connection.
    pub conn: Rc<Conn>,
    /// The front's coarse clock.
    now: Rc<Cell<u64>>,
    phase: Cell<StreamPhase>,
    /// Coarse time of the last change of phase or progress, in milliseconds.
    since: Cell<u64>,
    /// Coarse time at which the body began.
    body_began: Cell<u64>,
    /// Bytes received of the body.
    body_bytes: Cell<u64>,
    /// Index of the host of the request whose body is received.
    pub body_host: Cell<u32>,
    /// Milliseconds that the response may stall.
    pub write_limit: Cell<u64>,
    /// Requests on the connection when this one began, with it.
    number: Cell<u64>,
    received: Cell<u64>,
    sent: Cell<u64>,
    timed_out: Cell<bool>,
    /// The client waits for a 100 before it sends the body.
    pub expects_continue: Cell<bool>,
    /// The stream is to be reset by us.
    cut: Cell<Option<Reason>>,
    /// [`Http2Stream::give_up`] was called.
    given_up: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    entry: RefCell<Option<Box<Entry>>>,
    /// h2 handed it over, so it has a task.
    pub accepted: Cell<bool>,
    /// Its task is over.
    pub served: Cell<bool>,
    /// The last frame in one direction went by: the end of the response, or a reset of either side.
    pub ended: Cell<bool>,
}

impl Http2Stream {
    /// A stream whose first frame has come. `now`: the front's coarse clock in milliseconds.
    pub fn new(id: u32, conn: &Rc<Conn>, now: &Rc<Cell<u64>>) -> Rc<Self> {
        let began = now.get();
        Rc::new(Self {
            id,
            conn: Rc::clone(conn),
            now: Rc::clone(now),
            phase: Cell::new(StreamPhase::Serving),
            since: Cell::new(began),
            body_began: Cell::new(began),
            body_bytes: Cell::new(0),
            body_host: Cell::new(0),
            write_limit: Cell::new(0),
            number: Cell::new(0),
            received: Cell::new(0),
            sent: Cell::new(0),
            timed_out: Cell::new(false),
            expects_continue: Cell::new(false),
            cut: Cell::new(None),
            given_up: Cell::new(false),
            waker: RefCell::new(None),
            entry: RefCell::new(None),
            accepted: Cell::new(false),
            served: Cell::new(false),
            ended: Cell::new(false),
        })
    }

    /// h2 hands it over: it is one more request of its connection.
    pub fn accept(&self) {
        self.accepted.set(true);
        let number = self.conn.requests.get() + 1;
        self.conn.requests.set(number);
        self.number.set(number);
    }

    /// Receives the request body: meanwhile the client is waited for, afterwards the server.
    pub async fn receive<T, E>(&self, body: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.body_began.set(self.now.get());
        self.enter(StreamPhase::Body);
        let received = body.await;
        self.enter(StreamPhase::Serving);
        received
    }

    /// Whether the client takes the response, or does not.
    pub fn flows(&self, flows: bool) {
        let phase = if flows { StreamPhase::Serving } else { StreamPhase::Stalled };
        if flows || self.phase.get() != phase {
            self.enter(phase);
        }
    }

    fn enter(&self, phase: StreamPhase) {
        self.phase.set(phase);
        self.since.set(self.now.get());
    }

    /// The phase and the milliseconds waited so far.
    pub fn waiting(&self) -> (StreamPhase, u64) {
        (self.phase.get(), self.now.get().saturating_sub(self.since.get()))
    }

    /// Milliseconds since the body began, and the bytes that came of it.
    pub fn body(&self) -> (u64, u64) {
        (self.now.get().saturating_sub(self.body_began.get()), self.body_bytes.get())
    }

    /// So many bytes came, `payload` of them of the body.
    pub fn note_received(&self, bytes: u64, payload: usize) {
        self.received.set(self.received.get() + bytes);
        if payload > 0 {
            self.body_bytes.set(self.body_bytes.get() + payload as u64);
            if self.phase.get() == StreamPhase::Body {
                self.since.set(self.now.get());
            }
        }
    }

    /// So many bytes went.
    pub fn note_sent(&self, bytes: u64) {
        self.sent.set(self.sent.get() + bytes);
    }

    /// The client did not send its body in time: it gets a 408.
    pub fn time_out(&self) {
        self.timed_out.set(true);
        self.nudge();
    }

    /// Whether [`Http2Stream::time_out`] was called.
    pub fn is_late(&self) -> bool {
        self.timed_out.get()
    }

    /// Ends the stream by a reset at the next poll of its task.
    pub fn cut(&self, reason: Reason) {
        self.cut.set(Some(reason));
        self.nudge();
    }

    /// Resets the stream, because its response holds the last request thread while others wait.
    pub fn give_up(&self) {
        self.given_up.set(true);
        self.cut(Reason::CANCEL);
    }

    /// Whether [`Http2Stream::give_up`] was called.
    pub fn is_given_up(&self) -> bool {
        self.given_up.get()
    }

    /// Whether [`Http2Stream::cut`] was called; registers the waker for it.
    pub fn poll_cut(&self, cx: &Context<'_>) -> Option<Reason> {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.cut.get()
    }

    fn nudge(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Whether nothing more comes or goes: its last frame went by, and its task, if it has one, is over.
    pub fn is_over(&self) -> bool {
        self.ended.get() && (self.served.get() || !self.accepted.get())
    }

    /// Keeps the access-log entry until the last byte of the response is sent; writes it now if that is so.
    pub fn park_entry(&self, entry: Box<Entry>) {
        *self.entry.borrow_mut() = Some(entry);
        if self.ended.get() {
            self.finish_entry();
        }
    }

    /// Writes the entry that was kept.
    pub fn finish_entry(&self) {
        let entry = self.entry.borrow_mut().take();
        drop(entry);
    }
}

impl engine::Client for Http2Stream {
    fn is_gone(&self) -> bool {
        self.ended.get() || self.cut.get().is_some() || self.conn.is_killed()
    }

    fn disconnect(&self) {
        self.cut(Reason::CANCEL);
    }
}

impl access_log::Connection for Http2Stream {
    fn endpoints(&self) -> &Endpoints {
        &self.conn.endpoints
    }

    fn requests(&self) -> u64 {
        self.number.get()
    }

    fn take_bytes(&self) -> (u64, u64) {
        (self.received.take(), self.sent.take())
    }

    fn timed_out(&self) -> bool {
        self.timed_out.get()
    }
}
