//! One end of a link's transport: two rings of bytes in memory that both processes map, and a socket beside them. The rings
//! carry the frames; the socket carries a byte to whoever sleeps, descriptors, and the news that the other end is gone. Large
//! pieces of bodies lie beside the rings ([`blocks`]).
//! `gk-wire` gives the bytes a meaning; callers decide when to wake the other end.
//!
//! The words of a ring, who writes them and how a sleeping side is woken are described in `channel/handshake.rs`.
//!
//! The other process may die anywhere, and a worker may be in the hands of somebody else: counters that make no sense end the
//! link, and so do bells that this end never asked for.

use self::blocks::Blocks;
use crate::descriptors::{self, Received};
use crate::fork::Withheld;
use crate::memory::page::{RING, SharedPage};
use handshake::Handshake;
use rustix::event::{PollFd, PollFlags};
use rustix::thread::futex;
use rustix::time::Timespec;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub mod blocks;
mod handshake;
#[cfg(all(test, loom))]
mod model;
mod units;

/// The atomics of `handshake` and `units`: the model has loom's in their place.
mod atomics {
    pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, fence};
}

/// Which end of a link this process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The front: what it writes goes into the first ring.
    Front,
    /// The worker.
    Worker,
}

/// Longest sleep of a writer before it checks that the other end still lives.
const LOOK: Duration = Duration::from_millis(100);

/// Calls of the kernel that one [`Receiver::listen`] makes at most: a peer that writes without pause must not keep it.
const LISTENS: usize = 16;
/// Bells without being asked that are overlooked.
const UNASKED: u64 = 256;

/// Shared by both halves.
#[derive(Debug, Clone)]
struct Shared {
    /// At the worker's end: children that its application forks get neither page nor socket. Dropped before both.
    _withheld: Option<Arc<[Withheld; 2]>>,
    page: Arc<SharedPage>,
    socket: Arc<OwnedFd>,
    end: End,
    /// Times this end has asked for a bell: one is due for each.
    asked: Arc<AtomicU64>,
}

/// The writing half.
#[derive(Debug)]
pub struct Sender(Shared);

/// Room in the ring that this process writes.
#[derive(Debug, Clone)]
pub struct Room(Shared);

/// The reading half.
#[derive(Debug)]
pub struct Receiver {
    shared: Shared,
    ended: bool,
    files: VecDeque<Carried>,
    /// Bytes that came through the socket without a descriptor.
    bells: u64,
    /// More may lie in the socket than the last [`Receiver::listen`] took.
    more: bool,
}

/// A descriptor that the other end sent, or its loss.
#[derive(Debug)]
pub enum Carried {
    /// It came.
    File(OwnedFd),
    /// This process has as many open as it may: the kernel closed it.
    Lost,
}

/// The reading side for the code that decides when this process sleeps.
#[derive(Debug, Clone)]
pub struct Watch(Shared);

/// Takes over one end of a link.
pub fn open(socket: OwnedFd, page: SharedPage, end: End) -> (Sender, Receiver) {
    let withheld = (end == End::Worker).then(|| Arc::new([page.withhold(), Withheld::descriptor(&socket)]));
    let (page, socket) = (Arc::new(page), Arc::new(socket));
    let shared = Shared { _withheld: withheld, page, socket, end, asked: Arc::default() };
    let receiver =
        Receiver { shared: shared.clone(), ended: false, files: VecDeque::new(), bells: 0, more: false };
    (Sender(shared), receiver)
}

impl Shared {
    /// The ring that this end reads (or the one that it writes).
    fn ring(&self, reads: bool) -> usize {
        usize::from(reads == (self.end == End::Front))
    }

