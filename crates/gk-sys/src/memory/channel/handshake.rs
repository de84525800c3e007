//! The words of one ring and what both sides do with them: who may touch which bytes, and how a side that sleeps is woken. No
//! memory is mapped here and nobody is put to sleep, so that the loom model (`model.rs`) runs this very file.
//!
//! Four words, each in a cache line of its own. Zero is the start of all of them.
//!
//! | word | written by | valid | for |
//! |---|---|---|---|
//! | `written` | the writer | always; never wraps | bytes written since the start |
//! | `read` | the reader | always; never wraps | bytes read since the start |
//! | `asleep` | the reader sets it; whoever sees it set takes it back | 1 from before the reader's second look until it is woken | the writer must ring the bell |
//! | `cramped` | the writer sets it; the reader takes it back | 1 from before the writer's second look until half the ring is free | the reader must wake the writer; the futex it sleeps on |
//!
//! The bytes between `read` and `written` are the reader's, all others the writer's.
//!
//! Sleeping (Dekker): set the flag, full fence, look at the counter again, sleep only if nothing has changed. Waking: move the
//! counter, full fence, look at the flag. One of the two sees the other, whatever the order.

use super::atomics::{AtomicU32, AtomicU64, fence};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// The words of one ring of `capacity` bytes.
pub(super) struct Handshake<'a> {
    pub(super) written: &'a AtomicU64,
    pub(super) read: &'a AtomicU64,
    pub(super) asleep: &'a AtomicU64,
    pub(super) cramped: &'a AtomicU32,
    pub(super) capacity: u64,
}

/// A stretch of the ring, counted from the ring's start as the counters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) start: u64,
    pub(super) len: u64,
}

impl Handshake<'_> {
    // === the writer ===

    /// The free bytes; `None` when the counters make no sense.
    pub(super) fn free(&self) -> Option<Stretch> {
        let (written, read) = (self.written.load(Relaxed), self.read.load(Acquire));
        let used = written.wrapping_sub(read);
        Some(Stretch { start: written, len: self.capacity.checked_sub(used)? })
    }

    /// The first `count` bytes of `free` are filled: they are the reader's now.
    pub(super) fn fill(&self, free: Stretch, count: u64) {
        // Wrapping: the other process may have written anything there.
        self.written.store(free.start.wrapping_add(count), Release);
    }

    /// Whether the reader sleeps and must be rung for, by the caller and by nobody else. Comes after [`Self::fill`].
    pub(super) fn takes_sleeper(&self) -> bool {
        fence(SeqCst);
        self.asleep.load(Relaxed) != 0 && self.asleep.swap(0, Relaxed) != 0
    }

    /// Has the reader wake the writer when half of the ring is free. `true`: it is free already.
    pub(super) fn has_space(&self) -> bool {
        self.cramped.store(1, Relaxed);
        fence(SeqCst);
        self.written.load(Relaxed).wrapping_sub(self.read.load(Acquire)) <= self.capacity / 2
    }

    // === the reader ===

    /// The bytes to read; `None` when the counters make no sense.
    pub(super) fn filled(&self) -> Option<Stretch> {
        let (written, read) = (self.written.load(Acquire), self.read.load(Relaxed));
        let len = written.wrapping_sub(read);
        (len <= self.capacity).then_some(Stretch { start: read, len })
    }

    /// The first `count` bytes of `filled` were read: they are the writer's now. Whether the writer waits for them and must be
    /// woken, by the caller and by nobody else.
    pub(super) fn free_and_takes_waiter(&self, filled: Stretch, count: u64) -> bool {
        self.read.store(filled.start.wrapping_add(count), Release);
        if filled.len - count > self.capacity / 2 {
            return false;
        }
        fence(SeqCst);
        self.cramped.load(Relaxed) != 0 && self.cramped.swap(0, Relaxed) != 0
    }

    /// Whether there are bytes to read.
    pub(super) fn has_bytes(&self) -> bool {
        self.written.load(Acquire) != self.read.load(Relaxed)
    }

    /// The reader is about to sleep. `false`: it must not, there are bytes.
    pub(super) fn may_sleep(&self) -> bool {
        self.asleep.store(1, Relaxed);
        fence(SeqCst);
        let empty = !self.has_bytes();
        if !empty {
            self.asleep.store(0, Relaxed);
        }
        empty
    }

    /// The reader does not sleep any more: nobody need ring.
    pub(super) fn awake(&self) {
        if self.asleep.load(Relaxed) != 0 {
            self.asleep.store(0, Relaxed);
        }
    }
}
