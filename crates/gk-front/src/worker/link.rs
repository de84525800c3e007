//! One link to one worker: the frames on their way out, the requests on it, and how it ends. Frames are put into the link's
//! ring by the connections' tasks; the worker is woken once per turn of the event loop by `link_writer`; the reader is in
//! `link_reader`. Which link a request takes is `pool`'s decision.

use bytes::{Buf, BytesMut};
use gk_sys::memory::SharedPage;
use gk_sys::memory::channel::{self, End, Receiver, Room, Sender, Watch};
use gk_wire::frame::{HEADER_LEN, Hello, INITIAL_WINDOW, MAX_PAYLOAD, ToWorkerFrame, to_front};
use gk_wire::page::{SERVICE, STARTED};
use gk_wire::{PACKAGE_VERSION, PROTOCOL_VERSION};
use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::process::clock::Clock;
use crate::worker::balance::Balance;
use crate::worker::facts::WorkerFacts;
use crate::worker::profiles::Numbered;
use crate::worker::slots::{Failure, Slots};

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

/// A link. One thread only.
pub struct Link {
    /// The worker.
    pub facts: WorkerFacts,
    pub(crate) clock: Clock,
    sender: RefCell<Sender>,
    receiver: RefCell<Option<Receiver>>,
    pub(crate) watch: Watch,
    pub(crate) room: Room,
    /// The worker may have made room in the ring.
    pub(crate) room_came: Notify,
    out: RefCell<BytesMut>,
    /// There is something to write that the writing task has not seen.
    unseen: Cell<bool>,
    writer: RefCell<Option<Waker>>,
    /// There may be something to read.
    poked: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    roomy: Notify,
    pub(crate) slots: RefCell<Slots>,
    state: Cell<State>,
    ordinal: Cell<u64>,
    /// Requests begun since the worker was woken, if it slept.
    batch: Cell<u32>,
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
        let (sender, receiver) = channel::open(socket, SharedPage::map(page)?, End::Front);
        let threads = facts.threads;
        let link = Rc::new(Self {
            facts,
            clock,
            watch: receiver.watch(),
            room: sender.room(),
            room_came: Notify::new(),
            sender: RefCell::new(sender),
            receiver: RefCell::new(Some(receiver)),
            out: RefCell::new(BytesMut::with_capacity(OUT)),
            unseen: Cell::new(false),
            writer: RefCell::default(),
            poked: Cell::new(true),
            reader: RefCell::default(),
            roomy: Notify::new(),
            slots: RefCell::default(),
            state: Cell::new(State::Greeting),
            ordinal: Cell::new(0),
            batch: Cell::new(0),
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
        crate::worker::sleep::heed(&link);
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
        let service = self.watch.word(SERVICE).load(Ordering::Relaxed);
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
    /// put the `Request` frame into the out-buffer. `None`: it is longer than a frame may be, and as if it had not been.
    pub fn begin(&self, profile: &Numbered, write: impl FnOnce(&mut BytesMut, u32)) -> Option<u32> {
        let mut out = self.out.borrow_mut();
        if !self.profiles.borrow().get(profile.number as usize).is_some_and(|known| *known) {
            self.introduce(profile, &mut out);
        }
        let mut slots = self.slots.borrow_mut();
        let (id, slot) = slots.take();
        let at = out.len();
        write(&mut out, id);
        if out.len() - at > HEADER_LEN + MAX_PAYLOAD {
            out.truncate(at);
            (slot.ended, slot.released) = (true, true);
            slots.settle(id);
            return None;
        }
        let ordinal = self.ordinal.get() + 1;
        self.ordinal.set(ordinal);
        slot.ordinal = ordinal;
        slot.since = self.clock.coarse();
        slot.upload_credit = u64::from(INITIAL_WINDOW);
        drop(out);
        // A worker that is awake begins at once.
        let _seen_by_the_writer = self.push();
        self.batch.set(self.batch.get() + 1);
        if self.batch.get() == EARLY {
            self.wake_worker();
        }
        self.wake_writer();
        Some(id)
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

    /// Puts into the ring what it takes. `Err`: the worker has spoilt the ring.
    pub(crate) fn push(&self) -> io::Result<()> {
        let mut out = self.out.borrow_mut();
        let count = self.sender.borrow_mut().push(&out)?;
        if count < out.len() {
            out.advance(count);
        } else if out.capacity() > 4 * ROOM {
            // One that a large body blew up is given away.
            *out = BytesMut::with_capacity(OUT);
        } else {
            out.clear();
        }
        if out.len() <= ROOM {
            self.roomy.notify_waiters();
        }
        Ok(())
    }

    /// Wakes a worker that sleeps.
    pub(crate) fn wake_worker(&self) {
        self.batch.set(0);
        self.sender.borrow().wake();
    }

    /// Whether frames wait for room in the ring.
    pub(crate) fn is_cramped(&self) -> bool {
        !self.out.borrow().is_empty()
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
        let started = self.watch.word(STARTED).load(Ordering::Acquire);
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
        self.room_came.notify_one();
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
        self.unseen.set(true);
        if let Some(waker) = self.writer.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Ready when there is something new to write (`true`) or never more (`false`).
    pub(crate) fn poll_unseen(&self, cx: &Context<'_>) -> Poll<bool> {
        if self.state.get() == State::Dead {
            return Poll::Ready(false);
        }
        if self.unseen.take() {
            return Poll::Ready(true);
        }
        *self.writer.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Lets the reading task look.
    pub(crate) fn wake_reader(&self) {
        self.poked.set(true);
        if let Some(waker) = self.reader.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether the reading task was told to look; otherwise it will be woken when it is.
    pub(crate) fn poked(&self, cx: &Context<'_>) -> bool {
        let poked = self.poked.take();
        if !poked {
            *self.reader.borrow_mut() = Some(cx.waker().clone());
        }
        poked
    }

    /// The reading half, once.
    pub(crate) fn receiver(&self) -> Option<Receiver> {
        self.receiver.borrow_mut().take()
    }
}

/// Requests after which a sleeping worker is woken before the turn ends: in a long turn it begins with the first ones while
/// the front still reads the last ones.
const EARLY: u32 = 8;
/// Bytes of the out-buffer at first.
const OUT: usize = 64 * 1024;

/// Kind of the frame that must come first.
pub(crate) const FIRST_KIND: u8 = to_front::WELCOME;

/// Registers a socket. Only readability: a registered interest in writability would wake this process each time the other end
/// takes something out of it.
#[expect(
    deprecated,
    reason = "its replacement is unsafe; a descriptor that is owned cannot be closed behind the registration's back"
)]
pub(crate) fn watched<T: AsRawFd>(socket: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}
