//! The writer of a request thread's slot: a request begins, enters the application, ends. Every request pays for this code, so
//! it keeps what can be looked up once: slot, cell, and route of the last request.

use crate::figures::{Record, routes};
use crate::route as naming;
use crate::sample::ThreadStage;
use crate::scoreboard::board::Board;
use crate::scoreboard::cell::{Cell, count, count_plain, counted};
use crate::scoreboard::layout::{SLOT, header, slot};
use crate::scoreboard::plain::{Plain, PlainSums};
use crate::scoreboard::ring;
use crate::scoreboard::words::{self, Words, add_alone, add_shared};
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// The beginning of a request.
#[derive(Debug, Clone, Copy)]
pub struct Begin<'a> {
    /// The front's number for it.
    pub request: u64,
    /// Nanoseconds since the epoch: the front had its head.
    pub start: u64,
    /// Now, by the monotonic clock, nanoseconds.
    pub now: u64,
    /// The thread's CPU clock now, nanoseconds; 0 when it was not read.
    pub cpu: u64,
    /// Nanoseconds in the queue.
    pub queue: u64,
    /// The application group's index: [`Board::group`].
    pub group: u16,
    /// Method.
    pub method: &'a [u8],
    /// Path, with or without query string: that is never written.
    pub uri: &'a [u8],
    /// Bytes that are equal for equal method and URI, and only then.
    pub target: &'a [u8],
    /// Stage of the request: before the application, or in it already.
    pub state: ThreadStage,
    /// Its id; empty on a site without them.
    pub id: &'a [u8],
    /// It is kept for a trace, however fast it is.
    pub traced: bool,
}

/// One writer per slot, for the slot's thread. A new writer continues from the state in the slot.
pub struct SlotWriter<'a, W> {
    board: &'a Board<W>,
    index: usize,
    slot: &'a [AtomicU64; SLOT],
    /// Application group of the thread's own cell, and that cell.
    home: Option<(u16, &'a Cell)>,
    /// Hashes of [`Begin::target`] and of method with path, of the last request.
    target: u64,
    named: u64,
    group: u16,
    route: u16,
    /// Route of what the own cell has counted since its figures were last given to a route.
    settling: u16,
    /// Application time from which on a request is kept, nanoseconds.
    slow: u64,
    /// Response time from which on it is kept, nanoseconds; set by the reader, as [`SlotWriter::look`] last saw it.
    floor: u64,
    /// Number of plain requests in the slot that are not in the own cell yet. Their route is `settling`.
    later: usize,
    /// The present request is kept for a trace.
    traced: bool,
    /// There is an id in the slot.
    identified: bool,
}

impl<W: Deref<Target = Words>> Board<W> {
    /// The writer of a slot, for the slot's thread. `None`: no such slot.
    pub fn writer(&self, index: usize) -> Option<SlotWriter<'_, W>> {
        let slot = self.slot(index)?;
        let place = slot[slot::PLACE].load(Relaxed);
        let mut writer = SlotWriter {
            board: self,
            index,
            slot,
            home: None,
            target: 0,
            named: 0,
            group: place as u16,
            route: (place >> 16) as u16,
            settling: slot[slot::ROUTE].load(Relaxed) as u16,
            slow: self.word(header::SLOW).load(Relaxed),
            floor: 0,
            later: slot[slot::LATER].load(Relaxed) as usize,
            traced: false,
            identified: false,
        };
        writer.look();
        writer.find_home();
        Some(writer)
    }

    /// [`SlotWriter::begin`] without a writer at hand.
    pub fn begin(&self, index: usize, begin: &Begin<'_>) {
        if let Some(mut writer) = self.writer(index) {
            writer.begin(begin);
        }
    }

    /// [`SlotWriter::set_state`] without a writer at hand.
    pub fn set_state(&self, index: usize, state: ThreadStage) {
        if let Some(writer) = self.writer(index) {
            writer.set_state(state);
        }
    }

    /// [`SlotWriter::finish`] without a writer at hand.
    pub fn finish(&self, index: usize, r: &Record) {
        if let Some(mut writer) = self.writer(index) {
            writer.finish(r);
        }
    }
}

