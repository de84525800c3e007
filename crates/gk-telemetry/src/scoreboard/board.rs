//! A scoreboard: made by its worker, opened by its reader; the worker's own words, and access to all others. Writing needs no
//! lock and no allocation.

use crate::sample::{GilMode, ThreadStage};
use crate::scoreboard::cell::Cell;
use crate::scoreboard::layout::{self, Layout, SLOT, group, header, route, slot};
use crate::scoreboard::words::{self, Words};
use std::ops::{Deref, Range};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Why a page cannot be opened as a scoreboard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// Another first word than this version's: not written yet, or written by another version.
    #[error("the page is no scoreboard of this version")]
    Foreign,
    /// A length that does not fit the number of threads.
    #[error("the scoreboard has {got} words, not {wanted}")]
    Length {
        /// Words there are.
        got: usize,
        /// Words there should be.
        wanted: usize,
    },
}

/// The constants of a worker's life.
#[derive(Debug, Clone, Default)]
pub struct Identity<'a> {
    /// Process id.
    pub pid: u32,
    /// Its number.
    pub worker: u64,
    /// Its process group.
    pub process_group: &'a str,
    /// Request threads.
    pub threads: u32,
    /// `3.14.2`, with `t` for a free-threaded build.
    pub python: &'a str,
    /// Nanoseconds since the epoch: the process began.
    pub started: u64,
    /// Application time from which on a request is kept, nanoseconds; 0: none is kept for its time.
    pub slow: u64,
    /// No reader wants samples. A reader that comes nevertheless sets a floor.
    pub unread: bool,
}

/// A route on one scoreboard: the index of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route(pub(crate) u16);

impl Route {
    /// The holder is not known.
    pub const UNKNOWN: Self = Self(0);
    /// All routes without an entry of their own.
    pub const OTHERS: Self = Self(1);

    /// The index of its entry, to be kept in a word.
    pub fn number(self) -> u16 {
        self.0
    }

    /// The route with this index on the same scoreboard.
    pub fn from_number(number: u16) -> Self {
        Self(number)
    }
}

/// A scoreboard in the words `W`: a mapped page, or a vector in a test.
pub struct Board<W> {
    words: W,
    pub(crate) layout: Layout,
}

/// Entry of the application groups without one of their own.
pub(crate) const OTHER_GROUPS: usize = layout::GROUPS - 1;

impl<W: Deref<Target = Words>> Board<W> {
    /// Writes a new scoreboard into a page of zeros with [`Layout::words`] words.
    pub fn create(words: W, identity: &Identity<'_>) -> Result<Self, BoardError> {
        let layout = Layout::new(identity.threads);
        if words.len() != layout.words() {
            return Err(BoardError::Length { got: words.len(), wanted: layout.words() });
        }
        let board = Self { words, layout };
        let put = |index: usize, value: u64| board.word(index).store(value, Relaxed);
        put(header::THREADS, identity.threads.into());
        put(header::PID, identity.pid.into());
        put(header::WORKER, identity.worker);
        put(header::STARTED, identity.started);
        put(header::SLOW, if identity.slow == 0 { u64::MAX } else { identity.slow });
        put(header::FLOOR, if identity.unread { u64::MAX } else { 0 });
        put(header::GIL_ENABLED, 1);
        words::put_text(board.range(header::PROCESS_GROUP), identity.process_group.as_bytes());
        words::put_text(board.range(header::PYTHON), identity.python.as_bytes());
        board.set_exact(false, "the measurement has not begun");
        board.name_first_entries();
        board.name_first_hold();
        board.word(header::MAGIC).store(layout::MAGIC, Release);
        Ok(board)
    }

    /// Opens a scoreboard that its worker has written.
    pub fn open(words: W) -> Result<Self, BoardError> {
        let got = words.len();
        if words.first().map(|word| word.load(Acquire)) != Some(layout::MAGIC) {
            return Err(BoardError::Foreign);
        }
        let threads = words.get(header::THREADS).map_or(0, |word| word.load(Relaxed));
        let layout = Layout::new(u32::try_from(threads).unwrap_or(0).min(1 << 16));
        if got < layout.words() {
            return Err(BoardError::Length { got, wanted: layout.words() });
        }
        Ok(Self { words, layout })
    }

