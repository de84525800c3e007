//! Waits for a GIL: added to the request that waited, to a cell, to the two routes and to their pair. Nothing here waits or
//! allocates.

use crate::figures::{Timed, counter, routes};
use crate::scoreboard::board::{Board, Route};
use crate::scoreboard::cell::{Cell, record};
use crate::scoreboard::entries::PROBES;
use crate::scoreboard::layout::{self, Layout, header, pair, slot};
use crate::scoreboard::words::{self, Words, add_shared};
use std::ops::Deref;
use std::sync::atomic::Ordering::Relaxed;

/// A wait for a GIL, or a part of one: the holder may change meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// Slot of the request thread that waited, which is the calling thread; `None`: a thread without a request.
    pub slot: Option<usize>,
    /// The thread that waited, where it has no slot or serves no request.
    pub victim: Route,
    /// Application group of the interpreter that was waited for.
    pub group: u16,
    /// Nanoseconds of this part.
    pub ns: u64,
    /// Nanoseconds of the whole wait, with its last part only.
    pub whole: Option<u64>,
    /// At one of the server's own acquire points; otherwise inside the application.
    pub server: bool,
    /// Route of the request, or thread, that held the GIL.
    pub culprit: Route,
}

impl<W: Deref<Target = Words>> Board<W> {
    /// A part of a wait for a GIL is over. Adds to the totals at once, so that the waits of a long request are visible before it
    /// ends; [`crate::Record`] repeats the request's sum for its histogram.
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
                // It may wait while it serves nobody.
                Some(Some(Route((place >> 16) as u16)).filter(|route| *route != Route::UNKNOWN))
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
        self.book(wait.culprit, victim.flatten().unwrap_or(wait.victim), wait.ns);
    }

    /// Adds a wait to the route that waited, to the one that held the GIL, and to the pair.
    pub(crate) fn book(&self, culprit: Route, victim: Route, ns: u64) {
        add_shared(&self.route_words(culprit.0.into())[routes::CAUSED], ns);
        add_shared(&self.route_words(victim.0.into())[routes::SUFFERED], ns);
        let key = 1 << 32 | u64::from(culprit.0) << 16 | u64::from(victim.0);
        let start = words::hash(&key.to_le_bytes()) as usize;
        for step in 0..PROBES {
            let at = Layout::pair(start.wrapping_add(step) % layout::PAIRS);
            let entry = self.range(at..at + layout::PAIR);
            let there = match entry[pair::KEY].load(Relaxed) {
                0 => entry[pair::KEY]
                    .compare_exchange(0, key, Relaxed, Relaxed)
                    .map_or_else(|now| now, |_| key),
                there => there,
            };
            if there == key {
                add_shared(&entry[pair::NS], ns);
                add_shared(&entry[pair::WAITS], 1);
                return;
            }
        }
        add_shared(self.word(header::LOST), 1);
    }

    /// The cell that a slot's thread writes for a group, and true when no other thread writes it.
    fn cell_of(&self, index: usize, group: u16) -> (&Cell, bool) {
        let home = self.slot(index).map_or(0, |slot| slot[slot::HOME].load(Relaxed));
        match self.own_cell(index).filter(|_| home == u64::from(group) + 1) {
            Some(cell) => (cell, true),
            None => (self.shared_cell(group), false),
        }
    }
}
