//! The streams of one HTTP/2 connection: which are open, what their client may still ask for, and their timeouts.

use gk_config::place::Compiled;
use gk_wire::log::Level;
use h2::Reason;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use tokio::sync::Notify;

use crate::client::connection::{Conn, Phase};
use crate::client::http2::budget::Budget;
use crate::client::http2::date::DateValue;
use crate::client::http2::frames::{FrameHead, FrameScan, Seen, kind};
use crate::client::http2::offenders::Offenders;
use crate::client::http2::stream::{Http2Stream, StreamPhase};
use crate::log::host_log::HostLogs;
use crate::log::rate_limited::RateLimited;

/// Milliseconds that a client without requests has to answer the end of its connection.
const FAREWELL: u64 = 1_000;

/// Why a connection is ended by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It asks for too much beside its requests, or takes back too many of them.
    Flood,
    /// The rest of a request head did not come in time.
    LateHead,
    /// It breaks a rule that h2 does not look at, or has a less fitting word for.
    Broken(Reason),
}

impl Verdict {
    /// The code of the GOAWAY.
    pub fn reason(self) -> Reason {
        match self {
            Self::Flood => Reason::ENHANCE_YOUR_CALM,
            Self::LateHead => Reason::NO_ERROR,
            Self::Broken(reason) => reason,
        }
    }
}

/// The HTTP/2 connections of a front.
#[derive(Default)]
pub struct Http2Connections {
    /// Streams by connection.
    pub open: RefCell<HashMap<u64, Rc<Streams>>>,
    /// Connections ended because of what they asked for.
    pub floods: Cell<u64>,
    /// Limits the log lines about them.
    pub floods_noted: RateLimited,
    /// Whose they were.
    pub offenders: Offenders,
    /// The date of responses.
    pub date: DateValue,
}

/// A request that h2 refused by itself: no task serves it.
pub struct RefusedRequest {
    /// Its stream.
    pub stream: Rc<Http2Stream>,
    /// The status that says why; a client that gets a reset sees none.
    pub status: u16,
}

/// The streams of one connection. One thread only.
pub struct Streams {
    conn: Rc<Conn>,
    /// The front's coarse clock.
    now: Rc<Cell<u64>>,
    open: RefCell<HashMap<u32, Rc<Http2Stream>, foldhash::fast::RandomState>>,
    /// The client's first frame has come.
    begun: Cell<bool>,
    /// Highest number of a stream that the client began.
    last: Cell<u32>,
    budget: RefCell<Budget>,
    incoming: RefCell<FrameScan>,
    outgoing: RefCell<FrameScan>,
    /// Coarse time since which a head has been incomplete, and the bytes that came since.
    head: Cell<Option<(u64, u64)>>,
    verdict: Cell<Option<Verdict>>,
    /// Coarse time since which no new requests are taken.
    leaving: Cell<Option<u64>>,
    /// The generation of the site that the connection began with.
    pub generation: u64,
    /// What h2 refused by itself, until it is counted and logged.
    refused: RefCell<Vec<RefusedRequest>>,
    /// A stream's task is over.
    pub served: Notify,
}

impl Http2Connections {
    /// A stream of a connection.
    pub fn stream(&self, connection: u64, id: u32) -> Option<Rc<Http2Stream>> {
        let open = self.open.borrow();
        open.get(&connection)?.open.borrow().get(&id).map(Rc::clone)
    }
}

impl Streams {
    /// For a connection that begins now. `now`: the front's coarse clock in milliseconds; `offences`: those of its client before.
    pub fn new(conn: &Rc<Conn>, now: Rc<Cell<u64>>, generation: u64, offences: u32) -> Rc<Self> {
        Rc::new(Self {
            conn: Rc::clone(conn),
            open: RefCell::default(),
            begun: Cell::new(false),
            last: Cell::new(0),
            budget: RefCell::new(Budget::new(now.get(), offences)),
            now,
            incoming: RefCell::new(FrameScan::of_client()),
            outgoing: RefCell::default(),
            head: Cell::new(None),
            verdict: Cell::new(None),
            leaving: Cell::new(None),
            generation,
            refused: RefCell::default(),
            served: Notify::new(),
        })
    }

