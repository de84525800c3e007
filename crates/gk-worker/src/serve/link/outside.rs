//! A link that is read by a thread which takes no requests: a request thread cannot wait for several links at once
//! ([`crate::serve::links`]).

use super::{Link, hand_out};
use gk_wire::frame::ToFrontFrame;
use gk_wire::page;
use std::os::fd::BorrowedFd;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl Link {
    /// From now on the thread reads that calls [`Link::pump`], and no request thread does.
    pub(crate) fn occupy(&self) {
        self.roles.occupy();
    }

    /// Reads what is there, without waiting, and hands it out.
    pub(crate) fn pump(&self) {
        loop {
            let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            let filled = buffer.fill(false);
            let mut held = self.roles.hand(|stream| hand_out(&mut buffer, filled, stream));
            drop(buffer);
            let dropped = std::mem::take(&mut held.stream.dropped);
            self.held.store(held.stream.requests.len() as u64, Ordering::Relaxed);
            let closed = held.stream.closed;
            drop(held);
            if !dropped.is_empty() {
                self.send_back(&dropped);
            }
            if closed || !self.watch.has_bytes() {
                return;
            }
        }
    }

    /// The socket, readable when there may be something to read.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.watch.socket()
    }

    /// Says that the reader sleeps until the socket is readable. `false`: it must not, there are bytes.
    pub(crate) fn may_sleep(&self) -> bool {
        self.watch.sleep()
    }

    /// The reader is awake.
    pub(crate) fn awake(&self) {
        self.watch.awake();
    }

    /// Whether nothing more can be read.
    pub(crate) fn is_closed(&self) -> bool {
        self.roles.lock().stream.closed
    }

    /// Request threads that this link has work for: one for each request that waits if requests are slow, else one if none runs.
    pub(crate) fn wants(&self) -> usize {
        let slow = self.slow.load(Ordering::Relaxed);
        let stream = &self.roles.lock().stream;
        match (slow, stream.running) {
            (true, _) => stream.queue.len(),
            (false, 0) => stream.queue.len().min(1),
            (false, _) => 0,
        }
    }

    /// Whether requests wait and none was taken between the last two ticks.
    pub(crate) fn stands_still(&self) -> bool {
        self.stands.load(Ordering::Relaxed) && !self.roles.lock().stream.queue.is_empty()
    }

    /// Requests that wait or run.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Tells the front how many requests this process has from other fronts.
    pub(crate) fn tell_load(&self, others: u64) {
        self.watch.word(page::LOAD).store(others, Ordering::SeqCst);
    }

    /// A word of the page that the front writes for the other fronts.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.watch.word(index).load(Ordering::Relaxed)
    }

    /// Writes a word of the page that is about the other fronts.
    pub(crate) fn set_word(&self, index: usize, value: u64) {
        self.watch.word(index).store(value, Ordering::Relaxed);
    }

    /// Tells the front, if it waits for it, that a request of another front has ended.
    pub(crate) fn tell_room(&self) {
        if self.watch.word(page::WANTED).swap(0, Ordering::SeqCst) != 0 {
            self.outbox.send(&ToFrontFrame::Room);
            self.outbox.try_flush();
        }
    }
}
