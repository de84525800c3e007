//! The bytes of one response that its client has not taken. They are in memory; when the client falls behind, later ones go to a
//! file. A value: it says what is to be written or read next ([`Step`]), the task in `spooler` does it.
//!
//! ```text
//! worker ─▶ tail ─▶ file ─▶ pieces ─▶ client        a client that falls behind
//! worker ─────────────────▶ pieces ─▶ client        any other
//! ```
//!
//! The worker may send a window of bytes before it waits for credit. It gets credit for bytes that the client took, that are in
//! the file, and for those in memory within the bounds. Above all bounds it gets none, and its request thread waits.

use bytes::Bytes;
use gk_wire::frame::{INITIAL_WINDOW, WIDE_WINDOW};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::task::{Context, Poll, Waker};

use crate::engine::COPIED;
use crate::worker::link::pieces::{append, append_for_file, take_behind};
use crate::worker::share::{Share, UNCOUNTED};

/// Bytes in `pieces` below which the file is read on.
const LOW: usize = 64 * 1024;
/// Fewest bytes per write, and the same while the memory is needed.
const LEAST_WRITE: usize = 64 * 1024;
const LEAST_PRESSED: usize = 16 * 1024;
/// Most bytes per read or write.
const STEP: usize = 256 * 1024;
/// Bytes that a client takes in a pause of the spooler if it is not slow.
const QUICK: usize = 256 * 1024;

/// The worker sent more than its window.
#[derive(Debug, PartialEq, Eq)]
pub struct Exceeds;

/// What the spooler does next.
#[derive(Debug)]
pub enum Step {
    /// Write these bytes at a position of the file and behind its end again at its start; then call [`Backlog::wrote`].
    Write(Write),
    /// Read so many bytes at a position; then call [`Backlog::read`].
    Read {
        /// Position in the file.
        at: u64,
        /// Number of bytes.
        len: usize,
    },
    /// Wake the client's task: bytes were moved to where it takes them. Then ask again.
    Moved,
    /// Wait until poked. `held`: the worker's request thread waits for the client meanwhile.
    Wait {
        /// The bounds are reached.
        held: bool,
    },
    /// The client has caught up: nothing is in the file.
    Done,
}

/// Bytes to write.
#[derive(Debug)]
pub struct Write {
    /// The bytes, in order.
    pub pieces: VecDeque<Bytes>,
    /// Position of the first.
    pub at: u64,
    /// Bytes that the file holds at most; what would be behind goes to its start.
    pub size: u64,
    /// Bytes that the file grows by, which were reserved.
    pub growth: u64,
}

/// A client's pace, as seen in one pause of the spooler.
#[derive(Debug, PartialEq, Eq)]
pub enum Pace {
    /// It has caught up, or all of the response fits into memory.
    Over,
    /// It takes bytes about as fast as they come.
    Quick,
    /// It has fallen behind.
    Slow,
}

/// The bytes of a response that its client has not taken.
#[derive(Default)]
pub struct Backlog {
    /// Next for the client.
    pieces: VecDeque<Bytes>,
    /// Bytes in memory, wherever.
    held: usize,
    /// Bytes for which the worker has no credit yet.
    debt: usize,
    /// Bytes that the share counts.
    counted: usize,
    /// The worker has the wide window.
    wide: bool,
    overflow: Option<Box<Overflow>>,
}

/// The part of a backlog that a slow client needs.
#[derive(Default)]
struct Overflow {
    /// Address of the client, if it has one.
    client: Option<IpAddr>,
    /// The client is slow: fresh bytes go to `tail`.
    engaged: bool,
    /// Bytes that the client took since the last look.
    taken: usize,
    /// First byte in the file and the one behind the last, counted on without end; positions are remainders by `size`.
    first: u64,
    end: u64,
    size: u64,
    /// Bytes of the file that are reserved.
    reserved: u64,
    /// Bytes behind those of the file.
    tail: VecDeque<Bytes>,
    tail_bytes: usize,
    /// Bytes between file and tail that are being written.
    writing: usize,
    poked: bool,
    waker: Option<Waker>,
}

impl Overflow {
    fn poke(&mut self) {
        self.poked = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn in_file(&self) -> u64 {
        self.end - self.first
    }
}

impl Backlog {
    /// The worker got the wide window with the request.
    pub fn widen(&mut self) {
        self.wide = true;
    }

    /// The worker's window, in bytes.
    fn window(&self) -> usize {
        if self.wide { WIDE_WINDOW as usize } else { INITIAL_WINDOW as usize }
    }

