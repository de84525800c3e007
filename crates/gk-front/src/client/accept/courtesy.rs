//! Which process of embedded mode accepts a connection. The kernel wakes all of them, and its requests stay with the one that takes it. So
//! a process whose request threads are all in use, of slow requests or because it hangs, lets those of the others accept first.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

use crate::front::Front;
use crate::process::readiness::watch_readable;
use crate::worker::pool::Pool;

/// How long the others are given. When their threads are all in use, too, a request would wait all the same.
const COURTESY: Duration = Duration::from_millis(20);
/// Connections that are accepted at once after that.
const BATCH: u32 = 32;

/// The turns of one listener.
pub struct Courtesy {
    socket: AsyncFd<OwnedFd>,
    /// Connections that may be accepted without another wait.
    left: Cell<u32>,
}

impl Courtesy {
    /// For a listening socket, if other processes have it, too.
    pub fn of(front: &Front, socket: &OwnedFd) -> io::Result<Option<Self>> {
        let current = front.current();
        let mut groups = current.compiled.site().groups.iter();
        if !front.embedded.get() || !groups.any(|group| !group.service() && group.processes > 1) {
            return Ok(None);
        }
        let socket = watch_readable(socket.try_clone()?)?;
        Ok(Some(Self { socket, left: Cell::new(0) }))
    }

    /// Waits until there is a connection that this process is to take.
    pub async fn turn(&self, front: &Front) -> io::Result<()> {
        loop {
            let mut readable = self.socket.readable().await?;
            if !self.is_somebody_there() {
                self.left.set(0);
                readable.clear_ready();
                continue;
            }
            let Some(pool) = busy_pool(front) else {
                self.left.set(0);
                return Ok(());
            };
            if let Some(left) = self.left.get().checked_sub(1) {
                self.left.set(left);
                return Ok(());
            }
            tokio::select! {
                () = pool.room() => {}
                () = tokio::time::sleep(COURTESY) => self.left.set(BATCH),
            }
        }
    }

    fn is_somebody_there(&self) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(self.socket.get_ref().as_fd(), PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// The process group, if no thread of this process is free for it.
fn busy_pool(front: &Front) -> Option<Rc<Pool>> {
    front.pools.borrow().values().find(|pool| !pool.has_room()).cloned()
}
