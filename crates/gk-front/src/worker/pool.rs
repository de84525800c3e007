//! A process group's workers and the queue in front of them. A request holds a [`Permit`] from the choice of a worker until its
//! frame is written. The decisions are made in `dispatcher`; here tasks wait for them. `relief`: whose response ends so that others get a thread.

mod relief;

use gk_wire::log::Level;
use gk_wire::queue::QueueFigures;
use http::request::Parts;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::engine::Client;
use crate::log::answers::AnswerTally;
use crate::log::rate_limited::{RateLimited, Repeated};
use crate::process::clock::Clock;
use crate::worker::dispatcher::{Arrival, Candidate, Dispatcher, PoolLimits, QueueRefusal};
use crate::worker::exchange::Exchange;
use crate::worker::head::{self, RequestExtras};
use crate::worker::held::Origin;
use crate::worker::link::pulse::Sign;
use crate::worker::link::{Link, LinkState};
use crate::worker::profiles::NumberedProfile;
use crate::worker::share::Share;
use crate::worker::suspects::Suspects;
use crate::worker::tally::Tally;

/// Longest wait of a request for its second attempt.
const TURN: Duration = Duration::from_secs(1);

/// Longest time in seconds that a refused client is told to stay away.
const LONGEST_RETRY: u64 = 60;

/// A process group's workers and queue.
pub struct Pool {
    /// Name of the process group.
    pub name: String,
    clock: Clock,
    dispatcher: RefCell<Dispatcher<Rc<Link>, Rc<Waiting>>>,
    /// Requests that were refused or tried again.
    pub tally: Tally,
    /// Answers to clients.
    pub answers: Rc<AnswerTally>,
    /// Routes whose requests workers died of.
    pub suspects: Suspects,
    second_attempts: Semaphore,
    /// Limits the log lines about workers that do not run.
    stops_noted: RateLimited,
    /// Memory and disk for responses of slow clients.
    pub share: Rc<Share>,
    /// Responses that were cut off because their clients held the last request threads.
    pub given_up: Repeated,
    /// Somebody waits for `room_came`.
    room_awaited: Cell<bool>,
    room_came: Notify,
    /// When a worker got the last request, in milliseconds of the coarse clock.
    given: Cell<u64>,
}

/// A request that waits in the queue.
struct Waiting {
    request: u64,
    state: RefCell<WaitState>,
    waker: RefCell<Option<Waker>>,
    client: Rc<dyn Client>,
}

enum WaitState {
    Queued,
    Granted(Rc<Link>),
    Refused(QueueRefusal),
    /// The task has taken the result.
    Done,
}

