//! Signals taken by a handler, for a process that must not block signals: programs that an application starts would inherit
//! the mask, while handlers end at exec. The handler only notes the number and wakes a descriptor. Descriptors for
//! processes that run nothing foreign are in [`crate::signal`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// The signals that have arrived and were not taken, one bit each.
static ARRIVED: AtomicU64 = AtomicU64::new(0);
/// Number of the descriptor that the handler wakes.
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// The process the handlers are for: a fork of it must not be taken for it.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Keeps the descriptor open for as long as the process lives, since a handler may run at any time.
static KEPT: OnceLock<OwnedFd> = OnceLock::new();

/// The signals of this process that a handler takes.
#[derive(Debug)]
pub struct SignalHandler {
    wake: &'static OwnedFd,
}

impl SignalHandler {
    /// Installs the handler for these signals. System calls of the application are restarted, not interrupted.
    ///
    /// A fork that runs on without exec (`multiprocessing`) meets these signals as if they had no handler. An interrupt
    /// or hang-up that a terminal sent to the whole job is left to the supervisor, which gets it too.
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let wake = match KEPT.get() {
            Some(wake) => wake,
            None => {
                use rustix::event::{EventfdFlags, eventfd};
                let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
                KEPT.get_or_init(|| made)
            }
        };
        WAKE.store(std::os::fd::AsRawFd::as_raw_fd(wake), Ordering::SeqCst);
        OWNER.store(std::process::id().cast_signed(), Ordering::SeqCst);
        for signal in signals {
            install(*signal)?;
        }
        Ok(Self { wake })
    }

    /// The signals that have arrived, without waiting; several of the same number may be one.
    pub fn take(&self) -> Vec<i32> {
        let mut count = [0; 8];
        // Before the numbers are taken: a signal in between makes it readable again.
        let _ = rustix::io::read(self.wake, &mut count);
        let arrived = ARRIVED.swap(0, Ordering::SeqCst);
        (1..64).filter(|signal| arrived & (1 << signal) != 0).collect()
    }
}

impl AsFd for SignalHandler {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

fn install(signal: i32) -> io::Result<()> {
    // SAFETY: `sigaction` is plain data for which all-zero is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the action is a live local value whose handler does only what a handler may do.
    match unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Only async-signal-safe calls: getpid, signal, raise, write; no allocation, no lock.
extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: errno's address is valid for as long as the thread lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the address is valid and belongs to this thread.
    let before = unsafe { *errno };
    // SAFETY: getpid has no preconditions.
    if unsafe { libc::getpid() } == OWNER.load(Ordering::SeqCst) {
        // SAFETY: the kernel gives a handler with SA_SIGINFO a valid record.
        let from_terminal = unsafe { (*info).si_code } == libc::SI_KERNEL;
        if !(from_terminal && matches!(signal, libc::SIGINT | libc::SIGHUP)) {
            ARRIVED.fetch_or(1 << signal, Ordering::SeqCst);
            let one = 1u64.to_ne_bytes();
            // SAFETY: the buffer is a live local value of that length; the descriptor is never closed.
            let _ = unsafe { libc::write(WAKE.load(Ordering::SeqCst), one.as_ptr().cast(), one.len()) };
        }
    } else {
        // SAFETY: SIG_DFL runs no code of ours.
        let _ = unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: blocked until this handler returns, then met by the default action.
        let _ = unsafe { libc::raise(signal) };
    }
    // SAFETY: the address is valid and belongs to this thread.
    unsafe { *errno = before };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_arrive_wake_and_leave_children_alone() {
        let caught = SignalHandler::new(&[libc::SIGUSR2, libc::SIGTERM]).unwrap();
        assert!(caught.take().is_empty());
        // SAFETY: sends a signal that has a handler to the calling thread.
        assert_eq!(unsafe { libc::raise(libc::SIGUSR2) }, 0);
        let mut polled = [rustix::event::PollFd::new(&caught, rustix::event::PollFlags::IN)];
        assert_eq!(rustix::event::poll(&mut polled, None).unwrap(), 1);
        assert_eq!(caught.take(), [libc::SIGUSR2]);
        assert!(caught.take().is_empty());
        // What is started by exec meets the signal as if nothing had been done: TERM ends it.
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGTERM));
        assert!(caught.take().is_empty());
    }

    #[test]
    fn a_fork_without_exec_ends_by_its_signals() {
        let caught = SignalHandler::new(&[libc::SIGTERM]).unwrap();
        // SAFETY: the child makes async-signal-safe calls only.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            // SAFETY: sends a signal to the calling thread, which ends the process.
            let _ = unsafe { libc::raise(libc::SIGTERM) };
            crate::own_process::exit_now(0);
        }
        let mut status = 0;
        // SAFETY: waits for our own child; the status is a live local value.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGTERM, "{status:x}");
        assert!(caught.take().is_empty());
    }
}
