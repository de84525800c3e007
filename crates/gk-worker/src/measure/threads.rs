//! The application's own threads as causes of waits: a table from the kernel's id to an entry of the scoreboard. Threads that
//! `threading` starts have their entry from their beginning. Any other is unknown until the Python thread has asked for its name;
//! waits until then have no culprit.

use gk_telemetry::Route;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Capacity of the table.
const PLACES: usize = 256;
/// Most places to probe for an entry.
const PROBES: usize = 16;

/// The table. Each word has the route's number in its upper half and the thread's id in its lower half; 0 is free.
pub(super) struct ThreadRoutes {
    places: Box<[AtomicU64]>,
    unnamed: AtomicBool,
}

impl ThreadRoutes {
    pub(super) fn new() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), unnamed: AtomicBool::new(false) }
    }

    fn probed(&self, id: u32) -> impl Iterator<Item = &AtomicU64> {
        let first = (id as usize).wrapping_mul(0x9e37_79b1) >> 8;
        (0..PROBES).filter_map(move |step| self.places.get(first.wrapping_add(step) % PLACES))
    }

    /// Returns the entry of a thread, and takes a place for a new one. No lock, no allocation.
    pub(super) fn route(&self, id: u32) -> Route {
        // All are looked at before a free one is taken, since places before the thread's own may have become free.
        let known =
            self.probed(id).map(|place| place.load(Ordering::Relaxed)).find(|word| *word as u32 == id);
        if let Some(word) = known {
            return Route::from_number((word >> 32) as u16);
        }
        if self.take(id, u64::from(id)) {
            self.unnamed.store(true, Ordering::Relaxed);
            return Route::UNKNOWN;
        }
        Route::OTHERS
    }

    /// Sets the entry of a thread that begins.
    pub(super) fn name_one(&self, id: u32, route: Route) {
        let word = u64::from(id) | u64::from(route.number()) << 32;
        // The kernel gives numbers of ended threads to new ones.
        let own = self.probed(id).find(|place| place.load(Ordering::Relaxed) as u32 == id);
        match own {
            Some(place) => place.store(word, Ordering::Relaxed),
            // Whoever names all threads frees the places of those that have ended.
            None if !self.take(id, word) => self.unnamed.store(true, Ordering::Relaxed),
            None => {}
        }
    }

    /// Puts `word` into a free place. `false`: there is none.
    fn take(&self, id: u32, word: u64) -> bool {
        let taken = |place: &AtomicU64| place.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed);
        self.probed(id).any(|place| taken(place).is_ok())
    }

    pub(super) fn unnamed(&self) -> bool {
        self.unnamed.load(Ordering::Relaxed)
    }

    /// Sets the entries of named threads and frees the places of ended ones.
    pub(super) fn name(&self, named: &[(u32, String)], entry: impl Fn(&str) -> Route) {
        self.unnamed.store(false, Ordering::Relaxed);
        for place in &self.places {
            let word = place.load(Ordering::Relaxed);
            let id = word as u32;
            if word == 0 {
                continue;
            }
            let known = named.iter().find(|(thread, _)| *thread == id).map(|(_, name)| name.clone());
            let route = match known.or_else(|| system_name(id)) {
                Some(name) => entry(&name),
                None => {
                    // The thread has ended; its waits stay booked.
                    place.store(0, Ordering::Relaxed);
                    continue;
                }
            };
            place.store(u64::from(id) | u64::from(route.number()) << 32, Ordering::Relaxed);
        }
    }
}

/// The kernel's name of a thread that Python does not know; `None` if it has ended.
fn system_name(id: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/self/task/{id}/comm")).ok()?;
    Some(format!("thread {}", name.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_unknown_until_it_is_named_and_free_after_its_end() {
        let threads = ThreadRoutes::new();
        let own = gk_sys::clock::thread_id();
        assert_eq!(threads.route(own), Route::UNKNOWN);
        assert_eq!(threads.route(u32::MAX), Route::UNKNOWN);
        assert!(threads.unnamed());
        let entry = |name: &str| {
            assert_eq!(name, "cleanup");
            Route::from_number(9)
        };
        threads.name(&[(own, "cleanup".to_owned())], entry);
        assert_eq!(threads.route(own), Route::from_number(9));
        assert!(!threads.unnamed());
        // Its place is free again.
        assert_eq!(threads.route(u32::MAX), Route::UNKNOWN);
        assert!(threads.unnamed());
    }

    #[test]
    fn a_thread_that_was_named_at_its_start_is_never_unknown() {
        let threads = ThreadRoutes::new();
        threads.name_one(7, Route::from_number(5));
        assert_eq!((threads.route(7), threads.unnamed()), (Route::from_number(5), false));
        // Another thread gets the number.
        threads.name_one(7, Route::from_number(6));
        assert_eq!(threads.route(7), Route::from_number(6));
        for id in 10_000..20_000 {
            threads.name_one(id, Route::from_number(8));
        }
        assert!(threads.unnamed(), "a table full of ended threads is cleared");
        threads.name(&[], |_| Route::OTHERS);
        threads.name_one(9, Route::from_number(9));
        assert_eq!(threads.route(9), Route::from_number(9));
    }

    #[test]
    fn a_full_table_says_others() {
        let threads = ThreadRoutes::new();
        let others = (1..10_000).filter(|id| threads.route(*id) == Route::OTHERS).count();
        assert!(others >= 10_000 - 1 - PLACES, "{others}");
    }
}