impl<W: Deref<Target = Words>> SlotWriter<'_, W> {
    /// Its slot's index.
    pub fn index(&self) -> usize {
        self.index
    }

    /// A request begins.
    #[inline]
    pub fn begin(&mut self, begin: &Begin<'_>) {
        // Mostly the request before had the same target; then its texts are in the slot already.
        let target = words::hash(begin.target);
        let same = self.target == target || self.is_named(begin.method, begin.uri, begin.group, target);
        self.group = begin.group;
        self.traced = begin.traced;
        let slot = self.slot;
        let before = slot[slot::PLACE].load(Relaxed);
        words::guarded(&slot[slot::GUARD], || {
            slot[slot::STATE].store(begin.state as u64, Relaxed);
            slot[slot::REQUEST].store(begin.request, Relaxed);
            slot[slot::START].store(begin.start, Relaxed);
            slot[slot::BEGUN].store(begin.now, Relaxed);
            slot[slot::PLACE].store(u64::from(begin.group) | u64::from(self.route) << 16, Relaxed);
            slot[slot::QUEUE].store(begin.queue, Relaxed);
            slot[slot::CPU_BEGUN].store(begin.cpu, Relaxed);
            if !same {
                put_names(slot, begin.method, begin.uri);
            }
            if before & slot::WAITED != 0 {
                forget_waits(slot);
            }
            if self.identified || !begin.id.is_empty() {
                words::put_text(self.board.id(self.index), begin.id);
            }
        });
        self.identified = !begin.id.is_empty();
    }

    /// Reads the floor that the reader has set; to be called now and then.
    pub fn look(&mut self) {
        self.floor = self.board.word(header::FLOOR).load(Relaxed);
    }

    /// Sets the stage of the request.
    #[inline]
    pub fn set_state(&self, state: ThreadStage) {
        self.slot[slot::STATE].store(state as u64, Relaxed);
    }

    /// The request is over. The slot is idle afterwards.
    #[inline]
    pub fn finish(&mut self, r: &Record) {
        match self.home {
            Some((group, cell)) if group == self.group => {
                if self.settling != self.route {
                    self.settle(cell);
                }
                count::<true>(cell, r);
                self.board.time_here(self.slot, self.route, r.response);
            }
            _ => self.finish_elsewhere(*r),
        }
        let noted = r.application >= self.slow || r.response >= self.floor || r.error;
        if noted || self.traced {
            self.keep(*r, noted);
        }
        // No other word of the request changes here, so no guard is needed.
        self.set_state(ThreadStage::Idle);
    }

    /// [`SlotWriter::finish`] of a plain request. It waits in the slot until the batch ends: counting many at once is faster than
    /// counting each between other code, which replaces the caches' content.
    #[inline]
    pub fn finish_plain(&mut self, r: Plain) {
        let usual = self.home.is_some_and(|(group, _)| group == self.group)
            && self.settling == self.route
            && u64::from(r.application) < self.slow
            && r.response() < self.floor
            && !self.traced;
        let (places, _) = self.slot[slot::PLAIN].as_chunks::<{ slot::PLAIN_WORDS }>();
        let Some(place) = places.get(self.later).filter(|_| usual) else {
            return self.finish_unusual(r);
        };
        for (word, value) in place.iter().zip(r.words()) {
            word.store(value, Relaxed);
        }
        self.later += 1;
        self.slot[slot::LATER].store(self.later as u64, Release);
        self.set_state(ThreadStage::Idle);
    }

    /// Counts the plain requests that wait in the slot; to be called before the thread waits for its next request.
    pub fn end_batch(&mut self) {
        let Some((_, cell)) = self.home.filter(|_| self.later > 0) else { return };
        let slot = self.slot;
        let (places, _) = slot[slot::PLAIN].as_chunks::<{ slot::PLAIN_WORDS }>();
        words::guarded(&slot[slot::SETTLING], || {
            let requests = places.iter().take(self.later);
            count_plain(
                cell,
                requests.map(|place| Plain::of_words(place.each_ref().map(|word| word.load(Relaxed)))),
            );
            slot[slot::LATER].store(0, Relaxed);
            for place in places.iter().take(self.later) {
                let plain = Plain::of_words(place.each_ref().map(|word| word.load(Relaxed)));
                self.board.time_here(slot, self.settling, plain.response());
            }
        });
        self.later = 0;
    }

    /// A plain request that has another group or route, or is kept, or finds no place left.
    #[cold]
    fn finish_unusual(&mut self, r: Plain) {
        self.end_batch();
        self.finish(&r.into());
    }

    /// For a target other than the last: true when method and path are the same nevertheless; otherwise finds the route.
    #[cold]
    fn is_named(&mut self, method: &[u8], uri: &[u8], group: u16, target: u64) -> bool {
        self.target = target;
        let path = path_of(uri);
        let named = words::hash_on(words::hash(method), path);
        if self.named == named {
            return true;
        }
        self.named = named;
        let mut name = [0; naming::LONGEST];
        let length = naming::of(path, &mut name);
        self.route = self.board.route(&name[..length]).0;
        if self.slot[slot::HOME].load(Relaxed) == 0 {
            self.slot[slot::HOME].store(u64::from(group) + 1, Relaxed);
            self.find_home();
        }
        false
    }

    fn find_home(&mut self) {
        let group = self.slot[slot::HOME].load(Relaxed).checked_sub(1);
        self.home = group.map(|group| group as u16).zip(self.board.own_cell(self.index));
    }

    /// Gives what the own cell has counted since the last time to its route; later requests count for the present route.
    #[cold]
    fn settle(&mut self, cell: &Cell) {
        self.end_batch();
        let entry = self.board.route_words(self.settling.into());
        let slot = self.slot;
        words::guarded(&slot[slot::SETTLING], || {
            for ((from, to), settled) in routes::COUNTED.into_iter().zip(&slot[slot::SETTLED]) {
                let now = counted(cell, &PlainSums::default(), from);
                add_shared(&entry[to], now.wrapping_sub(settled.load(Relaxed)));
                settled.store(now, Relaxed);
            }
            self.board.give_times(slot, self.settling);
            slot[slot::ROUTE].store(self.route.into(), Relaxed);
        });
        self.settling = self.route;
    }

    // The records below come by value: while nobody has its address, it stays in registers.

    /// A request of an application group that is not this thread's home.
    #[cold]
    fn finish_elsewhere(&self, r: Record) {
        count::<false>(self.board.shared_cell(self.group), &r);
        let entry = self.board.route_words(self.route.into());
        for (cell, to) in routes::COUNTED {
            add_shared(&entry[to], r.adds(cell));
        }
        self.board.time(self.route, r.response);
        add_alone(&self.slot[slot::COMPLETED], 1);
        add_alone(&self.slot[slot::BUSY], r.daemon + r.application);
    }

    #[cold]
    fn keep(&self, r: Record, noted: bool) {
        ring::keep(self.board, self.index, self.slot, &r, (noted, self.traced));
    }
}

// Rare code is kept apart, so that the code of every request lies close together: after a thread's sleep it is out of the caches.

#[cold]
#[inline(never)]
fn put_names(slot: &[AtomicU64; SLOT], method: &[u8], uri: &[u8]) {
    words::put_text(&slot[slot::METHOD], method);
    words::put_text(&slot[slot::PATH], path_of(uri));
}

#[cold]
#[inline(never)]
fn forget_waits(slot: &[AtomicU64; SLOT]) {
    for word in [slot::GIL, slot::WAITS, slot::LONGEST_WAIT, slot::CULPRIT] {
        slot[word].store(0, Relaxed);
    }
}

/// A URI without its query string.
fn path_of(uri: &[u8]) -> &[u8] {
    uri.split(|byte| *byte == b'?').next().unwrap_or(uri)
}
