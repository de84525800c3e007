//! Runs one child of `doctor` to its end: descriptors, time limits, the signals that end it early. What a child is asked is
//! `study`'s, what its report means `event`'s.

use super::event::{End, Trial};
use gk_sys::child::reap::{self, Exit};
use gk_sys::child::spawn::{Spawn, spawn};
use gk_sys::signal::Signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the end of the interpreters may take: the default of shutdown-timeout.
pub const END_LIMIT: Duration = Duration::from_secs(5);
/// How long Python's report of where it hangs may take.
const DUMP_LIMIT: Duration = Duration::from_secs(2);
/// As much of a child's output is kept, in bytes.
const KEPT: usize = 32 << 10;
/// Longest report that is read, in bytes.
const LONGEST: usize = 64 << 20;
/// POSIX's SIGABRT, upon which `faulthandler` writes the stacks.
const SIGABRT: i32 = 6;

/// What to start.
pub struct Child<'a> {
    /// The Python.
    pub program: &'a Path,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The complete environment.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory.
    pub directory: &'a Path,
    /// For the import, in all interpreters of this child.
    pub limit: Duration,
}

/// Runs it. `None`: one of the signals arrived, and the child is gone.
pub fn run(child: &Child<'_>, signals: &Signals) -> Result<Option<Trial>, String> {
    let sentence = |e: &dyn std::fmt::Display| format!("{} could not be tried: {e}", child.program.display());
    let pipes = || -> io::Result<[(OwnedFd, OwnedFd); 2]> {
        let made = [pipe_with(PipeFlags::CLOEXEC)?, pipe_with(PipeFlags::CLOEXEC)?];
        for (read, _) in &made {
            fcntl_setfl(read, OFlags::NONBLOCK)?;
        }
        Ok(made)
    };
    let [(report, report_end), (output, output_end)] = pipes().map_err(|e| sentence(&e))?;
    let pid = spawn(&Spawn {
        program: child.program,
        args: &child.args,
        env: &child.env,
        fds: &[report_end.as_fd()],
        stdout: output_end.as_fd(),
        stderr: output_end.as_fd(),
        identity: None,
        chroot: None,
        directory: Some(child.directory),
        umask: None,
        limits: &[],
        nice: 0,
    })
    .map_err(|e| sentence(&e))?;
    drop((report_end, output_end));
    let mut running =
        Running { pid, report, output, said: Vec::new(), wrote: Vec::new(), begun: Instant::now() };
    let ended = running.follow(child.limit, signals);
    // Whatever it left behind in its process group; the id cannot be another's before the leader is reaped.
    running.kill();
    let exit = running.reap().map_err(|e| sentence(&e))?;
    running.read();
    let end = match ended.map_err(|e| sentence(&e))? {
        Followed::Interrupted => return Ok(None),
        Followed::TimeOver(limit) => End::TimeOver(limit.as_secs()),
        Followed::Ended => match exit {
            Exit::Status(status) => End::Status(status),
            Exit::Signal(signal) => End::Signal(signal),
        },
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Some(Trial::new(&text(&running.said), end, text(&running.wrote))))
}

enum Followed {
    Ended,
    TimeOver(Duration),
    Interrupted,
}

struct Running {
    pid: u32,
    report: OwnedFd,
    output: OwnedFd,
    said: Vec<u8>,
    wrote: Vec<u8>,
    begun: Instant,
}

impl Running {
    /// Until the process ends, its time is over or a signal arrives.
    fn follow(&mut self, limit: Duration, signals: &Signals) -> io::Result<Followed> {
        let ended = pidfd_open(self.raw_pid()?, PidfdFlags::empty())?;
        let (mut deadline, mut allowed) = (self.begun + limit, limit);
        let mut dumping = None;
        let (mut ending, mut seen) = (false, 0);
        loop {
            self.read();
            if !ending && tells_ending(&self.said[seen..]) {
                ending = true;
                (deadline, allowed) = (Instant::now() + END_LIMIT, END_LIMIT);
            }
            // The line may be cut by a read: what has no line break yet is looked at again.
            seen = self.said.iter().rposition(|b| *b == b'\n').map_or(seen, |at| at + 1);
            let now = Instant::now();
            if now >= deadline {
                if dumping.is_some() {
                    return Ok(Followed::TimeOver(allowed));
                }
                // Python writes where its threads are, and dies of it.
                dumping = Some(allowed);
                reap::signal(self.pid, SIGABRT)?;
                deadline = now + DUMP_LIMIT;
            }
            let wait = Timespec::try_from(deadline.saturating_duration_since(now))
                .unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
            let mut on = vec![PollFd::new(&ended, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            // A pipe that the child has closed is always ready; leaving it out keeps this loop from turning.
            let open = [&self.report, &self.output].into_iter().filter(|pipe| !closed(pipe));
            on.extend(open.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
            match poll(&mut on, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let (gone, told) = (!on[0].revents().is_empty(), !on[1].revents().is_empty());
            if told {
                return Ok(Followed::Interrupted);
            }
            if gone {
                return Ok(dumping.map_or(Followed::Ended, Followed::TimeOver));
            }
        }
    }

    /// What there is to read now; a child that never stops writing is not waited for.
    fn read(&mut self) {
        let mut buffer = [0; 16 << 10];
        for _ in 0..64 {
            let Ok(count @ 1..) = rustix::io::read(&self.report, &mut buffer) else { break };
            let room = LONGEST.saturating_sub(self.said.len()).min(count);
            self.said.extend_from_slice(&buffer[..room]);
        }
        for _ in 0..64 {
            let Ok(count @ 1..) = rustix::io::read(&self.output, &mut buffer) else { break };
            self.wrote.extend_from_slice(&buffer[..count]);
            let surplus = self.wrote.len().saturating_sub(KEPT);
            self.wrote.drain(..surplus);
        }
    }

    fn raw_pid(&self) -> io::Result<Pid> {
        let raw = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        raw.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    fn kill(&self) {
        if let Ok(pid) = self.raw_pid() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// After [`Running::kill`]: waits for the end, which is near.
    fn reap(&self) -> io::Result<Exit> {
        let ended = pidfd_open(self.raw_pid()?, PidfdFlags::empty())?;
        loop {
            if let Some(exit) = reap::ended(self.pid)? {
                return Ok(exit);
            }
            let _ = poll(&mut [PollFd::new(&ended, PollFlags::IN)], None);
        }
    }
}

/// Whether nobody writes to it any more and all was read.
fn closed(pipe: &OwnedFd) -> bool {
    let mut on = [PollFd::new(pipe, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut on, Some(&now)), Ok(1..)) && on[0].revents() == PollFlags::HUP
}

/// Whether the child says that it begins to end.
fn tells_ending(new: &[u8]) -> bool {
    new.split(|b| *b == b'\n').any(|line| line.starts_with(b"{\"event\": \"ending\""))
}
