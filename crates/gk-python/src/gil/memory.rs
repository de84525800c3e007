//! Reading this process's own memory at addresses that CPython keeps: directly where it is certain that they are good, through the
//! kernel elsewhere. No lock, no allocation.

/// The way an address is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Directly. Whoever asks for it promises that the memory is there and that nobody writes it meanwhile.
    Live,
    /// Through the kernel, which says when nothing is mapped there. The content may be anything.
    Checked,
}

impl Access {
    /// `N` bytes from `address`.
    ///
    /// # Safety
    /// For [`Access::Live`] the bytes must be readable, and nobody may write them meanwhile.
    pub(super) unsafe fn bytes<const N: usize>(self, address: usize) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        match self {
            // SAFETY: by the contract; bytes need no alignment.
            Self::Live => bytes = unsafe { (address as *const [u8; N]).read() },
            Self::Checked => copy(address, &mut bytes).then_some(())?,
        }
        Some(bytes)
    }

    /// The word at `address`.
    ///
    /// # Safety
    /// As for [`Access::bytes`].
    pub(super) unsafe fn word(self, address: usize) -> Option<usize> {
        // SAFETY: by the contract.
        unsafe { self.bytes(address) }.map(usize::from_ne_bytes)
    }
}

/// Fills `into` from `address`; `false` when not all of it is mapped.
pub(super) fn copy(address: usize, into: &mut [u8]) -> bool {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: into.len() };
    // SAFETY: no arguments.
    let process = unsafe { libc::getpid() };
    // SAFETY: one live local slice is written; the kernel checks the other address.
    let got = unsafe { libc::process_vm_readv(process, &local, 1, &remote, 1, 0) };
    got == into.len() as isize
}

/// A word, or `None` when nothing is mapped there. A freed thread state must not be fatal: CPython keeps a pointer to the last
/// holder after it was deleted.
pub(super) fn read_word(address: usize) -> Option<usize> {
    let mut word = [0; size_of::<usize>()];
    copy(address, &mut word).then(|| usize::from_ne_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_only_where_there_is_some() {
        let word = 0x1234_usize;
        let address = &raw const word as usize;
        assert_eq!(read_word(address), Some(0x1234));
        assert_eq!(read_word(16), None);
        for access in [Access::Live, Access::Checked] {
            // SAFETY: a live local that nobody writes.
            assert_eq!(unsafe { access.word(address) }, Some(0x1234));
        }
        // SAFETY: checked.
        assert_eq!(unsafe { Access::Checked.bytes::<3>(16) }, None);
    }
}
