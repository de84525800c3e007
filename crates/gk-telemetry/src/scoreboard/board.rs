//! The scoreboard as its writer sees it. A worker makes it once and then writes it from its request threads, without lock
//! and without allocation. Beginning and end of a request are `writer`'s, reading is `reader`'s.

use crate::figures::{Timed, counter};
use crate::sample::{GilMode, State};
use crate::scoreboard::cell::{Cell, record};
use crate::scoreboard::layout::{self, Layout, SLOT, header, slot};
use crate::scoreboard::words::{self, Words, add_shared};
use std::ops::{Deref, Range};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A page that is no scoreboard of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// Not this version's first word: not written yet, or another version's.
    #[error("the page is no scoreboard of this version")]
    Foreign,
    /// Its length does not fit its number of threads.
    #[error("the scoreboard has {got} words, not {wanted}")]
    Length {
        /// Words there are.
        got: usize,
        /// Words there should be.
        wanted: usize,
    },
}

/// What does not change in a worker's life.
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
    /// Requests whose application takes longer are kept; nanoseconds, 0: none for that reason.
    pub slow: u64,
    /// There is no reader who wants samples; one that comes nevertheless sets a floor.
    pub unread: bool,
}

/// A route on one scoreboard: an index into its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route(pub(crate) u16);

impl Route {
    /// Nobody known.
    pub const UNKNOWN: Self = Self(0);
    /// One of those the table has no room for.
    pub const OTHERS: Self = Self(1);

    /// Its place in the table, to be kept in a word.
    pub fn number(self) -> u16 {
        self.0
    }

    /// The route at that place of the same scoreboard.
    pub fn from_number(number: u16) -> Self {
        Self(number)
    }
}

/// A wait for a GIL, or a part of one: the holder may change meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// The request thread that waited, called on that thread; `None` for a thread that serves no request.
    pub slot: Option<usize>,
    /// The application group whose interpreter was waited for.
    pub group: u16,
    /// Nanoseconds of this part.
    pub ns: u64,
    /// Nanoseconds of the whole wait, when this part ended it.
    pub whole: Option<u64>,
    /// At one of the server's own acquire points; otherwise inside the application.
    pub server: bool,
    /// Whose request or thread held it.
    pub culprit: Route,
}

/// A scoreboard. `W` gives the words: a mapped page, or a vector in a test.
pub struct Board<W> {
    words: W,
    pub(crate) layout: Layout,
}

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

    /// A GIL that was off is on: `module` is what turned it on.
    pub fn set_gil_returned(&self, module: &str) {
        words::put_text(self.range(header::GIL_MODULE), module.as_bytes());
        self.word(header::GIL_ENABLED).store(1, Release);
    }

    /// Whether the GIL waits are exact; otherwise they are a lower bound, and `why` says the reason.
    pub fn set_exact(&self, exact: bool, why: &str) {
        words::put_text(self.range(header::WHY), why.as_bytes());
        self.word(header::EXACT).store(u64::from(exact), Release);
    }

    /// Nanoseconds from the process's start until its imports were done.
    pub fn set_import(&self, ns: u64) {
        self.word(header::IMPORT).store(ns, Relaxed);
    }

    /// The operating system's number of a request thread, on whose CPU time the front looks.
    pub fn set_tid(&self, index: usize, tid: u32) {
        if let Some(slot) = self.slot(index) {
            slot[slot::TID].store(tid.into(), Relaxed);
        }
    }

    /// The route of the request that a slot's thread serves; [`Route::UNKNOWN`] when it serves none.
    pub fn route_of_slot(&self, index: usize) -> Route {
        let Some(slot) = self.slot(index) else { return Route::UNKNOWN };
        if slot[slot::STATE].load(Relaxed) == State::Idle as u64 {
            return Route::UNKNOWN;
        }
        Route((slot[slot::PLACE].load(Relaxed) >> 16) as u16)
    }

    /// A part of a wait for a GIL is over. Adds to the totals at once, so that a request which runs for a minute is not invisible
    /// for a minute; [`crate::Record`] repeats the request's sum for its histogram. Nothing here waits or allocates.
    pub fn waited(&self, wait: &Wait) {
        let ended = u64::from(wait.whole.is_some());
        let victim = match wait.slot.and_then(|index| self.slot(index)) {
            Some(slot) => {
                let place = slot[slot::PLACE].load(Relaxed);
                slot[slot::PLACE].store(place | slot::WAITED, Relaxed);
                words::add_alone(&slot[slot::GIL], wait.ns);
                words::add_alone(&slot[slot::WAITS], ended);
                if let Some(whole) = wait.whole.filter(|ns| *ns > slot[slot::LONGEST_WAIT].load(Relaxed)) {
                    slot[slot::LONGEST_WAIT].store(whole, Relaxed);
                    slot[slot::CULPRIT].store(wait.culprit.0.into(), Relaxed);
                }
                Some(Route((place >> 16) as u16))
            }
            None => {
                add_shared(self.word(header::OTHER_WAIT), wait.ns);
                add_shared(self.word(header::OTHER_WAITS), ended);
                None
            }
        };
        let (cell, alone) = match wait.slot {
            Some(index) => self.cell_of(index, wait.group),
            None => (self.shared_cell(wait.group), false),
        };
        let site = if wait.server { counter::GIL_SERVER } else { counter::GIL_APPLICATION };
        if victim.is_some() {
            words::add(&cell[site], wait.ns, alone);
            words::add(&cell[counter::WAITS], ended, alone);
        }
        if let Some(whole) = wait.whole {
            record(cell, Timed::SingleWait, whole, alone);
        }
        self.book(wait.culprit, victim.unwrap_or(Route::UNKNOWN), wait.ns);
    }

    /// Requests whose response takes at least this many nanoseconds are kept as samples; the reader sets it so that a few
    /// each second are.
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

    /// The cell that a slot's thread alone writes, for the group that is its home.
    pub(crate) fn own_cell(&self, index: usize) -> Option<&Cell> {
        (index < self.layout.private()).then(|| words::row(&self.words, Layout::own_cell(index)))
    }

    /// The cell that every thread may write for a group.
    pub(crate) fn shared_cell(&self, group: u16) -> &Cell {
        words::row(&self.words, Layout::group_cell(usize::from(group).min(layout::GROUPS - 1)))
    }

    /// The cell a slot writes for a group, and whether it is the only writer.
    fn cell_of(&self, index: usize, group: u16) -> (&Cell, bool) {
        let home = self.slot(index).map_or(0, |slot| slot[slot::HOME].load(Relaxed));
        match self.own_cell(index).filter(|_| home == u64::from(group) + 1) {
            Some(cell) => (cell, true),
            None => (self.shared_cell(group), false),
        }
    }
}