impl Waiting {
    fn settle(&self, state: WaitState) {
        *self.state.borrow_mut() = state;
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Candidate for Rc<Link> {
    fn is_open(&self) -> bool {
        self.state() == LinkState::Open
    }

    fn has_room(&self, now_micros: u64) -> bool {
        Link::has_room(self, now_micros)
    }

    fn in_flight(&self) -> u32 {
        Link::load(self)
    }

    fn threads(&self) -> u32 {
        self.info.threads
    }

    fn reserve(&self, now_micros: u64) {
        Link::reserve(self, now_micros);
    }
}

impl Pool {
    /// For a group; without workers yet.
    pub fn new(name: &str, limits: PoolLimits, clock: Clock, share: Share) -> Rc<Self> {
        let dispatcher = RefCell::new(Dispatcher::new(limits, clock.coarse()));
        let answers = AnswerTally::new(&clock, name);
        Rc::new(Self {
            name: name.to_owned(),
            clock,
            answers,
            dispatcher,
            tally: Tally::default(),
            suspects: Suspects::default(),
            second_attempts: Semaphore::new(1),
            stops_noted: RateLimited::default(),
            share: Rc::new(share),
            given_up: Repeated::default(),
            room_awaited: Cell::new(false),
            room_came: Notify::new(),
            given: Cell::new(0),
        })
    }

    /// The limits in force.
    pub fn limits(&self) -> PoolLimits {
        self.dispatcher.borrow().limits()
    }

    /// Other limits, after a reload.
    pub fn set_limits(&self, limits: PoolLimits) {
        self.dispatcher.borrow_mut().set_limits(limits);
    }

    /// A link has completed its handshake.
    pub fn add(&self, link: Rc<Link>) {
        self.dispatcher.borrow_mut().add(link);
        self.pump();
    }

    /// A link has ended.
    pub fn remove(&self, link: &Rc<Link>) {
        self.dispatcher.borrow_mut().remove(|l| Rc::ptr_eq(l, link), self.clock.coarse());
        self.pump();
    }

    /// A link may have stopped taking requests.
    pub fn check_workers(&self) {
        self.dispatcher.borrow_mut().check_workers(self.clock.coarse());
    }

    /// Whether a worker that imported its applications takes requests in the GIL mode that the configuration requires.
    /// `silent`: whether the worker of that number gives no sign of life.
    pub fn has_ready_worker(&self, silent: impl Fn(u64) -> bool) -> bool {
        let forbidden = |link: &Link| link.gil_returned.get().is_some_and(|(_, forbidden)| *forbidden);
        let fit = |link: &Link| link.info.imported && !forbidden(link) && !silent(link.info.worker);
        let ready = |link: &Rc<Link>| link.is_open() && fit(link);
        self.dispatcher.borrow().workers().iter().any(ready)
    }

    /// Precise time, in microseconds.
    pub fn micros(&self) -> u64 {
        self.clock.micros()
    }

    /// Coarse time, in milliseconds.
    pub fn now(&self) -> u64 {
        self.clock.coarse()
    }

    /// When a worker got the last request, in milliseconds of the coarse clock; 0: none did.
    pub fn last_given(&self) -> u64 {
        self.given.get()
    }

    /// Requests in the queue.
    pub fn queued(&self) -> usize {
        self.dispatcher.borrow().queued()
    }

    /// The figures of the queue.
    pub fn figures(&self) -> QueueFigures {
        let now = self.now();
        QueueFigures {
            held: self.dispatcher.borrow().held(),
            deadly: self.suspects.convicted(now),
            ..self.tally.figures(now)
        }
    }

    /// Seconds after which a refused client may find a place: the queue is as long as its first request has waited.
    pub fn retry_after(&self) -> u32 {
        let wait = self.dispatcher.borrow().longest_wait(self.now());
        wait.div_ceil(1_000).clamp(1, LONGEST_RETRY) as u32
    }

    /// Times out the requests on the links that wait too long for a frame of their worker.
    pub fn expire(&self) {
        let bound = self.limits().socket_timeout;
        if bound != 0 {
            self.dispatcher.borrow().workers().iter().for_each(|link| link.expire(bound));
        }
    }

    /// A permit, if the request need not wait. `again`: see [`Pool::acquire`]; `now`: of [`Clock::micros`]; `client`: its address.
    pub fn try_acquire(&self, again: bool, now: u64, client: Option<IpAddr>) -> Option<Permit> {
        let held = &self.share.held;
        if !held.is_empty() && self.bar().holds_off(client) {
            return None;
        }
        let link = self.dispatcher.borrow().try_reserve(again, now)?;
        self.given.set(self.now());
        Some(Permit { link: Some(link) })
    }

    /// Waits for a permit after [`Pool::try_acquire`] gave none. A request that was at a worker before goes back to its place in the
    /// queue, even if the queue is full.
    pub async fn acquire(&self, arrival: Arrival, client: Rc<dyn Client>) -> Result<Permit, QueueRefusal> {
        let state = RefCell::new(WaitState::Queued);
        let waiting = Rc::new(Waiting { request: arrival.request, state, waker: RefCell::new(None), client });
        self.dispatcher.borrow_mut().enqueue(arrival, Rc::clone(&waiting))?;
        let place = QueuePlace { pool: self, waiting };
        if !self.share.held.is_empty() {
            // Those that wait may be barred, and workers have room.
            self.pump();
        }
        poll_fn(|cx| {
            let mut state = place.waiting.state.borrow_mut();
            match std::mem::replace(&mut *state, WaitState::Done) {
                WaitState::Queued | WaitState::Done => {
                    *state = WaitState::Queued;
                    *place.waiting.waker.borrow_mut() = Some(cx.waker().clone());
                    Poll::Pending
                }
                WaitState::Granted(link) => Poll::Ready(Ok(Permit { link: Some(link) })),
                WaitState::Refused(why) => Poll::Ready(Err(why)),
            }
        })
        .await
    }

    /// The turn of a request whose worker died. One of those that the worker had may be what killed it, and would take the others
    /// with it for good if they were all at the next worker. So they go there one after the other, but none waits long for that.
    pub async fn second_attempt(&self) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(TURN, self.second_attempts.acquire()).await.ok()?.ok()
    }

    /// Gives the places that workers have free to the queue.
    pub fn pump(&self) {
        while !self.dispatcher.borrow().is_empty() {
            let bar = self.bar();
            let (barred, last) = (|client| bar.holds_off(client), |client| bar.puts_last(client));
            let grant = self.dispatcher.borrow_mut().next_grant(self.clock.micros(), barred, last);
            let Some((waiting, link)) = grant else { return };
            self.given.set(self.now());
            waiting.settle(WaitState::Granted(link));
        }
        if self.room_awaited.get() && self.has_room() {
            self.room_awaited.set(false);
            self.room_came.notify_waiters();
        }
    }

    /// Whether a request would find a worker that takes it.
    pub fn has_room(&self) -> bool {
        let (dispatcher, now) = (self.dispatcher.borrow(), self.clock.micros());
        dispatcher.is_empty() && dispatcher.workers().iter().any(|link| link.has_room(now))
    }

    /// Whether a request would wait for a thread, and noticeably.
    pub fn is_behind(&self) -> bool {
        let (dispatcher, now) = (self.dispatcher.borrow(), self.clock.micros());
        !dispatcher.is_empty() || dispatcher.workers().iter().all(|link| link.is_behind(now))
    }

    /// Waits until a worker has room again.
    pub async fn room(&self) {
        self.room_awaited.set(true);
        self.room_came.notified().await;
    }

    /// Takes requests away from workers that do not run, while another one does.
    fn look_at_workers(&self) {
        let dispatcher = self.dispatcher.borrow();
        dispatcher.workers().iter().for_each(|link| link.blocks.tidy(link.now()));
        let signs: Vec<(&Rc<Link>, Sign)> =
            dispatcher.workers().iter().map(|link| (link, link.look())).collect();
        for (link, _) in &signs {
            if let Some(count) = link.stays_away()
                && self.stops_noted.is_due()
            {
                let (group, pid) = (&self.name, link.info.pid);
                let text = format!(
                    "worker {pid} of process group '{group}' begins no request, as if it was stopped: {count} of its requests went to \
                     others, and it gets none until it goes on"
                );
                crate::note_code(Level::Warn, "GK0034", None, &text);
            }
        }
        let lives =
            |(link, sign): &(&Rc<Link>, Sign)| *sign == Sign::Lives && link.is_open() && !link.is_away();
        if signs.iter().all(lives) || !signs.iter().any(lives) {
            return;
        }
        for (link, sign) in signs.into_iter().filter(|(_, sign)| *sign != Sign::Lives) {
            link.take_back();
            if sign == Sign::Silent {
                link.requests.borrow_mut().tell_silence();
            }
        }
    }

    /// Refuses requests that waited too long, and ends those whose client is gone. Called a few times a second. Returns the request
    /// whose connection is to be reset, as its response holds the last thread.
    pub fn tick(&self) -> Option<Origin> {
        self.look_at_workers();
        // A worker in which no request ends loses its room, and gets it back, by the clock and not by an event.
        self.pump();
        self.tell_marks();
        let given_up = if self.share.held.is_empty() { None } else { self.relieve() };
        if let Some(response) = &given_up {
            self.note_given_up(response);
        }
        let refused = self.dispatcher.borrow_mut().expire(self.clock.coarse());
        for (waiting, why) in refused {
            waiting.settle(WaitState::Refused(why));
        }
        for waiting in self.dispatcher.borrow().tickets() {
            if waiting.client.is_gone() {
                waiting.client.disconnect();
            }
        }
        given_up.map(|response| response.origin)
    }
}

/// A request's place in the queue; given up when its task goes away.
struct QueuePlace<'p> {
    pool: &'p Pool,
    waiting: Rc<Waiting>,
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        match std::mem::replace(&mut *self.waiting.state.borrow_mut(), WaitState::Done) {
            WaitState::Queued => {
                self.pool.dispatcher.borrow_mut().leave(self.waiting.request);
            }
            WaitState::Granted(link) => {
                link.unreserve();
                self.pool.pump();
            }
            WaitState::Refused(_) | WaitState::Done => {}
        }
    }
}

