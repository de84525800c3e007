//! One link to one worker: its socket, the buffer of frames on their way out, the requests on it, and how it ends.
//! Frames are queued by the connections' tasks and written once per turn of the event loop by [`write_out`]; the
//! reader is in `link_reader`. Which link a request takes is `pool`'s decision.

use bytes::{Buf, BytesMut};
use gk_sys::page::SharedPage;
use gk_wire::frame::{Hello, INITIAL_WINDOW, ToWorkerFrame, to_front};
use gk_wire::page::{SERVICE, STARTED};
use gk_wire::{PACKAGE_VERSION, PROTOCOL_VERSION};
use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::balance::Balance;
use crate::clock::Clock;
use crate::profiles::Numbered;
use crate::slots::{Failure, Slots};

/// Where a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// `Hello` went out, `Welcome` has not come.
    Greeting,
    /// Takes requests.
    Open,
    /// Takes no new ones; `Drain` goes out when the last one is done.
    Draining,
    /// `Drain` went out.
    Drained,
    /// The stream ended.
    Dead,
}

/// What the supervisor said of the worker behind a link.
#[derive(Debug, Clone)]
pub struct WorkerFacts {
    /// Its number.
    pub worker: u64,
    /// Its process group.
    pub process_group: String,
    /// Its process id.
    pub pid: u32,
    /// Its request threads.
    pub threads: u32,
}

impl From<&WorkerFacts> for gk_admin::LinkFigures {
    fn from(facts: &WorkerFacts) -> Self {
        Self {
            worker: facts.worker,
            pid: facts.pid,
            process_group: facts.process_group.clone(),
            threads: facts.threads,
        }
    }
}

/// A link. One thread only.
pub struct Link {
    /// The worker.
    pub facts: WorkerFacts,
    pub(crate) clock: Clock,
    pub(crate) socket: AsyncFd<OwnedFd>,
    page: SharedPage,
    out: RefCell<BytesMut>,
    flush: RefCell<Option<Waker>>,
    roomy: Notify,
    pub(crate) slots: RefCell<Slots>,
    state: Cell<State>,
    ordinal: Cell<u64>,
    /// Requests the worker has not ended, permits not used yet included.
    in_flight: Cell<u32>,
    balance: RefCell<Balance>,
    /// Numbers of the profiles that the worker has.
    profiles: RefCell<Vec<bool>>,
    /// How the process ended, once the supervisor told.
    how: RefCell<Option<String>>,
    how_known: Notify,
    /// What turned its GIL back on although it is to run without, and whether the configuration refuses that.
    pub(crate) gil_returned: OnceCell<(String, bool)>,
    /// Told when `Drain` went out.
    pub(crate) drained: Notify,
}

/// Bytes in the out-buffer above which request bodies wait.
const ROOM: usize = 1 << 20;

