//! A table of descriptors for one thread. Threads of a process share one table, unless one takes a table of its own: what it opens
//! from then on is open in no other thread. So the clients' connections of a thread are neither inherited by the children that an
//! application forks nor open to its `close()`, and their numbers do not fill up what `select()` can name.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// First number that is no standard stream.
const FIRST: u32 = 3;

/// The copies that a thread's descriptors have left behind in the table that it shared before. [`LeftBehind::close`] is for one of the
/// threads that share it.
#[derive(Debug)]
pub struct LeftBehind(Vec<RawFd>);

impl LeftBehind {
    /// Closes them.
    pub fn close(self) {
        for number in self.0 {
            // SAFETY: the number is open in this table, and its owner is in another table now (`take_own`), so nobody closes it twice.
            let _ = unsafe { libc::close(number) };
        }
    }
}

/// Gives the calling thread a table of its own, with the standard streams and these descriptors only. Threads that it starts later
/// share it. After an error nothing has changed. It needs Linux 5.9.
pub fn take_own(kept: &[OwnedFd]) -> io::Result<LeftBehind> {
    let mut numbers: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd().unsigned_abs()).collect();
    numbers.sort_unstable();
    let above = numbers.last().map_or(FIRST, |last| last + 1).max(FIRST);
    close_range(above, u32::MAX, libc::CLOSE_RANGE_UNSHARE)?;
    let mut from = FIRST;
    for number in &numbers {
        if *number > from {
            // In a table of one's own this closes copies only; it cannot fail for numbers in this order.
            let _ = close_range(from, number - 1, 0);
        }
        from = from.max(number + 1);
    }
    Ok(LeftBehind(kept.iter().map(AsRawFd::as_raw_fd).collect()))
}

/// glibc has a function for it since 2.34 only.
fn close_range(first: u32, last: u32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: numbers only. The first call gives this thread a copy of the table, and the others run when it has one: what they close
    // stays open for every other thread, which owns it.
    let code = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::{receive, send, stream_pair};
    use std::os::fd::AsFd;
    use std::sync::mpsc::channel;

    #[test]
    fn what_a_thread_opens_is_open_in_no_other_one() {
        let (ours, theirs) = stream_pair().unwrap();
        let (other, peer) = stream_pair().unwrap();
        let number = other.as_raw_fd();
        let (tell, told) = channel();
        let (go, wait) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let kept = [theirs];
            tell.send(take_own(&kept)).unwrap();
            wait.recv().unwrap();
            // SAFETY: the borrow lasts for this one call, and a number that is not open only gives EBADF.
            let probe = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            let is_closed = rustix::io::fcntl_getfd(probe).is_err();
            // What this end gets from now on is this thread's alone.
            let got = receive(&kept[0], &mut [0; 8], true).unwrap();
            assert_eq!((got.bytes, got.fds.len(), is_closed), (1, 1, true));
            assert_eq!(send(&got.fds[0], b"y", &[]).unwrap(), 1);
        });
        told.recv().unwrap().unwrap().close();
        // The thread has closed its copy, so this one is the last.
        go.send(()).unwrap();
        let (sent, mine) = stream_pair().unwrap();
        send(&ours, b"x", &[sent.as_fd()]).unwrap();
        drop(sent);
        assert_eq!(receive(&mine, &mut [0; 8], true).unwrap().bytes, 1);
        thread.join().unwrap();
        // Every copy is gone with the thread's table.
        assert_eq!(receive(&mine, &mut [0; 8], true).unwrap().bytes, 0);
        drop(other);
        assert_eq!(receive(&peer, &mut [0; 8], true).unwrap().bytes, 0);
        assert_eq!(send(&ours, b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
