//! Signals as readable events: a descriptor in place of handlers, so that a loop meets them where it meets everything
//! else. Blocked for the whole process; children get a clean mask from [`crate::child::spawn`].

pub mod handler;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};

pub use libc::{SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};

/// A descriptor that becomes readable when one of its signals arrives.
#[derive(Debug)]
pub struct Signals {
    file: File,
}

impl Signals {
    /// Blocks these signals in the calling thread (which must be the only one, or the one the others are started from)
    /// and gives them out here.
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let set = set_of(signals);
        // SAFETY: the set is a live, initialised local value; a null old set is allowed.
        let code = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code));
        }
        // SAFETY: the set is a live, initialised local value; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave this descriptor to nobody else.
        Ok(Self { file: unsafe { File::from_raw_fd(fd) } })
    }

    /// The signals that have arrived, without waiting.
    pub fn take(&mut self) -> io::Result<Vec<i32>> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut arrived = Vec::new();
        let mut buffer = [0; SIZE * 16];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(arrived),
                Ok(count) => {
                    // `ssi_signo` is the first field, a native 32-bit number.
                    let numbers = buffer[..count]
                        .chunks_exact(SIZE)
                        .map(|record| i32::from_ne_bytes([record[0], record[1], record[2], record[3]]));
                    arrived.extend(numbers);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(arrived),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Ignores a signal for this process.
pub fn ignore(signal: i32) {
    // SAFETY: SIG_IGN runs no code of ours; an unknown number is only refused.
    let _ = unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// A set of these signals.
pub(crate) fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: `sigset_t` is plain data for which all-zero is a valid value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is a live local value.
    let _ = unsafe { libc::sigemptyset(&mut set) };
    for signal in signals {
        // SAFETY: the set is initialised; an unknown number is only refused.
        let _ = unsafe { libc::sigaddset(&mut set, *signal) };
    }
    set
}

/// A signal's name without `SIG`.
pub fn name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "HUP",
        libc::SIGINT => "INT",
        libc::SIGQUIT => "QUIT",
        libc::SIGILL => "ILL",
        libc::SIGTRAP => "TRAP",
        libc::SIGABRT => "ABRT",
        libc::SIGBUS => "BUS",
        libc::SIGFPE => "FPE",
        libc::SIGKILL => "KILL",
        libc::SIGUSR1 => "USR1",
        libc::SIGSEGV => "SEGV",
        libc::SIGUSR2 => "USR2",
        libc::SIGPIPE => "PIPE",
        libc::SIGALRM => "ALRM",
        libc::SIGTERM => "TERM",
        libc::SIGXCPU => "XCPU",
        libc::SIGXFSZ => "XFSZ",
        libc::SIGSYS => "SYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_arrives_as_an_event() {
        let mut signals = Signals::new(&[libc::SIGUSR2]).unwrap();
        assert!(signals.take().unwrap().is_empty());
        // To this very thread, so that the answer does not depend on which thread of the test harness takes it.
        // SAFETY: sends a blocked signal to the calling thread; no handler runs.
        assert_eq!(unsafe { libc::raise(libc::SIGUSR2) }, 0);
        assert_eq!(signals.take().unwrap(), [libc::SIGUSR2]);
    }
}
