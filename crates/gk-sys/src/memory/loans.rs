//! Pieces of responses that stay where they are on their way through a link, as both of its ends are in this process: a frame has
//! the number of one. A piece whose frame nobody reads, as its link has broken, stays until the process ends.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// By number, with the last number that was given.
static LENT: Mutex<(u64, BTreeMap<u64, Bytes>)> = Mutex::new((0, BTreeMap::new()));

fn lent() -> MutexGuard<'static, (u64, BTreeMap<u64, Bytes>)> {
    LENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a piece down for the other end. Its number.
pub fn lend(piece: Bytes) -> u64 {
    let (number, pieces) = &mut *lent();
    *number += 1;
    pieces.insert(*number, piece);
    *number
}

/// Takes a piece up. `None`: there is none of that number.
pub fn take(number: u64) -> Option<Bytes> {
    lent().1.remove(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_taken_up_once() {
        let piece = Bytes::from(vec![1; 100_000]);
        let (first, second) = (lend(piece.slice(..50_000)), lend(piece.slice(50_000..)));
        let taken = take(second).unwrap();
        assert_eq!((taken.as_ptr(), taken.len()), (piece[50_000..].as_ptr(), 50_000));
        assert!(take(second).is_none() && take(first).is_some() && take(u64::MAX).is_none());
    }
}
