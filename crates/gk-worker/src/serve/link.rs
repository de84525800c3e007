//! The stream to the front, shared by all request threads of the process.
//!
//! There is no reader thread: an idle request thread takes the **reader's role**, takes its own request off the ring
//! and serves it (leader and followers), so an idle worker costs one wake-up per request. Responses are put together in
//! one buffer; the front is woken when a batch is done.
//!
//! How others are woken depends on the service time of requests. With slow applications (they wait, or compute long), the
//! thread that takes a request wakes the next idle thread at once. With fast ones nobody is woken; [`Link::tick`], called
//! each millisecond while requests run, wakes a thread if the queue stands still. Waking at once would cost a quarter of
//! the throughput there, because each woken thread then waits for the GIL.
//!
//! Locks, in the order they may be taken: `buffer` (only by the reader), `roles` (queue, tables, roles), one request's
//! streams. The outbox has its own, taken alone. None is held while Python runs or while a thread waits for the other side.

mod give_back;
mod outside;
mod read_buffer;
mod roles;
#[cfg(all(test, loom))]
mod roles_model;
mod stream;

pub(crate) use stream::Job;

use crate::serve::outbox::Outbox;
use give_back::StillTicks;
use gk_sys::clock::Moment;
use gk_sys::event_loop::EventLoop;
use gk_sys::memory::SharedPage;
use gk_sys::memory::channel::{self, End, Watch};
use gk_wire::frame::{ToFrontFrame, Welcome};
use gk_wire::page;
use gk_wsgi::application::NumberedProfile;
use read_buffer::ReadBuffer;
use roles::{Guarded, Held, Roles};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stream::Stream;

/// Mean service time above which an application counts as slow.
const SLOW: Duration = Duration::from_micros(150);
/// Mean service time above which the front of an embedded process is left to the thread that stands by for it.
const LONG: Duration = Duration::from_micros(500);
/// In embedded mode: longest time for which a batch of requests keeps a thread from the front.
const TURN: Duration = Duration::from_micros(200);

/// The worker's end of one link.
pub(crate) struct Link {
    outbox: Outbox,
    watch: Watch,
    roles: Roles<Stream>,
    buffer: Mutex<ReadBuffer>,
    /// Requests are slow or run in parallel: wake the next thread at once.
    slow: AtomicBool,
    /// Number of requests taken off the queue, compared by [`Link::tick`].
    taken: AtomicU64,
    /// The same at its last tick.
    ticked: AtomicU64,
    /// None was taken between the last two ticks.
    stands: AtomicBool,
    /// Requests that wait or run.
    held: AtomicU64,
    still: StillTicks,
    /// Its other end is in this process.
    own: bool,
    /// The loop of that end, which threads run that wait for requests.
    event_loop: Option<Arc<EventLoop>>,
    /// Nothing more is read.
    shut: AtomicBool,
    /// In embedded mode: requests are so long that others run the front.
    stays_away: AtomicBool,
    /// Threads run in parallel (more than one GIL, or none), so waking at once always pays.
    parallel: Arc<AtomicBool>,
}

/// Where the front at the other end of a link is.
pub(crate) enum FrontPlace {
    /// In another process.
    Elsewhere,
    /// In this one, with its loop if request threads may run that.
    Here(Option<Arc<EventLoop>>),
}

/// A link as one request thread has it. Each request holds a reference to this, so that threads that run at once do not write one count.
pub(crate) struct OwnLink(pub(crate) Arc<Link>);

impl std::ops::Deref for OwnLink {
    type Target = Arc<Link>;

    fn deref(&self) -> &Arc<Link> {
        &self.0
    }
}

