//! Whether a worker takes another request, by what it has.

use super::{Link, LinkState};
use crate::worker::balance::AHEAD_NANOS;
use gk_wire::page::{HOLDS, HOLDS_ELSEWHERE, LOAD, SERVICE, WAITS, WAITS_ELSEWHERE, WANTED};
use std::sync::atomic::Ordering;

impl Link {
    /// Requests that the worker has not ended.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// Whether another request may go here now. Requests that the worker has from other fronts count, but each front may have one there.
    /// Once the worker has returned one, it gets no more than it has threads for, until a request ends there: what it returns again and
    /// again would never be in the queue when `queue-timeout` is looked at.
    pub fn has_room(&self, now_micros: u64) -> bool {
        let own = self.in_flight.get();
        if self.state.get() != LinkState::Open || self.is_away() || own >= self.limit(now_micros) {
            return false;
        }
        let is_first = own == 0 && !self.rebuffed.get();
        let has_room = || is_first || self.load() < self.limit(now_micros);
        if has_room() {
            return true;
        }
        // It says when one of theirs ends; one may have ended just now.
        self.watch.word(WANTED).store(1, Ordering::SeqCst);
        has_room()
    }

    /// A request of another front has ended there.
    pub(crate) fn room_told(&self) {
        self.rebuffed.set(false);
    }

    /// Requests that the worker has not ended, those of other fronts among them.
    pub fn load(&self) -> u32 {
        let others = self.watch.word(LOAD).load(Ordering::SeqCst);
        self.in_flight.get().saturating_add(u32::try_from(others).unwrap_or(u32::MAX))
    }

    /// Tells the other fronts, by the worker, the marks of a client who waits here and of one who holds threads here; 0: there is none.
    pub(crate) fn tell_marks(&self, waits: u64, holds: u64) {
        self.watch.word(WAITS).store(waits, Ordering::Relaxed);
        self.watch.word(HOLDS).store(holds, Ordering::Relaxed);
    }

    /// What other fronts told in this way, of clients who wait for this worker and who hold its threads.
    pub(crate) fn marks_elsewhere(&self) -> (u64, u64) {
        let told = |index| self.watch.word(index).load(Ordering::Relaxed);
        (told(WAITS_ELSEWHERE), told(HOLDS_ELSEWHERE))
    }

    /// Whether a request here would wait for a thread, and noticeably.
    pub fn is_behind(&self, now_micros: u64) -> bool {
        let is_quick = self.service() < AHEAD_NANOS && self.has_room(now_micros);
        self.in_flight.get() >= self.info.threads && !is_quick
    }

    /// Nanoseconds that a request takes there, smoothed; 0: not known.
    fn service(&self) -> u64 {
        self.watch.word(SERVICE).load(Ordering::Relaxed)
    }

    fn limit(&self, now_micros: u64) -> u32 {
        if self.rebuffed.get() {
            return self.info.threads.max(1);
        }
        self.balance.borrow().limit(now_micros, self.in_flight.get(), self.service())
    }
}
