//! The page of memory that both ends of a link see. Its layout is `gk_wire::page`; here it is mapped and read word-wise.

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Bytes mapped.
pub const LEN: usize = 4096;

/// A mapped shared page. Words are atomic, so the other process may write at any moment.
#[derive(Debug)]
pub struct SharedPage {
    words: NonNull<AtomicU64>,
}

// SAFETY: the mapping is only reached through atomics and lives until the value is dropped.
unsafe impl Send for SharedPage {}
// SAFETY: as above; every access is an atomic operation.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// A new page of zeros: the descriptor to hand out.
    pub fn create() -> io::Result<OwnedFd> {
        let fd = rustix::fs::memfd_create(
            "gilkeeper-page",
            rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING,
        )?;
        rustix::fs::ftruncate(&fd, LEN as u64)?;
        // Sealed against shrinking: a page cut by its other owner would turn a read into SIGBUS.
        rustix::fs::fcntl_add_seals(&fd, rustix::fs::SealFlags::SHRINK | rustix::fs::SealFlags::GROW)?;
        Ok(fd)
    }

    /// Maps the page behind a descriptor.
    pub fn map(fd: impl AsFd) -> io::Result<Self> {
        if rustix::fs::fstat(&fd)?.st_size < LEN as i64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the shared page is shorter than a page"));
        }
        // SAFETY: a fresh mapping at an address the kernel chooses touches no existing memory.
        let address = unsafe {
            mmap(std::ptr::null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &fd, 0)
        }?;
        let words = NonNull::new(address.cast()).expect("mmap gives no null address without MAP_FIXED");
        Ok(Self { words })
    }

    /// One 64-bit word.
    ///
    /// # Panics
    /// When `index` is not below 512.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < LEN / 8, "word {index} lies outside the page");
        // SAFETY: the index was checked, so the address stays inside the mapping.
        let word = unsafe { self.words.add(index) };
        // SAFETY: the mapping is page-aligned, holds plain words and lives as long as `self`.
        unsafe { word.as_ref() }
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