    fn words(&self, ring: usize) -> Handshake<'_> {
        // After the first 64 words, which are `gk_wire::page`'s: a cache line for each.
        let first = 64 + ring * 32;
        Handshake {
            written: self.page.word(first),
            read: self.page.word(first + 8),
            asleep: self.page.word(first + 16),
            cramped: self.page.half(first + 24),
            capacity: RING as u64,
        }
    }

    /// The poll flags of the socket at this moment.
    fn state(&self, asked: PollFlags) -> PollFlags {
        let mut poll = [PollFd::new(&*self.socket, asked)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A call that fails tells nothing; whoever asks looks again.
        let _ = rustix::event::poll(&mut poll, Some(&now));
        poll[0].revents()
    }

    /// This end is about to ask for a bell.
    fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    fn ring_bell(&self) {
        // A socket that is full of bells wakes as well; one that is gone is noticed by the reader.
        let _ = descriptors::try_send(&*self.socket, &[1]);
    }
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the counters of the shared ring make no sense")
}

impl Sender {
    /// Copies as many bytes into the ring as fit and returns their number. Wakes nobody.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let ring = self.0.ring(false);
        let words = self.0.words(ring);
        let free = words.free().ok_or_else(nonsense)?;
        let count = bytes.len().min(free.len as usize);
        if count > 0 {
            self.0.page.put(ring, free.start as usize % RING, &bytes[..count]);
            words.fill(free, count as u64);
        }
        Ok(count)
    }

    /// Wakes the other end, if it sleeps.
    pub fn wake(&self) {
        if self.0.words(self.0.ring(false)).takes_sleeper() {
            self.0.ring_bell();
        }
    }

    /// Sends descriptors. They arrive before the bytes that are pushed afterwards.
    pub fn attach(&self, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        descriptors::send(&*self.0.socket, &[1], files).map(|_| ())
    }

    /// A handle for blocks, without this half.
    pub fn blocks(&self) -> Blocks {
        Blocks(self.0.clone())
    }

    /// A handle for waiting until the ring has space, without this half.
    pub fn room(&self) -> Room {
        Room(self.0.clone())
    }

    /// Sends all of it and wakes the other end. Blocks. `BrokenPipe` when the other end is gone.
    pub fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = self.push(bytes)?;
            bytes = &bytes[count..];
            self.wake();
            if !bytes.is_empty() {
                let room = self.room();
                room.wait();
                if room.peer_closed() {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
        }
        Ok(())
    }
}

impl Room {
    /// Says that this end waits until half of the ring is free. `true`: it is.
    pub fn want(&self) -> bool {
        self.0.ask();
        self.0.words(self.0.ring(false)).has_space()
    }

    /// Waits until there is room, or the other end is gone. Blocks.
    pub fn wait(&self) {
        let words = self.0.words(self.0.ring(false));
        while !self.want() && !self.peer_closed() {
            let timeout = Timespec { tv_sec: 0, tv_nsec: LOOK.as_nanos() as i64 };
            // Whatever ends the wait, the next turn looks.
            let _ = futex::wait(words.cramped, futex::Flags::empty(), 1, Some(&timeout));
        }
    }

    /// True once the other end is closed.
    pub fn peer_closed(&self) -> bool {
        let gone = PollFlags::HUP | PollFlags::ERR;
        self.0.state(PollFlags::empty()).intersects(gone)
    }
}

impl Receiver {
    /// The socket: readable when there is a bell, a descriptor, or the end.
    pub fn socket(&self) -> &Arc<OwnedFd> {
        &self.shared.socket
    }

    /// A watch over what this half reads.
    pub fn watch(&self) -> Watch {
        Watch(self.shared.clone())
    }

    /// Copies bytes out of the ring without waiting and returns their number.
    pub fn pull(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ring = self.shared.ring(true);
        let words = self.shared.words(ring);
        let filled = words.filled().ok_or_else(nonsense)?;
        let count = buffer.len().min(filled.len as usize);
        if count == 0 {
            return Ok(0);
        }
        self.shared.page.take(ring, filled.start as usize % RING, &mut buffer[..count]);
        if words.free_and_takes_waiter(filled, count as u64) {
            // A thread that waits in `Room::wait`; another one may be reading its socket.
            let _ = futex::wake(words.cramped, futex::Flags::empty(), u32::MAX);
            if self.shared.end == End::Worker {
                // The front waits for its socket.
                self.shared.ring_bell();
            }
        }
        Ok(count)
    }

