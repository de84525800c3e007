//! Where what stands on a worker's scoreboard: a header, the application groups, the routes, who waited for whom, the last
//! slow requests, a slot per request thread and the cells with counters and histograms. Word numbers only.

use crate::figures::{FIGURES_END, Long, Record, Timed};
use crate::histogram::BUCKETS;

/// First word of a scoreboard; the last byte is the layout's version.
pub const MAGIC: u64 = u64::from_le_bytes(*b"GKBOARD\x07");

/// Most application groups with figures of their own; the last entry collects all others.
pub const GROUPS: usize = 16;
/// Routes, the first two being "(unknown)" and "(others)".
pub const ROUTES: usize = 128;
/// Pairs of routes, one having waited for the other.
pub const PAIRS: usize = 256;
/// Finished requests kept.
pub const RING: usize = 64;
/// Garbage collections kept.
pub const COLLECTIONS: usize = 64;
/// Most request threads whose figures are kept apart; further ones add to the cells of the groups.
pub const PRIVATE: usize = 64;

/// Words of the header.
pub(crate) const HEADER: usize = 96;
/// Words of a group's entry.
pub(crate) const GROUP: usize = 40;
/// Words of a route's entry.
pub(crate) const ROUTE: usize = 24;
/// Words of a pair.
pub(crate) const PAIR: usize = 4;
/// Words of a finished request.
pub(crate) const ENTRY: usize = entry::PATH.end.next_multiple_of(8);
/// Words of a garbage collection.
pub(crate) const COLLECTION: usize = 6;
/// Words of a slot.
pub(crate) const SLOT: usize = 104;
/// Words of a page of memory.
const PAGE: usize = 512;
/// Words of a histogram: its buckets. Its sum stands with the counters. Two histograms lie bucket beside bucket: those whose
/// values are near each other, so that a request writes the same cache line for both.
pub(crate) const HISTOGRAM: usize = 968;
/// Words of two of them.
pub(crate) const TWO_HISTOGRAMS: usize = 2 * HISTOGRAM;
/// First word of the bitmaps in a cell's head: which doublings of each histogram are in use. Counters and sums come before.
pub(crate) const BITMAPS: usize = FIGURES_END;
/// Words of a cell's head.
pub(crate) const HEAD: usize = (BITMAPS + Timed::COUNT).next_multiple_of(8);
/// Status codes counted: 0 (none or outside) and 100 to 599, by `code - 99`; 200 has a counter of its own.
pub(crate) const STATUSES: usize = 504;
/// First word of the status codes in a cell.
pub(crate) const STATUSES_AT: usize = HEAD + Timed::COUNT.div_ceil(2) * TWO_HISTOGRAMS;
/// First word of the long phases in a cell.
pub(crate) const LONG_AT: usize = STATUSES_AT + STATUSES;
/// Words of a cell.
pub(crate) const CELL: usize = LONG_AT + Long::ALL.len() * Long::BUCKETS;
/// Words of a slot and the cell of its thread's own. A worker's pages of memory are strange to the processor whenever it
/// comes to run, so what a short request writes of it stands in two of them: slot, head and short times at the beginning, and
/// a page of longer times.
const OWN: usize = (SLOT + CELL).next_multiple_of(PAGE);

const _: () = assert!(HISTOGRAM >= BUCKETS, "a histogram has room for its buckets");
// What every request writes stands in as few cache lines of 64 bytes as can be; a page begins with one.
const _: () = assert!(
    Layout::slot(0).is_multiple_of(PAGE) && SLOT.is_multiple_of(8) && CELL.is_multiple_of(8),
    "slots and cells begin with a cache line"
);

