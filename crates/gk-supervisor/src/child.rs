//! A running child as a process: its id and its control socket, with an outbox so that a child that does not read
//! never blocks the supervisor. The plan decides about children.

pub mod command;
pub mod setup;
pub mod start;

use gk_sys::descriptors;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most packets kept for a child that does not read.
const OUTBOX: usize = 1024;

/// A running child.
#[derive(Debug)]
pub struct Child {
    /// Its process id; it is ours to reap.
    pub pid: u32,
    /// A worker's scoreboard.
    pub scoreboard: Option<OwnedFd>,
    control: OwnedFd,
    outbox: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    /// The child has closed its end.
    closed: bool,
}

impl Child {
    /// A child that holds the other end of `control`.
    pub fn new(pid: u32, control: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&control, true)?;
        Ok(Self { pid, scoreboard: None, control, outbox: VecDeque::new(), closed: false })
    }

    /// Sends a message with descriptors, now or as soon as there is room.
    pub fn send<T: Serialize>(&mut self, message: &T, fds: Vec<OwnedFd>) {
        if !self.closed && self.outbox.len() < OUTBOX {
            self.outbox.push_back((gk_wire::control::encode(message), fds));
            self.flush();
        }
    }

    /// Sends waiting packets, as far as there is room.
    pub fn flush(&mut self) {
        while let Some((packet, fds)) = self.outbox.front() {
            let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            match descriptors::send(&self.control, packet, &borrowed) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Ok(_) => {}
                // It is dying: its last messages can still be read, and its end will be reported.
                Err(_) => return self.outbox.clear(),
            }
            self.outbox.pop_front();
        }
    }

    /// Whether something waits to be sent.
    pub fn waits(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether there may be something to read.
    pub fn open(&self) -> bool {
        !self.closed
    }

    /// The next message, `None` when there is none now. Undecodable packets are errors.
    pub fn receive<T: DeserializeOwned>(&mut self, buffer: &mut [u8]) -> Option<Result<T, String>> {
        if self.closed {
            return None;
        }
        match descriptors::receive(&self.control, buffer, false) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => {
                self.closed = true;
                None
            }
            Ok(got) if got.bytes == 0 => {
                self.closed = true;
                None
            }
            Ok(got) => Some(gk_wire::control::decode(&buffer[..got.bytes]).map_err(|e| e.to_string())),
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_does_not_read_blocks_nobody_and_gets_all_in_order() {
        let (ours, theirs) = descriptors::packet_pair().unwrap();
        let mut child = Child::new(1, ours).unwrap();
        let mut sent = 0u32;
        while !child.waits() {
            child.send(&sent, Vec::new());
            sent += 1;
        }
        let mut buffer = [0; 64];
        for expected in 0..sent {
            let got = descriptors::receive(&theirs, &mut buffer, true).unwrap();
            assert_eq!(gk_wire::control::decode::<u32>(&buffer[..got.bytes]).unwrap(), expected);
            child.flush();
        }
        assert!(!child.waits());
        for _ in 0..2 * OUTBOX {
            child.send(&0u32, Vec::new());
        }
        assert_eq!(child.outbox.len(), OUTBOX);
    }

    #[test]
    fn the_last_messages_of_a_dead_child_are_read_and_nothing_is_kept_for_it() {
        let (ours, theirs) = descriptors::packet_pair().unwrap();
        let mut child = Child::new(1, ours).unwrap();
        let mut buffer = [0; 64];
        assert!(child.receive::<u32>(&mut buffer).is_none() && child.open());
        descriptors::send(&theirs, &gk_wire::control::encode(&7u32), &[]).unwrap();
        descriptors::send(&theirs, b"from another version", &[]).unwrap();
        drop(theirs);
        child.send(&0u32, Vec::new());
        assert!(!child.waits());
        assert_eq!(child.receive::<u32>(&mut buffer), Some(Ok(7)));
        assert!(matches!(child.receive::<u32>(&mut buffer), Some(Err(_))));
        assert!(child.receive::<u32>(&mut buffer).is_none() && !child.open());
    }
}
