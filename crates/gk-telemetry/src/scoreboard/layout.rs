//! Word offsets of a worker's scoreboard: a header, the application groups, the routes, the pairs of routes, the types of
//! exceptions, the last slow requests and garbage collections, the response times of routes, the places that held a GIL, functions and
//! calls of the profile, a slot per request thread, and the cells with counters and histograms.
//!
//! Writers: *main* is the worker's main thread, at its start; *maker* is the thread that makes an interpreter; *any* is every
//! thread of the worker, by atomic additions; *reader* is the admin process. A slot is written by its thread alone. A word is valid as
//! soon as [`MAGIC`] is there, unless its line says otherwise. All times are nanoseconds; *epoch* counts from 1970, *monotonic*
//! by the machine's own clock.

pub(crate) mod slot;

use crate::figures::routes::COUNTED;
use crate::figures::{FIGURES_END, Long, Record, Timed};
use crate::histogram::BUCKETS;

/// First word of a scoreboard; the last byte is the layout's version.
pub const MAGIC: u64 = u64::from_le_bytes(*b"GKBOARD\x0d");

/// Most application groups with figures of their own; the last entry collects all others.
pub const GROUPS: usize = 16;
/// Routes, the first two being "(unknown)" and "(others)".
pub const ROUTES: usize = 128;
/// Pairs of routes: one waited for the other.
pub const PAIRS: usize = 256;
/// Types of exceptions, of all application groups together.
pub const KINDS: usize = 64;
/// Finished requests kept.
pub const RING: usize = 64;
/// Finished requests kept for traces.
pub const TRACED: usize = 1024;
/// Garbage collections kept.
pub const COLLECTIONS: usize = 64;
/// Places in applications that held a GIL while others waited, the first one for all without an entry.
pub const HOLDS: usize = 256;
/// Functions of the profile.
pub const FUNCTIONS: usize = 1024;
/// Calls of the profile: nodes of its tree.
pub const CALLS: usize = 16_384;
/// Most request threads with a cell of their own; further threads add to the cells of the groups.
pub const PRIVATE: usize = 64;

/// Words of the header.
pub(crate) const HEADER: usize = 112;
/// Words of a group's entry.
pub(crate) const GROUP: usize = 40;
/// Words of a route's entry.
pub(crate) const ROUTE: usize = 24;
/// Words of a pair.
pub(crate) const PAIR: usize = 4;
/// Words of a type of exceptions.
pub(crate) const KIND: usize = 16;
/// Words of a route's response times.
pub(crate) const TIMES: usize = 248;
/// Words of a finished request.
pub(crate) const ENTRY: usize = entry::ID.end.next_multiple_of(8);
/// Words of the id of a thread's request.
pub(crate) const ID: usize = 9;
/// Words of a garbage collection.
pub(crate) const COLLECTION: usize = 6;
/// Words of a place that held a GIL.
pub(crate) const HOLD: usize = 40;
/// Words of a function of the profile: its qualified name, then the file, without its beginning if it is long.
pub(crate) const FUNCTION: usize = 32;
/// Words of a call of the profile.
pub(crate) const CALL: usize = 4;
/// Words of a slot.
pub(crate) const SLOT: usize = 136;
/// Words of a page of memory.
const MEMORY_PAGE: usize = 512;
/// Words of a histogram: its buckets. Its sum is in the cell's head. The buckets of two histograms alternate: of two whose
/// values are near each other, so that a request writes the same cache line for both.
pub(crate) const HISTOGRAM: usize = 968;
/// Words of two histograms.
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
/// Words of a slot and its thread's own cell. When a worker's thread gets the processor, none of the worker's memory is in its
/// caches. So a short request writes to two pages of memory only: one with slot, head and short times, one with longer times.
const OWN: usize = (SLOT + CELL).next_multiple_of(MEMORY_PAGE);

const _: () = assert!(HISTOGRAM >= BUCKETS, "a histogram has room for its buckets");
const _: () = assert!(slot::SETTLED.end <= slot::LATER, "a slot has room for the figures of its route");
const _: () = {
    let mut row = 0;
    while row < COUNTED.len() {
        assert!(COUNTED[row].1 < route::NAME.start, "a route's figures lie before its name");
        row += 1;
    }
};
// What every request writes lies in as few cache lines of 64 bytes as can be; a page begins with one.
const _: () = assert!(
    Layout::slot(0).is_multiple_of(MEMORY_PAGE) && SLOT.is_multiple_of(8) && CELL.is_multiple_of(8),
    "slots and cells begin with a cache line"
);