/// Words of the header.
pub(crate) mod header {
    use std::ops::Range;
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const THREADS: usize = 1;
    pub(crate) const PID: usize = 2;
    pub(crate) const WORKER: usize = 3;
    pub(crate) const GIL_MODE: usize = 4;
    pub(crate) const EXACT: usize = 5;
    pub(crate) const SWITCH_INTERVAL: usize = 6;
    pub(crate) const STARTED: usize = 7;
    pub(crate) const IMPORT: usize = 8;
    pub(crate) const SLOW: usize = 9;
    pub(crate) const FLOOR: usize = 10;
    pub(crate) const RING_HEAD: usize = 11;
    pub(crate) const LOST: usize = 12;
    pub(crate) const GIL_ENABLED: usize = 13;
    pub(crate) const OTHER_WAIT: usize = 14;
    pub(crate) const OTHER_WAITS: usize = 15;
    pub(crate) const PROCESS_GROUP: Range<usize> = 16..32;
    pub(crate) const PYTHON: Range<usize> = 32..40;
    pub(crate) const WHY: Range<usize> = 40..64;
    pub(crate) const GIL_MODULE: Range<usize> = 64..80;
    pub(crate) const COLLECTIONS_HEAD: usize = 80;
}

/// Words of a group.
pub(crate) mod group {
    use std::ops::Range;
    pub(crate) const HASH: usize = 0;
    pub(crate) const READY: usize = 1;
    pub(crate) const GIL_MODE: usize = 2;
    pub(crate) const SWITCH_INTERVAL: usize = 3;
    pub(crate) const IMPORT: usize = 4;
    pub(crate) const GC_PAUSE: usize = 5;
    pub(crate) const GC_LONGEST: usize = 6;
    pub(crate) const COLLECTIONS: Range<usize> = 7..10;
    pub(crate) const COLLECTED: usize = 10;
    pub(crate) const UNCOLLECTABLE: usize = 11;
    pub(crate) const NAME: Range<usize> = 16..40;
}

/// Words of a route. Those from 3 on hold its figures: [`crate::figures::routes`].
pub(crate) mod route {
    use std::ops::Range;
    pub(crate) const HASH: usize = 0;
    pub(crate) const READY: usize = 1;
    pub(crate) const KIND: usize = 2;
    pub(crate) const NAME: Range<usize> = 12..24;
}

/// Words of a pair.
pub(crate) mod pair {
    pub(crate) const KEY: usize = 0;
    pub(crate) const NS: usize = 1;
    pub(crate) const WAITS: usize = 2;
}

/// Words of a finished request.
pub(crate) mod entry {
    use super::Record;
    use std::ops::Range;
    pub(crate) const GUARD: usize = 0;
    pub(crate) const ORDINAL: usize = 1;
    pub(crate) const REQUEST: usize = 2;
    pub(crate) const START: usize = 3;
    pub(crate) const PLACE: usize = 4;
    pub(crate) const THREAD: usize = 5;
    pub(crate) const LONGEST_WAIT: usize = 6;
    pub(crate) const CULPRIT: usize = 7;
    pub(crate) const RECORD: Range<usize> = 8..8 + Record::WORDS;
    pub(crate) const METHOD: Range<usize> = RECORD.end..RECORD.end + 2;
    pub(crate) const PATH: Range<usize> = METHOD.end..METHOD.end + 18;
}

/// Words of a garbage collection.
pub(crate) mod collection {
    pub(crate) const ORDINAL: usize = 0;
    pub(crate) const START: usize = 1;
    pub(crate) const PAUSE: usize = 2;
    /// Application group, and from bit 16 on the generation.
    pub(crate) const PLACE: usize = 3;
    pub(crate) const COLLECTED: usize = 4;
    pub(crate) const UNCOLLECTABLE: usize = 5;
}

