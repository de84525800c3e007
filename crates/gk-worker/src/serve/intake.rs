//! Where request threads get their requests: the link to the one front, or those to several.

use crate::serve::link::{Job, Link, OwnLink};
use crate::serve::links::Links;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Requests after which a thread looks at the other links, although its own has more for the same interpreter.
const TURN: u32 = 32;

/// The links of the worker.
pub(crate) enum Intake {
    /// To the front process.
    One(OneLink),
    /// To it, and to the fronts within other workers.
    Several(Links),
}

/// The link to the one front, which a restart of that replaces.
#[derive(Default)]
pub(crate) struct OneLink {
    current: Mutex<CurrentLink>,
    changed: Condvar,
}

#[derive(Default)]
struct CurrentLink {
    link: Option<Arc<Link>>,
    stopping: bool,
}

impl OneLink {
    fn present(&self) -> MutexGuard<'_, CurrentLink> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a link other than `old`; returns `None` when the worker stops.
    fn other(&self, old: Option<&Arc<Link>>) -> Option<Arc<Link>> {
        let mut present = self.present();
        loop {
            if present.stopping {
                return None;
            }
            match &present.link {
                Some(link) if old.is_none_or(|old| !Arc::ptr_eq(old, link)) => return Some(Arc::clone(link)),
                _ => present = self.changed.wait(present).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Intake {
    /// Without a link yet. `several`: of several fronts.
    pub(crate) fn new(several: bool) -> std::io::Result<Self> {
        Ok(if several { Self::Several(Links::new()?) } else { Self::One(OneLink::default()) })
    }

    /// The next request; waits for one. `None`: the worker stops. `last`: the link of the thread's last request, kept from call to call; a
    /// broken one when it waits for the next.
    pub(crate) fn next(&self, last: &mut Option<Arc<OwnLink>>) -> Option<(Arc<OwnLink>, Job)> {
        match self {
            Self::One(one) => loop {
                if let Some(link) = last
                    && let Some(job) = link.next()
                {
                    return Some((Arc::clone(link), job));
                }
                *last = Some(Arc::new(OwnLink(one.other(last.as_ref().map(|own| &own.0))?)));
            },
            Self::Several(links) => {
                // What does not fit waits for the ticker: another front must not wait for this one.
                if let Some(last) = last {
                    last.outbox().try_flush();
                }
                let (link, job) = links.next()?;
                let own = last.take_if(|last| Arc::ptr_eq(&last.0, &link));
                let own = own.unwrap_or_else(|| Arc::new(OwnLink(link)));
                *last = Some(Arc::clone(&own));
                Some((own, job))
            }
        }
    }

    /// Most requests of one link that a thread serves in a row.
    pub(crate) fn turn(&self) -> u32 {
        match self {
            Self::One(_) => u32::MAX,
            Self::Several(_) => TURN,
        }
    }

    /// A request has ended, or was given back.
    pub(crate) fn ended(&self) {
        // In a child that the application forked, a thread that is not there may hold the lock.
        if let Self::Several(links) = self
            && !gk_sys::fork::is_child()
        {
            links.ended();
        }
    }

    /// The link to the front process; in a worker that speaks HTTP itself, to its own front.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        match self {
            Self::One(one) => one.present().link.clone(),
            Self::Several(links) => links.of(0),
        }
    }

    /// Every link on which requests come.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        match self {
            Self::One(_) => self.link().into_iter().collect(),
            Self::Several(links) => links.all(),
        }
    }

    /// Adds the link to a front, or replaces it, after a restart of that front. `front`: the number of its worker, 0 for the front process.
    pub(crate) fn set(&self, front: u64, link: Arc<Link>) {
        match self {
            Self::One(one) => {
                let old = one.present().link.replace(link);
                if let Some(old) = old {
                    old.shut();
                }
                one.changed.notify_all();
            }
            Self::Several(links) => links.set(front, link),
        }
    }

    /// Stops taking requests; idle request threads end, busy ones when their request has.
    pub(crate) fn stop(&self) {
        match self {
            Self::One(one) => {
                let link = {
                    let mut present = one.present();
                    present.stopping = true;
                    present.link.clone()
                };
                if let Some(link) = link {
                    link.stop();
                }
                one.changed.notify_all();
            }
            Self::Several(links) => links.stop(),
        }
    }

    /// Whether [`Intake::stop`] was called.
    pub(crate) fn stopping(&self) -> bool {
        match self {
            Self::One(one) => one.present().stopping,
            Self::Several(links) => links.stopping(),
        }
    }

    /// Called each millisecond while requests run. Returns true if a request runs or waits.
    pub(crate) fn tick(&self) -> bool {
        match self {
            Self::One(_) => self.link().is_some_and(|link| link.tick()),
            Self::Several(links) => links.tick(),
        }
    }

    /// Whether a request runs or waits.
    pub(crate) fn busy(&self) -> bool {
        self.links().iter().any(|link| link.busy())
    }
}
