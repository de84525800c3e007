//! Pieces of a response that wait for its client, as lists: small ones are put together where there are many, and large ones are cut
//! where they go to a file. A piece may be as long as the worker's window.

use bytes::Bytes;
use std::collections::VecDeque;

/// Pieces from which on small ones are put together where there are many, bytes below which they are small on average, and bytes of
/// those that come of it. Each piece costs some eighty bytes beside its own.
pub(super) const MANY: usize = 128;
pub(super) const SMALL: usize = 1024;
const BLOCK: usize = 16 * 1024;
/// Longest piece on its way to a file, in bytes: the smallest file that can be asked for takes one.
const PART: usize = 64 * 1024;

/// Adds a piece. `bytes`: of all pieces, this one among them, and perhaps of others.
pub(super) fn append(pieces: &mut VecDeque<Bytes>, piece: Bytes, bytes: usize) {
    pieces.push_back(piece);
    if pieces.len() >= MANY && pieces.len().is_multiple_of(MANY) && bytes < pieces.len() * SMALL {
        put_together(pieces);
    }
}

/// Adds a piece that goes to a file.
pub(super) fn append_for_file(pieces: &mut VecDeque<Bytes>, mut piece: Bytes, bytes: usize) {
    while piece.len() > PART {
        pieces.push_back(piece.split_to(PART));
    }
    append(pieces, piece, bytes);
}

/// Takes off what lies behind so many bytes, for a file.
pub(super) fn take_behind(pieces: &mut VecDeque<Bytes>, keep: usize) -> VecDeque<Bytes> {
    let (mut before, mut behind) = (0, VecDeque::new());
    let cut = pieces.iter().position(|piece| {
        let is_beyond = before + piece.len() > keep;
        before += if is_beyond { 0 } else { piece.len() };
        is_beyond
    });
    for (index, mut piece) in pieces.split_off(cut.unwrap_or(pieces.len())).into_iter().enumerate() {
        if index == 0 && before < keep {
            pieces.push_back(piece.split_to(keep - before));
        }
        append_for_file(&mut behind, piece, usize::MAX);
    }
    behind
}

/// Copies small pieces that follow each other into larger ones.
#[cold]
fn put_together(pieces: &mut VecDeque<Bytes>) {
    let mut block = Vec::with_capacity(BLOCK);
    let close = |block: &mut Vec<u8>, pieces: &mut VecDeque<Bytes>| {
        if !block.is_empty() {
            pieces.push_back(Bytes::copy_from_slice(block));
            block.clear();
        }
    };
    for piece in std::mem::take(pieces) {
        if piece.len() >= BLOCK / 4 || block.len() + piece.len() > BLOCK {
            close(&mut block, pieces);
        }
        if piece.len() >= BLOCK / 4 { pieces.push_back(piece) } else { block.extend_from_slice(&piece) }
    }
    close(&mut block, pieces);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_is_taken_off_to_the_byte_and_cut() {
        /// Lengths before, bytes kept, lengths kept and taken off.
        type Case = (&'static [usize], usize, &'static [usize], &'static [usize]);
        let cases: &[Case] = &[
            (&[], 10, &[], &[]),
            (&[10], 10, &[10], &[]),
            (&[10, 5], 10, &[10], &[5]),
            (&[10, 5, 1], 12, &[10, 2], &[3, 1]),
            (&[10], 3, &[3], &[7]),
            (&[10, 5], 0, &[], &[10, 5]),
            (&[2 * PART + 7, PART], PART, &[PART], &[PART, 7, PART]),
            (&[4 * PART], PART + 1, &[PART + 1], &[PART, PART, PART - 1]),
        ];
        for (lengths, keep, kept, taken) in cases {
            let mut pieces: VecDeque<Bytes> = lengths.iter().map(|len| vec![7; *len].into()).collect();
            let behind = take_behind(&mut pieces, *keep);
            let lengths = |pieces: &VecDeque<Bytes>| pieces.iter().map(Bytes::len).collect::<Vec<_>>();
            assert_eq!((lengths(&pieces), lengths(&behind)), (kept.to_vec(), taken.to_vec()), "{keep}");
        }
    }
}
