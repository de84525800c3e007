//! Holds of a GIL that made others wait, by function, line and route. An entry is taken by the first thread that names its place;
//! afterwards every thread adds to it.

use crate::sample::HoldSample;
use crate::scoreboard::board::{Board, OTHER_GROUPS, Route};
use crate::scoreboard::entries::PROBES;
use crate::scoreboard::layout::{self, Layout, group, hold};
use crate::scoreboard::words::{self, Words, add_shared};
use std::ops::Deref;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Where a thread held a GIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldPlace<'a> {
    /// Function, or what stands for it in parentheses.
    pub function: &'a str,
    /// File; empty for what is no function.
    pub file: &'a str,
    /// Line; 0 for what is no function.
    pub line: u32,
    /// Route of the request, or thread, that held it.
    pub route: Route,
    /// Application group of the GIL.
    pub group: u16,
}

/// A place on one scoreboard: the index of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldEntry(pub u16);

/// Entry of all places without one of their own.
const OTHERS: usize = 0;

impl<W: Deref<Target = Words>> Board<W> {
    /// The entry of a place; takes one for a new place.
    pub fn hold_entry(&self, place: &HoldPlace<'_>) -> HoldEntry {
        let spot = u64::from(place.route.0) | u64::from(place.group) << 16 | u64::from(place.line) << 32;
        let hash = words::hash_on(words::hash(place.function.as_bytes()), place.file.as_bytes());
        let hash = words::hash_on(hash, &spot.to_le_bytes());
        for step in 0..PROBES {
            let index = 1 + (hash as usize).wrapping_add(step) % (layout::HOLDS - 1);
            let entry = self.hold_words(index);
            match entry[hold::HASH].compare_exchange(0, hash, AcqRel, Acquire) {
                Ok(_) => {
                    words::put_text(&entry[hold::FUNCTION], place.function.as_bytes());
                    words::put_text(&entry[hold::FILE], end_of(place.file, hold::FILE.len() * 8 - 1));
                    entry[hold::PLACE].store(spot, Relaxed);
                    entry[hold::READY].store(1, Release);
                    return HoldEntry(index as u16);
                }
                Err(there) if there == hash => return HoldEntry(index as u16),
                Err(_) => {}
            }
        }
        HoldEntry(OTHERS as u16)
    }

    /// Adds waits for a hold at that place: nanoseconds in all, their number, the longest.
    pub fn held(&self, entry: HoldEntry, ns: u64, waits: u64, longest: u64) {
        let words = self.hold_words(entry.0.into());
        add_shared(&words[hold::NS], ns);
        add_shared(&words[hold::WAITS], waits);
        words[hold::LONGEST].fetch_max(longest, Relaxed);
    }

    /// Writes the entry that is there from the beginning.
    pub(crate) fn name_first_hold(&self) {
        let entry = self.hold_words(OTHERS);
        words::put_text(&entry[hold::FUNCTION], b"(others)");
        entry[hold::HASH].store(u64::MAX, Relaxed);
        entry[hold::PLACE].store(u64::from(Route::OTHERS.0) | (OTHER_GROUPS as u64) << 16, Relaxed);
        entry[hold::READY].store(1, Relaxed);
    }

    /// All places that made somebody wait.
    pub(crate) fn read_holds(&self) -> Vec<HoldSample> {
        let read = |index: usize| {
            let words = self.hold_words(index);
            let load = |at: usize| words[at].load(Relaxed);
            if words[hold::READY].load(Acquire) == 0 || load(hold::WAITS) == 0 {
                return None;
            }
            let place = load(hold::PLACE);
            Some(HoldSample {
                function: words::text(&words[hold::FUNCTION]),
                file: words::text(&words[hold::FILE]),
                line: (place >> 32) as u32,
                route: place as u16,
                application_group: words::text(&self.group_words((place >> 16) as u16)[group::NAME]),
                ns: load(hold::NS),
                waits: load(hold::WAITS),
                longest: load(hold::LONGEST),
            })
        };
        (0..layout::HOLDS).filter_map(read).collect()
    }

    fn hold_words(&self, index: usize) -> &Words {
        let at = Layout::hold(index.min(layout::HOLDS - 1));
        self.range(at..at + layout::HOLD)
    }
}

/// The last bytes of a path that do not fit: what tells files apart stands at the end.
pub(super) fn end_of(path: &str, room: usize) -> &[u8] {
    let mut from = path.len().saturating_sub(room);
    while !path.is_char_boundary(from) {
        from += 1;
    }
    &path.as_bytes()[from..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::board::Identity;
    use std::sync::atomic::AtomicU64;

    fn board() -> Board<Box<[AtomicU64]>> {
        let words = (0..Layout::new(1).words()).map(|_| AtomicU64::new(0)).collect();
        Board::create(words, &Identity { threads: 1, ..Identity::default() }).unwrap()
    }

    #[test]
    fn a_place_has_one_entry_per_route_and_line() {
        let board = board();
        let route = board.route(b"/slow");
        let group = board.group("");
        let file = format!("/srv/{}/views.py", "long/".repeat(60));
        let place = HoldPlace { function: "render", file: &file, line: 31, route, group };
        let entry = board.hold_entry(&place);
        assert_eq!(board.hold_entry(&place), entry);
        assert_ne!(board.hold_entry(&HoldPlace { line: 32, ..place }), entry);
        assert_ne!(board.hold_entry(&HoldPlace { route: Route::UNKNOWN, ..place }), entry);
        board.held(entry, 5_000, 1, 5_000);
        let before = board.sample(0);
        board.held(entry, 9_000, 2, 6_000);
        let now = board.sample(0);
        let [hold] = &now.holds[..] else { panic!("{:?}", now.holds) };
        assert_eq!(
            (hold.function.as_str(), hold.line, hold.ns, hold.waits, hold.longest),
            ("render", 31, 14_000, 3, 6_000)
        );
        assert_eq!((now.route_name(hold.route), hold.application_group.as_str()), ("/slow", ""));
        assert!(file.ends_with(&hold.file) && hold.file.ends_with("long//views.py"), "{}", hold.file);
        let [change] = &now.since(&before).holds[..] else { panic!("one") };
        assert_eq!((change.ns, change.waits), (9_000, 2));
    }

    #[test]
    fn more_places_than_entries_are_others() {
        let board = board();
        for line in 1..=2 * layout::HOLDS as u32 {
            let place = HoldPlace { function: "f", file: "f.py", line, route: Route::UNKNOWN, group: 0 };
            board.held(board.hold_entry(&place), 1, 1, 1);
        }
        let holds = board.sample(0).holds;
        assert_eq!(holds.iter().map(|hold| hold.ns).sum::<u64>(), 2 * layout::HOLDS as u64);
        assert!(holds.iter().any(|hold| hold.function == "(others)" && hold.ns >= layout::HOLDS as u64));
    }
}