impl Link {
    /// Takes over a socket and its page and greets the front.
    pub(crate) fn open(
        socket: OwnedFd,
        page: &OwnedFd,
        welcome: &Welcome,
        parallel: Arc<AtomicBool>,
        front: FrontPlace,
    ) -> std::io::Result<Arc<Self>> {
        let (own, event_loop) = match front {
            FrontPlace::Elsewhere => (false, None),
            FrontPlace::Here(event_loop) => (true, event_loop),
        };
        let (sender, receiver) = channel::open(socket, SharedPage::map(page)?, End::Worker);
        let blocks = sender.blocks();
        let link = Self {
            outbox: Outbox::new(sender, event_loop.clone()),
            watch: receiver.watch(),
            roles: Roles::new(Stream::default()),
            buffer: Mutex::new(ReadBuffer::new(receiver, blocks)),
            slow: AtomicBool::new(parallel.load(Ordering::Relaxed)),
            taken: AtomicU64::new(0),
            ticked: AtomicU64::new(0),
            stands: AtomicBool::new(false),
            held: AtomicU64::new(0),
            still: StillTicks::default(),
            own,
            event_loop,
            shut: AtomicBool::new(false),
            stays_away: AtomicBool::new(false),
            parallel,
        };
        link.outbox.send(&ToFrontFrame::Welcome(&gk_messages::encode(welcome)));
        link.outbox.flush();
        Ok(Arc::new(link))
    }

    /// Whether the front is in this process.
    pub(crate) fn is_own(&self) -> bool {
        self.own
    }

    /// The sending half.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    // === taking requests ===

    /// Returns the next request, `None` when the link is drained or its other end is gone. Blocks: call it detached.
    pub(crate) fn next(self: &Arc<Self>) -> Option<Job> {
        self.outbox.flush();
        if let Some(event_loop) = &self.event_loop
            && event_loop.is_due(Moment::now(), TURN)
            && self.roles.lock().stream.waits()
        {
            event_loop.take_turn();
        }
        self.roles.next(|held| self.take(held, |_| true), Stream::ended, |held| self.read(held, true))
    }

    /// Takes the first request in the queue if `wanted` accepts it. Never blocks.
    pub(crate) fn try_next(&self, wanted: impl Fn(&NumberedProfile) -> bool) -> Option<Job> {
        self.take(&mut self.roles.lock(), wanted)
    }

    fn take(&self, held: &mut Guarded<Stream>, wanted: impl Fn(&NumberedProfile) -> bool) -> Option<Job> {
        if held.stream.stopping {
            // What still comes goes back to the front.
            return None;
        }
        let job = loop {
            if held.stream.queue.is_empty() {
                // What was taken back may have been returned, so that nothing else meets the mark.
                self.heed(&mut held.stream);
            }
            held.stream.queue.front().filter(|job| wanted(&job.streams.profile))?;
            let job = held.stream.queue.pop_front()?;
            if self.begins(&mut held.stream, job.ordinal) {
                break job;
            }
            held.stream.requests.remove(&job.streams.id);
        };
        held.stream.running += 1;
        self.taken.fetch_add(1, Ordering::Relaxed);
        if self.slow.load(Ordering::Relaxed) && (!held.reading() || !held.stream.queue.is_empty()) {
            held.wake_one();
        }
        Some(job)
    }

    /// Says on the page that a thread begins a request. `false`: the front has taken it back, as this process did not run for a while,
    /// and another worker has it.
    fn begins(&self, stream: &mut Stream, ordinal: u64) -> bool {
        let started = self.watch.word(page::STARTED);
        while ordinal > stream.void {
            if started.compare_exchange(stream.begun, ordinal, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                stream.begun = ordinal;
                return true;
            }
            self.heed(stream);
        }
        false
    }

    /// Looks whether the front has taken requests back. It gives this worker new ones once it sees its mark gone.
    fn heed(&self, stream: &mut Stream) {
        let started = self.watch.word(page::STARTED);
        if started.load(Ordering::Acquire) != stream.begun {
            stream.void = self.watch.word(page::VOID).load(Ordering::Acquire);
            started.store(stream.begun, Ordering::Release);
        }
    }

