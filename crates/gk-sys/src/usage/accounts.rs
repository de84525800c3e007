//! The use of a process, as the kernel counts it: CPU, memory, context switches, waiting for a CPU. Read from `/proc`; values that the
//! kernel does not give are absent.

use crate::usage::text;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Most threads of a process that are read: reading more would be a load itself.
const THREADS: usize = 256;

/// The use of a process since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Used {
    /// User and system CPU seconds.
    pub cpu: f64,
    /// Resident bytes now.
    pub resident: u64,
    /// Context switches of its threads.
    pub switches: u64,
    /// Seconds that its threads were runnable without running.
    pub run_delay: f64,
}

/// The kernel counts these by thread, and forgets them with the thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    switches: u64,
    /// Nanoseconds.
    run_delay: u64,
}

/// A process that is read repeatedly: a thread's last reading still counts after its end.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// By thread id.
    last: BTreeMap<u32, Counts>,
    sum: Counts,
}

impl Accounts {
    /// The use of the process; `None` if it does not exist.
    pub fn read(&mut self, pid: u32) -> Option<Used> {
        let (cpu, resident) = (crate::usage::cpu_seconds(pid)?, crate::usage::resident(pid)?);
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().take(THREADS);
        self.take(tasks.filter_map(|task| {
            let tid = task.file_name().to_str()?.parse().ok()?;
            Some((tid, counts(&task.path())))
        }));
        Some(Used { cpu, resident, switches: self.sum.switches, run_delay: self.sum.run_delay as f64 / 1e9 })
    }

    /// Takes in the threads that there are now.
    fn take(&mut self, threads: impl IntoIterator<Item = (u32, Counts)>) {
        let now: BTreeMap<u32, Counts> = threads.into_iter().collect();
        for (tid, now) in &now {
            let before = self.last.get(tid).copied().unwrap_or_default();
            // Less than before: another thread has got the number.
            let same = now.switches >= before.switches && now.run_delay >= before.run_delay;
            let before = if same { before } else { Counts::default() };
            self.sum.switches += now.switches - before.switches;
            self.sum.run_delay += now.run_delay - before.run_delay;
        }
        self.last = now;
    }
}

/// The use of a process, with switches and delays of its present threads only; `None` if it does not exist.
pub fn of_process(pid: u32) -> Option<Used> {
    Accounts::default().read(pid)
}

/// A thread was switched to each time it was given a CPU. `status` has the same number, and is ten times as long.
fn counts(task: &Path) -> Counts {
    let times = schedstat(task).unwrap_or_default();
    Counts { switches: times.switches, run_delay: times.run_delay }
}

/// CPU nanoseconds of one thread.
pub fn of_thread(pid: u32, tid: u32) -> Option<u64> {
    schedstat(&PathBuf::from(format!("/proc/{pid}/task/{tid}"))).map(|times| times.cpu)
}

/// The scheduler's figures of a thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    /// Nanoseconds on a CPU.
    pub(super) cpu: u64,
    /// Nanoseconds waited for one, without the wait under way.
    pub(super) run_delay: u64,
    /// Times it was given one.
    pub(super) switches: u64,
}

/// Of the thread with this folder.
pub(super) fn schedstat(task: &Path) -> Option<Times> {
    let text = text(task.join("schedstat"))?;
    let mut words = text.split_ascii_whitespace().map(str::parse::<u64>);
    let mut next = || words.next()?.ok();
    Some(Times { cpu: next()?, run_delay: next()?, switches: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_counted() {
        let used = of_process(std::process::id()).unwrap();
        assert!(used.resident > 100_000 && used.switches > 0);
        assert!(of_thread(std::process::id(), crate::clock::thread_id()).is_some());
        assert_eq!(of_process(u32::MAX), None);
    }

    #[test]
    fn nothing_goes_back_with_the_end_of_a_thread() {
        let of = |switches, run_delay| Counts { switches, run_delay };
        let mut accounts = Accounts::default();
        for (threads, sum) in [
            (vec![(1, of(10, 100)), (2, of(5, 50))], of(15, 150)),
            (vec![(1, of(12, 110))], of(17, 160)),
            (vec![], of(17, 160)),
            // The number of a thread that ended, and one that another thread has meanwhile.
            (vec![(2, of(3, 70))], of(20, 230)),
            (vec![(2, of(1, 80))], of(21, 310)),
        ] {
            accounts.take(threads);
            assert_eq!(accounts.sum, sum);
        }
    }
}
