//! Runs one child of `doctor`: descriptors, time limits, signals that end it early. `study` chooses its job, `event` reads its
//! report.

use super::event::{ChildEnd, Trial};
use gk_sys::child::reap::{self, Exit};
use gk_sys::child::spawn::{Spawn, spawn};
use gk_sys::signal::Signals;
use gk_sys::usage::kept_waiting::{BETWEEN_LOOKS, KeptWaiting};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Time limit for the end of the interpreters: the default of shutdown-timeout.
pub const END_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for Python's stack dump of a hang.
const DUMP_LIMIT: Duration = Duration::from_secs(2);
/// Bytes kept of a child's output.
const KEPT: usize = 32 << 10;
/// Longest report that is read, in bytes.
const LONGEST: usize = 64 << 20;
/// SIGABRT of POSIX; `faulthandler` writes the stacks when it arrives.
const SIGABRT: i32 = 6;

/// The child process to start.
pub struct ChildCommand<'a> {
    /// The Python.
    pub program: &'a Path,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The complete environment.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory.
    pub directory: &'a Path,
    /// Time limit for the imports in all its interpreters. Time in which it waits for a processor does not count, here and below.
    pub limit: Duration,
    /// Time limit for the end of its interpreters.
    pub end_limit: Duration,
}

/// Runs a child. `None`: one of the signals arrived, and the child was ended.
pub fn run(child: &ChildCommand<'_>, signals: &Signals) -> Result<Option<Trial>, String> {
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
        no_new_privileges: false,
        umask: None,
        limits: &[],
        nice: 0,
    })
    .map_err(|e| sentence(&e))?;
    drop((report_end, output_end));
    let mut running =
        RunningChild { pid, report, output, said: Vec::new(), wrote: Vec::new(), begun: Instant::now() };
    let ended = running.follow(child.limit, child.end_limit, signals);
    // Ends everything left in its process group. The id cannot be reused before the leader is reaped.
    running.kill();
    let exit = running.reap().map_err(|e| sentence(&e))?;
    running.read();
    let end = match ended.map_err(|e| sentence(&e))? {
        WaitResult::Interrupted => return Ok(None),
        WaitResult::TimeOver(limit) => ChildEnd::TimeOver(limit.as_secs()),
        WaitResult::Ended => match exit {
            Exit::Status(status) => ChildEnd::Status(status),
            Exit::Signal(signal) => ChildEnd::Signal(signal),
        },
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Some(Trial::new(&text(&running.said), end, text(&running.wrote))))
}

enum WaitResult {
    Ended,
    TimeOver(Duration),
    Interrupted,
}

struct RunningChild {
    pid: u32,
    report: OwnedFd,
    output: OwnedFd,
    said: Vec<u8>,
    wrote: Vec<u8>,
    begun: Instant,
}