    /// Bytes without credit from which a request thread waits, or soon will.
    fn lag(&self) -> usize {
        self.window() * 3 / 4
    }

    /// Bytes came from the worker.
    pub fn push(&mut self, bytes: Bytes, share: &Share) -> Result<(), Exceeds> {
        self.debt += bytes.len();
        if self.debt > 2 * self.window() {
            return Err(Exceeds);
        }
        self.held += bytes.len();
        match &mut self.overflow {
            Some(overflow) if overflow.engaged => {
                overflow.tail_bytes += bytes.len();
                append_for_file(&mut overflow.tail, bytes, overflow.tail_bytes);
                overflow.poke();
            }
            _ => append(&mut self.pieces, bytes, self.held),
        }
        self.count(share);
        Ok(())
    }

    /// The next bytes for the client, so many at most, if they are in memory.
    pub fn take(&mut self, most: usize, share: &Share) -> Option<Bytes> {
        let mut bytes = self.pieces.pop_front()?;
        if bytes.len() > most {
            self.pieces.push_front(bytes.split_off(most));
        }
        self.held -= bytes.len();
        if let Some(overflow) = &mut self.overflow {
            overflow.taken += bytes.len();
            overflow.poke();
        }
        self.count(share);
        Some(bytes)
    }

    /// Whether the client has taken everything that came.
    pub fn is_empty(&self) -> bool {
        self.held == 0 && self.overflow.as_ref().is_none_or(|overflow| overflow.in_file() == 0)
    }

    /// Whether everything that came is taken at once.
    pub fn is_single(&self) -> bool {
        self.pieces.len() <= 1 && self.held <= COPIED && self.overflow.is_none()
    }

    /// Bytes in memory.
    pub fn held(&self) -> usize {
        self.held
    }

    /// The credit that is due to the worker after the client took bytes or a write.
    pub fn credit(&mut self, share: &Share) -> Option<u32> {
        self.credit_from(self.window() / 4, share)
    }

    /// The credit that is due to the worker after bytes came.
    pub fn credit_fresh(&mut self, share: &Share) -> Option<u32> {
        self.credit_from(self.window() / 2, share)
    }

    fn credit_from(&mut self, least: usize, share: &Share) -> Option<u32> {
        // Most responses end before they owe this much.
        if self.debt < least {
            return None;
        }
        let due = self.debt.saturating_sub(self.held.saturating_sub(share.allowance(self.window())));
        (due >= least).then(|| {
            self.debt -= due;
            due as u32
        })
    }

    /// Whether the client has fallen so far behind that a spooler should look after it, and none does.
    pub fn lags(&self, ended: bool, share: &Share) -> bool {
        self.is_behind(ended, share) && self.overflow.is_none()
    }

    /// The worker's request thread waits, or the memory is needed.
    fn is_behind(&self, ended: bool, share: &Share) -> bool {
        (!ended && self.debt >= self.lag())
            || (self.held >= UNCOUNTED + LEAST_PRESSED && share.space.is_pressed())
    }

    /// A spooler looks after the client from now on, who has this address.
    pub fn watch(&mut self, client: Option<IpAddr>) {
        self.overflow.get_or_insert_default().client = client;
    }

    /// A spooler's look at the client's pace.
    pub fn pace(&mut self, ended: bool, share: &Share) -> Pace {
        let behind = self.is_behind(ended, share);
        let Some(overflow) = &mut self.overflow else { return Pace::Over };
        let taken = std::mem::take(&mut overflow.taken);
        match (taken >= QUICK, behind) {
            (true, true) => Pace::Quick,
            (false, true) => Pace::Slow,
            (_, false) => Pace::Over,
        }
    }

    /// The client is slow: keeps its next bytes in memory and the later ones for the file.
    pub fn engage(&mut self, share: &Share) {
        let keep = match share.space.is_pressed() {
            true => UNCOUNTED,
            false => share.bounds().memory.max(self.window()) / 2,
        };
        let Some(overflow) = &mut self.overflow else { return };
        overflow.tail = take_behind(&mut self.pieces, keep);
        overflow.tail_bytes = overflow.tail.iter().map(Bytes::len).sum();
        overflow.engaged = true;
        overflow.size = share.bounds().file;
    }

