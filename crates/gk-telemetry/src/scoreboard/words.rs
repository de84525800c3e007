//! Access to a page's words: plain additions where one thread writes, atomic ones where several do, guards, short texts, and
//! hashes of texts. What a word means is in `layout`.

use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// The words of a page.
pub(crate) type Words = [AtomicU64];

/// `COUNT` words starting at `at`; the constant length removes bounds checks.
#[inline]
pub(crate) fn row<const COUNT: usize>(words: &Words, at: usize) -> &[AtomicU64; COUNT] {
    words[at..].first_chunk().expect("the layout was compared with the page's length")
}

/// Adds to a word that only the calling thread writes.
#[inline]
pub(crate) fn add_alone(word: &AtomicU64, by: u64) {
    word.store(word.load(Relaxed).wrapping_add(by), Relaxed);
}

/// Adds to a word that several threads write.
#[inline]
pub(crate) fn add_shared(word: &AtomicU64, by: u64) {
    if by != 0 {
        word.fetch_add(by, Relaxed);
    }
}

/// Runs `write` with an odd guard, and makes the guard even afterwards. For a guard that one thread writes.
#[inline]
pub(crate) fn guarded(guard: &AtomicU64, write: impl FnOnce()) {
    let odd = guard.load(Relaxed) | 1;
    guard.store(odd, Relaxed);
    fence(Release);
    write();
    guard.store(odd.wrapping_add(1), Release);
}

/// Adds to a word. `alone`: only the calling thread writes it.
#[inline]
pub(crate) fn add(word: &AtomicU64, by: u64, alone: bool) {
    if alone { add_alone(word, by) } else { add_shared(word, by) }
}

/// Writes a text into words, its length in the first byte. A text that does not fit is cut between two characters.
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

/// Reads a text. Bytes that are not UTF-8 are replaced.
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

/// Hash of a text; never 0, which marks a free entry.
#[inline]
pub(crate) fn hash(text: &[u8]) -> u64 {
    hash_on(0x9e37_79b9_7f4a_7c15, text)
}

/// Hash of a text that continues others; `before` is their hash.
#[inline]
pub(crate) fn hash_on(before: u64, text: &[u8]) -> u64 {
    let state = before ^ text.len() as u64;
    let state = match (text.first_chunk::<8>(), text.last_chunk::<8>(), text.len()) {
        // Most texts have one of these lengths. The words may overlap: with the length in the hash they are still unambiguous.
        (Some(first), Some(last), ..=16) => {
            mix(mix(state, u64::from_le_bytes(*first)), u64::from_le_bytes(*last))
        }
        (_, _, 17..=32) => {
            let halves = [text.first_chunk::<16>(), text.last_chunk()].into_iter().flatten();
            halves
                .map(|half| u128::from_le_bytes(*half))
                .fold(state, |state, half| mix(mix(state, half as u64), (half >> 64) as u64))
        }
        _ => others(state, text),
    };
    (state ^ (state >> 32)).max(1)
}

#[inline]
fn mix(state: u64, word: u64) -> u64 {
    (state.rotate_left(23) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

/// Texts of fewer than 8 and more than 32 bytes.
#[inline(never)]
fn others(mut state: u64, text: &[u8]) -> u64 {
    let Some(last) = text.last_chunk::<8>() else { return mix(state, short(text)) };
    // The last eight bytes may overlap the chunk before.
    for chunk in text[..text.len() - 1].as_chunks::<8>().0 {
        state = mix(state, u64::from_le_bytes(*chunk));
    }
    mix(state, u64::from_le_bytes(*last))
}

/// Fewer than eight bytes as a word; unambiguous together with their number.
fn short(text: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    match text {
        [first, .., last] => {
            u64::from(*first) | u64::from(text[text.len() / 2]) << 8 | u64::from(*last) << 16
        }
        [one] => u64::from(*one),
        [] => 0,
    }
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

    proptest! {
        #[test]
        fn different_texts_have_different_hashes(a in "[ab]{0,40}", b in "[ab]{0,40}", c in "[ab]{0,9}") {
            prop_assert_eq!(a == b, hash(a.as_bytes()) == hash(b.as_bytes()));
            let on = |first: &str, second: &str| hash_on(hash(first.as_bytes()), second.as_bytes());
            prop_assert_eq!(on(&a, &c) == on(&b, &c), a == b);
            prop_assert_eq!(on(&c, &a) == on(&c, &b), a == b);
        }
    }

    #[test]
    fn rubbish_does_not_panic() {
        let page = words(2);
        page.iter().for_each(|word| word.store(u64::MAX, Relaxed));
        assert!(!text(&page).is_empty());
    }
}
