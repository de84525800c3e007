//! The queue in which processes of embedded mode pass connections on to each other. It is kept here over their ends, and with it what waits
//! in it.

use gk_sys::descriptors;
use gk_sys::memory::SharedWords;
use gk_wire::passing::{WORDS, place};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

/// The queue, and the words in which processes tell of room.
#[derive(Debug)]
pub struct Passing {
    give: OwnedFd,
    take: OwnedFd,
    words: (OwnedFd, SharedWords),
}

impl Passing {
    /// Number of [`Passing::fds`].
    pub const DESCRIPTORS: usize = 3;

    /// An empty one.
    pub fn new() -> io::Result<Self> {
        let (give, take) = descriptors::packet_pair()?;
        let words = SharedWords::create("gilkeeper-room", WORDS)?;
        let mapped = SharedWords::map(&words)?;
        Ok(Self { give, take, words: (words, mapped) })
    }

    /// For a process: both ends, and the words.
    pub fn fds(&self) -> [BorrowedFd<'_>; Self::DESCRIPTORS] {
        [self.give.as_fd(), self.take.as_fd(), self.words.0.as_fd()]
    }

    /// The process of a worker has ended, and may have had no time to say so.
    pub fn forget(&self, worker: u64) {
        self.words.1[place(worker)].store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_process_has_no_room() {
        let passing = Passing::new().unwrap();
        let theirs = SharedWords::map(passing.fds()[2]).unwrap();
        for worker in [1, WORDS as u64 + 2] {
            theirs[place(worker)].store(1, Ordering::Relaxed);
        }
        passing.forget(WORDS as u64 + 2);
        let told: Vec<_> = [1, 2].map(|place| theirs[place].load(Ordering::Relaxed)).into();
        assert_eq!(told, [1, 0]);
    }
}