    /// The process's GIL mode and switch interval in nanoseconds (`None` without a GIL).
    pub fn set_gil(&self, mode: GilMode, switch_interval: Option<u64>) {
        self.word(header::GIL_MODE).store(mode as u64, Relaxed);
        self.word(header::SWITCH_INTERVAL).store(switch_interval.unwrap_or(0), Relaxed);
        self.word(header::GIL_ENABLED).store(u64::from(mode != GilMode::FreeThreading), Relaxed);
    }

    /// Notes that `module` turned the GIL on again.
    pub fn set_gil_returned(&self, module: &str) {
        words::put_text(self.range(header::GIL_MODULE), module.as_bytes());
        self.word(header::GIL_ENABLED).store(1, Release);
    }

    /// Notes that the GIL waits are exact, or a lower bound for the reason `why`.
    pub fn set_exact(&self, exact: bool, why: &str) {
        words::put_text(self.range(header::WHY), why.as_bytes());
        self.word(header::EXACT).store(u64::from(exact), Release);
    }

    /// Notes whether waits for locks are told apart, where there is no GIL; the sentence says why not.
    pub fn set_locks(&self, known: Result<(), &str>) {
        words::put_text(self.range(header::LOCKS_WHY), known.err().unwrap_or_default().as_bytes());
        self.word(header::LOCKS).store(if known.is_ok() { 1 } else { 2 }, Release);
    }

    /// Nanoseconds from the process's start until its imports were done.
    pub fn set_import(&self, ns: u64) {
        self.word(header::IMPORT).store(ns, Relaxed);
    }

    /// The operating system's number of a request thread; the reader looks up its CPU time.
    pub fn set_tid(&self, index: usize, tid: u32) {
        if let Some(slot) = self.slot(index) {
            slot[slot::TID].store(tid.into(), Relaxed);
        }
    }

    /// The route of the request that a slot's thread serves; `None` when it serves none.
    pub fn route_of_slot(&self, index: usize) -> Option<Route> {
        let slot = self.slot(index)?;
        let serves = slot[slot::STATE].load(Relaxed) != ThreadStage::Idle as u64;
        serves.then(|| Route((slot[slot::PLACE].load(Relaxed) >> 16) as u16))
    }

    /// Sets the response time in nanoseconds from which on requests are kept as samples; the reader aims at a few each second.
    pub fn set_floor(&self, ns: u64) {
        self.word(header::FLOOR).store(ns, Relaxed);
    }

    // === places ===

    pub(crate) fn word(&self, index: usize) -> &AtomicU64 {
        &self.words[index]
    }

    pub(crate) fn range(&self, range: Range<usize>) -> &Words {
        &self.words[range]
    }

    pub(crate) fn slot(&self, index: usize) -> Option<&[AtomicU64; SLOT]> {
        (index < self.layout.threads()).then(|| words::row(&self.words, Layout::slot(index)))
    }

    /// The id of the request of a slot, which is one of this scoreboard's.
    pub(crate) fn id(&self, index: usize) -> &Words {
        let at = self.layout.id(index);
        self.range(at..at + layout::ID)
    }

    /// The cell that only the slot's thread writes, for its home group.
    pub(crate) fn own_cell(&self, index: usize) -> Option<&Cell> {
        (index < self.layout.private()).then(|| words::row(&self.words, Layout::own_cell(index)))
    }

    /// The cell of a group that every thread may write.
    pub(crate) fn shared_cell(&self, group: u16) -> &Cell {
        words::row(&self.words, Layout::group_cell(usize::from(group).min(layout::GROUPS - 1)))
    }

    /// Writes the entries that are there from the beginning.
    pub(crate) fn name_first_entries(&self) {
        for (index, name) in [(Route::UNKNOWN, "(unknown)"), (Route::OTHERS, "(others)")] {
            let entry = self.route_words(index.0.into());
            words::put_text(&entry[route::NAME], name.as_bytes());
            entry[route::HASH].store(u64::MAX, Relaxed);
            entry[route::READY].store(1, Relaxed);
        }
        let entry = self.group_words(OTHER_GROUPS as u16);
        words::put_text(&entry[group::NAME], b"(others)");
        entry[group::HASH].store(u64::MAX, Relaxed);
        entry[group::READY].store(1, Relaxed);
    }

    pub(crate) fn group_words(&self, index: u16) -> &Words {
        let at = Layout::group(usize::from(index).min(OTHER_GROUPS));
        self.range(at..at + layout::GROUP)
    }

    pub(crate) fn route_words(&self, index: usize) -> &Words {
        let at = Layout::route(index.min(layout::ROUTES - 1));
        self.range(at..at + layout::ROUTE)
    }
}
