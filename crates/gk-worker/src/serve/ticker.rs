//! When the ticker runs: request threads arm it, and it disarms itself after a while without requests. The engine decides
//! what a tick does.

use crate::serve::sync::{AtomicBool, Condvar, Mutex, Ordering};
use std::sync::PoisonError;

/// Armed while requests run.
pub(crate) struct Ticker {
    armed: AtomicBool,
    /// Held while a thread arms the sleeping ticker.
    sleep: Mutex<()>,
    woken: Condvar,
}

impl Ticker {
    pub(crate) fn new() -> Self {
        Self { armed: AtomicBool::new(false), sleep: Mutex::new(()), woken: Condvar::new() }
    }

    /// Makes sure that the ticker sees the request that this thread has just taken. One relaxed load if it is armed already.
    pub(crate) fn arm(&self) {
        if !self.armed.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        let _sleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.armed.store(true, Ordering::Relaxed);
        self.woken.notify_one();
    }

    /// Sleeps until armed. Called by the ticker's thread.
    pub(crate) fn wait(&self) {
        let mut sleep = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.armed.load(Ordering::Relaxed) {
            sleep = self.woken.wait(sleep).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Disarms, unless `busy` returns true. Called by the ticker's thread.
    ///
    /// A request thread may find the ticker armed just before this. So `busy` looks again afterwards, with the lock that
    /// threads hold to take a request: it sees a request taken before, and a thread that takes one later had the lock after
    /// this thread, so it sees the ticker disarmed.
    pub(crate) fn disarm_unless(&self, busy: impl FnOnce() -> bool) {
        self.armed.store(false, Ordering::Relaxed);
        if busy() {
            self.armed.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::Arc;

    /// The link as the ticker sees it: a request that runs, and whether it was seen.
    #[derive(Default)]
    struct Requests {
        running: bool,
        seen: bool,
    }

    /// Reported from reading the code: between the ticker's look at the link and its disarming, a request thread armed it
    /// in vain, and a request that stood still in the ring waited for the next one. Requests end here only after they were
    /// seen.
    #[test]
    fn every_request_is_seen_by_the_ticker() {
        loom::model(|| {
            const REQUESTS: usize = 2;
            let ticker = Arc::new(Ticker::new());
            let link = Arc::new((Mutex::new(Requests::default()), Condvar::new()));
            let ticking = {
                let (ticker, link) = (Arc::clone(&ticker), Arc::clone(&link));
                loom::thread::spawn(move || {
                    let mut seen = 0;
                    let mut look = || {
                        let mut requests = link.0.lock().unwrap();
                        if requests.running && !requests.seen {
                            (requests.seen, seen) = (true, seen + 1);
                            link.1.notify_one();
                        }
                        (requests.running, seen == REQUESTS)
                    };
                    loop {
                        ticker.wait();
                        let (mut busy, mut last) = look();
                        if !busy {
                            ticker.disarm_unless(|| {
                                (busy, last) = look();
                                busy
                            });
                        }
                        if last {
                            return;
                        }
                        if busy {
                            loom::thread::yield_now();
                        }
                    }
                })
            };
            for _ in 0..REQUESTS {
                *link.0.lock().unwrap() = Requests { running: true, seen: false };
                ticker.arm();
                let mut requests = link.0.lock().unwrap();
                while !requests.seen {
                    requests = link.1.wait(requests).unwrap();
                }
                requests.running = false;
            }
            ticking.join().unwrap();
        });
    }
}
