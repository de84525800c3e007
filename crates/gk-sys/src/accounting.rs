//! What a process and a control group have used, as the kernel counts it: CPU, memory, context switches, waiting for a CPU,
//! throttling. Read from `/proc` and `/sys/fs/cgroup`; what the kernel does not say is absent.

use std::fs;
use std::path::PathBuf;

/// Threads of one process that are looked at, at most: more would make the look itself a load.
const THREADS: usize = 256;

/// What a process has used since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Used {
    /// User and system CPU seconds.
    pub cpu: f64,
    /// Resident bytes now.
    pub resident: u64,
    /// Context switches of the threads there are now.
    pub switches: u64,
    /// Seconds that the threads there are now were runnable without running.
    pub run_delay: f64,
}

/// What a process has used; `None` when there is no such process.
pub fn of_process(pid: u32) -> Option<Used> {
    let mut used = Used {
        cpu: crate::usage::cpu_seconds(pid)?,
        resident: crate::usage::resident(pid)?,
        ..Used::default()
    };
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().take(THREADS) {
        if let Some(times) = schedstat(&task.path().join("schedstat")) {
            used.run_delay += times.1 as f64 / 1e9;
        }
        if let Ok(status) = fs::read_to_string(task.path().join("status")) {
            let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
            let numbers = counts.filter_map(|line| line.rsplit('\t').next()?.trim().parse::<u64>().ok());
            used.switches += numbers.sum::<u64>();
        }
    }
    Some(used)
}

/// CPU nanoseconds of one thread.
pub fn of_thread(pid: u32, tid: u32) -> Option<u64> {
    schedstat(&PathBuf::from(format!("/proc/{pid}/task/{tid}/schedstat"))).map(|times| times.0)
}

/// Nanoseconds on a CPU and nanoseconds waited for one.
fn schedstat(path: &std::path::Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(path).ok()?;
    let mut words = text.split_ascii_whitespace().map(str::parse::<u64>);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

/// What this process's control group may use, and how often it was held back.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// CPUs that may be used: of the control group, or of the machine.
    pub cpus: f64,
    /// Bytes; `None` without a limit.
    pub memory: Option<u64>,
    /// Periods in which the control group was throttled, and seconds for which.
    pub throttled: Option<(u64, f64)>,
}

/// The limits of this process's control group (version 2).
pub fn limits() -> Limits {
    let machine = std::thread::available_parallelism().map_or(1.0, |cpus| cpus.get() as f64);
    let mut limits = Limits { cpus: machine, ..Limits::default() };
    let Some(folder) = control_group() else { return limits };
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    if let Some(text) = read("cpu.max")
        && let Some((quota, period)) = text.trim().split_once(' ')
        && let (Ok(quota), Ok(period)) = (quota.parse::<f64>(), period.parse::<f64>())
        && period > 0.0
    {
        limits.cpus = limits.cpus.min(quota / period);
    }
    limits.memory = read("memory.max").and_then(|text| text.trim().parse().ok());
    limits.throttled = read("cpu.stat").and_then(|text| {
        let value =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        Some((value("nr_throttled ")?, value("throttled_usec ")? as f64 / 1e6))
    });
    limits
}

fn control_group() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(PathBuf::from(format!("/sys/fs/cgroup{}", path.trim_end_matches('/'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_counted() {
        let used = of_process(std::process::id()).unwrap();
        assert!(used.resident > 100_000 && used.switches > 0);
        assert!(of_thread(std::process::id(), crate::clock::thread_id()).is_some());
        assert!(limits().cpus > 0.0);
        assert_eq!(of_process(u32::MAX), None);
    }
}
