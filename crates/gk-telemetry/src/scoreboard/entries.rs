//! Entries for application groups and routes, taken by any thread. A thread takes an entry by exchanging its first word, so no
//! thread waits. When all entries are taken, the last one (for routes: the second) counts for all others.

use crate::sample::GilMode;
use crate::scoreboard::board::{Board, OTHER_GROUPS, Route};
use crate::scoreboard::layout::{self, group, header, route};
use crate::scoreboard::words::{self, Words};
use std::ops::Deref;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Entries tried before a route or a pair counts for "(others)" or is lost.
pub(crate) const PROBES: usize = 16;

impl<W: Deref<Target = Words>> Board<W> {
    /// Index of an application group's entry; takes one for a new group. For new interpreters, not for each request.
    pub fn group(&self, name: &str) -> u16 {
        let hash = words::hash(name.as_bytes());
        for index in 0..OTHER_GROUPS {
            let entry = self.group_words(index as u16);
            match entry[group::HASH].compare_exchange(0, hash, AcqRel, Acquire) {
                Ok(_) => {
                    words::put_text(&entry[group::NAME], name.as_bytes());
                    entry[group::GIL_MODE].store(self.word(header::GIL_MODE).load(Relaxed), Relaxed);
                    let interval = self.word(header::SWITCH_INTERVAL).load(Relaxed);
                    entry[group::SWITCH_INTERVAL].store(interval, Relaxed);
                    entry[group::READY].store(1, Release);
                    return index as u16;
                }
                Err(there) if there == hash => return index as u16,
                Err(_) => {}
            }
        }
        OTHER_GROUPS as u16
    }

    /// An interpreter's own GIL mode, switch interval (nanoseconds, `None` without a GIL) and the time its imports took.
    pub fn set_group(&self, index: u16, mode: GilMode, switch_interval: Option<u64>, import_ns: u64) {
        let entry = self.group_words(index);
        entry[group::GIL_MODE].store(mode as u64, Relaxed);
        entry[group::SWITCH_INTERVAL].store(switch_interval.unwrap_or(0), Relaxed);
        entry[group::IMPORT].store(import_ns, Relaxed);
    }

    /// The route of that name; takes an entry for a new one.
    pub fn route(&self, name: &[u8]) -> Route {
        self.named(name, 0)
    }

    /// A thread of the application's own; it waits and makes others wait like a route.
    pub fn thread(&self, name: &[u8]) -> Route {
        self.named(name, 1)
    }

    fn named(&self, name: &[u8], kind: u64) -> Route {
        let hash = words::hash(name) ^ kind;
        for step in 0..PROBES {
            let index = 2 + (hash as usize).wrapping_add(step) % (layout::ROUTES - 2);
            let entry = self.route_words(index);
            match entry[route::HASH].compare_exchange(0, hash, AcqRel, Acquire) {
                Ok(_) => {
                    words::put_text(&entry[route::NAME], name);
                    entry[route::KIND].store(kind, Relaxed);
                    entry[route::READY].store(1, Release);
                    return Route(index as u16);
                }
                Err(there) if there == hash => return Route(index as u16),
                Err(_) => {}
            }
        }
        Route::OTHERS
    }
}
