//! The large pieces of bodies that lie in the memory of a link (`gk_sys::memory::channel::blocks`): which of them stay there until
//! their client has them, and when the memory goes back to the system.

use bytes::Bytes;
use gk_sys::memory::channel::blocks::{Block, Blocks, Draft};
use gk_sys::memory::loans;
use gk_wire::frame::{BLOCK_LEAST, Place};
use std::cell::Cell;

/// Bytes of a block that is worth its place until its client has it. A smaller one is copied.
const KEPT: usize = 64 * 1024;
/// Milliseconds without a block after which the memory goes back to the system.
const QUIET: u64 = 2_000;

/// The blocks of one link.
pub struct LinkBlocks {
    blocks: Blocks,
    /// The worker is this process.
    own: bool,
    /// A block came since the last look.
    used: Cell<bool>,
    /// Coarse time of the last look that found some, in milliseconds, until the memory was given back.
    since: Cell<Option<u64>>,
}

impl LinkBlocks {
    /// For a link. `own`: its worker is this process.
    pub fn new(blocks: Blocks, own: bool) -> Self {
        Self { blocks, own, used: Cell::new(false), since: Cell::new(None) }
    }

    /// A block for a piece of a request body, if it is large enough and there is room.
    pub fn draft(&self, len: usize) -> Option<Draft<'_>> {
        if len < BLOCK_LEAST {
            return None;
        }
        self.used.set(true);
        self.blocks.draft(len)
    }

    /// The piece that the worker has lent under a number. `None`: none, or the worker is another process.
    pub fn borrow(&self, number: u64) -> Option<Bytes> {
        if self.own { loans::take(number) } else { None }
    }

    /// The bytes of a block of the worker. `None`: no block can lie there. Slow clients may keep half of the room; beyond that blocks
    /// are copied, so that the worker always finds some.
    pub fn receive(&self, place: Place) -> Option<Bytes> {
        self.used.set(true);
        let block: Block = self.blocks.receive(place)?;
        Some(match block.as_ref() {
            bytes if bytes.len() < KEPT || self.blocks.are_many() => Bytes::copy_from_slice(bytes),
            _ => Bytes::from_owner(block),
        })
    }

    /// A look now and then, at the coarse time `now`: gives the memory back when no block came for a while.
    pub fn tidy(&self, now: u64) {
        if self.used.take() {
            self.since.set(Some(now));
        } else if self.since.get().is_some_and(|since| now.saturating_sub(since) >= QUIET) {
            // What a slow client keeps goes back later.
            let all = self.blocks.give_back();
            self.since.set((!all).then_some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_sys::descriptors;
    use gk_sys::memory::SharedPage;
    use gk_sys::memory::channel::{End, open};

    const UNIT: usize = 256 * 1024;
    const AREA: usize = 64 * UNIT;

    /// The front's blocks and the worker's.
    fn pair() -> (LinkBlocks, Blocks) {
        let (ours, theirs) = descriptors::stream_pair().unwrap();
        let page = SharedPage::create().unwrap();
        let end = |socket, end| open(socket, SharedPage::map(&page).unwrap(), end).0.blocks();
        (LinkBlocks::new(end(ours, End::Front), false), end(theirs, End::Worker))
    }

    fn sent(worker: &Blocks, len: usize, byte: u8) -> Place {
        let mut draft = worker.draft(len).unwrap();
        draft.write(&vec![byte; len]);
        draft.hand_over()
    }

    #[test]
    fn slow_clients_leave_room_for_the_blocks_of_others() {
        let (front, worker) = pair();
        let kept: Vec<Bytes> = (1..100).map(|n| front.receive(sent(&worker, 3 * UNIT, n)).unwrap()).collect();
        assert!(worker.draft(AREA / 4).is_some());
        assert!(
            kept.iter().zip(1..).all(|(bytes, n)| bytes.len() == 3 * UNIT && bytes.iter().all(|b| *b == n))
        );
        drop(kept);
        assert!(worker.draft(AREA).is_some());
    }

    #[test]
    fn a_small_block_is_copied_and_a_place_without_one_refused() {
        let (front, worker) = pair();
        let small = front.receive(sent(&worker, KEPT - 1, 7)).unwrap();
        assert!(worker.draft(AREA).is_some() && *small == [7; KEPT - 1]);
        let kept = front.receive(sent(&worker, KEPT, 8)).unwrap();
        assert!(worker.draft(AREA).is_none() && *kept == [8; KEPT]);
        assert!(front.receive(Place { offset: 1, len: 8 }).is_none());
        assert!(front.draft(BLOCK_LEAST - 1).is_none() && front.draft(BLOCK_LEAST).is_some());
    }

    /// Reported: blocks that a slow client held for more than two seconds stayed in memory when it had gone.
    #[test]
    fn what_a_slow_client_has_kept_goes_back_when_it_is_gone() {
        let (front, worker) = pair();
        let place = sent(&worker, KEPT, 1);
        let kept = front.receive(place).unwrap();
        for now in [100, QUIET + 100, 2 * QUIET + 100] {
            front.tidy(now);
        }
        assert!(kept.iter().all(|byte| *byte == 1));
        drop(kept);
        front.tidy(3 * QUIET + 100);
        assert!(front.receive(place).unwrap().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_memory_goes_back_when_there_was_no_block_for_a_while() {
        let (front, worker) = pair();
        let place = sent(&worker, KEPT, 1);
        let holds = |front: &LinkBlocks| front.receive(place).unwrap().iter().any(|byte| *byte != 0);
        for (now, wanted) in [(100, true), (QUIET, true), (2 * QUIET, true)] {
            front.tidy(now);
            assert_eq!(holds(&front), wanted, "at {now}");
        }
        front.tidy(3 * QUIET);
        front.tidy(4 * QUIET - 1);
        assert!(holds(&front), "not yet");
        for now in [5 * QUIET, 6 * QUIET] {
            front.tidy(now);
        }
        assert!(!holds(&front));
        let again = sent(&worker, KEPT, 2);
        assert!(front.receive(again).unwrap().iter().all(|byte| *byte == 2));
    }
}
