//! What the kernel says about processes, threads and the machine: resident memory, CPU time, kills for want of memory.
//! `None` where it does not say.

use std::fs;

/// Resident memory of a process in bytes.
pub fn resident(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// User and system CPU seconds a process has used.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.rsplit_once(") ")?.1;
    let field = |n: usize| after.split(' ').nth(n - 3)?.parse::<u64>().ok();
    Some((field(14)? + field(15)?) as f64 / rustix::param::clock_ticks_per_second() as f64)
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

/// How many processes the kernel has killed for want of memory since boot, on the whole machine.
pub fn out_of_memory_kills() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        assert!(resident(std::process::id()).unwrap() > 100_000);
        assert!(cpu_seconds(std::process::id()).unwrap() < 60.0);
        assert!(out_of_memory_kills().is_some());
        assert!(thread_cpu_seconds().is_some_and(|(user, system)| (0.0..60.0).contains(&(user + system))));
    }
}
