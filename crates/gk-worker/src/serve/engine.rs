//! What all threads of the process share: the setup, the present link, the interpreters, counters for the timers, the slots
//! that say which thread serves what.

use crate::serve::groups::Groups;
use crate::serve::link::Link;
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
    pub(crate) slots: Vec<Slot>,
    pub(crate) counters: Counters,
    pub(crate) started: Moment,
    link: Mutex<Present>,
    link_changed: Condvar,
    /// Armed while requests run.
    pub(crate) ticker: Ticker,
}

struct Present {
    link: Option<Arc<Link>>,
    stopping: bool,
}

/// A request's frame and its profile.
pub(crate) type AtHand = (Arc<[u8]>, Arc<NumberedProfile>);

/// What one request thread does.
#[derive(Default)]
pub(crate) struct Slot {
    /// Microseconds since `Engine::started` at which it took its request, plus one; 0 when idle.
    pub(crate) since: AtomicU64,
    /// CPython's number of the thread's state in the interpreter it serves in.
    pub(crate) state: AtomicU64,
    /// CPython's number of the interpreter it serves in.
    pub(crate) interpreter: AtomicI64,
    /// `threading.get_ident()` of the thread.
    pub(crate) ident: AtomicU64,
    /// `RequestTimeout` was raised in it; what is left of that must not hit its next request.
    pub(crate) interrupted: AtomicBool,
    /// The request it serves.
    pub(crate) request: Mutex<Option<AtHand>>,
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
    /// A request was served by its application.
    pub(crate) loaded: AtomicBool,
}

impl Engine {
    pub(crate) fn new(setup: WorkerSetup, groups: Groups) -> Self {
        let slots = (0..setup.threads).map(|_| Slot::default()).collect();
        Self {
            setup,
            groups,
            slots,
            counters: Counters::default(),
            started: Moment::now(),
            link: Mutex::new(Present { link: None, stopping: false }),
            link_changed: Condvar::new(),
            ticker: Ticker::new(),
        }
    }

    /// Microseconds since the start, plus one (0 means "never").
    pub(crate) fn now(&self) -> u64 {
        self.at(Moment::now())
    }

    /// The same of another moment.
    pub(crate) fn at(&self, moment: Moment) -> u64 {
        moment.since(self.started) / 1000 + 1
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a link other than `old`; `None` when the worker stops.
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

    /// The link there is.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.present().link.clone()
    }

    /// A new link, after the front was started anew.
    pub(crate) fn set_link(&self, link: Arc<Link>) {
        let old = self.present().link.replace(link);
        if let Some(old) = old {
            old.shut();
        }
        self.link_changed.notify_all();
    }

    /// No new request is taken any more; idle request threads end.
    pub(crate) fn stop(&self) {
        let link = {
            let mut present = self.present();
            present.stopping = true;
            present.link.clone()
        };
        if let Some(link) = link {
            link.shut();
        }
        self.link_changed.notify_all();
    }

    /// Busy request threads.
    pub(crate) fn busy(&self) -> u32 {
        self.slots.iter().filter(|slot| slot.since.load(Ordering::Relaxed) != 0).count() as u32
    }

    /// The interpreter that each busy request thread serves in.
    pub(crate) fn busy_interpreters(&self) -> Vec<i64> {
        let busy = self.slots.iter().filter(|slot| slot.since.load(Ordering::Acquire) != 0);
        busy.map(|slot| slot.interpreter.load(Ordering::Relaxed)).collect()
    }

    /// The ticker's thread: sleeps while nothing runs, else looks at the link each millisecond. Ends with the process.
    pub(crate) fn tick_forever(&self) {
        const TICK: std::time::Duration = std::time::Duration::from_millis(1);
        /// Ticks without a request after which it sleeps.
        const QUIET: u32 = 50;
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
