//! The stream to the front, shared by all request threads of the process.
//!
//! There is no reader thread: an idle request thread takes the **reader's role**, takes its own request off the ring
//! and serves it (leader and followers), so an idle worker costs one wake-up per request. Responses are put together in
//! one buffer; the front is woken when a batch is done.
//!
//! How others are woken depends on how long requests have been taking. Slow applications (they wait, or compute long):
//! whoever takes a request wakes the next idle thread at once. Fast ones: nobody is woken; [`Link::tick`], called each
//! millisecond while requests run, wakes a thread when the queue has stood still. Waking eagerly there costs a quarter of
//! the throughput, because each woken thread then waits for the GIL.
//!
//! Locks, in the order they may be taken: `buffer` (only by the reader), `inner` (queue, tables, roles), one exchange's state.
//! The outbox has its own, taken alone. None is held while Python runs or while a thread waits for the other side.

mod give_back;

use crate::serve::outbox::Outbox;
use crate::serve::streams::RequestStreams;
use bytes::Bytes;
use gk_sys::clock::Moment;
use gk_sys::memory::SharedPage;
use gk_sys::memory::channel::{self, End, Receiver, Watch};
use gk_wire::frame::{self, Hello, ToFrontFrame, ToWorkerFrame, Welcome};
use gk_wire::page;
use gk_wire::request::Profile;
use gk_wsgi::application::NumberedProfile;
use gk_wsgi::hash::Quick as IdHasher;
use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// Bytes of the read buffer at first.
const ROOM: usize = 32 * 1024;
/// Requests that take longer than this on average are "slow".
const SLOW: Duration = Duration::from_micros(150);

/// The worker's end of one link.
pub(crate) struct Link {
    outbox: Outbox,
    watch: Watch,
    inner: Mutex<Inner>,
    buffer: Mutex<ReadBuffer>,
    progress: Condvar,
    slow: AtomicBool,
    /// Requests taken off the queue: what [`Link::tick`] compares.
    taken: AtomicU64,
    /// Ticks in a row without any.
    still: AtomicU32,
    /// Whether threads run in parallel (more than one GIL, or none): then waking eagerly always pays.
    parallel: Arc<AtomicBool>,
}

struct Inner {
    queue: VecDeque<Job>,
    requests: HashMap<u32, Arc<RequestStreams>, IdHasher>,
    profiles: HashMap<u32, Arc<NumberedProfile>, IdHasher>,
    /// A thread has the reader's role.
    reading: bool,
    /// Idle request threads, the most recent last.
    idle: Vec<Thread>,
    /// Threads that wait for something of their own request.
    waiting: usize,
    /// Threads that serve a request.
    running: usize,
    /// Requests that came: the last one's ordinal.
    arrived: u64,
    /// Mean service time in microseconds (exponential).
    service: f32,
    drained: bool,
    closed: bool,
}

impl Inner {
    fn busy(&self) -> bool {
        self.running > 0 || !self.queue.is_empty()
    }
}

/// Bytes read and not handed out yet: `bytes[..filled]`. It grows to hold the longest frame that came.
struct ReadBuffer {
    receiver: Receiver,
    bytes: Vec<u8>,
    filled: usize,
}

/// A request taken off the stream.
pub(crate) struct Job {
    pub(crate) payload: Arc<[u8]>,
    pub(crate) profile: Arc<NumberedProfile>,
    pub(crate) streams: Arc<RequestStreams>,
    /// Position of its frame among the requests of the link, from 1.
    ordinal: u64,
}

