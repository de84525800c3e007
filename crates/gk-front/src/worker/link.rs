//! One link to one worker: its outgoing frames, its requests, and its end. The tasks of connections put frames into the ring;
//! `writer` wakes the worker once per turn of the event loop; `reader` reads. `pool` chooses the link of a request.

pub mod backlog;
pub mod blocks;
pub mod exit;
mod pieces;
pub mod pulse;
pub mod reader;
pub mod requests;
mod room;
pub mod spooler;
pub mod writer;

use bytes::{Buf, BytesMut};
use gk_sys::event_loop::Nudge;
use gk_sys::memory::SharedPage;
use gk_sys::memory::channel::{self, End, Receiver, Room, Sender, Watch};
use gk_wire::frame::{self, HEADER_LEN, Hello, INITIAL_WINDOW, MAX_PAYLOAD, ToWorkerFrame};
use gk_wire::page::{STARTED, TAKEN_BACK};
use gk_wire::{PACKAGE_VERSION, PROTOCOL_VERSION};
use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

use crate::process::clock::Clock;
use crate::worker::balance::Balance;
use crate::worker::held::{HeldResponse, Origin};
use crate::worker::info::{WorkerExit, WorkerInfo};
use crate::worker::link::blocks::LinkBlocks;
use crate::worker::link::pulse::Pulse;
use crate::worker::link::requests::LinkRequests;
use crate::worker::profiles::NumberedProfile;
use crate::worker::share::Share;

/// The stages of a link, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
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
    /// In embedded mode, of the link within this process: tells its request threads what they may wait for.
    pub(crate) nudge: Option<Nudge>,
    /// The worker.
    pub info: WorkerInfo,
    clock: Clock,
    sender: RefCell<Sender>,
    receiver: RefCell<Option<Receiver>>,
    pub(crate) watch: Watch,
    pub(crate) room: Room,
    pub(crate) blocks: LinkBlocks,
    /// Notified when the worker may have made room in the ring.
    pub(crate) room_came: Notify,
    /// Frames that are not in the ring yet.
    out: RefCell<BytesMut>,
    /// There are frames that the writing task has not seen.
    queued: Cell<bool>,
    writer: RefCell<Option<Waker>>,
    /// There may be something to read.
    poked: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    /// Notified when the out-buffer has space for body bytes again.
    has_space: Notify,
    /// Somebody waits for that.
    space_awaited: Cell<bool>,
    pub(crate) requests: RefCell<LinkRequests>,
    /// Memory and disk for responses of slow clients.
    pub(crate) share: Rc<Share>,
    state: Cell<LinkState>,
    /// Ordinal of the last request that was begun.
    ordinal: Cell<u64>,
    /// Requests begun since the worker was last woken.
    batch: Cell<u32>,
    /// The worker has returned requests, as its threads are busy, and none has ended or told of room since.
    pub(super) rebuffed: Cell<bool>,
    /// Requests that the worker has not ended, with the permits that are not used yet.
    in_flight: Cell<u32>,
    balance: RefCell<Balance>,
    pulse: Cell<Pulse>,
    /// By profile number: whether the worker has the profile.
    profiles: RefCell<Vec<bool>>,
    /// How the process ended, once the supervisor has reported it.
    exit: RefCell<Option<WorkerExit>>,
    exit_known: Notify,
    /// The module that turned the GIL back on in a free-threaded worker, and whether the configuration forbids that.
    pub(crate) gil_returned: OnceCell<(String, bool)>,
    /// Notified when `Drain` was queued.
    pub(crate) drained: Notify,
    /// The worker has damaged the ring that this process writes.
    damaged: Cell<bool>,
}

/// Bytes in the out-buffer above which request bodies wait.
const SPACE: usize = 1 << 20;

