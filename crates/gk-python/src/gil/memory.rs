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
    copy_by_call(address, into).unwrap_or_else(|| copy_through_pipe(address, into))
}

/// `None`: there is no such call, in an emulator, or under a container's rules that refuse it.
fn copy_by_call(address: usize, into: &mut [u8]) -> Option<bool> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: into.len() };
    // SAFETY: no arguments.
    let process = unsafe { libc::getpid() };
    // SAFETY: one live local slice is written; the kernel checks the other address.
    let got = unsafe { libc::process_vm_readv(process, &local, 1, &remote, 1, 0) };
    // SAFETY: errno's address is valid for as long as the thread lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let refused = got < 0 && matches!(unsafe { *errno }, libc::ENOSYS | libc::EPERM);
    (!refused).then_some(got == into.len() as isize)
}

/// The same with calls that exist everywhere: the kernel takes what it is to write from that address. Five of them instead of
/// one; a pipe of its own each time, as nothing is shared between threads or with a fork.
fn copy_through_pipe(address: usize, into: &mut [u8]) -> bool {
    /// What a pipe takes in one piece.
    const PIECE: usize = 4096;
    let mut ends = [-1; 2];
    // SAFETY: two live numbers are written.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
        return false;
    }
    let [reader, writer] = ends;
    let whole = into.chunks_mut(PIECE).enumerate().all(|(number, piece)| {
        let from = address.wrapping_add(number * PIECE) as *const libc::c_void;
        // SAFETY: the kernel checks the address, and says EFAULT where nothing is mapped.
        let written = unsafe { libc::write(writer, from, piece.len()) };
        // SAFETY: a live slice of that length.
        let got = unsafe { libc::read(reader, piece.as_mut_ptr().cast(), piece.len()) };
        written == piece.len() as isize && got == written
    });
    for end in ends {
        // SAFETY: opened above, and nobody else knows of it.
        let _ = unsafe { libc::close(end) };
    }
    whole
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
    fn both_ways_through_the_kernel_read_the_same() {
        let content: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        let address = content.as_ptr() as usize;
        let ways: [fn(usize, &mut [u8]) -> bool; 2] =
            [|at, into| copy_by_call(at, into).expect("this kernel has the call"), copy_through_pipe];
        for copy in ways {
            for length in [1, 8, 4096, 4097, 10_000] {
                let mut into = vec![0; length];
                assert!(copy(address, &mut into), "{length}");
                assert_eq!(into, content[..length]);
            }
            assert!(!copy(16, &mut [0; 8]));
            // Readable at its begin only.
            let page = 4096;
            // SAFETY: a new mapping at a place of the kernel's choice.
            let map = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    2 * page,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            } as usize;
            // SAFETY: the second page of the mapping above, which nobody uses.
            let closed = unsafe { libc::mprotect((map + page) as *mut libc::c_void, page, libc::PROT_NONE) };
            assert_eq!(closed, 0);
            assert!(copy(map + page - 8, &mut [0; 8]));
            assert!(!copy(map + page - 8, &mut [0; 16]));
        }
    }

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
