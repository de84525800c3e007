//! Values shared by all threads of the process: the setup, the links, the interpreters, counters for the timers, and
//! a slot per request thread that shows the request it serves.

use crate::serve::groups::Groups;
use crate::serve::intake::Intake;
use crate::serve::link::Link;
use crate::serve::reload_gate::ReloadGate;
use crate::serve::streams::RequestStreams;
use crate::serve::ticker::Ticker;
use gk_sys::clock::Moment;
use gk_wire::setup::WorkerSetup;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by all threads of the worker.
pub(crate) struct Engine {
    pub(crate) setup: WorkerSetup,
    pub(crate) groups: Groups,
    pub(crate) slots: Vec<RequestSlot>,
    /// An application has served a request.
    pub(crate) loaded: AtomicBool,
    /// The front was told that this worker leaves, as it has served as many requests as it may.
    is_worn: AtomicBool,
    pub(crate) started: Moment,
    pub(crate) reloads: ReloadGate,
    /// This worker's requests come from its own front, which has no other worker.
    pub(crate) embedded: bool,
    pub(crate) intake: Intake,
    /// Armed while requests run.
    pub(crate) ticker: Ticker,
}

/// The request that one request thread serves now, and its counts. Only its thread writes it for each request; it has cache lines of its own,
/// so that threads that run at once do not take lines from each other.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct RequestSlot {
    /// Microseconds since `Engine::started` at which it took its request, plus one; 0 when idle.
    pub(crate) since: AtomicU64,
    /// CPython's number of the thread's state in the interpreter it serves in.
    pub(crate) state: AtomicU64,
    /// CPython's number of the interpreter it serves in.
    pub(crate) interpreter: AtomicI64,
    /// `threading.get_ident()` of the thread.
    pub(crate) ident: AtomicU64,
    /// `RequestTimeout` was raised in the thread. A pending one is withdrawn before the next request.
    pub(crate) interrupted: AtomicBool,
    /// The request.
    request: Mutex<Option<Arc<RequestStreams>>>,
    /// Requests that the thread has finished.
    finished: AtomicU64,
    /// Requests that it has started.
    started: AtomicU64,
    /// Microseconds since `Engine::started` of its last activity, plus one; 0 before its first request.
    last_activity: AtomicU64,
}

impl RequestSlot {
    /// The request; `None` between two of them.
    pub(crate) fn request(&self) -> MutexGuard<'_, Option<Arc<RequestStreams>>> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread begins a request, at `now`.
    pub(crate) fn begin(&self, now: u64, streams: &Arc<RequestStreams>) {
        *self.request() = Some(Arc::clone(streams));
        self.since.store(now, Ordering::Release);
        self.started.store(self.started.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.note_activity(now, streams);
    }

    /// The thread has not begun it after all: it does not count.
    pub(crate) fn withdraw(&self) {
        self.since.store(0, Ordering::Release);
        *self.request() = None;
        self.started.store(self.started.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }

    /// The request has ended at `now`.
    pub(crate) fn count_finished(&self, now: u64, streams: &RequestStreams) {
        self.note_activity(now, streams);
        self.finished.store(self.finished.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn note_activity(&self, now: u64, streams: &RequestStreams) {
        if !streams.profile.profile.ignore_activity {
            self.last_activity.store(now, Ordering::Relaxed);
        }
    }
}

/// Figures of all request threads, for timers and status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Requests finished.
    pub(crate) finished: u64,
    /// Requests started.
    pub(crate) started: u64,
    /// Microseconds since `Engine::started` of the last activity, plus one; 0 before the first request.
    pub(crate) last_activity: u64,
}

impl Engine {
    pub(crate) fn new(setup: WorkerSetup, groups: Groups, embedded: bool) -> std::io::Result<Self> {
        let slots = (0..setup.group.threads).map(|_| RequestSlot::default()).collect();
        Ok(Self {
            intake: Intake::new(setup.several_fronts)?,
            setup,
            groups,
            slots,
            loaded: AtomicBool::new(false),
            is_worn: AtomicBool::new(false),
            started: Moment::now(),
            reloads: ReloadGate::default(),
            embedded,
            ticker: Ticker::new(),
        })
    }

    /// Microseconds since `started`, plus one: 0 means "never".
    pub(crate) fn now(&self) -> u64 {
        self.at(Moment::now())
    }

    /// [`Engine::now`] for another moment.
    pub(crate) fn at(&self, moment: Moment) -> u64 {
        moment.since(self.started) / 1000 + 1
    }

    /// The link to the front process; in a worker that speaks HTTP itself, to its own front.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.intake.link()
    }

    /// Breaks off the responses that are still being sent while the worker stops.
    pub(crate) fn break_off(&self) {
        self.intake.links().iter().for_each(|link| link.break_off());
    }

    /// Requests that all request threads together have finished.
    pub(crate) fn finished(&self) -> u64 {
        self.slots.iter().map(|slot| slot.finished.load(Ordering::Relaxed)).sum()
    }

    /// Counts of all request threads together.
    pub(crate) fn counters(&self) -> Counters {
        let zero = Counters { finished: self.finished(), ..Counters::default() };
        self.slots.iter().fold(zero, |sum, slot| Counters {
            finished: sum.finished,
            started: sum.started + slot.started.load(Ordering::Relaxed),
            last_activity: sum.last_activity.max(slot.last_activity.load(Ordering::Relaxed)),
        })
    }

    /// Whether a thread that has finished a request must tell the front that this worker has served as many as it may; `true` once.
    pub(crate) fn wears_out(&self) -> bool {
        let most = self.setup.group.maximum_requests;
        // Without the option nobody looks at the other threads' counts.
        most > 0 && self.finished() >= most && !self.is_worn.swap(true, Ordering::Relaxed)
    }

    /// Number of request threads that serve a request.
    pub(crate) fn busy(&self) -> u32 {
        self.slots.iter().filter(|slot| slot.since.load(Ordering::Relaxed) != 0).count() as u32
    }

    /// CPython's number of the interpreter of each busy request thread.
    pub(crate) fn busy_interpreters(&self) -> Vec<i64> {
        let busy = self.slots.iter().filter(|slot| slot.since.load(Ordering::Acquire) != 0);
        busy.map(|slot| slot.interpreter.load(Ordering::Relaxed)).collect()
    }

    /// The ticker's thread: checks the links each millisecond while requests run, else sleeps. Ends with the process.
    pub(crate) fn tick_forever(&self) {
        const TICK: std::time::Duration = std::time::Duration::from_millis(1);
        /// Ticks without a request before the ticker sleeps. Arming it again costs a wake-up; ticking on costs one each millisecond.
        const QUIET: u32 = 4;
        loop {
            self.ticker.wait();
            let mut quiet = 0;
            while quiet <= QUIET {
                std::thread::sleep(TICK);
                let busy = self.intake.tick();
                quiet = if busy { 0 } else { quiet + 1 };
            }
            self.ticker.disarm_unless(|| self.intake.busy());
        }
    }
}
