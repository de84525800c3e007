//! Blocks: large pieces of bodies in the memory of a link. A ring of 64 KiB would be emptied and filled many times for one of
//! them, and each time a side might sleep. A block lies there whole: one side writes it, a small frame in the ring names its place,
//! and the other side uses it where it lies.
//!
//! Each direction has an area. Its writer takes units of it ([`Draft`]), its reader gives them back ([`Block`]). Nobody waits for a
//! unit: a writer that finds none sends its piece through the ring.

use super::Shared;
use super::units::{self, Units};
use crate::memory::page::{AREA, UNIT};
use gk_wire::frame::Place;

/// Both areas of a link, from one of its ends.
#[derive(Debug, Clone)]
pub struct Blocks(pub(super) Shared);

/// A block that this process writes. Dropped without [`Draft::hand_over`] it is free again.
#[derive(Debug)]
pub struct Draft<'b> {
    blocks: &'b Blocks,
    bits: u64,
    at: usize,
    len: usize,
    filled: usize,
}

/// A block that the other process has written. It is free once this is dropped.
///
/// It must not be used in a forked child of a worker: there the memory is another.
#[derive(Debug)]
pub struct Block {
    shared: Shared,
    bits: u64,
    at: usize,
    len: usize,
}

impl Blocks {
    /// A new block of so many bytes. `None`: there is no room for it.
    pub fn draft(&self, len: usize) -> Option<Draft<'_>> {
        let bits = self.0.units(false).take(u32::try_from(len.div_ceil(UNIT)).ok()?)?;
        Some(Draft { blocks: self, bits, at: bits.trailing_zeros() as usize * UNIT, len, filled: 0 })
    }

    /// The block that a frame names. `None`: no block can lie there, which is an error of the other end.
    pub fn receive(&self, place: Place) -> Option<Block> {
        let (at, len) = (place.offset as usize, place.len as usize);
        if len == 0 || at % UNIT != 0 || at.checked_add(len)? > AREA {
            return None;
        }
        let bits = units::run(u32::try_from(len.div_ceil(UNIT)).ok()?)? << (at / UNIT);
        Some(Block { shared: self.0.clone(), bits, at, len })
    }

    /// Whether more than half of the area that this end reads is in use.
    pub fn are_many(&self) -> bool {
        self.0.units(true).used() > u64::BITS / 2
    }

    /// Gives the memory of both areas back to the system, but for the units in use. Returns whether that was all of it.
    pub fn give_back(&self) -> bool {
        let mut all = true;
        for reads in [false, true] {
            let units = self.0.units(reads);
            let free = units.take_free();
            for (first, count) in units::runs(free) {
                self.0.page.empty(self.0.ring(reads), first * UNIT, count * UNIT);
            }
            units.give_back(free);
            all &= free == units::ALL;
        }
        all
    }
}

impl Shared {
    /// The units of the area that this end reads (or the one that it writes).
    fn units(&self, reads: bool) -> Units<'_> {
        // After the words of the rings: a cache line for each.
        Units(self.page.word(128 + self.ring(reads) * 8))
    }
}

