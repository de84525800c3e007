//! A shared memory page of any number of 64-bit words: a worker's scoreboard. What the words mean is `gk-telemetry`'s.

use crate::fork::Withheld;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// A mapped row of shared words. They are atomic, so another process may write at any moment. Memory is used only for
/// pages that were touched.
#[derive(Debug)]
pub struct SharedWords {
    address: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the mapping is only reached through atomics and lives until the value is dropped.
unsafe impl Send for SharedWords {}
// SAFETY: as above; every access is an atomic operation.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// A new row of zeros: the descriptor to hand out.
    pub fn create(name: &str, count: usize) -> io::Result<OwnedFd> {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
        let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, (count * 8) as u64)?;
        // Sealed against shrinking: a file cut by another owner would turn a read into SIGBUS.
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        Ok(fd)
    }

    /// Maps all words behind a descriptor.
    pub fn map(fd: impl AsFd) -> io::Result<Self> {
        let bytes = usize::try_from(rustix::fs::fstat(&fd)?.st_size).unwrap_or(0);
        let count = bytes / 8;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the shared words are empty"));
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address the kernel chooses touches no existing memory.
        let address = unsafe { mmap(std::ptr::null_mut(), count * 8, protection, MapFlags::SHARED, &fd, 0) }?;
        let address = NonNull::new(address.cast()).expect("mmap gives no null address without MAP_FIXED");
        Ok(Self { address, count })
    }

    /// Keeps them from forked children. To be dropped before the words.
    pub fn withhold(&self) -> Withheld {
        Withheld::mapping(self.address.as_ptr().cast(), self.count * 8)
    }
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, holds `count` plain words and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.count) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: this value owns the mapping and nothing borrowed from it can outlive it.
        let _ = unsafe { munmap(self.address.as_ptr().cast(), self.count * 8) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn two_mappings_see_the_same_words() {
        let fd = SharedWords::create("test", 5000).unwrap();
        let (a, b) = (SharedWords::map(&fd).unwrap(), SharedWords::map(&fd).unwrap());
        a[4999].store(42, Ordering::Release);
        assert_eq!((b.len(), b[4999].load(Ordering::Acquire)), (5000, 42));
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert!(SharedWords::map(crate::descriptors::memory_file("test", b"").unwrap()).is_err());
    }
}