    /// What to do next. `writable`: the last write did not fail a moment ago.
    pub fn step(&mut self, ended: bool, writable: bool, share: &Share) -> Step {
        let lag = self.lag();
        let Some(overflow) = &mut self.overflow else { return Step::Done };
        overflow.poked = false;
        if self.held - overflow.tail_bytes - overflow.writing < LOW {
            if overflow.in_file() > 0 {
                let at = overflow.first % overflow.size;
                let len = overflow.in_file().min(overflow.size - at).min(STEP as u64);
                return Step::Read { at, len: len as usize };
            }
            let before = overflow.tail.len();
            while self.held - overflow.tail_bytes < LOW
                && let Some(piece) = overflow.tail.pop_front()
            {
                overflow.tail_bytes -= piece.len();
                self.pieces.push_back(piece);
            }
            if overflow.tail.is_empty() && (ended || self.debt < lag) {
                return Step::Done;
            }
            if overflow.tail.len() < before {
                return Step::Moved;
            }
        }
        let pressed = share.space.is_pressed();
        // A response that has ended holds no request thread, and what is in memory may stay there.
        if overflow.tail_bytes >= (if pressed { LEAST_PRESSED } else { LEAST_WRITE })
            && writable
            && (!ended || pressed)
            && let Some(write) = overflow.write(share)
        {
            return Step::Write(write);
        }
        Step::Wait { held: !ended && self.debt >= lag }
    }

    /// The bytes of [`Step::Write`] are in the file, or not: then they come back.
    pub fn wrote(&mut self, write: Write, stored: bool, share: &Share) {
        let Some(overflow) = &mut self.overflow else { return };
        let bytes = std::mem::take(&mut overflow.writing);
        if stored {
            overflow.end += bytes as u64;
            self.held -= bytes;
        } else {
            share.give_back(overflow.client, write.growth);
            overflow.reserved -= write.growth;
            overflow.tail_bytes += bytes;
            let behind = std::mem::replace(&mut overflow.tail, write.pieces);
            overflow.tail.extend(behind);
        }
        self.count(share);
    }

    /// The bytes of [`Step::Read`]. Returns whether the file is empty now: it may be given up, and its space is given back.
    pub fn read(&mut self, bytes: Bytes, share: &Share) -> bool {
        let Some(overflow) = &mut self.overflow else { return true };
        overflow.first += bytes.len() as u64;
        self.held += bytes.len();
        self.pieces.push_back(bytes);
        let is_empty = overflow.in_file() == 0;
        if is_empty {
            (overflow.first, overflow.end) = (0, 0);
            share.give_back(overflow.client, std::mem::take(&mut overflow.reserved));
        }
        self.count(share);
        is_empty
    }

    /// The spooler is done: the client has caught up.
    pub fn unwatch(&mut self) {
        self.overflow = None;
    }

    /// Drops everything.
    pub fn clear(&mut self, share: &Share) {
        self.pieces.clear();
        if self.pieces.capacity() > 16 {
            self.pieces.shrink_to(16);
        }
        (self.held, self.debt, self.wide) = (0, 0, false);
        if let Some(mut overflow) = self.overflow.take() {
            share.give_back(overflow.client, overflow.reserved);
            overflow.poke();
        }
        self.count(share);
    }

    /// Lets the spooler look again.
    pub fn poke(&mut self) {
        if let Some(overflow) = &mut self.overflow {
            overflow.poke();
        }
    }

    /// Ready once something has changed since the last [`Backlog::step`].
    pub fn poll_poked(&mut self, cx: &Context<'_>) -> Poll<()> {
        match &mut self.overflow {
            Some(overflow) if !overflow.poked => {
                overflow.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Tells the share how much is in memory.
    fn count(&mut self, share: &Share) {
        let now = self.held.saturating_sub(UNCOUNTED);
        if now != self.counted {
            share.space.count(self.counted, now);
            self.counted = now;
        }
    }
}

impl Overflow {
    /// The next write, if there is room for it.
    fn write(&mut self, share: &Share) -> Option<Write> {
        let room = (self.size - self.in_file()).min(STEP as u64) as usize;
        let (mut bytes, mut count) = (0, 0);
        for piece in &self.tail {
            if bytes + piece.len() > room {
                break;
            }
            (bytes, count) = (bytes + piece.len(), count + 1);
        }
        if count == 0 {
            return None;
        }
        let growth = (self.end + bytes as u64).min(self.size).saturating_sub(self.reserved);
        if !share.reserve(self.client, growth) {
            return None;
        }
        self.reserved += growth;
        let behind = self.tail.split_off(count);
        let pieces = std::mem::replace(&mut self.tail, behind);
        self.tail_bytes -= bytes;
        self.writing = bytes;
        Some(Write { pieces, at: self.end % self.size, size: self.size, growth })
    }
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
