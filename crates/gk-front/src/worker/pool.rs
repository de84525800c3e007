//! The workers of one process group and the queue in front of them: who gets the next request, who waits, who is
//! turned away. A request holds a [`Permit`] from the moment a worker is chosen until its frame is written.

use bytes::BytesMut;
use gk_config::site::ProcessGroup;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::client::connection::Conn;
use crate::process::clock::Clock;
use crate::worker::exchange::Exchange;
use crate::worker::link::{Link, State};
use crate::worker::profiles::Numbered;

/// Why a request is not served by any worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// The queue is at its bound.
    Full,
    /// It stood in the queue for `queue-timeout`.
    Late,
    /// For `connect-timeout` there was no worker at all.
    NoWorker,
}

/// What of `WSGIDaemonProcess` the front acts on. Milliseconds; 0 is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most requests in the queue.
    pub queue: usize,
    /// `queue-timeout`.
    pub queue_timeout: u64,
    /// `connect-timeout`.
    pub connect_timeout: u64,
    /// `socket-timeout`.
    pub socket_timeout: u64,
    /// `response-socket-timeout`.
    pub write_timeout: u64,
    /// `header-buffer-size`, in bytes.
    pub header_line: usize,
}

impl Limits {
    /// From the configuration; `timeout` is the server's `Timeout` in seconds, which stands in for a missing
    /// `socket-timeout`.
    pub fn of(group: &ProcessGroup, timeout: f64) -> Self {
        let millis = |seconds: f64| (seconds * 1_000.0) as u64;
        let or = |value: u64, other: u64| if value == 0 { other } else { value };
        let socket_timeout = or(millis(group.socket_timeout), millis(timeout));
        Self {
            queue: group.listen_backlog as usize,
            queue_timeout: millis(group.queue_timeout),
            connect_timeout: millis(group.connect_timeout).max(1),
            socket_timeout,
            write_timeout: or(millis(group.response_socket_timeout), socket_timeout),
            header_line: or(group.header_buffer_size, 32_768) as usize,
        }
    }
}

/// A process group's workers and queue.
pub struct Pool {
    /// Name of the process group.
    pub name: String,
    limits: Cell<Limits>,
    clock: Clock,
    links: RefCell<Vec<Rc<Link>>>,
    queue: RefCell<VecDeque<Rc<Waiting>>>,
    /// Coarse time since which there is no worker that takes requests; 0: there is one.
    deserted: Cell<u64>,
}

enum Standing {
    Queued,
    Granted(Rc<Link>),
    Turned(Turned),
    Gone,
}

struct Waiting {
    /// Requests are served in the order of these.
    request: u64,
    since: u64,
    standing: RefCell<Standing>,
    waker: RefCell<Option<Waker>>,
    conn: Rc<Conn>,
}