impl Link {
    /// Takes over a link's socket and page; queues `Hello`.
    pub fn new(facts: WorkerFacts, socket: OwnedFd, page: OwnedFd, clock: Clock) -> io::Result<Rc<Self>> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let page = SharedPage::map(page)?;
        let threads = facts.threads;
        let link = Rc::new(Self {
            facts,
            clock,
            // Only readability: a registered interest in writability would wake this process each time the worker
            // takes bytes out of the socket.
            socket: watched(socket, Interest::READABLE)?,
            page,
            out: RefCell::new(BytesMut::with_capacity(64 * 1024)),
            flush: RefCell::new(None),
            roomy: Notify::new(),
            slots: RefCell::default(),
            state: Cell::new(State::Greeting),
            ordinal: Cell::new(0),
            in_flight: Cell::new(0),
            balance: RefCell::new(Balance::new(threads)),
            profiles: RefCell::default(),
            how: RefCell::default(),
            how_known: Notify::new(),
            gil_returned: OnceCell::new(),
            drained: Notify::new(),
        });
        let hello =
            Hello { protocol: PROTOCOL_VERSION, package: PACKAGE_VERSION.into(), pid: std::process::id() };
        let json = serde_json::to_vec(&hello).expect("a struct of strings and numbers is always JSON");
        link.queue(ToWorkerFrame::Hello(&json));
        Ok(link)
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state.get()
    }

    /// The handshake is done.
    pub(crate) fn open(&self) {
        if self.state.get() == State::Greeting {
            self.state.set(State::Open);
        }
    }

    /// Requests the worker has not ended.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// For a worker that has a GIL although it is to run without: a line that says so.
    pub fn remark(&self) -> Option<String> {
        let (module, _) = self.gil_returned.get()?;
        let WorkerFacts { process_group, worker, pid, .. } = &self.facts;
        Some(format!(
            "process group '{process_group}': worker {worker} (pid {pid}) has a GIL again, {module} turned it on"
        ))
    }

    /// Whether another request may go here now.
    pub fn has_room(&self, now_micros: u64) -> bool {
        self.state.get() == State::Open && self.in_flight.get() < self.limit(now_micros)
    }

    fn limit(&self, now_micros: u64) -> u32 {
        let service = self.page.word(SERVICE).load(Ordering::Relaxed);
        self.balance.borrow().limit(now_micros, self.in_flight.get(), service)
    }

    /// Counts a request that will be begun here.
    pub fn reserve(&self, now_micros: u64) {
        if self.in_flight.get() == 0 {
            self.balance.borrow_mut().moved(now_micros);
        }
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// Takes back what [`Link::reserve`] counted.
    pub fn unreserve(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        self.drain_if_idle();
    }

    /// The worker ended `count` requests.
    pub(crate) fn completed(&self, count: u32) {
        if count == 0 {
            return;
        }
        let before = self.in_flight.get();
        self.balance.borrow_mut().moved(self.clock.micros());
        self.in_flight.set(before.saturating_sub(count));
        self.drain_if_idle();
    }

    /// The worker gave `count` requests back: it stands still, so nothing has moved.
    pub(crate) fn returned(&self, count: u32) {
        self.in_flight.set(self.in_flight.get().saturating_sub(count));
        self.drain_if_idle();
    }

    /// Begins a reserved request: takes a slot, sends the profile if the worker does not have it, and lets `write`
    /// put the `Request` frame into the out-buffer.
    pub fn begin(&self, profile: &Numbered, write: impl FnOnce(&mut BytesMut, u32)) -> u32 {
        let mut out = self.out.borrow_mut();
        if !self.profiles.borrow().get(profile.number as usize).is_some_and(|known| *known) {
            self.introduce(profile, &mut out);
        }
        let ordinal = self.ordinal.get() + 1;
        self.ordinal.set(ordinal);
        let mut slots = self.slots.borrow_mut();
        let (id, slot) = slots.take();
        slot.ordinal = ordinal;
        slot.since = self.clock.coarse();
        slot.upload_credit = u64::from(INITIAL_WINDOW);
        write(&mut out, id);
        let many = out.len() > EARLY;
        drop(out);
        if many {
            self.write_early();
        }
        self.wake_writer();
        id
    }

    /// Sends a profile that the worker does not have yet.
    #[cold]
    fn introduce(&self, profile: &Numbered, out: &mut BytesMut) {
        let mut known = self.profiles.borrow_mut();
        let at = profile.number as usize;
        if known.len() <= at {
            known.resize(at + 1, false);
        }
        known[at] = true;
        ToWorkerFrame::Profile { number: profile.number, json: &profile.json }.encode(out);
    }

    /// Writes what the socket takes at once: in a long turn the worker begins with the first requests while the front still
    /// reads the last ones.
    fn write_early(&self) {
        let mut out = self.out.borrow_mut();
        if let Ok(sent) = gk_sys::fds::try_send(self.socket.get_ref(), &out) {
            out.advance(sent);
        }
    }

    /// Queues a frame for the next write.
    pub fn queue(&self, frame: ToWorkerFrame<'_>) {
        if matches!(self.state.get(), State::Drained | State::Dead) {
            return;
        }
        frame.encode(&mut self.out.borrow_mut());
        self.wake_writer();
    }

    /// Waits until the out-buffer has room for body bytes again.
    pub async fn room(&self) {
        while self.out.borrow().len() > ROOM && self.state.get() != State::Dead {
            self.roomy.notified().await;
        }
    }

    /// The client's side is done with a request. What the worker has not ended yet is cancelled.
    pub fn release(&self, id: u32) {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get(id) else { return };
        slot.released = true;
        slot.chunks.clear();
        slot.waker = None;
        let cancel = !slot.ended;
        slots.settle(id);
        drop(slots);
        if cancel {
            self.queue(ToWorkerFrame::Cancel { id });
        }
    }

    /// Takes no more requests; `Drain` follows the last one that is there.
    pub fn drain(&self) {
        if matches!(self.state.get(), State::Greeting | State::Open) {
            self.state.set(State::Draining);
            self.drain_if_idle();
        }
    }

    fn drain_if_idle(&self) {
        if self.state.get() == State::Draining && self.in_flight.get() == 0 {
            self.queue(ToWorkerFrame::Drain);
            self.state.set(State::Drained);
            self.drained.notify_one();
        }
    }

    /// The stream ended (or broke): settles every request on it. Returns how many were lost while being served.
    pub(crate) fn died(&self) -> usize {
        self.state.set(State::Dead);
        let started = self.page.word(STARTED).load(Ordering::Acquire);
        let mut lost = 0;
        let mut settled = Vec::new();
        for (id, slot) in self.slots.borrow_mut().each().filter(|(_, slot)| !slot.ended) {
            slot.ended = true;
            settled.push(id);
            if slot.failure.is_none() {
                let begun = slot.ordinal <= started || slot.headed;
                slot.failure = Some(if begun { Failure::Died } else { Failure::NotStarted });
                lost += usize::from(begun && !slot.released);
            }
            slot.wake();
        }
        let mut slots = self.slots.borrow_mut();
        settled.into_iter().for_each(|id| slots.settle(id));
        drop(slots);
        self.in_flight.set(0);
        self.out.borrow_mut().clear();
        self.roomy.notify_waiters();
        self.wake_writer();
        lost
    }

    /// The supervisor tells how the process ended.
    pub fn set_how(&self, how: String) {
        *self.how.borrow_mut() = Some(how);
        self.how_known.notify_waiters();
    }

    /// Whether the supervisor told how the process ended.
    pub(crate) fn known_how(&self) -> bool {
        self.how.borrow().is_some()
    }

    /// How the process ended; waits a moment for the supervisor to tell.
    pub async fn how(&self) -> Option<String> {
        if self.how.borrow().is_none() {
            let _ =
                tokio::time::timeout(std::time::Duration::from_millis(250), self.how_known.notified()).await;
        }
        self.how.borrow().clone()
    }

    /// Ends the wait for requests whose worker has not said anything for so many milliseconds.
    pub fn expire(&self, bound: u64) {
        let now = self.clock.coarse();
        for (_, slot) in self.slots.borrow_mut().each() {
            let waits = !slot.ended && !slot.released && slot.chunks.is_empty() && slot.failure.is_none();
            if waits && now.saturating_sub(slot.since) > bound {
                slot.failure = Some(Failure::Late);
                slot.wake();
            }
        }
    }

    fn wake_writer(&self) {
        if let Some(waker) = self.flush.borrow_mut().take() {
            waker.wake();
        }
    }

    fn poll_frames_to_write(&self, cx: &Context<'_>) -> Poll<bool> {
        if self.state.get() == State::Dead {
            return Poll::Ready(false);
        }
        if !self.out.borrow().is_empty() {
            return Poll::Ready(true);
        }
        *self.flush.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Writes queued frames until the link dies. A frame queued by any task wakes this one, which then stands behind every
/// task that is ready in this turn: so one write carries all their frames, and a lone request leaves at once.
pub async fn write_out(link: Rc<Link>) {
    while std::future::poll_fn(|cx| link.poll_frames_to_write(cx)).await {
        let sent = {
            let out = link.out.borrow();
            gk_sys::fds::send(link.socket.get_ref(), &out, &[])
        };
        match sent {
            Ok(n) => {
                let mut out = link.out.borrow_mut();
                out.advance(n);
                if out.is_empty() {
                    // Takes the whole buffer back; one that a large body blew up is given away.
                    if out.capacity() > 4 * ROOM {
                        *out = BytesMut::with_capacity(64 * 1024);
                    } else {
                        out.clear();
                        out.reserve(64 * 1024);
                    }
                }
                if out.len() <= ROOM {
                    link.roomy.notify_waiters();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if writable(&link).await.is_err() {
                    return;
                }
            }
            // The reader sees the end of the stream and settles the requests; nothing is lost by stopping here.
            Err(_) => return,
        }
    }
}

/// Waits until the full socket takes bytes again, with a registration that lives only that long.
async fn writable(link: &Link) -> io::Result<()> {
    let watch = watched(link.socket.get_ref().try_clone()?, Interest::WRITABLE)?;
    let _ready = watch.writable().await?;
    Ok(())
}

/// Registers a descriptor for one kind of readiness.
#[expect(
    deprecated,
    reason = "its replacement is unsafe; an OwnedFd cannot be closed behind the registration's back"
)]
pub(crate) fn watched(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}

/// Bytes of requests that are written before the turn's end: about eight of them.
const EARLY: usize = 2048;

/// Kind of the frame that must come first.
pub(crate) const FIRST_KIND: u8 = to_front::WELCOME;
