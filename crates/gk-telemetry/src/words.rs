//! Access to the page's words: plain additions where one thread writes, atomic ones where several do, and short texts in
//! words. Which word means what is `layout`'s.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The words of a page.
pub(crate) type Words = [AtomicU64];

/// Adds where only the calling thread writes.
#[inline]
pub(crate) fn add_alone(word: &AtomicU64, by: u64) {
    if by != 0 {
        word.store(word.load(Relaxed).wrapping_add(by), Relaxed);
    }
}

/// Adds where several threads write.
#[inline]
pub(crate) fn add_shared(word: &AtomicU64, by: u64) {
    if by != 0 {
        word.fetch_add(by, Relaxed);
    }
}

/// Adds; `alone`: only the calling thread writes there.
#[inline]
pub(crate) fn add(word: &AtomicU64, by: u64, alone: bool) {
    if alone { add_alone(word, by) } else { add_shared(word, by) }
}

/// Writes a text into words, its length in the first byte; what does not fit is cut at a character's border.
pub(crate) fn put_text(words: &Words, text: &[u8]) {
    let room = (words.len() * 8 - 1).min(255);
    let mut length = text.len().min(room);
    while length > 0 && length < text.len() && (text[length] & 0xc0) == 0x80 {
        length -= 1;
    }
    let text = &text[..length];
    let mut first = [0u8; 8];
    first[0] = length as u8;
    let (head, rest) = text.split_at(length.min(7));
    first[1..=head.len()].copy_from_slice(head);
    words[0].store(u64::from_le_bytes(first), Relaxed);
    for (word, chunk) in words[1..].iter().zip(rest.chunks(8)) {
        let mut bytes = [0u8; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        word.store(u64::from_le_bytes(bytes), Relaxed);
    }
}

/// Reads a text back. What is not UTF-8 is replaced.
pub(crate) fn text(words: &Words) -> String {
    let mut bytes = Vec::with_capacity(words.len() * 8);
    let first = words[0].load(Relaxed).to_le_bytes();
    let length = usize::from(first[0]).min(words.len() * 8 - 1);
    bytes.extend_from_slice(&first[1..]);
    for word in &words[1..] {
        if bytes.len() >= length {
            break;
        }
        bytes.extend_from_slice(&word.load(Relaxed).to_le_bytes());
    }
    bytes.truncate(length);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A number for a text: equal texts, equal numbers; never 0.
#[inline]
pub(crate) fn hash(text: &[u8]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ text.len() as u64;
    let (chunks, rest) = text.as_chunks::<8>();
    for chunk in chunks {
        state = (state.rotate_left(23) ^ u64::from_le_bytes(*chunk)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    }
    let mut last = [0u8; 8];
    last[..rest.len()].copy_from_slice(rest);
    state = (state.rotate_left(23) ^ u64::from_le_bytes(last)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (state ^ (state >> 32)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(count: usize) -> Vec<AtomicU64> {
        (0..count).map(|_| AtomicU64::new(0)).collect()
    }

    proptest! {
        #[test]
        fn a_text_comes_back_whole_or_cut(text in ".{0,40}") {
            let page = words(4);
            put_text(&page, text.as_bytes());
            let back = super::text(&page);
            prop_assert!(text.starts_with(&back));
            prop_assert!(back.len() == text.len() || back.len() > 31 - 4);
        }
    }

    #[test]
    fn rubbish_does_not_panic() {
        let page = words(2);
        page.iter().for_each(|word| word.store(u64::MAX, Relaxed));
        assert!(!text(&page).is_empty());
    }
}