    /// Bytes came from the client.
    pub fn received(&self, bytes: &[u8]) {
        let mut scan = self.incoming.borrow_mut();
        scan.feed(bytes, |seen| self.frame_came(&seen));
        let began = self.head.get().map_or(self.now.get(), |(began, _)| began);
        let so_far = self.head.get().map_or(0, |(_, bytes)| bytes) + bytes.len() as u64;
        self.head.set(scan.is_in_head().then_some((began, so_far)));
    }

    /// Whether a stream was begun and is not over.
    pub fn is_open(&self, id: u32) -> bool {
        self.open.borrow().contains_key(&id)
    }

    fn frame_came(&self, seen: &Seen) {
        if seen.begins {
            let first = !self.begun.replace(true);
            if first && seen.frame.kind != kind::SETTINGS {
                self.verdict.set(Some(Verdict::Broken(Reason::PROTOCOL_ERROR)));
            } else if seen.frame.is_of_wrong_size() {
                self.verdict.set(Some(Verdict::Broken(Reason::FRAME_SIZE_ERROR)));
            }
        }
        if !self.budget.borrow_mut().received(seen, self.now.get()) {
            self.verdict.set(Some(Verdict::Flood));
        }
        let id = seen.frame.stream;
        match seen.frame.kind {
            kind::HEADERS if seen.begins && id > self.last.get() && id % 2 == 1 => self.begin(id),
            kind::DATA | kind::HEADERS | kind::CONTINUATION | kind::RST_STREAM => {}
            _ => return,
        }
        let Some(stream) = self.open.borrow().get(&id).map(Rc::clone) else { return };
        let payload = if seen.frame.kind == kind::DATA { seen.payload } else { 0 };
        stream.note_received(seen.bytes(), payload);
        if seen.frame.kind == kind::RST_STREAM && seen.ends {
            if !self.budget.borrow_mut().taken_back(self.now.get()) {
                self.verdict.set(Some(Verdict::Flood));
            }
            self.ended(&stream);
        }
    }

    fn begin(&self, id: u32) {
        self.last.set(id);
        let mut open = self.open.borrow_mut();
        if open.is_empty() {
            self.conn.enter(Phase::Serving);
        }
        open.insert(id, Http2Stream::new(id, &self.conn, &self.now));
    }

    /// Bytes went to the client.
    pub fn sent(&self, bytes: &[u8]) {
        self.outgoing.borrow_mut().feed(bytes, |seen| self.frame_went(&seen));
    }

    fn frame_went(&self, seen: &Seen) {
        let frame = &seen.frame;
        if seen.ends {
            self.budget.borrow_mut().sent(frame);
        }
        if !matches!(frame.kind, kind::DATA | kind::HEADERS | kind::CONTINUATION | kind::RST_STREAM) {
            return;
        }
        let Some(stream) = self.open.borrow().get(&frame.stream).map(Rc::clone) else { return };
        stream.note_sent(seen.bytes());
        if seen.ends && (frame.kind == kind::RST_STREAM || frame.ends_stream()) {
            if !stream.accepted.get() {
                let status = refusal(frame, seen.code);
                self.refused.borrow_mut().push(RefusedRequest { stream: Rc::clone(&stream), status });
            }
            self.ended(&stream);
        }
    }

    /// What h2 has refused by itself since the last call.
    pub fn take_refused(&self) -> Vec<RefusedRequest> {
        self.refused.take()
    }

    /// The last frame of a stream went by.
    fn ended(&self, stream: &Rc<Http2Stream>) {
        stream.ended.set(true);
        stream.finish_entry();
        self.settle(stream);
    }

    /// The stream that h2 hands over. It is there, as its first frame was scanned before h2 got it.
    pub fn accept(&self, id: u32) -> Rc<Http2Stream> {
        let known = self.open.borrow().get(&id).map(Rc::clone);
        let stream = known.unwrap_or_else(|| {
            let stream = Http2Stream::new(id, &self.conn, &self.now);
            // Its client has taken it back already.
            stream.ended.set(true);
            stream
        });
        stream.accept();
        stream
    }

    /// The task of a stream is over.
    pub fn served(&self, stream: &Rc<Http2Stream>) {
        stream.served.set(true);
        self.settle(stream);
        self.served.notify_waiters();
    }

