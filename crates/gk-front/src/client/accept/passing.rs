//! Connections that go from one process of embedded mode to another. A request is answered where its connection is, so a kept connection
//! would wait for a thread of the process that has it, while others have nothing to do. A process whose request threads are all in use puts
//! a connection on which a request has just arrived into a queue that all processes have, and another one takes it as it takes a new one.
//! In a reload the old processes pass theirs on to the new ones.
//!
//! Nothing of the request was read, and nothing else is known of the connection but how many requests it has had: so only plain HTTP/1.1
//! between two requests is passed on.

use gk_sys::descriptors;
use gk_sys::memory::SharedWords;
use gk_wire::passing::{self, Passed};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::spawn_local;

use crate::client::accept::courtesy::{Courtesy, group};
use crate::client::connection::Conn;
use crate::client::stream::socket::Socket;
use crate::front::Front;
use crate::worker::pool::Pool;

/// After a look at the queue that has brought nothing.
const PAUSE: Duration = Duration::from_millis(1);

/// The queue, as this process has it.
pub struct Passing {
    give: OwnedFd,
    take: OwnedFd,
    /// Whether a process has a free thread, as far as it has noticed: a hint.
    room: SharedWords,
    /// The process's worker.
    worker: Cell<Option<u64>>,
    generation: u64,
    /// Room is waited for.
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

    fn tell(&self, has_room: bool) {
        let Some(worker) = self.worker.get() else { return };
        if let Some(word) = self.room.get(passing::place(worker)) {
            let room = if has_room { passing::room(self.generation, worker) } else { 0 };
            word.store(room, Ordering::Relaxed);
        }
    }

    /// Whether another process has room. One that `leaves` asks those that come after it.
    fn others_have_room(&self, leaves: bool) -> bool {
        let Some(own) = self.worker.get() else { return false };
        let mut told = self.room.iter().map(|word| word.load(Ordering::Relaxed)).filter(|word| *word != 0);
        told.any(|room| {
            if leaves { passing::generation(room) > self.generation } else { !passing::is_of(room, own) }
        })
    }

    /// Requests wait for threads of this process: others keep their connections until none does.
    pub fn note_behind(&self, front: &Rc<Front>) {
        if self.awaited.replace(true) {
            return;
        }
        self.tell(false);
        let front = Rc::clone(front);
        spawn_local(async move {
            while let Some(pool) = group(&front).filter(|pool| pool.is_behind()) {
                pool.room().await;
            }
            if let Some(passing) = front.passing.get() {
                passing.awaited.set(false);
                passing.tell(!front.stopping.get());
            }
        });
    }

    /// Whether requests of this process should go to others.
    fn is_behind(&self, front: &Rc<Front>) -> bool {
        let is_behind = group(front).is_some_and(|pool| pool.is_behind());
        if is_behind {
            self.note_behind(front);
        }
        is_behind
    }

    /// Whether a connection is to go to another process now.
    pub fn wants(&self, front: &Rc<Front>, conn: &Conn) -> bool {
        if !conn.may_be_passed_on() {
            return false;
        }
        let leaves = front.stopping.get();
        let goes = if leaves { front.is_patient.get() } else { self.is_behind(front) };
        goes && self.others_have_room(leaves) && conn.stream().socket().has_request()
    }

    /// Passes a connection on, if the queue has a place. The caller's end is to be closed then.
    pub fn pass(&self, front: &Front, conn: &Conn) -> bool {
        let listener = front.listeners.get(conn.endpoints.listener).map(|one| one.address.clone());
        let passed = Passed { listener: listener.unwrap_or_default(), requests: conn.requests.get() };
        let message = gk_messages::encode(&passed);
        descriptors::send(&self.give, &message, &[conn.stream().as_fd()]).is_ok()
    }

    /// The next connection in the queue; `None`: there is none now, or no descriptor for it.
    fn next(&self) -> Option<(Passed, OwnedFd)> {
        // A descriptor that finds no place is lost. Nobody else opens any in the table of this thread.
        rustix::io::dup(&self.take).ok()?;
        let mut buffer = [0; passing::MOST_PASSED];
        let mut got = descriptors::receive(&self.take, &mut buffer, false).ok()?;
        gk_messages::decode(&buffer[..got.bytes]).ok().zip(got.fds.pop())
    }
}

/// Takes connections out of the queue until the front stops, and then those that are left.
pub async fn take(front: Rc<Front>) -> io::Result<()> {
    let Some(passing) = front.passing.get() else { return Ok(()) };
    let Some(courtesy) = Courtesy::of(&front, &passing.take, Pool::is_behind)? else { return Ok(()) };
    while !front.stopping.get() {
        tokio::select! {
            biased;
            () = front.stop.notified() => break,
            turn = courtesy.turn(&front) => turn?,
        }
        match passing.next() {
            Some((passed, socket)) => open(&front, &passed, socket),
            // Another process was quicker, or descriptors are short.
            None => tokio::time::sleep(PAUSE).await,
        }
        // Its request takes a thread, maybe the last one.
        tokio::task::yield_now().await;
    }
    passing.tell(false);
    while let Some((passed, socket)) = passing.next() {
        open(&front, &passed, socket);
    }
    Ok(())
}

/// Serves a connection from its next request on. It was admitted once, and the server has no more connections than before: so no bound
/// refuses it here, nor does another one give way.
fn open(front: &Rc<Front>, passed: &Passed, socket: OwnedFd) {
    // A client may have gone meanwhile.
    let Ok((socket, mut endpoints)) = Socket::of(socket) else { return };
    // A listener that a reload has taken away spoke what the first speaks: plain HTTP.
    let listener = front.listeners.iter().position(|one| one.address == passed.listener);
    endpoints.listener = listener.unwrap_or_default();
    let current = front.current();
    let place = front.addresses.readmit(current.compiled.site(), endpoints.address);
    super::open(front, socket, endpoints, place, Some(passed.requests));
}
