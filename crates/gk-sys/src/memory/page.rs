//! The memory that both ends of a link see: a page of words, two rings of bytes, and two areas for blocks. What the first words
//! mean is `gk_wire::page`'s, the protocol of the rings and areas `channel`'s; here it is mapped, read and written.

use crate::fork::Withheld;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Bytes of the page of words.
const WORDS: usize = 4096;
/// Bytes of each ring: many small requests, and one piece of a large body.
pub const RING: usize = 64 * 1024;
/// Bytes of a unit of an area: a block takes whole ones.
pub const UNIT: usize = 256 * 1024;
/// Bytes of each area: as many units as a word has bits. The system gives memory for the pages that were written.
pub const AREA: usize = 64 * UNIT;
/// First byte of the areas.
const AREAS: usize = WORDS + 2 * RING;
/// Bytes mapped.
const LEN: usize = AREAS + 2 * AREA;

/// The mapped memory. Words are atomic, so the other process may write at any moment. The bytes of the rings are copied as
/// they are: in this process only `channel` does that, and there one ring is written through `&mut Sender` alone and the
/// other read through `&mut Receiver` alone, of which each end has one. A unit of an area has one owner at a time, by its bit.
#[derive(Debug)]
pub struct SharedPage {
    words: NonNull<AtomicU64>,
}

