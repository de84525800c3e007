//! Routes by the bytes that clients sent, so that an address is routed once. Clients choose the keys, so their number and
//! length are bounded.

use foldhash::fast::RandomState;
use std::cell::RefCell;
use std::collections::HashMap;

/// Capacity; the cache is cleared when full.
const CAPACITY: usize = 4096;
/// Longest key in bytes; a request with a longer one is routed each time.
const LONGEST_KEY: usize = 512;

/// The cache. One thread only.
pub struct RouteCache<V> {
    /// Hashed from a random start, so that clients cannot choose keys that collide.
    entries: RefCell<HashMap<Box<[u8]>, V, RandomState>>,
}

impl<V> Default for RouteCache<V> {
    fn default() -> Self {
        Self { entries: RefCell::default() }
    }
}

impl<V: Clone> RouteCache<V> {
    /// The entry of a key.
    pub fn get(&self, key: &[u8]) -> Option<V> {
        self.entries.borrow().get(key).cloned()
    }

    /// Adds an entry, if its key is not too long.
    pub fn insert(&self, key: &[u8], value: &V) {
        if key.len() > LONGEST_KEY {
            return;
        }
        let mut entries = self.entries.borrow_mut();
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(key.into(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_in_number_and_length() {
        let cache = RouteCache::default();
        cache.insert(&[b'x'; LONGEST_KEY], &1);
        cache.insert(&[b'x'; LONGEST_KEY + 1], &2);
        assert_eq!((cache.get(&[b'x'; LONGEST_KEY]), cache.get(&[b'x'; LONGEST_KEY + 1])), (Some(1), None));
        for number in 0..3 * CAPACITY {
            cache.insert(&number.to_ne_bytes(), &number);
        }
        assert!(cache.entries.borrow().len() <= CAPACITY);
        let last = 3 * CAPACITY - 1;
        assert_eq!(cache.get(&last.to_ne_bytes()), Some(last));
    }
}