/// Words of the header.
pub(crate) mod header {
    use std::ops::Range;
    /// Main, as the last word: all others are there.
    pub(crate) const MAGIC: usize = 0;
    /// Main, once: number of request threads; the page's length follows from it.
    pub(crate) const THREADS: usize = 1;
    /// Main, once: process id.
    pub(crate) const PID: usize = 2;
    /// Main, once: the worker's number.
    pub(crate) const WORKER: usize = 3;
    /// Maker of the main interpreter: GIL mode.
    pub(crate) const GIL_MODE: usize = 4;
    /// Maker: 1 when the GIL waits are exact. Written after [`WHY`].
    pub(crate) const EXACT: usize = 5;
    /// Maker of the main interpreter: switch interval; 0 without a GIL.
    pub(crate) const SWITCH_INTERVAL: usize = 6;
    /// Main, once: epoch time of the process's start.
    pub(crate) const STARTED: usize = 7;
    /// Main, once: time from the start until the imports were done; 0 before.
    pub(crate) const IMPORT: usize = 8;
    /// Main, once: application time from which on a request is kept; the greatest number: none is.
    pub(crate) const SLOW: usize = 9;
    /// Reader, each second: response time from which on a request is kept as a sample.
    pub(crate) const FLOOR: usize = 10;
    /// Any: ordinal of the last request that was kept; 0: none yet.
    pub(crate) const RING_HEAD: usize = 11;
    /// Any: requests and pairs without a place.
    pub(crate) const LOST: usize = 12;
    /// Maker: 1 while a GIL is in force. Written after [`GIL_MODULE`].
    pub(crate) const GIL_ENABLED: usize = 13;
    /// Any: time that threads without a request waited for a GIL.
    pub(crate) const OTHER_WAIT: usize = 14;
    /// Any: number of these waits.
    pub(crate) const OTHER_WAITS: usize = 15;
    /// Main, once: name of the process group.
    pub(crate) const PROCESS_GROUP: Range<usize> = 16..32;
    /// Main, once: Python's version.
    pub(crate) const PYTHON: Range<usize> = 32..40;
    /// Maker: why the GIL waits are not exact.
    pub(crate) const WHY: Range<usize> = 40..64;
    /// Maker: module that turned the GIL on again; empty when none did.
    pub(crate) const GIL_MODULE: Range<usize> = 64..80;
    /// Any: ordinal of the last garbage collection; 0: none yet.
    pub(crate) const COLLECTIONS_HEAD: usize = 80;
    /// Reader: monotonic time until which the request threads are profiled.
    pub(crate) const PROFILE_UNTIL: usize = 81;
    /// The thread that names, as all below: number of the tree of calls; odd while it is emptied.
    pub(crate) const TREE: usize = 82;
    /// Functions and calls in use. Written after their words.
    pub(crate) const FUNCTIONS: usize = 83;
    pub(crate) const CALLS: usize = 84;
    /// CPU time of samples that found no place.
    pub(crate) const PROFILE_LOST: usize = 85;
    /// 1 while a profile runs, or its samples are not all in the tree.
    pub(crate) const PROFILE_RUNS: usize = 86;
    /// Why the last profile did not begin; empty: it did.
    pub(crate) const PROFILE_WHY: Range<usize> = 87..96;
    /// Any: ordinal of the last request that was kept for traces; 0: none yet.
    pub(crate) const TRACED_HEAD: usize = 96;
    /// Maker: 1 when waits for locks are told apart, where there is no GIL; 2 when they are not. Written after [`LOCKS_WHY`].
    pub(crate) const LOCKS: usize = 97;
    /// Maker: why they are not.
    pub(crate) const LOCKS_WHY: Range<usize> = 98..112;
}