    /// Takes what lies in the socket: descriptors and bells. `wait`: blocks until there is something; `WouldBlock` says
    /// that there is nothing. Gives whether the other end is gone. [`Receiver::has_more`] says whether that was all of it.
    pub fn listen(&mut self, mut wait: bool) -> io::Result<bool> {
        self.more = false;
        for _ in 0..LISTENS {
            let mut bells = [0; 64];
            let received = match descriptors::receive(&*self.shared.socket, &mut bells, wait) {
                // The other end is closed, and has not heard our last bell.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Received::default(),
                received => received?,
            };
            let Received { bytes, fds, cut } = received;
            self.ended |= bytes == 0;
            // The message that brings descriptors has one byte.
            let with_files = u64::from(cut || !fds.is_empty());
            self.bells = self.bells.saturating_add((bytes as u64).saturating_sub(with_files));
            if self.bells > self.shared.asked.load(Ordering::Relaxed).saturating_add(UNASKED) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the other end rings without being asked",
                ));
            }
            // Descriptors end a message early: there may be more.
            if self.ended || (fds.is_empty() && !cut && bytes < bells.len()) {
                return Ok(self.ended);
            }
            self.files.extend(fds.into_iter().map(Carried::File));
            if cut {
                self.files.push_back(Carried::Lost);
            }
            if !self.shared.state(PollFlags::IN).contains(PollFlags::IN) {
                return Ok(self.ended);
            }
            wait = false;
        }
        self.more = true;
        Ok(self.ended)
    }

    /// Whether more may lie in the socket than the last [`Receiver::listen`] took.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// The descriptors that came and that nobody has asked for yet.
    pub fn held(&self) -> usize {
        self.files.len()
    }

    /// The descriptor that came first.
    pub fn file(&mut self) -> Option<Carried> {
        if self.files.is_empty() {
            // It was sent before the bytes that speak of it; only the order in which this end reads may be another.
            let _ = self.listen(false);
        }
        self.files.pop_front()
    }

    /// Takes bytes; 0 is the end of the stream. `wait`: blocks until there are some; otherwise `WouldBlock` says that there
    /// are none.
    pub fn receive(&mut self, buffer: &mut [u8], wait: bool) -> io::Result<usize> {
        loop {
            let count = self.pull(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            // What was written before the end is read before the end.
            if self.ended {
                return self.pull(buffer);
            }
            self.shared.ask();
            if wait && !self.watch_words().may_sleep() {
                continue;
            }
            let heard = self.listen(wait);
            self.watch_words().awake();
            heard?;
        }
    }

    fn watch_words(&self) -> Handshake<'_> {
        self.shared.words(self.shared.ring(true))
    }
}

impl Watch {
    /// The socket: readable when there is a bell, a descriptor, or the end.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }

    /// Whether there are bytes to read.
    pub fn has_bytes(&self) -> bool {
        self.0.words(self.0.ring(true)).has_bytes()
    }

    /// Says that this process will sleep until its socket is readable. `false`: it must not, there are bytes.
    pub fn sleep(&self) -> bool {
        self.0.ask();
        self.0.words(self.0.ring(true)).may_sleep()
    }

    /// The reader is awake again: the writer need not ring.
    pub fn awake(&self) {
        self.0.words(self.0.ring(true)).awake();
    }

    /// Ends reading: a thread that waits in [`Receiver::receive`] finds the end of the stream.
    pub fn shut(&self) {
        let _ = rustix::net::shutdown(self.0.socket.as_fd(), rustix::net::Shutdown::Read);
    }

    /// Ends the socket in both directions: the other end sees it as closed.
    pub fn end(&self) {
        let _ = rustix::net::shutdown(self.0.socket.as_fd(), rustix::net::Shutdown::Both);
    }

    /// A word of the shared page.
    ///
    /// # Panics
    /// When `index` is not below 64.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < 64, "word {index} belongs to the rings");
        self.0.page.word(index)
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
