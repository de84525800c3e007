//! A running child as a process: its id and its control socket, with an outbox so that a child that does not read
//! never blocks the supervisor. The plan decides about children.

pub mod command;
pub mod conduct;
pub mod setup;
pub mod start;

use conduct::Conduct;
use gk_messages::{Message, decode, encode};
use gk_sys::descriptors;
use gk_wire::control::ToFront;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Packets that wait for a child that does not read, above which it gets only those that it cannot do without.
const OUTBOX: usize = 1024;
/// Bytes of a description of a malformed packet that are kept: it quotes the packet.
const MOST_WORDS: usize = 200;

/// A packet that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadPacket {
    /// It cannot be decoded.
    Malformed(String),
    /// It is more than any child has reason to send; nothing more is read.
    Abuse(String),
}

/// A running child.
#[derive(Debug)]
pub struct Child {
    /// Its process id; it is ours to reap.
    pub pid: u32,
    /// A worker's process group.
    pub process_group: String,
    /// A worker's scoreboard.
    pub scoreboard: Option<OwnedFd>,
    /// A worker that speaks HTTP itself.
    pub embedded: bool,
    /// What the front was told of a worker when it was linked with it.
    pub introduced: Option<ToFront>,
    /// A worker that was told to leave or to stop.
    pub leaves: bool,
    /// It has the queue of connections that go from one process to another.
    pub passes_on: bool,
    control: OwnedFd,
    outbox: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    /// The child has closed its end.
    closed: bool,
    /// Kept of a worker.
    pub conduct: Option<Conduct>,
}

impl Child {
    /// A child that holds the other end of `control`.
    pub fn new(pid: u32, control: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&control, true)?;
        Ok(Self {
            pid,
            process_group: String::new(),
            scoreboard: None,
            embedded: false,
            introduced: None,
            leaves: false,
            passes_on: false,
            control,
            outbox: VecDeque::new(),
            closed: false,
            conduct: None,
        })
    }

    /// Sends a message with descriptors, now or as soon as there is room. It is never lost while the child lives.
    pub fn send<T: Message>(&mut self, message: &T, fds: Vec<OwnedFd>) {
        if !self.closed {
            self.outbox.push_back((encode(message), fds));
            self.flush();
        }
    }

    /// Sends a message that the child can do without, unless many wait.
    pub fn mention<T: Message>(&mut self, message: &T) {
        if self.outbox.len() < OUTBOX {
            self.send(message, Vec::new());
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

    /// The next message, `None` when there is none now.
    pub fn receive<T: Message>(&mut self, buffer: &mut [u8], now: Duration) -> Option<Result<T, BadPacket>> {
        if self.closed {
            return None;
        }
        match descriptors::receive_bytes(&self.control, buffer) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => {
                self.closed = true;
                None
            }
            Ok(0) => {
                self.closed = true;
                None
            }
            Ok(bytes) => {
                let message = decode::<T>(&buffer[..bytes]);
                let conduct = self.conduct.as_mut();
                if let Some(why) = conduct.and_then(|conduct| conduct.packet(bytes, message.is_ok(), now)) {
                    self.closed = true;
                    return Some(Err(BadPacket::Abuse(why)));
                }
                Some(message.map_err(|error| {
                    let mut text = error.to_string();
                    text.truncate(text.floor_char_boundary(MOST_WORDS));
                    BadPacket::Malformed(text)
                }))
            }
        }
    }
}

impl fmt::Display for BadPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) | Self::Abuse(why) => f.write_str(why),
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
    use gk_wire::control::ToWorker;

    fn numbered(token: u64) -> ToWorker {
        ToWorker::Status { token }
    }

    #[test]
    fn a_child_that_does_not_read_blocks_nobody_and_gets_all_in_order() {
        let (ours, theirs) = descriptors::packet_pair().unwrap();
        let mut child = Child::new(1, ours).unwrap();
        let mut sent = 0;
        while !child.waits() {
            child.send(&numbered(sent), Vec::new());
            sent += 1;
        }
        let mut buffer = [0; 64];
        for expected in 0..sent {
            let got = descriptors::receive(&theirs, &mut buffer, true).unwrap();
            assert_eq!(decode::<ToWorker>(&buffer[..got.bytes]).unwrap(), numbered(expected));
            child.flush();
        }
        assert!(!child.waits());
    }

    /// Reported: a front that did not read for a while never heard of the workers that were started meanwhile. Met after its process
    /// was stopped.
    #[test]
    fn a_child_that_does_not_read_loses_only_what_it_can_do_without() {
        let (ours, _theirs) = descriptors::packet_pair().unwrap();
        let mut child = Child::new(1, ours).unwrap();
        while child.outbox.len() < OUTBOX {
            child.mention(&numbered(0));
        }
        child.mention(&numbered(0));
        assert_eq!(child.outbox.len(), OUTBOX);
        child.send(&numbered(0), Vec::new());
        assert_eq!(child.outbox.len(), OUTBOX + 1);
    }

    #[test]
    fn the_last_messages_of_a_dead_child_are_read_and_nothing_is_kept_for_it() {
        let (ours, theirs) = descriptors::packet_pair().unwrap();
        let mut child = Child::new(1, ours).unwrap();
        let mut buffer = [0; 64];
        let now = Duration::ZERO;
        assert!(child.receive::<ToWorker>(&mut buffer, now).is_none() && child.open());
        descriptors::send(&theirs, &encode(&numbered(7)), &[]).unwrap();
        descriptors::send(&theirs, b"from another version", &[]).unwrap();
        drop(theirs);
        child.send(&numbered(0), Vec::new());
        assert!(!child.waits());
        assert_eq!(child.receive::<ToWorker>(&mut buffer, now), Some(Ok(numbered(7))));
        assert!(matches!(child.receive::<ToWorker>(&mut buffer, now), Some(Err(BadPacket::Malformed(_)))));
        assert!(child.receive::<ToWorker>(&mut buffer, now).is_none() && !child.open());
    }

    #[test]
    fn nothing_more_is_read_of_a_child_that_abuses_its_socket() {
        let (ours, theirs) = descriptors::packet_pair().unwrap();
        let mut child = Child::new(1, ours).unwrap();
        child.conduct = Some(Conduct::default());
        let mut buffer = [0; 1024];
        let mut malformed = 0;
        loop {
            descriptors::send(&theirs, &[b'x'; 1000], &[]).unwrap();
            match child.receive::<ToWorker>(&mut buffer, Duration::ZERO) {
                Some(Err(BadPacket::Malformed(why))) => {
                    malformed += 1;
                    assert!(why.len() <= MOST_WORDS);
                }
                Some(Err(BadPacket::Abuse(why))) => break assert!(why.contains("messages that are none")),
                other => panic!("{other:?}"),
            }
        }
        assert!(malformed > 0 && !child.open());
        assert!(child.receive::<ToWorker>(&mut buffer, Duration::ZERO).is_none());
    }
}