/// Words of an application group. All but `HASH` and `READY` are valid once `READY` is 1.
pub(crate) mod group {
    use std::ops::Range;
    /// Maker: hash of the name; 0: the entry is free. Exchanged against 0, so that an entry is taken once.
    pub(crate) const HASH: usize = 0;
    /// Maker, after the words of the entry.
    pub(crate) const READY: usize = 1;
    /// Maker: GIL mode of the group's interpreter.
    pub(crate) const GIL_MODE: usize = 2;
    /// Maker: switch interval; 0 without a GIL.
    pub(crate) const SWITCH_INTERVAL: usize = 3;
    /// Maker: time its imports took.
    pub(crate) const IMPORT: usize = 4;
    /// Any: sum of garbage collection pauses.
    pub(crate) const GC_PAUSE: usize = 5;
    /// Any: longest pause.
    pub(crate) const GC_LONGEST: usize = 6;
    /// Any: collections by generation.
    pub(crate) const COLLECTIONS: Range<usize> = 7..10;
    /// Any: objects collected.
    pub(crate) const COLLECTED: usize = 10;
    /// Any: objects that could not be collected.
    pub(crate) const UNCOLLECTABLE: usize = 11;
    /// Maker, once: name.
    pub(crate) const NAME: Range<usize> = 16..40;
}

/// Words of a route, or of a thread of the application's own. All but `HASH` and `READY` are valid once `READY` is 1. Those from
/// 3 on are its figures, to which any thread adds: [`crate::figures::routes`].
pub(crate) mod route {
    use std::ops::Range;
    /// Any: hash of the name; 0: the entry is free. Exchanged against 0, so that an entry is taken once.
    pub(crate) const HASH: usize = 0;
    /// The thread that took the entry, after name and kind.
    pub(crate) const READY: usize = 1;
    /// The thread that took the entry: 0 for a route, 1 for a thread.
    pub(crate) const KIND: usize = 2;
    /// The thread that took the entry, once: name.
    pub(crate) const NAME: Range<usize> = 12..24;
}

/// Words of a pair of routes.
pub(crate) mod pair {
    /// Any: who made wait and who waited, and a bit above both; 0: the entry is free. Exchanged against 0.
    pub(crate) const KEY: usize = 0;
    /// Any: time waited.
    pub(crate) const NS: usize = 1;
    /// Any: waits.
    pub(crate) const WAITS: usize = 2;
}

/// Words of a type of exceptions in an application group. All but `HASH` and `READY` are valid once `READY` is 1.
pub(crate) mod kind {
    use std::ops::Range;
    /// Any: hash of group and name; 0: the entry is free. Exchanged against 0, so that an entry is taken once.
    pub(crate) const HASH: usize = 0;
    /// The thread that took the entry, after group and name.
    pub(crate) const READY: usize = 1;
    /// The thread that took the entry: application group.
    pub(crate) const GROUP: usize = 2;
    /// Any: exceptions.
    pub(crate) const COUNT: usize = 3;
    /// The thread that took the entry, once: name.
    pub(crate) const NAME: Range<usize> = 4..16;
}

/// Words of a finished request. The thread whose request is kept writes all of them while `GUARD` is odd; they are valid while
/// `GUARD` is even and `ORDINAL` is the one that was looked for.
pub(crate) mod entry {
    use super::Record;
    use std::ops::Range;
    /// Odd while the entry is being written. Exchanged, so that one thread writes.
    pub(crate) const GUARD: usize = 0;
    /// Counts the requests that were kept, from 1.
    pub(crate) const ORDINAL: usize = 1;
    /// As in the slot: the front's number.
    pub(crate) const REQUEST: usize = 2;
    /// As in the slot: epoch time of its arrival.
    pub(crate) const START: usize = 3;
    /// As in the slot: application group and route.
    pub(crate) const PLACE: usize = 4;
    /// Request thread, from 1.
    pub(crate) const THREAD: usize = 5;
    /// As in the slot.
    pub(crate) const LONGEST_WAIT: usize = 6;
    /// As in the slot.
    pub(crate) const CULPRIT: usize = 7;
    /// [`Record::words`].
    pub(crate) const RECORD: Range<usize> = 8..8 + Record::WORDS;
    /// As in the slot.
    pub(crate) const METHOD: Range<usize> = RECORD.end..RECORD.end + 2;
    /// As in the slot.
    pub(crate) const PATH: Range<usize> = METHOD.end..METHOD.end + 18;
    /// As in the slot.
    pub(crate) const RAISED: usize = PATH.end;
    /// Its id; empty on a site without them.
    pub(crate) const ID: Range<usize> = RAISED + 1..RAISED + 1 + super::ID;
}

