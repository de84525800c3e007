//! What was looked up before, by the bytes that clients sent: bounded in number and in length, as clients choose both.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::request::hash::BuildQuick;

/// Most entries; one more, and all are forgotten.
const MOST: usize = 4096;
/// Longest key in bytes: a longer one is looked up each time.
const LONGEST: usize = 512;

/// The table. One thread only.
pub struct Known<V> {
    entries: RefCell<HashMap<Box<[u8]>, V, BuildQuick>>,
}

impl<V> Default for Known<V> {
    fn default() -> Self {
        Self { entries: RefCell::default() }
    }
}

impl<V: Clone> Known<V> {
    /// What is kept for a key.
    pub fn get(&self, key: &[u8]) -> Option<V> {
        self.entries.borrow().get(key).cloned()
    }

    /// Keeps a value, if its key is not too long.
    pub fn keep(&self, key: &[u8], value: &V) {
        if key.len() > LONGEST {
            return;
        }
        let mut entries = self.entries.borrow_mut();
        if entries.len() >= MOST {
            entries.clear();
        }
        entries.insert(key.into(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_is_kept_within_bounds() {
        let known = Known::default();
        known.keep(&[b'x'; LONGEST], &1);
        known.keep(&[b'x'; LONGEST + 1], &2);
        assert_eq!((known.get(&[b'x'; LONGEST]), known.get(&[b'x'; LONGEST + 1])), (Some(1), None));
        for number in 0..3 * MOST {
            known.keep(&number.to_ne_bytes(), &number);
        }
        assert!(known.entries.borrow().len() <= MOST);
        let last = 3 * MOST - 1;
        assert_eq!(known.get(&last.to_ne_bytes()), Some(last));
    }
}
