//! Connections that go from one process of embedded mode to another. A request is answered where its connection is, so a kept connection
//! would wait for a thread of the process that has it, while others have nothing to do. A process whose request threads are all in use puts
//! a connection on which a request has just arrived into a queue that all processes have, and another one takes it as it takes a new one.
//! In a reload the old processes pass theirs on to the new ones. Here is the queue; who goes when is in [`crate::client::accept::moving`].
//!
//! Nothing of the request was read, and nothing else is known of the connection but how many requests it has had: so only plain HTTP/1.1
//! between two requests is passed on.

use gk_sys::memory::SharedWords;
use gk_sys::{descriptors, fork};
use gk_wire::passing::{self, Passed};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use crate::client::connection::Conn;

/// The queue, as this process has it.
pub struct Passing {
    give: OwnedFd,
    take: OwnedFd,
    /// Whether a process has a free thread, as far as it has noticed: a hint.
    room: SharedWords,
    /// The process's worker.
    worker: Cell<Option<u64>>,
    generation: u64,
    /// Requests wait for threads, and somebody waits until none does.
    awaited: Cell<bool>,
}

impl Passing {
    /// From both ends of the queue and the words about room. `generation`: of the site.
    pub fn new(give: OwnedFd, take: OwnedFd, room: OwnedFd, generation: u64) -> io::Result<Self> {
        for end in [&give, &take] {
            rustix::io::ioctl_fionbio(end, true)?;
        }
        let room = SharedWords::map(room)?;
        Ok(Self { give, take, room, worker: Cell::new(None), generation, awaited: Cell::new(false) })
    }

    /// From now on others may pass connections on to this process, which is that of the worker.
    pub fn begin(&self, worker: u64) {
        self.worker.set(Some(worker));
        self.tell(true);
    }

    /// Tells the others whether this process has room.
    pub fn tell(&self, has_room: bool) {
        let Some(worker) = self.worker.get() else { return };
        if let Some(word) = self.room.get(passing::place(worker)) {
            let room = if has_room { passing::room(self.generation, worker) } else { 0 };
            word.store(room, Ordering::Relaxed);
        }
    }

    /// Whether another process has room. One that `leaves` asks those that come after it.
    pub fn others_have_room(&self, leaves: bool) -> bool {
        let Some(own) = self.worker.get() else { return false };
        let mut told = self.room.iter().map(|word| word.load(Ordering::Relaxed)).filter(|word| *word != 0);
        told.any(|room| {
            if leaves { passing::generation(room) > self.generation } else { !passing::is_of(room, own) }
        })
    }

    /// Requests wait for threads of this process. Returns whether nobody knew.
    pub fn fall_behind(&self) -> bool {
        let is_new = !self.awaited.replace(true);
        if is_new {
            self.tell(false);
        }
        is_new
    }

    /// They do not any more.
    pub fn catch_up(&self, has_room: bool) {
        self.awaited.set(false);
        self.tell(has_room);
    }

    /// The end of the queue to take from.
    pub fn queue(&self) -> &OwnedFd {
        &self.take
    }

    /// Passes a connection on, if the queue has a place. The caller's end is to be closed then.
    pub fn pass(&self, listener: &str, conn: &Conn) -> bool {
        let passed = Passed { listener: listener.to_owned(), requests: conn.requests.get() };
        let message = gk_messages::encode(&passed);
        descriptors::send(&self.give, &message, &[conn.stream().as_fd()]).is_ok()
    }

    /// The next connection in the queue; `None`: there is none now, or no descriptor for it.
    pub fn next(&self) -> Option<(Passed, OwnedFd)> {
        // A descriptor that finds no place is lost. An application may take the place meanwhile, at the limit of descriptors.
        fork::withheld(&self.take).ok()?;
        let mut buffer = [0; passing::MOST_PASSED];
        let mut got = descriptors::receive(&self.take, &mut buffer, false).ok()?;
        gk_messages::decode(&buffer[..got.bytes]).ok().zip(got.fds.pop())
    }
}
