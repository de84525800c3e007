//! Whether a worker takes another request, by what it has.

use super::{Link, LinkState};
use crate::worker::balance::AHEAD_NANOS;
use gk_wire::page::{LOAD, SERVICE};
use std::sync::atomic::Ordering;

impl Link {
    /// Requests that the worker has not ended.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// Whether another request may go here now.
    pub fn has_room(&self, now_micros: u64) -> bool {
        self.state.get() == LinkState::Open
            && !self.is_away()
            && self.in_flight.get() < self.limit(now_micros)
            // What it has from other fronts counts, but each front may have one there: its end wakes those that wait here.
            && (self.in_flight.get() == 0 || self.load() < self.limit(now_micros))
    }

    /// Requests that the worker has not ended, those of other fronts among them.
    pub fn load(&self) -> u32 {
        let others = self.watch.word(LOAD).load(Ordering::Relaxed);
        self.in_flight.get().saturating_add(u32::try_from(others).unwrap_or(u32::MAX))
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
        self.balance.borrow().limit(now_micros, self.in_flight.get(), self.service())
    }
}
