//! Ended children: asked for by process id, so that children of others (which a process with id 1 inherits, or which an
//! embedding program started) are never mistaken for ours.

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait, waitpid};
use std::fmt;
use std::io;

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It exited with that status.
    Status(i32),
    /// That signal ended it.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => match crate::signal::name(*signal) {
                Some(name) => write!(f, "signal {signal} ({name})"),
                None => write!(f, "signal {signal}"),
            },
        }
    }
}

/// Whether the child has ended, and how. Never waits. Its id is free for another process afterwards.
pub fn ended(pid: u32) -> io::Result<Option<Exit>> {
    let Some(pid) = pid_of(pid) else { return Err(io::ErrorKind::InvalidInput.into()) };
    Ok(waitpid(Some(pid), WaitOptions::NOHANG)?.map(|(_, status)| exit_of(status)))
}

/// As process 1: takes away ended children that are not in `own`. Children in `own` are left for [`ended`]. Returns how
/// many were taken.
pub fn adopted(own: impl Fn(u32) -> bool) -> usize {
    let mut taken = 0;
    // The kernel gives any one ended child; one of ours stays in front, so the search ends there until it is asked for.
    loop {
        let Some(pid) = any_ended() else { return taken };
        if own(pid) {
            return taken;
        }
        let Some(raw) = pid_of(pid) else { return taken };
        if waitpid(Some(raw), WaitOptions::NOHANG).is_err() {
            return taken;
        }
        taken += 1;
    }
}

/// Takes away an ended child, whichever it is; `None`: none has ended. An error: there is no child.
pub fn any() -> io::Result<Option<(u32, Exit)>> {
    let ended = wait(WaitOptions::NOHANG)?;
    Ok(ended.map(|(pid, status)| (pid.as_raw_nonzero().get().unsigned_abs(), exit_of(status))))
}

/// Sends a signal to a child that has not been reaped. A process that has just ended is no error.
pub fn signal(pid: u32, signal: i32) -> io::Result<()> {
    let bad = || io::Error::from(io::ErrorKind::InvalidInput);
    let pid = pid_of(pid).ok_or_else(bad)?;
    let signal = Signal::from_named_raw(signal).ok_or_else(bad)?;
    match kill_process(pid, signal) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => Ok(other?),
    }
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|p| *p > 0).and_then(Pid::from_raw)
}

/// Some ended child, left in place.
fn any_ended() -> Option<u32> {
    // SAFETY: `siginfo_t` is plain data for which all-zero is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the structure is a live local value; with WNOHANG the call never waits.
    let code = unsafe { libc::waitid(libc::P_ALL, 0, &mut info, options) };
    if code != 0 {
        return None;
    }
    // SAFETY: waitid succeeded and either filled the structure for a child or left it zero.
    let pid = unsafe { info.si_pid() };
    u32::try_from(pid).ok().filter(|pid| *pid != 0)
}

fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Exit::Status(status),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Status(status.as_raw()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_end_read_like_a_sentence() {
        assert_eq!(Exit::Status(3).to_string(), "exit status 3");
        assert_eq!(Exit::Signal(9).to_string(), "signal 9 (KILL)");
        assert_eq!(Exit::Signal(64).to_string(), "signal 64");
    }
}