    /// Ends a request that was served from `started` to `ended`; its response is in the outbox.
    pub(crate) fn done(&self, id: u32, started: Moment, ended: Moment) {
        let (slow, idle) = {
            let stream = &mut self.roles.lock().stream;
            stream.requests.remove(&id);
            stream.running -= 1;
            self.held.store(stream.requests.len() as u64, Ordering::Relaxed);
            self.end_if_stopped(stream);
            let micros = ended.since(started) as f32 / 1e3;
            stream.service += (micros - stream.service) * 0.1;
            self.watch.word(page::SERVICE).store((stream.service * 1e3).max(1.0) as u64, Ordering::Relaxed);
            let slow = self.parallel.load(Ordering::Relaxed) || stream.service > SLOW.as_secs_f32() * 1e6;
            self.slow.store(slow, Ordering::Relaxed);
            self.stays_away.store(stream.service > LONG.as_secs_f32() * 1e6, Ordering::Relaxed);
            (slow, stream.queue.is_empty())
        };
        let due = self.outbox.response_ended(ended);
        if (slow && !idle) || due {
            self.outbox.try_flush();
        }
    }

    /// Gives back a request that a thread took and did not begin; its time does not count.
    pub(crate) fn put_back(&self, id: u32) {
        {
            let stream = &mut self.roles.lock().stream;
            stream.requests.remove(&id);
            stream.running -= 1;
            self.held.store(stream.requests.len() as u64, Ordering::Relaxed);
            self.end_if_stopped(stream);
        }
        self.outbox.send(&ToFrontFrame::Return { id });
        self.outbox.try_flush();
    }

    /// Called each millisecond while requests run: wakes a thread, gives requests back and flushes responses if nothing
    /// moves. Returns true if a request runs or waits.
    pub(crate) fn tick(&self) -> bool {
        self.watch.word(page::BEAT).fetch_add(1, Ordering::Relaxed);
        let taken = self.taken.load(Ordering::Relaxed);
        let still = self.ticked.swap(taken, Ordering::Relaxed) == taken;
        self.stands.store(still, Ordering::Relaxed);
        let busy = {
            let mut held = self.roles.lock();
            let busy = held.stream.busy();
            if still && (!held.stream.queue.is_empty() || (!held.reading() && busy)) {
                held.wake_one();
            }
            busy
        };
        if self.still.count(still && busy) {
            self.give_back();
        }
        if still && self.outbox.overdue(Moment::now()) {
            self.outbox.try_flush();
        }
        if let Some(event_loop) = &self.event_loop {
            event_loop.tick();
        }
        busy || self.outbox.waits()
    }

    /// Returns true if a request runs or waits.
    pub(crate) fn busy(&self) -> bool {
        self.roles.lock().stream.busy()
    }

    /// Returns true if every request was served and no other can come.
    pub(crate) fn finished(&self) -> bool {
        let stream = &self.roles.lock().stream;
        stream.ended() && !stream.busy()
    }

    /// Returns true if the front said that no request follows.
    pub(crate) fn drained(&self) -> bool {
        self.roles.lock().stream.drained
    }

    /// Returns true if the link ended before the front drained it.
    pub(crate) fn broken(&self) -> bool {
        let stream = &self.roles.lock().stream;
        stream.closed && !stream.drained
    }

    /// No request begins any more, and idle threads come back from [`Link::next`]. The link is read for the running requests until the
    /// last of them has ended.
    pub(crate) fn stop(&self) {
        let mut held = self.roles.lock();
        held.stream.stopping = true;
        self.end_if_stopped(&mut held.stream);
        self.roles.wake_everyone(&mut held);
    }

    /// The thread that reads for others has nothing to wait for once the last request of a stopped link has ended.
    fn end_if_stopped(&self, stream: &mut Stream) {
        if stream.stopping && stream.running == 0 {
            stream.close();
            self.end_reading();
        }
    }

