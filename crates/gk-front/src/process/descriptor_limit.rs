//! The limit on open descriptors, and the reserve that connections leave to files, bodies on disk and the links of new
//! workers. Connections wait for a descriptor in `client/accept.rs`.

use rustix::process::{Resource, getrlimit};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Descriptors that no connection takes; a quarter of the limit where that is less.
const RESERVE: u64 = 128;

/// Raises the soft limit to the hard one. Shells and service managers set 1024 because of `select`, which nothing here calls.
/// The admin process, the front's only child, inherits the limit.
pub fn raise() {
    gk_sys::descriptors::raise_limit();
}

/// The limit; read each time, because it may be changed from outside.
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Milliseconds without a shortage after which one more connection is tried.
const RETRY: u64 = 1_000;

/// The number of connections that the last shortage of descriptors showed to be possible. The number of a new descriptor alone does
/// not tell: while one connection keeps a descriptor of the reserve, others get lower ones.
#[derive(Debug, Default)]
pub struct DescriptorRoom {
    most: Cell<Option<usize>>,
    /// Coarse time of the last shortage or rise.
    since: Cell<u64>,
    /// Connections by which `most` rises next: twice as many each time.
    step: Cell<usize>,
}

impl DescriptorRoom {
    /// A descriptor of the reserve was taken, with so many connections open before, at the coarse time `now`.
    pub fn note_shortage(&self, open: usize, now: u64) {
        self.most.set(Some(self.most.get().map_or(open, |most| most.min(open))));
        self.since.set(now);
        self.step.set(1);
    }

    /// Whether there is no room for one more. With a quarter of them gone the shortage is over; without a connection nobody would make
    /// room. What files and links took may come back while every connection stays, so from time to time `is_free` is asked whether
    /// there is a descriptor.
    pub fn is_full(&self, open: usize, now: u64, is_free: impl FnOnce() -> bool) -> bool {
        let Some(most) = self.most.get() else { return false };
        if open == 0 || open < most - most / 4 {
            self.most.set(None);
            return false;
        }
        if open < most {
            return false;
        }
        if now.saturating_sub(self.since.get()) < RETRY {
            return true;
        }
        self.since.set(now);
        if !is_free() {
            return true;
        }
        self.most.set(Some(open + self.step.get()));
        self.step.set(2 * self.step.get());
        false
    }
}

/// Whether a new descriptor would not be one of the reserve. `any`: one to copy.
pub fn is_free(any: impl AsFd) -> bool {
    any.as_fd().try_clone_to_owned().is_ok_and(|copy| !is_reserved(copy))
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
        let full = |open| room.is_full(open, 0, || true);
        assert!(!full(1_000_000));
        room.note_shortage(100, 0);
        assert!(full(100) && !full(99) && full(100));
        // Files took more of the descriptors.
        room.note_shortage(90, 0);
        room.note_shortage(95, 0);
        assert!(full(90) && !full(80));
        assert!(!full(60) && !full(100));
        room.note_shortage(0, 0);
        assert!(!full(0) && !full(1));
    }

    /// Reported: after files had taken the descriptors for a moment, new connections waited until a quarter of the others was gone.
    /// Met with many slow readers beside connections that stay.
    #[test]
    fn room_that_comes_back_is_found_although_every_connection_stays() {
        let room = DescriptorRoom::default();
        room.note_shortage(100, 5_000);
        assert!(room.is_full(100, 5_999, || true));
        assert!(room.is_full(100, 6_000, || false) && room.is_full(100, 6_999, || true));
        // Step by step, and each is twice as long.
        assert!(!room.is_full(100, 7_000, || true) && room.is_full(101, 7_999, || true));
        assert!(!room.is_full(101, 8_000, || true) && !room.is_full(102, 8_001, || true));
        assert!(room.is_full(103, 8_002, || true));
        room.note_shortage(103, 8_100);
        assert!(room.is_full(103, 9_099, || true) && !room.is_full(103, 9_100, || true));
        assert!(room.is_full(104, 9_101, || true), "one again");
    }
}