impl Link {
    /// Takes over a socket and its page and greets the front.
    pub(crate) fn open(
        socket: OwnedFd,
        page: &OwnedFd,
        welcome: &Welcome,
        parallel: Arc<AtomicBool>,
    ) -> std::io::Result<Arc<Self>> {
        let (sender, receiver) = channel::open(socket, SharedPage::map(page)?, End::Worker);
        let link = Self {
            outbox: Outbox::new(sender),
            watch: receiver.watch(),
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                requests: HashMap::default(),
                profiles: HashMap::default(),
                reading: false,
                idle: Vec::new(),
                waiting: 0,
                running: 0,
                arrived: 0,
                service: 0.0,
                drained: false,
                closed: false,
            }),
            buffer: Mutex::new(ReadBuffer { receiver, bytes: vec![0; ROOM], filled: 0 }),
            progress: Condvar::new(),
            slow: AtomicBool::new(parallel.load(Ordering::Relaxed)),
            taken: AtomicU64::new(0),
            still: AtomicU32::new(0),
            parallel,
        };
        let json = serde_json::to_vec(welcome).unwrap_or_default();
        link.outbox.send(&ToFrontFrame::Welcome(&json));
        link.outbox.flush();
        Ok(Arc::new(link))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes to the front.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    // === taking requests ===

    /// The next request; `None` when the link is drained or its other end is gone. Blocks: call it detached.
    pub(crate) fn next(self: &Arc<Self>) -> Option<Job> {
        self.outbox.flush();
        let mut inner = self.inner();
        loop {
            if let Some(job) = self.take(&mut inner) {
                return Some(job);
            }
            if inner.closed || inner.drained {
                self.wake_everyone(&mut inner);
                return None;
            }
            if inner.reading {
                let me = std::thread::current();
                inner.idle.push(me.clone());
                drop(inner);
                std::thread::park();
                inner = self.inner();
                inner.idle.retain(|thread| thread.id() != me.id());
            } else {
                inner = self.read(inner);
            }
        }
    }

    /// Another request that is there already and that `wanted` accepts. Never blocks.
    pub(crate) fn try_next(&self, wanted: impl Fn(&NumberedProfile) -> bool) -> Option<Job> {
        let mut inner = self.inner();
        if !inner.queue.front().is_some_and(|job| wanted(&job.profile)) {
            return None;
        }
        self.take(&mut inner)
    }

    fn take(&self, inner: &mut Inner) -> Option<Job> {
        let job = inner.queue.pop_front()?;
        inner.running += 1;
        self.watch.word(page::STARTED).store(job.ordinal, Ordering::Release);
        self.taken.fetch_add(1, Ordering::Relaxed);
        if self.slow.load(Ordering::Relaxed) && (!inner.reading || !inner.queue.is_empty()) {
            wake_one(inner);
        }
        Some(job)
    }

    /// A request is done: its response is in the buffer. It was served from `started` to `ended`.
    pub(crate) fn done(&self, id: u32, started: Moment, ended: Moment) {
        let mut inner = self.inner();
        inner.requests.remove(&id);
        inner.running -= 1;
        let micros = ended.since(started) as f32 / 1e3;
        inner.service += (micros - inner.service) * 0.1;
        self.watch.word(page::SERVICE).store((inner.service * 1e3).max(1.0) as u64, Ordering::Relaxed);
        let slow = self.parallel.load(Ordering::Relaxed) || inner.service > SLOW.as_secs_f32() * 1e6;
        self.slow.store(slow, Ordering::Relaxed);
        let idle = inner.queue.is_empty();
        drop(inner);
        let due = self.outbox.response_ended(ended);
        if (slow && !idle) || due {
            self.outbox.try_flush();
        }
    }

    /// Called each millisecond while requests run: finds what stands still. Gives whether anything runs or waits.
    /// `last`: what the previous call gave as count of taken requests.
    pub(crate) fn tick(&self, last: &mut u64) -> bool {
        let taken = self.taken.load(Ordering::Relaxed);
        let still = taken == *last;
        *last = taken;
        let mut inner = self.inner();
        let busy = inner.busy();
        if still && (!inner.queue.is_empty() || (!inner.reading && busy)) {
            wake_one(&mut inner);
        }
        drop(inner);
        self.stood(still && busy);
        if still && self.outbox.overdue(Moment::now()) {
            self.outbox.try_flush();
        }
        busy
    }

    /// Whether a request runs or waits.
    pub(crate) fn busy(&self) -> bool {
        self.inner().busy()
    }

    /// Whether every request was served and nothing more can come.
    pub(crate) fn finished(&self) -> bool {
        let inner = self.inner();
        (inner.drained || inner.closed) && inner.queue.is_empty() && inner.running == 0
    }

    /// Whether the front said that nothing follows.
    pub(crate) fn drained(&self) -> bool {
        self.inner().drained
    }

    /// Whether it ended without the front's saying so.
    pub(crate) fn broken(&self) -> bool {
        let inner = self.inner();
        inner.closed && !inner.drained
    }

    /// Ends reading: idle threads come back from [`Link::next`], waiting conversations fail.
    pub(crate) fn shut(&self) {
        self.watch.shut();
        let mut inner = self.inner();
        inner.closed = true;
        inner.queue.clear();
        self.wake_everyone(&mut inner);
    }

    // === reading ===

    /// Waits until `ready` (looked at under the lock that arriving frames take) or the end of the link. Blocks.
    pub(crate) fn wait_for(&self, ready: impl Fn() -> bool) {
        self.outbox.flush();
        let mut inner = self.inner();
        while !ready() && !inner.closed {
            if inner.reading {
                inner.waiting += 1;
                inner = self.progress.wait(inner).unwrap_or_else(PoisonError::into_inner);
                inner.waiting -= 1;
            } else {
                inner = self.read(inner);
            }
        }
        if !inner.reading {
            // The role is free: someone else who waits, or an idle thread, must be able to take it.
            if inner.waiting > 0 {
                self.progress.notify_all();
            } else {
                wake_one(&mut inner);
            }
        }
    }

    /// One read in the reader's role: blocks without the lock, then hands out what came.
    fn read<'a>(&'a self, mut inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        inner.reading = true;
        drop(inner);
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = Self::fill(&mut buffer, true);
        let mut inner = self.inner();
        let outcome = outcome.and_then(|()| self.hand_out(&mut buffer, &mut inner));
        drop(buffer);
        inner.reading = false;
        if let Err(why) = outcome {
            if !inner.closed && !inner.drained && !why.is_empty() {
                gk_sys::log::plain(gk_wire::log::Level::Error, "wsgi", None, &why);
            }
            inner.closed = true;
            for streams in inner.requests.values() {
                streams.cancelled();
            }
            self.wake_everyone(&mut inner);
        } else if inner.waiting > 0 {
            self.progress.notify_all();
        }
        inner
    }

    /// Receives at least one byte, or without `wait` what is there. An empty sentence is the ordinary end of the stream.
    fn fill(buffer: &mut ReadBuffer, wait: bool) -> Result<(), String> {
        match buffer.receiver.receive(&mut buffer.bytes[buffer.filled..], wait) {
            Ok(0) => Err(String::new()),
            Ok(bytes) => {
                buffer.filled += bytes;
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(format!("The link to the front cannot be read: {error}")),
        }
    }

    fn hand_out(&self, buffer: &mut ReadBuffer, inner: &mut Inner) -> Result<(), String> {
        let mut at = 0;
        while let Some((header, payload, used)) =
            frame::split(&buffer.bytes[at..buffer.filled]).map_err(|e| e.to_string())?
        {
            at += used;
            match ToWorkerFrame::decode(header, payload).map_err(|e| e.to_string())? {
                ToWorkerFrame::Request { id, end, payload } => {
                    self.enqueue(inner, id, end, Arc::from(payload))?;
                }
                ToWorkerFrame::Body { id, end, data } => {
                    if let Some(streams) = inner.requests.get(&id) {
                        streams.body_came(Bytes::copy_from_slice(data), end);
                    }
                }
                ToWorkerFrame::Hello(json) => greeted(json)?,
                ToWorkerFrame::Profile { number, json } => {
                    let profile: Profile =
                        serde_json::from_slice(json).map_err(|e| format!("A profile is malformed: {e}"))?;
                    inner.profiles.insert(number, crate::serve::profiles::number_profile(profile));
                }
                ToWorkerFrame::Credit { id, bytes } => {
                    if let Some(streams) = inner.requests.get(&id) {
                        streams.room_came(bytes);
                    }
                }
                ToWorkerFrame::Cancel { id } => {
                    if let Some(streams) = inner.requests.get(&id) {
                        streams.cancelled();
                    }
                }
                ToWorkerFrame::Drain => inner.drained = true,
            }
        }
        buffer.bytes.copy_within(at..buffer.filled, 0);
        buffer.filled -= at;
        if let Ok(Some(header)) = frame::Header::decode(&buffer.bytes[..buffer.filled]) {
            let whole = frame::HEADER_LEN + header.len;
            if whole > buffer.bytes.len() {
                buffer.bytes.resize(whole, 0);
            }
        }
        Ok(())
    }

    fn enqueue(&self, inner: &mut Inner, id: u32, end: bool, payload: Arc<[u8]>) -> Result<(), String> {
        let number = gk_wire::request::profile_of(&payload).map_err(|e| e.to_string())?;
        let profile = inner
            .profiles
            .get(&number)
            .cloned()
            .ok_or_else(|| format!("The front used profile {number} before it sent it"))?;
        let streams = Arc::new(RequestStreams::new(id, end));
        inner.requests.insert(id, Arc::clone(&streams));
        inner.arrived += 1;
        let ordinal = inner.arrived;
        inner.queue.push_back(Job { payload, profile, streams, ordinal });
        Ok(())
    }

    fn wake_everyone(&self, inner: &mut Inner) {
        for thread in inner.idle.drain(..) {
            thread.unpark();
        }
        self.progress.notify_all();
    }
}

fn wake_one(inner: &mut Inner) {
    if let Some(thread) = inner.idle.pop() {
        thread.unpark();
    }
}

fn greeted(json: &[u8]) -> Result<(), String> {
    let hello: Hello =
        serde_json::from_slice(json).map_err(|e| format!("The front's greeting is malformed: {e}"))?;
    frame::check_version(hello.protocol, &hello.package).map_err(|e| e.to_string())
}
