//! The kernel's figures of processes, threads and the machine: resident memory, CPU time, kills for want of memory.
//! `None` where it does not say.

pub mod accounts;
pub mod control_group;
pub mod kept_waiting;

use std::fs;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

/// The text of a file of `/proc`. Its size is not known before; the standard library would find it with a dozen small reads.
pub(crate) fn text(path: impl AsRef<Path>) -> Option<String> {
    let mut file = fs::File::open(path).ok()?;
    let (mut bytes, mut length) = (vec![0; 4096], 0);
    loop {
        match file.read(&mut bytes[length..]).ok()? {
            0 => break,
            more => length += more,
        }
        if length == bytes.len() {
            bytes.resize(2 * length, 0);
        }
    }
    bytes.truncate(length);
    String::from_utf8(bytes).ok()
}

/// Resident memory of a process in bytes.
pub fn resident(pid: u32) -> Option<u64> {
    let statm = text(format!("/proc/{pid}/statm"))?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Resident memory of a process that no file backs, in bytes.
pub fn anonymous(pid: u32) -> Option<u64> {
    let statm = text(format!("/proc/{pid}/statm"))?;
    let mut pages = statm.split(' ').skip(1).map(str::parse::<u64>);
    let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
}

/// User and system CPU seconds a process has used.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    cpu_times(pid).map(|(user, system)| user + system)
}

/// The same, apart: (user, system).
pub fn cpu_times(pid: u32) -> Option<(f64, f64)> {
    let stat = text(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(") ")?.1;
    let field = |n: usize| after.split(' ').nth(n - 3)?.parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    Some((seconds(field(14)?), seconds(field(15)?)))
}

/// Seconds since the start of this process.
pub fn own_age() -> Option<f64> {
    let stat = text("/proc/self/stat")?;
    let start = stat.rsplit_once(") ")?.1.split(' ').nth(22 - 3)?.parse::<u64>().ok()?;
    let start = start as f64 / rustix::param::clock_ticks_per_second() as f64;
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some((now.tv_sec as f64 + now.tv_nsec as f64 / 1e9 - start).max(0.0))
}

/// The most resident memory a process ever had, in bytes.
pub fn most_resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// User and system CPU seconds the calling thread has used.
pub fn thread_cpu_seconds() -> Option<(f64, f64)> {
    // SAFETY: `rusage` is plain data for which all-zero is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a pointer to a live local value.
    let status = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (status == 0).then(|| (seconds(usage.ru_utime), seconds(usage.ru_stime)))
}

/// Number of processes that the kernel has killed for want of memory since boot, on the whole machine.
pub fn out_of_memory_kills() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// The use of the calling process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// CPU seconds in user mode.
    pub user: f64,
    /// CPU seconds in the kernel.
    pub system: f64,
    /// Most resident memory ever, bytes.
    pub max_resident: u64,
}

/// Of the calling process.
pub fn own() -> Usage {
    // SAFETY: plain data for which all-zero is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a live local to be filled.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Usage {
        user: seconds(usage.ru_utime),
        system: seconds(usage.ru_stime),
        max_resident: usage.ru_maxrss as u64 * 1024,
    }
}

/// Nanoseconds on CPU of a thread of this process, by the kernel's id.
pub fn thread_cpu(thread: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The calling thread's run-queue delay: how long it could have run and was not running. The descriptor stays open, so that
/// one reading is one system call.
#[derive(Debug)]
pub struct RunDelay(OwnedFd);

impl RunDelay {
    /// Of the calling thread. `None` where the kernel does not say.
    pub fn open() -> Option<Self> {
        let path = format!("/proc/self/task/{}/schedstat", crate::clock::thread_id());
        let delay = Self(fs::File::open(path).ok()?.into());
        run_delay(delay.0.as_raw_fd()).map(|_| delay)
    }

    /// The descriptor, for [`run_delay`].
    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Nanoseconds of run-queue delay so far, by the descriptor of a [`RunDelay`]. No allocation, no lock.
pub fn run_delay(descriptor: RawFd) -> Option<u64> {
    let mut text = [0u8; 64];
    // SAFETY: a live local buffer and its length; a descriptor that is not open only gives an error.
    let got = unsafe { libc::pread(descriptor, text.as_mut_ptr().cast(), text.len(), 0) };
    let text = text.get(..usize::try_from(got).ok()?)?;
    // "time on CPU, delay, time slices".
    let second = text.split(|b| *b == b' ').nth(1)?;
    second.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|d| *d < 10)?;
        Some(sum.wrapping_mul(10).wrapping_add(u64::from(digit)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        assert!(resident(std::process::id()).unwrap() > 100_000);
        assert!(cpu_seconds(std::process::id()).unwrap() < 60.0);
        assert!(most_resident(std::process::id()).unwrap() > 100_000);
        assert!(out_of_memory_kills().is_some());
        assert!(crate::clock::thread_cpu_nanos() > 0);
        let delay = RunDelay::open().unwrap();
        let first = run_delay(delay.descriptor()).unwrap();
        assert!(run_delay(delay.descriptor()).unwrap() >= first);
        assert_eq!(run_delay(-1), None);
        // The kernel counts user time by samples.
        while own().user == 0.0 {
            std::hint::spin_loop();
        }
        assert!(own().max_resident > 100_000);
        assert!(thread_cpu(crate::clock::thread_id()).unwrap() > 0);
        assert!(thread_cpu_seconds().is_some_and(|(user, system)| (0.0..60.0).contains(&(user + system))));
    }
}
