//! Giving requests back that wait behind slow ones.
//!
//! The front sends a fast worker more requests than it has threads, or it would sleep between them. When each thread then
//! meets a slow request, those that wait behind them would stay although another worker may be free, and `queue-timeout`
//! would not see them. So a worker that stands still returns what no request thread has begun: the front queues it anew.
//!
//! The same look into the ring finds the `Cancel` of a response that a thread is producing, which nobody would read while all
//! threads are busy and none waits for room.

use super::Link;
use gk_wire::frame::ToFrontFrame;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Ticks (milliseconds) of standing still after which requests are given back; then at each doubling, as long as that is
/// sooner than `EACH`.
const AFTER: u32 = 4;
/// Ticks between two looks into the ring at most.
const EACH: u32 = 512;

impl Link {
    /// Counts a tick. `still`: requests run, and none was taken since the last tick.
    pub(super) fn stood(&self, still: bool) {
        let ticks = if still { self.still.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
        self.still.store(ticks, Ordering::Relaxed);
        if ticks >= AFTER && (ticks.is_power_of_two() || ticks.is_multiple_of(EACH)) {
            self.give_back();
        }
    }

    fn give_back(&self) {
        let mut inner = self.inner();
        if !inner.idle.is_empty() || inner.closed {
            return;
        }
        if !inner.reading {
            // Nobody reads, as all threads are busy: what waits is still in the ring.
            inner.reading = true;
            drop(inner);
            let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = Self::fill(&mut buffer, false);
            inner = self.inner();
            let outcome = outcome.and_then(|()| self.hand_out(&mut buffer, &mut inner));
            drop(buffer);
            inner.reading = false;
            if outcome.is_err() {
                inner.closed = true;
                inner.requests.values().for_each(|streams| streams.cancelled());
                self.wake_everyone(&mut inner);
                return;
            }
            if inner.waiting > 0 {
                self.progress.notify_all();
            }
            if !inner.idle.is_empty() {
                // A thread became idle meanwhile and leans on the reader: it takes over.
                super::wake_one(&mut inner);
                return;
            }
        }
        let returned: Vec<u32> = inner.queue.drain(..).map(|job| job.streams.id).collect();
        for id in &returned {
            inner.requests.remove(id);
        }
        drop(inner);
        if !returned.is_empty() {
            for id in returned {
                self.outbox.send(&ToFrontFrame::Return { id });
            }
            self.outbox.try_flush();
        }
    }
}