    fn settle(&self, stream: &Rc<Http2Stream>) {
        if !stream.is_over() {
            return;
        }
        let mut open = self.open.borrow_mut();
        if open.remove(&stream.id).is_some() && open.is_empty() {
            self.conn.enter(Phase::Idle);
        }
    }

    /// Whether no stream's task runs any more.
    pub fn are_served(&self) -> bool {
        self.open.borrow().values().all(|stream| stream.served.get() || !stream.accepted.get())
    }

    /// The connection has ended: the entries of what was not sent to its end are written.
    pub fn close(&self) {
        let left: Vec<_> = self.open.borrow_mut().drain().map(|(_, stream)| stream).collect();
        for stream in left {
            stream.ended.set(true);
            stream.finish_entry();
        }
    }

    /// Why the connection has to end, if it has.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict.get()
    }

    /// No new requests are taken from now on. `false`: that was so before.
    pub fn leave(&self) -> bool {
        let first = self.leaving.get().is_none();
        if first {
            self.leaving.set(Some(self.now.get()));
        }
        first
    }

    /// Applies the timeouts. `leaves`: the front may want to be rid of the connection, which its task decides.
    pub fn tick(&self, compiled: &Compiled, leaves: impl FnOnce(&Self) -> bool, logs: &HostLogs) {
        if self.conn.is_killed() {
            return;
        }
        let now = self.now.get();
        let site = compiled.site();
        let first = compiled.first_host(self.conn.endpoints.local_address());
        if let Some((began, bytes)) = self.head.get() {
            let allowed = site.hosts[first].read_timeouts.header.allowed(bytes);
            if allowed.is_some_and(|seconds| now.saturating_sub(began) as f64 > seconds * 1_000.0) {
                self.verdict.set(Some(Verdict::LateHead));
                self.conn.nudge();
                return;
            }
        }
        let idle = self.open.borrow().is_empty();
        match self.leaving.get() {
            Some(since) if idle && now.saturating_sub(since) > FAREWELL => self.conn.kill(),
            None if leaves(self) => self.conn.nudge(),
            _ => {}
        }
        let limit = site.hosts[first].http2.stream_timeout;
        let open: Vec<_> = self.open.borrow().values().map(Rc::clone).collect();
        open.iter().for_each(|stream| {
            logs.about(stream.body_host.get() as usize, || apply(stream, compiled, limit));
        });
    }
}

/// The status that fits the frame with which h2 refused a request.
fn refusal(frame: &FrameHead, code: u32) -> u16 {
    match frame.kind {
        // The one response that h2 makes: to a head that is too long.
        kind::HEADERS => 431,
        _ if code == u32::from(Reason::REFUSED_STREAM) => 503,
        _ => 400,
    }
}

/// Applies the timeouts to one stream. `limit`: seconds that it may stand still, where the host says so.
fn apply(stream: &Http2Stream, compiled: &Compiled, limit: Option<f64>) {
    let (phase, waited) = stream.waiting();
    let seconds = limit.unwrap_or(compiled.site().http.timeout);
    let over = seconds > 0.0 && waited as f64 > seconds * 1_000.0;
    let client = Some(&*stream.conn.endpoints.client);
    match phase {
        StreamPhase::Stalled => {
            let own = stream.write_limit.get();
            if (own != 0 && waited > own) || ((own == 0 || limit.is_some()) && over) {
                let text = "the client did not take the response in time; it was cut off";
                crate::note_code(Level::Error, "WSGI0118", client, text);
                stream.cut(Reason::CANCEL);
            }
        }
        StreamPhase::Body if !stream.is_late() => {
            let hosts = &compiled.site().hosts;
            // A reload may have changed their number.
            let host = hosts.get(stream.body_host.get() as usize).unwrap_or(&hosts[0]);
            let (took, bytes) = stream.body();
            let allowed = host.read_timeouts.body.allowed(bytes);
            if over || allowed.is_some_and(|seconds| took as f64 > seconds * 1_000.0) {
                let text = "the client did not send the request body in time";
                crate::note_code(Level::Error, "WSGI0126", client, text);
                stream.time_out();
            }
        }
        StreamPhase::Body | StreamPhase::Serving => {}
    }
}
