//! Leader and followers: which of the threads that share a link reads it.
//!
//! At most one thread has the reader's role. A thread that wants a request and finds the role taken is idle until it is
//! woken. A thread that waits for its own request's body or window waits for progress, which the reader announces after
//! each read. A reader that takes a request leaves the role free: the next thread that comes takes it, and
//! [`Guarded::wake_one`] makes one come. The link decides when that is worth its cost.

use crate::serve::sync::{Condvar, Mutex, MutexGuard, Thread, current, park};
use std::sync::PoisonError;

/// The lock of a link, and the roles of its threads.
pub(super) struct Roles<T> {
    guarded: Mutex<Guarded<T>>,
    progress: Condvar,
}

/// Values under the lock.
pub(super) struct Guarded<T> {
    /// Values that the reader fills and threads take from.
    pub(super) stream: T,
    /// A thread has the reader's role.
    reading: bool,
    /// Idle threads, the most recent last.
    idle: Vec<Thread>,
    /// Number of threads that wait for their own request's body or window.
    waiting: usize,
}

/// The lock, held.
pub(super) type Held<'a, T> = MutexGuard<'a, Guarded<T>>;

impl<T> Guarded<T> {
    /// Returns true if a thread has the reader's role.
    pub(super) fn reading(&self) -> bool {
        self.reading
    }

    /// Returns true if a thread is idle.
    pub(super) fn idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// Wakes the thread that became idle last, if any: its caches are the warmest.
    pub(super) fn wake_one(&mut self) {
        if let Some(thread) = self.idle.pop() {
            thread.unpark();
        }
    }
}

impl<T> Roles<T> {
    pub(super) fn new(stream: T) -> Self {
        let guarded = Guarded { stream, reading: false, idle: Vec::new(), waiting: 0 };
        Self { guarded: Mutex::new(guarded), progress: Condvar::new() }
    }

    pub(super) fn lock(&self) -> Held<'_, T> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until `take` gives a request, or until `over` says that none will come. `read`: a call of [`Roles::read`].
    pub(super) fn next<'a, R>(
        &'a self,
        mut take: impl FnMut(&mut Guarded<T>) -> Option<R>,
        over: impl Fn(&T) -> bool,
        read: impl Fn(Held<'a, T>) -> Held<'a, T>,
    ) -> Option<R> {
        let mut held = self.lock();
        loop {
            if let Some(request) = take(&mut held) {
                return Some(request);
            }
            if over(&held.stream) {
                self.wake_everyone(&mut held);
                return None;
            }
            held = if held.reading { self.be_idle(held) } else { read(held) };
        }
    }

    fn be_idle<'a>(&'a self, mut held: Held<'a, T>) -> Held<'a, T> {
        let me = current();
        held.idle.push(me.clone());
        drop(held);
        park();
        let mut held = self.lock();
        held.idle.retain(|thread| thread.id() != me.id());
        held
    }

    /// Blocks until `ready` (asked under the lock), or until `over` says that it never will be. `read`: a call of
    /// [`Roles::read`].
    pub(super) fn wait_for<'a>(
        &'a self,
        ready: impl Fn() -> bool,
        over: impl Fn(&T) -> bool,
        read: impl Fn(Held<'a, T>) -> Held<'a, T>,
    ) {
        let mut held = self.lock();
        while !ready() && !over(&held.stream) {
            if held.reading {
                held.waiting += 1;
                held = self.progress.wait(held).unwrap_or_else(PoisonError::into_inner);
                held.waiting -= 1;
            } else {
                held = read(held);
            }
        }
        if !held.reading {
            // The role is free: another waiting thread, or an idle one, must get the chance to take it.
            if held.waiting > 0 {
                self.progress.notify_all();
            } else {
                held.wake_one();
            }
        }
    }

    /// Reads once in the reader's role: calls `receive` without the lock, then `hand_out` with it, which returns false at
    /// the end of the stream.
    pub(super) fn read<'a, R>(
        &'a self,
        mut held: Held<'a, T>,
        receive: impl FnOnce() -> R,
        hand_out: impl FnOnce(R, &mut T) -> bool,
    ) -> Held<'a, T> {
        held.reading = true;
        drop(held);
        let received = receive();
        let mut held = self.lock();
        let goes_on = hand_out(received, &mut held.stream);
        held.reading = false;
        if !goes_on {
            self.wake_everyone(&mut held);
        } else if held.waiting > 0 {
            self.progress.notify_all();
        }
        held
    }

    /// The reader's role belongs to a thread that takes no requests, from now on and for good: it reads without it and hands out
    /// by [`Roles::hand`]. Other threads find the role taken.
    pub(super) fn occupy(&self) {
        self.lock().reading = true;
    }

    /// Hands out what the thread of [`Roles::occupy`] has read; `hand_out` returns false at the end of the stream.
    pub(super) fn hand(&self, hand_out: impl FnOnce(&mut T) -> bool) -> Held<'_, T> {
        let mut held = self.lock();
        let goes_on = hand_out(&mut held.stream);
        if !goes_on {
            self.wake_everyone(&mut held);
        } else if held.waiting > 0 {
            self.progress.notify_all();
        }
        held
    }

    /// Wakes every idle and waiting thread.
    pub(super) fn wake_everyone(&self, held: &mut Guarded<T>) {
        for thread in held.idle.drain(..) {
            thread.unpark();
        }
        self.progress.notify_all();
    }
}