/// Why a request was not written to the worker that was chosen for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeginError {
    /// The worker's link has ended meanwhile, or it does not run; another worker may take the request.
    LinkEnded,
    /// The request is longer than any link carries.
    TooLong,
}

/// A place for one request at one worker.
pub struct Permit {
    link: Option<Rc<Link>>,
}

impl Permit {
    /// Process id of the worker.
    pub fn worker_pid(&self) -> u32 {
        self.link.as_ref().map_or(0, |link| link.info.pid)
    }

    /// Writes the request to the worker.
    pub fn begin(
        mut self,
        profile: &NumberedProfile,
        parts: &Parts,
        extras: &RequestExtras<'_>,
    ) -> Result<Exchange, BeginError> {
        let link = self.link.as_ref().ok_or(BeginError::LinkEnded)?;
        if !matches!(link.state(), LinkState::Open | LinkState::Draining) || link.is_away() {
            return Err(BeginError::LinkEnded);
        }
        let origin = Origin {
            address: extras.client,
            connection: extras.numbers.connection_id,
            stream: extras.stream,
            request: extras.numbers.request_id,
        };
        let id = link
            .begin(profile, origin, |out, id| head::encode(out, id, parts, extras))
            .ok_or(BeginError::TooLong)?;
        let link = self.link.take().ok_or(BeginError::LinkEnded)?;
        Ok(Exchange::new(link, id))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(link) = self.link.take()
            && link.state() != LinkState::Dead
        {
            link.unreserve();
        }
    }
}
