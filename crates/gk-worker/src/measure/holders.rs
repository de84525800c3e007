//! Places in the application that held a GIL while others waited: from notes, which hold addresses, to entries of the scoreboard, which
//! hold names. A note is added to without a lock or an allocation; the Python thread asks for its name a moment later, and from
//! then on its waits go straight to the scoreboard.

use gk_python::gil::Place;
use gk_python::{Attached, outer_frame};
use gk_sys::memory::SharedWords;
use gk_telemetry::{Board, HoldEntry, HoldPlace, Route};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Places of the table.
const PLACES: usize = 2048;
/// Most places to probe for an entry.
const PROBES: usize = 16;
/// What stands for a function: the holder ran no Python, it was not seen, its code is gone, the table is full.
const OUTSIDE: &str = "(no Python code)";
const UNSEEN: &str = "(not seen)";
const GONE: &str = "(code that is gone)";
const OTHERS: &str = "(others)";

/// A place and what it has made others wait.
struct Noted {
    /// Hash of the words below; 0: free. Exchanged, so that a place is taken once.
    key: AtomicU64,
    /// Route of the holder, from bit 16 on the application group, above both 1 when there is a place, then 1 when all words are there.
    whose: AtomicU64,
    place: [AtomicU64; Place::WORDS],
    /// One more than its entry on the scoreboard; 0: it has no name yet.
    entry: AtomicU64,
    /// Waits that are not on the scoreboard yet.
    sums: Sums,
}

#[derive(Default)]
struct Sums {
    ns: AtomicU64,
    waits: AtomicU64,
    longest: AtomicU64,
}

const SEEN: u64 = 1 << 32;
const READY: u64 = 1 << 33;

/// The table.
pub(super) struct Holders {
    places: Box<[Noted]>,
    /// Waits without a place in the table.
    others: Sums,
    /// There are waits that are not on the scoreboard.
    pending: AtomicBool,
}

impl Sums {
    fn add(&self, ns: u64) {
        self.ns.fetch_add(ns, Ordering::Relaxed);
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(ns, Ordering::Relaxed);
    }

    /// Moves them to the scoreboard.
    fn flush(&self, board: &Board<SharedWords>, entry: HoldEntry) {
        let take = |word: &AtomicU64| word.swap(0, Ordering::Relaxed);
        board.held(entry, take(&self.ns), take(&self.waits), take(&self.longest));
    }
}

impl Holders {
    pub(super) fn new() -> Self {
        let noted = || Noted {
            key: AtomicU64::new(0),
            whose: AtomicU64::new(0),
            place: [const { AtomicU64::new(0) }; Place::WORDS],
            entry: AtomicU64::new(0),
            sums: Sums::default(),
        };
        let places = (0..PLACES).map(|_| noted()).collect();
        Self { places, others: Sums::default(), pending: AtomicBool::new(false) }
    }

    /// Adds a wait for a hold at that place (`None`: not seen). No lock, no allocation.
    pub(super) fn held(
        &self,
        board: &Board<SharedWords>,
        place: Option<Place>,
        route: Route,
        group: u16,
        ns: u64,
    ) {
        let words = place.map_or([0; Place::WORDS], Place::words);
        let seen = if place.is_some() { SEEN } else { 0 };
        let whose = u64::from(route.number()) | u64::from(group) << 16 | seen | READY;
        let mix = |sum: u64, word: u64| (sum.rotate_left(23) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let key = words.iter().fold(mix(0x9e37_79b9, whose), |sum, word| mix(sum, *word));
        let key = (key ^ (key >> 32)).max(1);
        for step in 0..PROBES {
            let Some(noted) = self.places.get((key as usize).wrapping_add(step) % PLACES) else { continue };
            match noted.key.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    for (to, word) in noted.place.iter().zip(words) {
                        to.store(word, Ordering::Relaxed);
                    }
                    noted.whose.store(whose, Ordering::Release);
                }
                Err(there) if there == key => {}
                Err(_) => continue,
            }
            match noted.entry.load(Ordering::Acquire).checked_sub(1) {
                Some(entry) => board.held(HoldEntry(entry as u16), ns, 1, ns),
                None => {
                    noted.sums.add(ns);
                    self.pending.store(true, Ordering::Release);
                }
            }
            return;
        }
        self.others.add(ns);
        self.pending.store(true, Ordering::Release);
    }

    /// Whether there are places without a name.
    pub(super) fn pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// Application groups with places that have no name yet. Forgets that there were some.
    pub(super) fn groups(&self) -> Vec<u16> {
        self.pending.store(false, Ordering::Relaxed);
        let mut groups: Vec<u16> = self.nameless().map(|(_, whose)| (whose >> 16) as u16).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    fn nameless(&self) -> impl Iterator<Item = (&Noted, u64)> {
        let whose = |noted: &Noted| noted.whose.load(Ordering::Acquire);
        let ready = move |noted| Some((noted, whose(noted))).filter(|(_, whose)| whose & READY != 0);
        self.places.iter().filter_map(ready).filter(|(noted, _)| noted.entry.load(Ordering::Relaxed) == 0)
    }

    /// Names the places of an application group; the thread is attached to an interpreter with that GIL.
    pub(super) fn name(&self, board: &Board<SharedWords>, py: Attached<'_>, group: u16) {
        for (noted, whose) in self.nameless().filter(|(_, whose)| (whose >> 16) as u16 == group) {
            let place = Place::of_words(noted.place.each_ref().map(|word| word.load(Ordering::Relaxed)));
            let named = if whose & SEEN != 0 && place.is_python() { place.name(py) } else { None };
            let (function, file, line) = match &named {
                // Between a thread's outermost frame and the application stands this server.
                Some(named) if outer_frame::is(named) => (OUTSIDE, "", 0),
                Some(named) => (named.function.as_str(), named.file.as_str(), named.line),
                None if whose & SEEN == 0 => (UNSEEN, "", 0),
                None if !place.is_python() => (OUTSIDE, "", 0),
                None => (GONE, "", 0),
            };
            let route = Route::from_number(whose as u16);
            let entry = board.hold_entry(&HoldPlace { function, file, line, route, group });
            noted.entry.store(u64::from(entry.0) + 1, Ordering::Release);
        }
    }

    /// Moves to the scoreboard the waits that came before their place had a name, also those that came at the same time.
    pub(super) fn flush(&self, board: &Board<SharedWords>) {
        for noted in &self.places {
            if let Some(entry) = noted.entry.load(Ordering::Acquire).checked_sub(1)
                && noted.sums.waits.load(Ordering::Relaxed) > 0
            {
                noted.sums.flush(board, HoldEntry(entry as u16));
            }
        }
        if self.others.waits.load(Ordering::Relaxed) > 0 {
            let others = HoldPlace { function: OTHERS, file: "", line: 0, route: Route::OTHERS, group: 0 };
            self.others.flush(board, board.hold_entry(&others));
        }
    }
}
