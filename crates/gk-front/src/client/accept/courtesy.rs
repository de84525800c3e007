//! Which process of embedded mode takes a connection. The kernel wakes all of them, and its request is served by the one that takes it. So
//! a process whose request threads are all in use, of slow requests or because it hangs, lets those of the others accept first.

use gk_sys::event_loop::spawn;
use gk_sys::fork;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

use crate::client::accept::passing::Passing;
use crate::front::Front;
use crate::process::readiness::watch_readable;
use crate::worker::pool::Pool;

/// How long the others are given. When their threads are all in use, too, a request would wait all the same.
const COURTESY: Duration = Duration::from_millis(20);
/// So often a process waits in which no request ends meanwhile: what it took then would wait for as long as those.
const MOST_WAITS: u32 = 10;
/// Connections that are accepted at once after that.
const BATCH: u32 = 32;

/// The turns of one listener.
pub struct Courtesy {
    socket: AsyncFd<OwnedFd>,
    /// Whether this process should wait, because of that process group.
    is_busy: fn(&Pool) -> bool,
    /// Connections that may be accepted without another wait.
    left: Cell<u32>,
    /// Waits in which no request ended.
    waits: Cell<u32>,
}

impl Courtesy {
    /// For a socket, if other processes have it, too. `is_busy`: whether a group's requests should rather go to another process.
    pub fn of(front: &Front, socket: &OwnedFd, is_busy: fn(&Pool) -> bool) -> io::Result<Option<Self>> {
        let current = front.current();
        let mut groups = current.compiled.site().groups.iter();
        if !front.embedded.get() || !groups.any(|group| group.embedded && group.processes > 1) {
            return Ok(None);
        }
        let socket = watch_readable(fork::withheld(socket)?)?;
        Ok(Some(Self { socket, is_busy, left: Cell::new(0), waits: Cell::new(0) }))
    }

    /// Waits until there is a connection that this process is to take.
    pub async fn turn(&self, front: &Rc<Front>) -> io::Result<()> {
        loop {
            let mut readable = self.socket.readable().await?;
            if !self.is_somebody_there() {
                self.left.set(0);
                self.waits.set(0);
                readable.clear_ready();
                continue;
            }
            let Some(pool) = group(front).filter(|pool| (self.is_busy)(pool)) else {
                self.left.set(0);
                return Ok(());
            };
            note_behind(front);
            if let Some(left) = self.left.get().checked_sub(1) {
                self.left.set(left);
                return Ok(());
            }
            let ended = front.finished.get();
            tokio::select! {
                () = pool.room() => {}
                () = tokio::time::sleep(COURTESY) => {
                    self.waits.set(self.waits.get() + 1);
                    if front.finished.get() != ended || self.waits.get() == MOST_WAITS {
                        self.waits.set(0);
                        self.left.set(BATCH);
                    }
                }
            }
        }
    }

    fn is_somebody_there(&self) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(self.socket.get_ref().as_fd(), PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// The process group of this process. Of what goes to others, no process is busier than another one.
fn group(front: &Front) -> Option<Rc<Pool>> {
    front.pool(&front.own_group.borrow())
}

/// Whether requests of this process should go to others.
pub fn is_behind(front: &Rc<Front>) -> bool {
    let is_behind = group(front).is_some_and(|pool| pool.is_behind());
    if is_behind {
        note_behind(front);
    }
    is_behind
}

/// Requests wait for threads of this process: others keep their connections until none does.
fn note_behind(front: &Rc<Front>) {
    if !front.passing.get().is_some_and(Passing::fall_behind) {
        return;
    }
    let front = Rc::clone(front);
    spawn(async move {
        while let Some(pool) = group(&front).filter(|pool| pool.is_behind()) {
            pool.room().await;
        }
        front.passing.get().into_iter().for_each(|passing| passing.catch_up(!front.stopping.get()));
    });
}
