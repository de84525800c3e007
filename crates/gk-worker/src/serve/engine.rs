//! Values shared by all threads of the process: the setup, the current link, the interpreters, counters for the timers, and
//! a slot per request thread that shows the request it serves.

use crate::serve::groups::Groups;
use crate::serve::link::Link;
use crate::serve::reload_gate::ReloadGate;
use crate::serve::ticker::Ticker;
use gk_sys::clock::Moment;
use gk_wire::setup::WorkerSetup;
use gk_wsgi::application::NumberedProfile;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Shared by all threads of the worker.
pub(crate) struct Engine {
    pub(crate) setup: WorkerSetup,
    pub(crate) groups: Groups,
    pub(crate) slots: Vec<RequestSlot>,
    pub(crate) counters: Counters,
    pub(crate) started: Moment,
    pub(crate) reloads: ReloadGate,
    /// This worker's requests come from its own front, which has no other worker.
    pub(crate) embedded: bool,
    link: Mutex<CurrentLink>,
    link_changed: Condvar,
    /// Armed while requests run.
    pub(crate) ticker: Ticker,
}

struct CurrentLink {
    link: Option<Arc<Link>>,
    stopping: bool,
}

/// Frame of a request, and its profile.
pub(crate) type SlotRequest = (Arc<[u8]>, Arc<NumberedProfile>);

/// The request that one request thread serves now.
#[derive(Default)]
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
    /// Frame and profile of the request.
    pub(crate) request: Mutex<Option<SlotRequest>>,
}

/// Figures for timers and status.
#[derive(Default)]
pub(crate) struct Counters {
    /// Requests finished.
    pub(crate) finished: AtomicU64,
    /// Requests started.
    pub(crate) started: AtomicU64,
    /// Microseconds since `Engine::started` of the last activity, plus one; 0 before the first request.
    pub(crate) last_activity: AtomicU64,
    /// An application has served a request.
    pub(crate) loaded: AtomicBool,
}

impl Engine {
    pub(crate) fn new(setup: WorkerSetup, groups: Groups, embedded: bool) -> Self {
        let slots = (0..setup.group.threads).map(|_| RequestSlot::default()).collect();
        Self {
            setup,
            groups,
            slots,
            counters: Counters::default(),
            started: Moment::now(),
            reloads: ReloadGate::default(),
            embedded,
            link: Mutex::new(CurrentLink { link: None, stopping: false }),
            link_changed: Condvar::new(),
            ticker: Ticker::new(),
        }
    }

    /// Microseconds since `started`, plus one: 0 means "never".
    pub(crate) fn now(&self) -> u64 {
        self.at(Moment::now())
    }

    /// [`Engine::now`] for another moment.
    pub(crate) fn at(&self, moment: Moment) -> u64 {
        moment.since(self.started) / 1000 + 1
    }

    fn present(&self) -> MutexGuard<'_, CurrentLink> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a link other than `old`; returns `None` when the worker stops.
    pub(crate) fn next_link(&self, old: Option<&Arc<Link>>) -> Option<Arc<Link>> {
        let mut present = self.present();
        loop {
            if present.stopping {
                return None;
            }
            match &present.link {
                Some(link) if old.is_none_or(|old| !Arc::ptr_eq(old, link)) => return Some(Arc::clone(link)),
                _ => present = self.link_changed.wait(present).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The current link.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.present().link.clone()
    }

    /// Replaces the link, after a restart of the front.
    pub(crate) fn set_link(&self, link: Arc<Link>) {
        let old = self.present().link.replace(link);
        if let Some(old) = old {
            old.shut();
        }
        self.link_changed.notify_all();
    }

    /// Stops taking requests; idle request threads end, busy ones when their request has.
    pub(crate) fn stop(&self) {
        let link = {
            let mut present = self.present();
            present.stopping = true;
            present.link.clone()
        };
        if let Some(link) = link {
            link.stop();
        }
        self.link_changed.notify_all();
    }

    /// Whether [`Engine::stop`] was called.
    pub(crate) fn stopping(&self) -> bool {
        self.present().stopping
    }

    /// Breaks off the responses that are still being sent while the worker stops.
    pub(crate) fn break_off(&self) {
        if let Some(link) = self.link() {
            link.break_off();
        }
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

    /// The ticker's thread: checks the link each millisecond while requests run, else sleeps. Ends with the process.
    pub(crate) fn tick_forever(&self) {
        const TICK: std::time::Duration = std::time::Duration::from_millis(1);
        /// Ticks without a request before the ticker sleeps. Arming it again costs a wake-up; ticking on costs one each millisecond.
        const QUIET: u32 = 4;
        let mut last = 0;
        loop {
            self.ticker.wait();
            let mut quiet = 0;
            while quiet <= QUIET {
                std::thread::sleep(TICK);
                let busy = self.link().is_some_and(|link| link.tick(&mut last));
                quiet = if busy { 0 } else { quiet + 1 };
            }
            self.ticker.disarm_unless(|| self.link().is_some_and(|link| link.busy()));
        }
    }
}