impl Draft<'_> {
    /// Adds bytes.
    ///
    /// # Panics
    /// When there are more than the draft was made for.
    pub fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.len - self.filled, "a block has its length");
        let shared = &self.blocks.0;
        shared.page.fill(shared.ring(false), self.at + self.filled, bytes);
        self.filled += bytes.len();
    }

    /// The block is the other end's: the place goes to it in a frame.
    pub fn hand_over(mut self) -> Place {
        self.bits = 0;
        Place { offset: self.at as u32, len: self.filled as u32 }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if self.bits != 0 {
            self.blocks.0.units(false).give_back(self.bits);
        }
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.shared.page.block(self.shared.ring(true), self.at, self.len)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.shared.units(true).give_back(self.bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors;
    use crate::memory::channel::{End, open};
    use crate::memory::page::SharedPage;

    /// The front's blocks and the worker's.
    fn pair() -> (Blocks, Blocks) {
        let (ours, theirs) = descriptors::stream_pair().unwrap();
        let page = SharedPage::create().unwrap();
        let end = |socket, end| open(socket, SharedPage::map(&page).unwrap(), end).0.blocks();
        (end(ours, End::Front), end(theirs, End::Worker))
    }

    fn written(blocks: &Blocks, bytes: &[u8]) -> Place {
        let mut draft = blocks.draft(bytes.len()).unwrap();
        draft.write(bytes);
        draft.hand_over()
    }

    #[test]
    fn a_block_is_read_where_it_was_written_and_its_room_is_used_again() {
        let (front, worker) = pair();
        for (from, to) in [(&front, &worker), (&worker, &front)] {
            let (first, second) = (vec![1; 3 * UNIT + 1], vec![2; 7]);
            let (place, other) = (written(from, &first), written(from, &second));
            assert_eq!((place.offset, other.offset as usize), (0, 4 * UNIT));
            let (read, kept) = (to.receive(place).unwrap(), to.receive(other).unwrap());
            assert!(*read.as_ref() == *first && *kept.as_ref() == *second);
            drop(read);
            assert_eq!(written(from, &[3; UNIT]), Place { offset: 0, len: UNIT as u32 });
            assert!(*kept.as_ref() == *second);
        }
    }

    #[test]
    fn what_is_not_handed_over_is_free_and_a_full_area_has_no_room() {
        let (front, worker) = pair();
        drop(worker.draft(AREA).unwrap());
        let place = written(&worker, &vec![7; AREA - UNIT]);
        assert!(front.are_many() && !worker.are_many());
        assert!(
            worker.draft(UNIT + 1).is_none() && worker.draft(0).is_none() && worker.draft(AREA + 1).is_none()
        );
        let last = worker.draft(UNIT).unwrap();
        assert!(worker.draft(1).is_none());
        drop((last, front.receive(place)));
        assert!(!front.are_many() && worker.draft(AREA).is_some());
    }

    /// A worker may be in the hands of somebody else.
    #[test]
    fn places_without_a_block_are_refused() {
        let (front, _worker) = pair();
        let unit = UNIT as u32;
        let area = AREA as u32;
        let places = [
            (0, 0),
            (1, 1),
            (unit - 1, 2),
            (area, 1),
            (area - unit, unit + 1),
            (0, area + 1),
            (u32::MAX, u32::MAX),
        ];
        for (offset, len) in places {
            assert!(front.receive(Place { offset, len }).is_none(), "{len} bytes at {offset}");
        }
        for (offset, len) in [(0, area), (area - unit, unit), (unit, 1)] {
            assert_eq!(front.receive(Place { offset, len }).unwrap().as_ref().len(), len as usize);
        }
    }

    /// Reported: one slow client kept the memory of all blocks that had ever been in use at once.
    #[test]
    fn memory_of_blocks_that_are_gone_goes_back_to_the_system() {
        let (front, worker) = pair();
        let held = |blocks: &Blocks, reads, unit| {
            let page = &blocks.0.page;
            page.block(blocks.0.ring(reads), unit * UNIT, UNIT).iter().any(|byte| *byte != 0)
        };
        let places = [(); 3].map(|()| written(&worker, &[1; UNIT]));
        drop(worker.receive(written(&front, &[1; UNIT])));
        let [before, block, behind] = places.map(|place| front.receive(place).unwrap());
        drop((before, behind));
        assert!(!front.give_back());
        let left = [0, 1, 2].map(|unit| held(&front, true, unit));
        assert_eq!((left, held(&front, false, 0)), ([false, true, false], false), "what is in use stays");
        assert_eq!(*block.as_ref(), [1; UNIT]);
        drop(block);
        assert!(front.give_back());
        assert!(!held(&front, true, 1) && worker.draft(AREA).is_some());
    }
}
