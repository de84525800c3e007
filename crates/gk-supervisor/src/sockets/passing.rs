//! The queue in which processes of embedded mode pass connections on to each other. It is kept here over their ends, and with it what waits
//! in it.

use gk_sys::descriptors;
use gk_sys::memory::SharedWords;
use gk_wire::passing::{WORDS, is_of, place};
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
        let word = &self.words.1[place(worker)];
        // Another one may have it now.
        let _ =
            word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| is_of(room, worker).then_some(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_wire::passing::room;

    #[test]
    fn an_ended_process_has_no_room() {
        let passing = Passing::new().unwrap();
        let theirs = SharedWords::map(passing.fds()[2]).unwrap();
        let late = WORDS as u64 + 1;
        for worker in [2, late] {
            theirs[place(worker)].store(room(7, worker), Ordering::Relaxed);
        }
        // The place of worker 1 is that of a later one.
        passing.forget(1);
        passing.forget(2);
        let told = [1, 2].map(|place| theirs[place].load(Ordering::Relaxed));
        assert_eq!(told, [room(7, late), 0]);
        passing.forget(late);
        assert_eq!(theirs[1].load(Ordering::Relaxed), 0);
    }
}
