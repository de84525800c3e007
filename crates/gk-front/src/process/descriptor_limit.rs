//! The limit on open descriptors, and the reserve that connections leave to files, bodies on disk and the links of new
//! workers. Connections wait for a descriptor in `client/accept.rs`.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Descriptors that no connection takes; a quarter of the limit where that is less.
const RESERVE: u64 = 128;
/// Raises the soft limit to the hard one. Shells and service managers set 1024 because of `select`, which nothing here calls.
/// The admin process, the front's only child, inherits the limit.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    // Up to the hard limit this cannot fail; if it does, the old limit stays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// The limit; read each time, because it may be changed from outside.
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The number of connections that the last shortage of descriptors showed to be possible. The number of a new descriptor alone does
/// not tell: while one connection keeps a descriptor of the reserve, others get lower ones.
#[derive(Debug, Default)]
pub struct DescriptorRoom {
    most: Cell<Option<usize>>,
}

impl DescriptorRoom {
    /// A descriptor of the reserve was taken, with so many connections open before.
    pub fn note_shortage(&self, open: usize) {
        self.most.set(Some(self.most.get().map_or(open, |most| most.min(open))));
    }

    /// Whether there is no room for one more. With a quarter of them gone the shortage is over; without a connection nobody would make
    /// room.
    pub fn is_full(&self, open: usize) -> bool {
        let Some(most) = self.most.get() else { return false };
        if open == 0 || open < most - most / 4 {
            self.most.set(None);
            return false;
        }
        open >= most
    }
}

/// Whether a connection just accepted took a descriptor of the reserve. The kernel gives the lowest free number, so all below
/// it are open.
pub fn is_reserved(connection: impl AsFd) -> bool {
    let (number, limit) = (connection.as_fd().as_raw_fd() as u64, limit());
    number + 1 + RESERVE.min(limit / 4) > limit
}

/// Whether a call failed for lack of a descriptor, in this process or in the system.
pub fn are_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = Errno::from_io_error(error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_that_a_shortage_showed_holds_until_it_is_over() {
        let room = DescriptorRoom::default();
        assert!(!room.is_full(1_000_000));
        room.note_shortage(100);
        assert!(room.is_full(100) && !room.is_full(99) && room.is_full(100));
        // Files took more of the descriptors.
        room.note_shortage(90);
        room.note_shortage(95);
        assert!(room.is_full(90) && !room.is_full(80));
        assert!(!room.is_full(60) && !room.is_full(100));
        room.note_shortage(0);
        assert!(!room.is_full(0) && !room.is_full(1));
    }
}