impl Link {
    /// Takes over a link's socket and page; queues `Hello`.
    pub fn new(
        info: WorkerInfo,
        socket: OwnedFd,
        page: OwnedFd,
        clock: Clock,
        share: Rc<Share>,
        nudge: Option<&Nudge>,
    ) -> io::Result<Rc<Self>> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let (sender, receiver) = channel::open(socket, SharedPage::map(page)?, End::Front);
        let (threads, own) = (info.threads, info.is_this_process());
        let link = Rc::new(Self {
            nudge: nudge.filter(|_| own).cloned(),
            info,
            clock,
            watch: receiver.watch(),
            room: sender.room(),
            blocks: LinkBlocks::new(sender.blocks(), own),
            room_came: Notify::new(),
            sender: RefCell::new(sender),
            receiver: RefCell::new(Some(receiver)),
            out: RefCell::new(BytesMut::with_capacity(OUT)),
            queued: Cell::new(false),
            writer: RefCell::default(),
            poked: Cell::new(true),
            reader: RefCell::default(),
            has_space: Notify::new(),
            space_awaited: Cell::new(false),
            requests: RefCell::new(LinkRequests::new(Rc::clone(&share))),
            share,
            state: Cell::new(LinkState::Greeting),
            ordinal: Cell::new(0),
            batch: Cell::new(0),
            rebuffed: Cell::new(false),
            in_flight: Cell::new(0),
            balance: RefCell::new(Balance::new(threads)),
            pulse: Cell::default(),
            profiles: RefCell::default(),
            exit: RefCell::default(),
            exit_known: Notify::new(),
            gil_returned: OnceCell::new(),
            drained: Notify::new(),
            damaged: Cell::new(false),
        });
        let hello =
            Hello { protocol: PROTOCOL_VERSION, package: PACKAGE_VERSION.into(), pid: std::process::id() };
        link.queue(ToWorkerFrame::Hello(&gk_messages::encode(&hello)));
        Ok(link)
    }

    /// The present stage.
    pub fn state(&self) -> LinkState {
        self.state.get()
    }

    /// The handshake is done.
    pub(crate) fn open(&self) {
        if self.state.get() == LinkState::Greeting {
            self.state.set(LinkState::Open);
        }
    }

    /// The front's coarse time, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.clock.coarse()
    }

    /// A line about a free-threaded worker that has a GIL again.
    pub fn remark(&self) -> Option<String> {
        let (module, _) = self.gil_returned.get()?;
        let WorkerInfo { process_group, worker, pid, .. } = &self.info;
        Some(format!(
            "process group '{process_group}': worker {worker} (pid {pid}) has a GIL again, {module} turned it on"
        ))
    }

    /// Reserves a place for a request.
    pub fn reserve(&self, now_micros: u64) {
        if self.in_flight.get() == 0 {
            self.balance.borrow_mut().progressed(now_micros);
        }
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// Gives back a place from [`Link::reserve`].
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
        self.rebuffed.set(false);
        self.balance.borrow_mut().progressed(self.clock.micros());
        self.in_flight.set(before.saturating_sub(count));
        self.drain_if_idle();
    }

    /// The worker returned `count` requests: none has ended, so this is no progress.
    pub(crate) fn returned(&self, count: u32) {
        self.in_flight.set(self.in_flight.get().saturating_sub(count));
        self.rebuffed.set(count > 0);
        self.drain_if_idle();
    }

    /// Begins a reserved request: gives it an id, sends the profile if the worker does not have it, and lets `write` put the
    /// `Request` frame into the out-buffer. `None`: the frame is too long, and nothing was sent.
    pub fn begin(
        &self,
        profile: &NumberedProfile,
        origin: Origin,
        write: impl FnOnce(&mut BytesMut, u32),
    ) -> Option<u32> {
        let mut out = self.out.borrow_mut();
        if !self.profiles.borrow().get(profile.number as usize).is_some_and(|known| *known) {
            self.introduce(profile, &mut out);
        }
        let mut requests = self.requests.borrow_mut();
        let (id, request) = requests.add();
        let at = out.len();
        write(&mut out, id);
        if out.len() - at > HEADER_LEN + MAX_PAYLOAD {
            out.truncate(at);
            (request.ended, request.released) = (true, true);
            requests.settle(id);
            return None;
        }
        let ordinal = self.ordinal.get() + 1;
        self.ordinal.set(ordinal);
        request.ordinal = ordinal;
        request.origin = origin;
        request.since = self.clock.coarse();
        request.upload_credit = u64::from(INITIAL_WINDOW);
        if self.share.is_wide() {
            frame::flag(&mut out[at..], frame::WIDE);
            request.backlog.widen();
        }
        drop(out);
        // A worker that is awake begins at once. The writing task meets the same error.
        let _ = self.push();
        self.batch.set(self.batch.get() + 1);
        if self.batch.get() == EARLY {
            self.wake_worker();
        }
        self.wake_writer();
        Some(id)
    }

    /// Sends a profile that the worker does not have yet.
    #[cold]
    fn introduce(&self, profile: &NumberedProfile, out: &mut BytesMut) {
        let mut known = self.profiles.borrow_mut();
        let at = profile.number as usize;
        if known.len() <= at {
            known.resize(at + 1, false);
        }
        known[at] = true;
        ToWorkerFrame::Profile { number: profile.number, json: &profile.json }.encode(out);
    }

    /// Moves frames into the ring, as many bytes as fit. `Err`: the worker has damaged the ring.
    pub(crate) fn push(&self) -> io::Result<()> {
        let mut out = self.out.borrow_mut();
        let count = self.sender.borrow_mut().push(&out).inspect_err(|_| self.damaged.set(true))?;
        if count < out.len() {
            out.advance(count);
        } else if out.capacity() > 4 * SPACE {
            // A buffer that grew with a large body is given back.
            *out = BytesMut::with_capacity(OUT);
        } else {
            out.clear();
        }
        if out.len() <= SPACE && self.space_awaited.take() {
            self.has_space.notify_waiters();
        }
        Ok(())
    }

    /// Whether the worker has damaged the ring: nothing reaches it any more.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.get()
    }

    /// Wakes a worker that sleeps.
    pub(crate) fn wake_worker(&self) {
        self.batch.set(0);
        self.sender.borrow().wake();
        if let Some(nudge) = &self.nudge {
            nudge.now();
        }
    }

    /// Whether frames wait for space in the ring.
    pub(crate) fn wants_space(&self) -> bool {
        !self.out.borrow().is_empty()
    }

    /// Queues a frame for the next write.
    pub fn queue(&self, frame: ToWorkerFrame<'_>) {
        if matches!(self.state.get(), LinkState::Drained | LinkState::Dead) {
            return;
        }
        frame.encode(&mut self.out.borrow_mut());
        self.wake_writer();
    }

    /// Waits until the out-buffer has space for body bytes.
    pub async fn space(&self) {
        while self.out.borrow().len() > SPACE && self.state.get() != LinkState::Dead {
            self.space_awaited.set(true);
            self.has_space.notified().await;
        }
    }

    /// The client's side is done with a request. If the worker has not ended it, it is cancelled.
    pub fn release(&self, id: u32) {
        let mut requests = self.requests.borrow_mut();
        let Some(request) = requests.get(id) else { return };
        request.released = true;
        request.backlog.clear(&self.share);
        request.waker = None;
        let cancel = !request.ended;
        requests.settle(id);
        drop(requests);
        if cancel {
            self.queue(ToWorkerFrame::Cancel { id });
        }
    }

    /// Takes no more requests; `Drain` follows once the present ones are done.
    pub fn drain(&self) {
        if matches!(self.state.get(), LinkState::Greeting | LinkState::Open) {
            self.state.set(LinkState::Draining);
            self.drain_if_idle();
        }
    }

    fn drain_if_idle(&self) {
        if self.state.get() == LinkState::Draining && self.in_flight.get() == 0 {
            self.queue(ToWorkerFrame::Drain);
            self.state.set(LinkState::Drained);
            self.drained.notify_one();
        }
    }

    /// The stream ended or broke: settles every request. Returns the number that was lost while being served.
    pub(crate) fn died(&self) -> usize {
        self.state.set(LinkState::Dead);
        let started = self.watch.word(STARTED).load(Ordering::Acquire) & !TAKEN_BACK;
        let lost = self.requests.borrow_mut().fail_all(started);
        self.in_flight.set(0);
        self.out.borrow_mut().clear();
        self.has_space.notify_waiters();
        self.room_came.notify_one();
        self.wake_writer();
        lost
    }

    /// Milliseconds since the client of a response last took bytes, if a request thread of this worker still waits for it.
    pub fn stands_still(&self, held: &HeldResponse) -> Option<u64> {
        let mut requests = self.requests.borrow_mut();
        let request = requests.get(held.id).filter(|request| request.origin == held.origin)?;
        (!request.ended && !request.released).then(|| self.clock.coarse().saturating_sub(request.since))
    }

    /// Times out the requests of which no frame came for more than `bound` milliseconds.
    pub fn expire(&self, bound: u64) {
        self.requests.borrow_mut().expire(self.clock.coarse(), bound);
    }

    fn wake_writer(&self) {
        self.queued.set(true);
        if let Some(waker) = self.writer.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Ready when there is a new frame to write (`true`), or there will be none (`false`).
    pub(crate) fn poll_queued(&self, cx: &Context<'_>) -> Poll<bool> {
        if self.state.get() == LinkState::Dead {
            return Poll::Ready(false);
        }
        if self.queued.take() {
            return Poll::Ready(true);
        }
        *self.writer.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Makes the reading task check the ring.
    pub(crate) fn wake_reader(&self) {
        self.poked.set(true);
        if let Some(waker) = self.reader.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether the reading task has to check the ring; otherwise registers it for [`Link::wake_reader`].
    pub(crate) fn poll_poked(&self, cx: &Context<'_>) -> bool {
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

/// Requests after which a sleeping worker is woken before the turn ends: in a long turn it begins with the first requests while
/// the front still reads the last ones.
const EARLY: u32 = 8;
/// Capacity of the out-buffer at first, in bytes.
const OUT: usize = 64 * 1024;

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