/// Words of a garbage collection. The thread that collected writes them; they are valid while `ORDINAL` is the one that was
/// looked for.
pub(crate) mod collection {
    /// 0 while the entry is being written.
    pub(crate) const ORDINAL: usize = 0;
    /// Epoch time of its beginning.
    pub(crate) const START: usize = 1;
    /// Time it took.
    pub(crate) const PAUSE: usize = 2;
    /// Application group, and from bit 16 on the generation.
    pub(crate) const PLACE: usize = 3;
    /// Objects collected.
    pub(crate) const COLLECTED: usize = 4;
    /// Objects that could not be collected.
    pub(crate) const UNCOLLECTABLE: usize = 5;
}

/// Words of a place in the application that held a GIL. All but `HASH` and `READY` are valid once `READY` is 1.
pub(crate) mod hold {
    use std::ops::Range;
    /// Any: hash of the place; 0: the entry is free. Exchanged against 0, so that an entry is taken once.
    pub(crate) const HASH: usize = 0;
    /// The thread that took the entry, after the words that name the place.
    pub(crate) const READY: usize = 1;
    /// The thread that took the entry, once: route, from bit 16 on the application group, from bit 32 on the line.
    pub(crate) const PLACE: usize = 2;
    /// Any: time that others waited.
    pub(crate) const NS: usize = 3;
    /// Any: number of these waits.
    pub(crate) const WAITS: usize = 4;
    /// Any: the longest.
    pub(crate) const LONGEST: usize = 5;
    /// The thread that took the entry, once: qualified name of the function.
    pub(crate) const FUNCTION: Range<usize> = 8..20;
    /// The thread that took the entry, once: the file, without its beginning if it is long.
    pub(crate) const FILE: Range<usize> = 20..40;
}

/// Words of a call of the profile. The thread that names samples writes them.
pub(crate) mod call {
    /// Once: one more than the call from which it was made, 0 for none; from bit 16 on the function, from bit 32 on the line.
    pub(crate) const PLACE: usize = 0;
    /// CPU time of samples in this very call, not in those made from it.
    pub(crate) const NS: usize = 1;
    /// These samples.
    pub(crate) const SAMPLES: usize = 2;
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

    /// Offset of one of its buckets from [`Timed::at`].
    #[inline]
    pub(crate) const fn word(self, bucket: usize) -> usize {
        2 * bucket + self as usize % 2
    }
}

/// The offsets for a number of request threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    threads: usize,
}

impl Layout {
    /// For a worker with `threads` request threads.
    pub fn new(threads: u32) -> Self {
        Self { threads: threads as usize }
    }

    /// Length in 64-bit words.
    pub fn words(self) -> usize {
        self.traced(TRACED)
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

    pub(crate) const fn kind(index: usize) -> usize {
        Self::pair(PAIRS) + index * KIND
    }

    pub(crate) const fn entry(index: usize) -> usize {
        Self::kind(KINDS) + index * ENTRY
    }

    pub(crate) const fn collection(index: usize) -> usize {
        Self::entry(RING) + index * COLLECTION
    }

    /// The response times of a route.
    pub(crate) const fn times(index: usize) -> usize {
        Self::collection(COLLECTIONS).next_multiple_of(8) + index * TIMES
    }

    pub(crate) const fn hold(index: usize) -> usize {
        Self::times(ROUTES) + index * HOLD
    }

    pub(crate) const fn function(index: usize) -> usize {
        Self::hold(HOLDS) + index * FUNCTION
    }

    pub(crate) const fn call(index: usize) -> usize {
        Self::function(FUNCTIONS) + index * CALL
    }

    /// A request thread's slot: before the thread's own cell, or behind all slots with cells.
    pub(crate) const fn slot(index: usize) -> usize {
        let own = if index < PRIVATE { index } else { PRIVATE };
        Self::group_cell(GROUPS).next_multiple_of(MEMORY_PAGE) + own * OWN + (index - own) * SLOT
    }

    /// The id of a thread's request, which only the thread writes.
    pub(crate) const fn id(self, index: usize) -> usize {
        Self::slot(self.threads) + index * ID
    }

    pub(crate) const fn traced(self, index: usize) -> usize {
        self.id(self.threads).next_multiple_of(MEMORY_PAGE) + index * ENTRY
    }

    /// The own cell of a request thread, one of the first [`PRIVATE`].
    pub(crate) const fn own_cell(index: usize) -> usize {
        Self::slot(index) + SLOT
    }

    /// The cell of an application group.
    pub(crate) const fn group_cell(index: usize) -> usize {
        Self::call(CALLS).next_multiple_of(MEMORY_PAGE) + index * CELL
    }
}