impl RunningChild {
    /// Waits until the process ends, its time is over or a signal arrives.
    fn follow(&mut self, limit: Duration, end_limit: Duration, signals: &Signals) -> io::Result<WaitResult> {
        let ended = pidfd_open(self.raw_pid()?, PidfdFlags::empty())?;
        // Its main thread imports and ends.
        let mut waits = KeptWaiting::of_main_thread(self.pid);
        // The part that has a limit: its begin, how long it may take, and what the child had waited for a processor before.
        let (mut begun, mut allowed, mut before) = (self.begun, limit, Duration::ZERO);
        let mut dumping = false;
        let (mut ending, mut seen) = (false, 0);
        loop {
            self.read();
            let waited = waits.look();
            let now = Instant::now();
            if !ending && !dumping && tells_ending(&self.said[seen..]) {
                ending = true;
                (begun, allowed, before) = (now, end_limit, waited);
            }
            // A read may cut a line: the part after the last line break is examined again.
            seen = self.said.iter().rposition(|b| *b == b'\n').map_or(seen, |at| at + 1);
            let limit = if dumping { DUMP_LIMIT } else { allowed };
            let mut wait = (begun + limit + (waited - before)).saturating_duration_since(now);
            if wait.is_zero() {
                if dumping {
                    return Ok(WaitResult::TimeOver(allowed));
                }
                // Python writes the stacks of its threads and dies.
                reap::signal(self.pid, SIGABRT)?;
                dumping = true;
                (begun, before, wait) = (now, waited, DUMP_LIMIT);
            }
            let wait = Timespec::try_from(wait.min(BETWEEN_LOOKS)).unwrap_or_default();
            let mut on = vec![PollFd::new(&ended, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            // A pipe that the child has closed is always ready and would make this loop spin.
            let open = [&self.report, &self.output].into_iter().filter(|pipe| !closed(pipe));
            on.extend(open.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
            match poll(&mut on, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let (gone, told) = (!on[0].revents().is_empty(), !on[1].revents().is_empty());
            if told {
                return Ok(WaitResult::Interrupted);
            }
            if gone {
                return Ok(if dumping { WaitResult::TimeOver(allowed) } else { WaitResult::Ended });
            }
        }
    }

    /// Reads what is there, bounded, so that a child that writes without end cannot hold up the loop.
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

    /// Waits for the end, after [`RunningChild::kill`].
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

/// Whether the other end is closed and everything was read.
fn closed(pipe: &OwnedFd) -> bool {
    let mut on = [PollFd::new(pipe, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut on, Some(&now)), Ok(1..)) && on[0].revents() == PollFlags::HUP
}

/// Whether the report has the event `ending`.
fn tells_ending(new: &[u8]) -> bool {
    new.split(|b| *b == b'\n').any(|line| line.starts_with(b"{\"event\": \"ending\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a shell script whose end may take so long.
    fn ended(end_limit: Duration, script: &str) -> ChildEnd {
        let args = vec!["-c".into(), script.into()];
        let child = ChildCommand {
            program: Path::new("/bin/bash"),
            args,
            env: std::env::vars_os().collect(),
            directory: Path::new("/"),
            limit: Duration::from_secs(60),
            end_limit,
        };
        run(&child, &Signals::new(&[]).unwrap()).unwrap().unwrap().end
    }

    /// Reported: on a busy machine, Flask's interpreters "did not end": they had 5 s by the clock and a tenth of a processor.
    #[test]
    fn time_without_a_processor_does_not_count() {
        // Beside nine others on one processor it needs ten times as long: some three seconds by the clock.
        let script = r#"
            cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
            taskset -cp "$cpu" $$ >/dev/null
            for one in 1 2 3 4 5 6 7 8 9; do while :; do :; done & done
            printf '{"event": "ending"}\n' >&3
            while read -r used _ </proc/$$/schedstat && [ "$used" -lt 350000000 ]; do :; done
            exit 7
        "#;
        assert!(matches!(ended(Duration::from_secs(1), script), ChildEnd::Status(7)));
    }

    /// Reported: the same, where one wait is longer than the limit: the kernel counts a wait only when it ends.
    #[test]
    fn a_wait_for_a_processor_that_lasts_does_not_count() {
        // It has a few milliseconds of half a second beside these twenty.
        let script = r#"
            cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
            taskset -cp "$cpu" $$ >/dev/null
            for one in {1..20}; do { renice -n 10 -p $BASHPID >/dev/null; while :; do :; done } & done
            renice -n 19 -p $$ >/dev/null
            printf '{"event": "ending"}\n' >&3
            read -r begun _ </proc/$$/schedstat
            while read -r used _ </proc/$$/schedstat && [ "$used" -lt $((begun + 12000000)) ]; do :; done
            exit 7
        "#;
        assert!(matches!(ended(Duration::from_millis(300), script), ChildEnd::Status(7)));
    }

    #[test]
    fn one_that_spins_is_ended() {
        let script = "printf '{\"event\": \"ending\"}\\n' >&3; while :; do :; done";
        assert!(matches!(ended(Duration::from_secs(1), script), ChildEnd::TimeOver(1)));
    }

    #[test]
    fn one_that_waits_for_nothing_is_ended() {
        let script = "printf '{\"event\": \"ending\"}\\n' >&3; exec sleep 60";
        assert!(matches!(ended(Duration::from_secs(1), script), ChildEnd::TimeOver(1)));
    }
}
