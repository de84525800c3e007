//! A quick hash for tables that are looked into for every request. Its start is random, so that nobody outside can choose
//! keys that fall together; it is for keys made of one slice of bytes.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Odd, its bits well mixed: the fraction of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Makes [`Quick`] hashers with one random start.
#[derive(Debug, Clone)]
pub struct BuildQuick {
    start: u64,
}

impl Default for BuildQuick {
    fn default() -> Self {
        Self { start: RandomState::new().hash_one(0) }
    }
}

impl BuildHasher for BuildQuick {
    type Hasher = Quick;

    fn build_hasher(&self) -> Quick {
        Quick { state: self.start, start: self.start }
    }
}

/// The hash so far.
#[derive(Debug)]
pub struct Quick {
    state: u64,
    start: u64,
}

impl Quick {
    /// Both halves of the product, so that every bit of the word reaches every bit of the state.
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(FACTOR ^ self.start);
        self.state = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_that_are_alike_fall_apart() {
        let build = BuildQuick::default();
        let keys = (0..20_000u32).map(|n| format!("/page/{n}"));
        let hashes: HashSet<_> = keys.map(|key| build.hash_one(key.as_bytes())).collect();
        assert_eq!(hashes.len(), 20_000);
        // The table takes the group from the low bits and the tag from the top seven.
        let low: HashSet<_> = hashes.iter().map(|hash| hash & 0xfff).collect();
        assert!(low.len() > 3_900, "{} of 4096 places", low.len());
        let tags: HashSet<_> = hashes.iter().map(|hash| hash >> 57).collect();
        assert_eq!(tags.len(), 128);
    }

    #[test]
    fn the_length_counts() {
        let build = BuildQuick::default();
        assert_ne!(build.hash_one(&b"a"[..]), build.hash_one(&b"a\0"[..]));
        assert_ne!(build.hash_one(&b""[..]), build.hash_one(&b"\0\0\0\0\0\0\0\0"[..]));
    }

    #[test]
    fn another_table_hashes_otherwise() {
        assert_ne!(BuildQuick::default().hash_one(&b"a"[..]), BuildQuick::default().hash_one(&b"a"[..]));
    }
}