/// Words of a slot. The first cache line is written at every request's beginning, some words from `LATER` on at every plain
/// one's end, the others seldom. Those from `GUARD` to `PATH` are read together.
pub(crate) mod slot {
    use std::ops::Range;
    pub(crate) const GUARD: usize = 0;
    pub(crate) const STATE: usize = 1;
    pub(crate) const REQUEST: usize = 2;
    pub(crate) const START: usize = 3;
    pub(crate) const BEGUN: usize = 4;
    /// Application group, from bit 16 on the route, and [`WAITED`].
    pub(crate) const PLACE: usize = 5;
    pub(crate) const QUEUE: usize = 6;
    pub(crate) const CPU_BEGUN: usize = 7;
    pub(crate) const METHOD: Range<usize> = 8..10;
    pub(crate) const PATH: Range<usize> = 10..28;
    /// Of the present request, growing.
    pub(crate) const GIL: usize = 28;
    pub(crate) const WAITS: usize = 29;
    pub(crate) const LONGEST_WAIT: usize = 30;
    pub(crate) const CULPRIT: usize = 31;
    /// Of the thread, for its whole life.
    pub(crate) const TID: usize = 32;
    /// What it finished outside its own cell.
    pub(crate) const COMPLETED: usize = 33;
    pub(crate) const BUSY: usize = 34;
    /// One more than the application group of its own cell.
    pub(crate) const HOME: usize = 35;
    /// Odd while the words from `ROUTE` to `SETTLED` are written, or plain requests go from here to its own cell.
    pub(crate) const SETTLING: usize = 40;
    /// The route of what its own cell has counted since it held `SETTLED`.
    pub(crate) const ROUTE: usize = 41;
    pub(crate) const SETTLED: Range<usize> = 42..48;
    /// How many plain requests are not in its own cell yet, and they: [`PLAIN_WORDS`] words each.
    pub(crate) const LATER: usize = 55;
    pub(crate) const PLAIN: Range<usize> = 56..104;
    pub(crate) const PLAIN_WORDS: usize = 3;

    /// In `PLACE`: the request has waited for a GIL, the words from `GIL` to `CULPRIT` are in use.
    pub(crate) const WAITED: u64 = 1 << 32;
}

impl Timed {
    /// The word of a cell's head with the bitmap of the doublings in use.
    pub(crate) const fn bitmap(self) -> usize {
        BITMAPS + self as usize
    }

    /// First word of this histogram's buckets, between which its neighbour's lie, in a cell.
    pub(crate) const fn at(self) -> usize {
        HEAD + self as usize / 2 * TWO_HISTOGRAMS
    }

    /// The word of one of its buckets from there on.
    #[inline]
    pub(crate) const fn word(self, bucket: usize) -> usize {
        2 * bucket + self as usize % 2
    }
}

/// The places on a scoreboard for so many request threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    threads: usize,
}

impl Layout {
    /// For a worker with so many request threads.
    pub fn new(threads: u32) -> Self {
        Self { threads: threads as usize }
    }

    /// Length in 64-bit words.
    pub fn words(self) -> usize {
        Self::slot(self.threads)
    }

    /// Length in bytes.
    pub fn bytes(self) -> usize {
        self.words() * 8
    }

    pub(crate) fn threads(self) -> usize {
        self.threads
    }

    /// Request threads with a cell of their own.
    pub(crate) fn private(self) -> usize {
        self.threads.min(PRIVATE)
    }

    pub(crate) const fn group(index: usize) -> usize {
        HEADER + index * GROUP
    }

    pub(crate) const fn route(index: usize) -> usize {
        Self::group(GROUPS) + index * ROUTE
    }

    pub(crate) const fn pair(index: usize) -> usize {
        Self::route(ROUTES) + index * PAIR
    }

    pub(crate) const fn entry(index: usize) -> usize {
        Self::pair(PAIRS) + index * ENTRY
    }

    pub(crate) const fn collection(index: usize) -> usize {
        Self::entry(RING) + index * COLLECTION
    }

    /// A request thread's slot: with its cell, or behind all that have one.
    pub(crate) const fn slot(index: usize) -> usize {
        let own = if index < PRIVATE { index } else { PRIVATE };
        Self::group_cell(GROUPS).next_multiple_of(PAGE) + own * OWN + (index - own) * SLOT
    }

    /// The cell of a request thread's own, for one of the first [`PRIVATE`].
    pub(crate) const fn own_cell(index: usize) -> usize {
        Self::slot(index) + SLOT
    }

    /// The cell of an application group.
    pub(crate) const fn group_cell(index: usize) -> usize {
        Self::collection(COLLECTIONS).next_multiple_of(PAGE) + index * CELL
    }
}