// SAFETY: nothing in it belongs to a thread: the mapping lives until the value is dropped, whichever thread does that.
unsafe impl Send for SharedPage {}
// SAFETY: words are atomics. `put` and `take` are plain copies, but no two threads of this process are ever in one of them for
// the same ring: only `channel` can call them, `put` with `&mut Sender` and `take` with `&mut Receiver`. Units of an area are
// written by the thread that has taken their bits (`channel::blocks::Draft`), and not before the last `Block` of them is gone.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// New memory of zeros: the descriptor to hand out.
    pub fn create() -> io::Result<OwnedFd> {
        let fd = rustix::fs::memfd_create(
            "gilkeeper-link",
            rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING,
        )?;
        rustix::fs::ftruncate(&fd, LEN as u64)?;
        // Sealed against shrinking: a page cut by its other owner would turn a read into SIGBUS.
        rustix::fs::fcntl_add_seals(&fd, rustix::fs::SealFlags::SHRINK | rustix::fs::SealFlags::GROW)?;
        Ok(fd)
    }

    /// Maps the memory behind a descriptor.
    pub fn map(fd: impl AsFd) -> io::Result<Self> {
        if rustix::fs::fstat(&fd)?.st_size < LEN as i64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the shared memory is too short"));
        }
        // SAFETY: a fresh mapping at an address the kernel chooses touches no existing memory.
        let address = unsafe {
            mmap(std::ptr::null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &fd, 0)
        }?;
        let words = NonNull::new(address.cast()).expect("mmap gives no null address without MAP_FIXED");
        Ok(Self { words })
    }

    /// Keeps it from forked children. To be dropped before the page.
    pub(crate) fn withhold(&self) -> Withheld {
        Withheld::mapping(self.words.as_ptr().cast(), LEN)
    }

    /// One 64-bit word.
    ///
    /// # Panics
    /// When `index` is not below 512.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < WORDS / 8, "word {index} lies outside the page");
        // SAFETY: the index was checked, so the address stays inside the mapping.
        let word = unsafe { self.words.add(index) };
        // SAFETY: the mapping is page-aligned, holds plain words and lives as long as `self`.
        unsafe { word.as_ref() }
    }

    /// The first half of a word, for a futex.
    ///
    /// # Panics
    /// When `index` is not below 512.
    pub fn half(&self, index: usize) -> &AtomicU32 {
        let word: *const AtomicU64 = self.word(index);
        // SAFETY: the word is live and aligned for its halves, and the same word is never used whole.
        unsafe { &*word.cast::<AtomicU32>() }
    }

    /// Copies bytes into a ring, from position `at` on and over its edge. Those bytes must be the caller's to write.
    ///
    /// # Panics
    /// When there is no such ring, `at` lies outside it, or there are more bytes than it has.
    pub(crate) fn put(&self, ring: usize, at: usize, bytes: &[u8]) {
        let first = bytes.len().min(RING - at);
        let (before, after) = bytes.split_at(first);
        for (at, part) in [(at, before), (0, after)] {
            let place = self.place(ring, at, part.len());
            // SAFETY: `place` checked the range. The other process does not touch bytes that are the writer's; if it does
            // all the same, it gets other bytes than were sent, and this process reads none of them.
            unsafe { place.copy_from_nonoverlapping(part.as_ptr(), part.len()) };
        }
    }

    /// Copies bytes out of a ring, from position `at` on and over its edge.
    ///
    /// # Panics
    /// As [`Self::put`].
    pub(crate) fn take(&self, ring: usize, at: usize, buffer: &mut [u8]) {
        let first = buffer.len().min(RING - at);
        let (before, after) = buffer.split_at_mut(first);
        for (at, part) in [(at, before), (0, after)] {
            let place = self.place(ring, at, part.len());
            // SAFETY: `place` checked the range. The other process does not touch bytes that are the reader's; if it does all
            // the same, the copy holds any bytes, which is what a reader of another process's bytes must expect.
            unsafe { place.copy_to_nonoverlapping(part.as_mut_ptr(), part.len()) };
        }
    }

    /// Copies bytes into an area, from position `at` on. The units there must be the caller's.
    ///
    /// # Panics
    /// When there is no such area, or the bytes do not lie within it.
    pub(crate) fn fill(&self, area: usize, at: usize, bytes: &[u8]) {
        let place = self.within(area, at, bytes.len());
        // SAFETY: `within` checked the range. Nobody else writes units that were taken, and this process reads none of them.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Bytes of an area. The units there must be in use until the last look at them. A process in the hands of somebody else may
    /// change them all the same: so what is decided by their content is decided by a copy. Others pass them on, to the kernel mostly.
    ///
    /// # Panics
    /// As [`Self::fill`].
    pub(crate) fn block(&self, area: usize, at: usize, len: usize) -> &[u8] {
        let place = self.within(area, at, len);
        // SAFETY: `within` checked the range; it stays mapped as long as `self` and cannot shrink. No code of this process
        // writes it while its units are in use. Any bytes are valid ones, whoever else writes them.
        unsafe { std::slice::from_raw_parts(place, len) }
    }

    /// Gives the memory of units of an area back to the system: it reads as zeros. The units must be the caller's.
    pub(crate) fn empty(&self, area: usize, at: usize, len: usize) {
        let place = self.within(area, at, len);
        // SAFETY: the range lies inside the mapping, which stays as it is. No slice of it lives, as its units are the caller's.
        // A failure leaves the memory where it is.
        let _ = unsafe { madvise(place.cast(), len, Advice::LinuxRemove) };
    }

    fn within(&self, area: usize, at: usize, len: usize) -> *mut u8 {
        assert!(area < 2 && at <= AREA && len <= AREA - at, "{len} bytes at {at} of area {area}");
        // SAFETY: the range was checked, so the address stays inside the mapping.
        unsafe { self.words.as_ptr().cast::<u8>().add(AREAS + area * AREA + at) }
    }

    fn place(&self, ring: usize, at: usize, len: usize) -> *mut u8 {
        assert!(ring < 2 && at < RING && len <= RING - at, "{len} bytes at {at} of ring {ring}");
        // SAFETY: the range was checked, so the address stays inside the mapping.
        unsafe { self.words.as_ptr().cast::<u8>().add(WORDS + ring * RING + at) }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: this value owns the mapping and nothing borrowed from it can outlive it.
        let _ = unsafe { munmap(self.words.as_ptr().cast(), LEN) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn two_mappings_see_the_same_words() {
        let fd = SharedPage::create().unwrap();
        let (a, b) = (SharedPage::map(&fd).unwrap(), SharedPage::map(&fd).unwrap());
        a.word(0).store(42, Ordering::Release);
        assert_eq!(b.word(0).load(Ordering::Acquire), 42);
    }
}