    /// The time of a stopped link is nearly over: responses that are sent piece by piece are broken off, and waiting conversations
    /// fail. A response that has not begun can still be sent.
    pub(crate) fn break_off(&self) {
        let mut held = self.roles.lock();
        held.stream.close();
        held.stream.cancel_begun();
        self.end_reading();
        self.roles.wake_everyone(&mut held);
    }

    /// Ends reading: idle threads come back from [`Link::next`], waiting conversations fail.
    pub(crate) fn shut(&self) {
        self.end_reading();
        let mut held = self.roles.lock();
        held.stream.closed = true;
        held.stream.queue.clear();
        self.roles.wake_everyone(&mut held);
    }

    // === reading ===

    /// A thread that waits in the reader's role finds the end of the stream.
    fn end_reading(&self) {
        self.watch.shut();
        self.shut.store(true, Ordering::Release);
        if let Some(event_loop) = &self.event_loop {
            event_loop.nudge();
        }
    }

    /// In embedded mode: runs the front until it has put something into the ring. Blocks.
    fn run_front(&self) {
        let Some(event_loop) = &self.event_loop else { return };
        event_loop.run_in_turn(!self.stays_away.load(Ordering::Relaxed), || {
            self.watch.has_bytes() || self.shut.load(Ordering::Acquire)
        });
    }

    /// In embedded mode: whether the front should have a turn before the next request, as nobody has run it for a while.
    pub(crate) fn front_is_due(&self, now: Moment) -> bool {
        self.event_loop.as_ref().is_some_and(|event_loop| event_loop.is_due(now, TURN))
    }

    /// Waits until `ready` (asked under the lock that arriving frames take) or the end of the link. Blocks.
    pub(crate) fn wait_for(&self, ready: impl Fn() -> bool) {
        self.outbox.flush();
        self.roles.wait_for(ready, |stream| stream.closed, |held| self.read(held, true));
    }

    /// Reads once in the reader's role: without the lock, blocking if `wait`; then hands out the frames.
    fn read<'a>(&'a self, held: Held<'a, Stream>, wait: bool) -> Held<'a, Stream> {
        let receive = || {
            if wait {
                self.run_front();
            }
            let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            let filled = buffer.fill(wait);
            (buffer, filled)
        };
        let mut held = self
            .roles
            .read(held, receive, |(mut buffer, filled), stream| hand_out(&mut buffer, filled, stream));
        if held.stream.dropped.is_empty() {
            return held;
        }
        let dropped = std::mem::take(&mut held.stream.dropped);
        drop(held);
        self.send_back(&dropped);
        self.roles.lock()
    }

    /// Tells the front of requests that were not begun and will not be. The lock of the roles must not be held.
    fn send_back(&self, ids: &[u32]) {
        for id in ids {
            self.outbox.send(&ToFrontFrame::Return { id: *id });
        }
        self.outbox.try_flush();
    }

    /// Returns the requests that no thread has begun, those in the ring among them.
    fn give_back(&self) {
        let mut held = self.roles.lock();
        if held.idle() || held.stream.closed {
            return;
        }
        if !held.reading() {
            // Nobody reads, as all threads are busy: what waits is still in the ring.
            held = self.read(held, false);
            if held.stream.closed {
                return;
            }
            if held.idle() {
                // A thread fell idle meanwhile and relies on the reader: it takes over.
                return held.wake_one();
            }
        }
        self.heed(&mut held.stream);
        let returned: Vec<u32> = held.stream.queue.drain(..).map(|job| job.streams.id).collect();
        for id in &returned {
            held.stream.requests.remove(id);
        }
        self.held.store(held.stream.requests.len() as u64, Ordering::Relaxed);
        drop(held);
        if !returned.is_empty() {
            self.send_back(&returned);
        }
    }
}

/// Hands out what was read; `false`: nothing more will come.
fn hand_out(buffer: &mut ReadBuffer, filled: Result<(), String>, stream: &mut Stream) -> bool {
    let outcome = filled.and_then(|()| buffer.hand_out(stream));
    if let Err(why) = &outcome {
        stream.break_off(why);
    }
    outcome.is_ok()
}
