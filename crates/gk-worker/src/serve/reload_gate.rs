//! Requests whose script has changed on the disk wait here for the reload of their process group. Then they go back to the front,
//! and the new workers answer them; if the reload was refused, the code that is loaded answers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Interval at which a waiting request looks whether its client has gone.
const LOOK: Duration = Duration::from_millis(250);
/// Longest wait: the supervisor gives a reload two minutes, or startup-timeout.
const PATIENCE: Duration = Duration::from_secs(150);

/// The gate of a worker.
#[derive(Default)]
pub(crate) struct ReloadGate {
    /// See [`ReloadGate::state`]; a refusal changes it under the lock.
    state: AtomicU64,
    /// This worker leaves: others answer from now on.
    leaving: Mutex<bool>,
    /// No others do: the code that is loaded answers. Set under the lock.
    ended: AtomicBool,
    changed: Condvar,
}

impl ReloadGate {
    fn leaving(&self) -> MutexGuard<'_, bool> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Twice the number of reloads that were refused so far, and one more while files of watched folders are known to have changed. To be
    /// asked before a request looks at its script.
    #[inline]
    pub(crate) fn state(&self) -> u64 {
        self.state.load(Ordering::Acquire)
    }

    /// Files of watched folders have changed: requests wait from now on.
    pub(crate) fn expect(&self) {
        self.state.fetch_or(1, Ordering::Release);
    }

    /// Waits, detached, for the end of the reload that begins in `state`. Returns true if this worker leaves: the request may
    /// go back to the front. `gone`: nobody waits for the request any more.
    pub(crate) fn wait(&self, state: u64, gone: impl Fn() -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        let mut leaving = self.leaving();
        while !self.ended() && !*leaving && self.state() | 1 == state | 1 && !gone() && Instant::now() < end {
            leaving = self.changed.wait_timeout(leaving, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        *leaving && !self.ended()
    }

    /// A reload was refused, and the files that caused it are kept as they are loaded.
    pub(crate) fn refuse(&self) {
        let leaving = self.leaving();
        self.state.store((self.state() | 1) + 1, Ordering::Release);
        drop(leaving);
        self.changed.notify_all();
    }

    /// No reload of this process group follows any more.
    pub(crate) fn end(&self) {
        let leaving = self.leaving();
        self.ended.store(true, Ordering::Release);
        drop(leaving);
        self.changed.notify_all();
    }

    /// Whether [`ReloadGate::end`] was called.
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// This worker leaves, after the front was told.
    pub(crate) fn leave(&self) {
        *self.leaving() = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::ReloadGate;

    #[test]
    fn a_request_waits_until_the_worker_leaves_or_the_reload_is_refused_or_its_client_goes() {
        let gate = ReloadGate::default();
        assert!(!gate.wait(0, || true));
        let before = gate.state();
        let kept = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.wait(before, || false));
            gate.refuse();
            waiting.join()
        });
        assert!(!kept.unwrap());
        gate.expect();
        let before = gate.state();
        gate.expect();
        assert_eq!((before, gate.state()), (3, 3));
        let back = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.wait(before, || false));
            gate.leave();
            waiting.join()
        });
        assert!(back.unwrap());
        // The last one of its group gives nothing back.
        gate.end();
        assert!(!gate.wait(before, || false));
    }
}