impl Waiting {
    fn settle(&self, standing: Standing) {
        *self.standing.borrow_mut() = standing;
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Pool {
    /// For a group; without workers yet.
    pub fn new(name: &str, limits: Limits, clock: Clock) -> Rc<Self> {
        let deserted = Cell::new(clock.coarse());
        Rc::new(Self {
            name: name.to_owned(),
            limits: Cell::new(limits),
            clock,
            links: RefCell::default(),
            queue: RefCell::default(),
            deserted,
        })
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.limits.get()
    }

    /// Other limits, after a reload.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.set(limits);
    }

    /// A link whose handshake is done.
    pub fn add(&self, link: Rc<Link>) {
        self.links.borrow_mut().push(link);
        self.deserted.set(0);
        self.pump();
    }

    /// A link that ended.
    pub fn remove(&self, link: &Rc<Link>) {
        self.links.borrow_mut().retain(|l| !Rc::ptr_eq(l, link));
        self.note_desertion();
        self.pump();
    }

    /// A link stopped taking requests.
    pub fn note_desertion(&self) {
        if self.has_worker() {
            self.deserted.set(0);
        } else if self.deserted.get() == 0 {
            self.deserted.set(self.clock.coarse());
        }
    }

    /// Whether any worker takes requests.
    pub fn has_worker(&self) -> bool {
        self.links.borrow().iter().any(|l| l.state() == State::Open)
    }

    /// Whether any worker takes requests that is as the configuration wants it.
    pub fn has_ready_worker(&self) -> bool {
        let refused = |link: &Link| link.gil_returned.get().is_some_and(|(_, refused)| *refused);
        self.links.borrow().iter().any(|l| l.state() == State::Open && !refused(l))
    }

    /// Precise time, in microseconds.
    pub fn micros(&self) -> u64 {
        self.clock.micros()
    }

    /// Coarse time.
    pub fn now(&self) -> u64 {
        self.clock.coarse()
    }

    /// Requests in the queue.
    pub fn queued(&self) -> usize {
        self.queue.borrow().len()
    }

    /// Runs over the links.
    pub fn each_link(&self, f: impl FnMut(&Rc<Link>)) {
        self.links.borrow().iter().for_each(f);
    }

    /// Gets a worker for a request, if it need not wait. `again`: see [`Pool::acquire`]; `now`: of [`Clock::micros`].
    pub fn at_once(&self, again: bool, now: u64) -> Option<Permit> {
        if self.queue.borrow().is_empty() || again { self.choose(now) } else { None }
    }

    /// Waits for a worker, when [`Pool::at_once`] gave none; the wait counts from the coarse time `since`. `again`: it stood
    /// at a worker that ended before it began the request, or that gave it back; it goes back
    /// to its place in the queue, whose bound does not concern it.
    pub async fn acquire(
        &self,
        request: u64,
        conn: &Rc<Conn>,
        again: bool,
        since: u64,
    ) -> Result<Permit, Turned> {
        if !again && self.queue.borrow().len() >= self.limits.get().queue {
            return Err(Turned::Full);
        }
        let waiting = Rc::new(Waiting {
            request,
            since,
            standing: RefCell::new(Standing::Queued),
            waker: RefCell::new(None),
            conn: Rc::clone(conn),
        });
        self.enqueue(Rc::clone(&waiting));
        let guard = Leave { pool: self, waiting };
        poll_fn(|cx| {
            let mut standing = guard.waiting.standing.borrow_mut();
            match std::mem::replace(&mut *standing, Standing::Gone) {
                Standing::Queued | Standing::Gone => {
                    *standing = Standing::Queued;
                    *guard.waiting.waker.borrow_mut() = Some(cx.waker().clone());
                    Poll::Pending
                }
                Standing::Granted(link) => Poll::Ready(Ok(Permit { link: Some(link) })),
                Standing::Turned(why) => Poll::Ready(Err(why)),
            }
        })
        .await
    }

    fn enqueue(&self, waiting: Rc<Waiting>) {
        let mut queue = self.queue.borrow_mut();
        let behind = queue.iter().rev().take_while(|w| w.request > waiting.request).count();
        let at = queue.len() - behind;
        queue.insert(at, waiting);
    }

    /// The worker with the least in flight per thread, if any has room.
    fn choose(&self, now: u64) -> Option<Permit> {
        let links = self.links.borrow();
        let mut best: Option<&Rc<Link>> = None;
        for link in links.iter().filter(|l| l.has_room(now)) {
            let lighter = best.is_none_or(|b| {
                u64::from(link.in_flight()) * u64::from(b.facts.threads)
                    < u64::from(b.in_flight()) * u64::from(link.facts.threads)
            });
            if lighter {
                best = Some(link);
            }
        }
        let link = best?;
        link.reserve(now);
        Some(Permit { link: Some(Rc::clone(link)) })
    }

    /// Gives room in the workers to the head of the queue.
    pub fn pump(&self) {
        while !self.queue.borrow().is_empty() {
            let Some(mut permit) = self.choose(self.clock.micros()) else { return };
            let next = self.queue.borrow_mut().pop_front();
            if let (Some(waiting), Some(link)) = (next, permit.link.take()) {
                waiting.settle(Standing::Granted(link));
            }
        }
    }

    /// Turns away who waited too long and forgets whose client is gone. Called a few times a second.
    pub fn tick(&self) {
        // Standing still is noticed by the clock, not by an event.
        self.pump();
        let now = self.clock.coarse();
        let limits = self.limits.get();
        let deserted = self.deserted.get();
        let no_worker = deserted != 0 && now.saturating_sub(deserted) >= limits.connect_timeout;
        self.queue.borrow_mut().retain(|waiting| {
            let waited = now.saturating_sub(waiting.since);
            let why = if no_worker && waited >= limits.connect_timeout {
                Turned::NoWorker
            } else if limits.queue_timeout != 0 && waited >= limits.queue_timeout {
                Turned::Late
            } else {
                if waiting.conn.client_gone() {
                    waiting.conn.kill();
                }
                return true;
            };
            waiting.settle(Standing::Turned(why));
            false
        });
    }
}

/// Takes a request out of the queue when its task goes away.
struct Leave<'p> {
    pool: &'p Pool,
    waiting: Rc<Waiting>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        match std::mem::replace(&mut *self.waiting.standing.borrow_mut(), Standing::Gone) {
            Standing::Queued => self.pool.queue.borrow_mut().retain(|w| !Rc::ptr_eq(w, &self.waiting)),
            Standing::Granted(link) => {
                link.unreserve();
                self.pool.pump();
            }
            Standing::Turned(_) | Standing::Gone => {}
        }
    }
}

/// Why a request was not written to the worker that was chosen for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotBegun {
    /// The worker's link ended since: ask for another.
    Again,
    /// It is longer than any link carries.
    TooLong,
}

/// Room for one request at one worker.
pub struct Permit {
    link: Option<Rc<Link>>,
}

impl Permit {
    /// Number of the link's worker and its process id.
    pub fn worker_pid(&self) -> u32 {
        self.link.as_ref().map_or(0, |l| l.facts.pid)
    }

    /// Writes the request to the worker.
    pub fn begin(
        mut self,
        profile: &Numbered,
        write: impl FnOnce(&mut BytesMut, u32),
    ) -> Result<Exchange, NotBegun> {
        let link = self.link.as_ref().ok_or(NotBegun::Again)?;
        if !matches!(link.state(), State::Open | State::Draining) {
            return Err(NotBegun::Again);
        }
        let id = link.begin(profile, write).ok_or(NotBegun::TooLong)?;
        let link = self.link.take().ok_or(NotBegun::Again)?;
        Ok(Exchange::new(link, id))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(link) = self.link.take()
            && link.state() != State::Dead
        {
            link.unreserve();
        }
    }
}
