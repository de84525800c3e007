//! How long a thread was kept waiting for a CPU so far, the wait under way included. For limits of time that a busy machine must not use up.
//!
//! The kernel adds a wait to a thread's `run_delay` when it ends: a thread that has waited for three seconds and still does has waited for
//! none. And a CPU of a virtual machine that its host gives to somebody else appears nowhere: it is neither a wait nor the thread's CPU time.
//! So the thread is looked at repeatedly. Between two looks it was either awake all the time, and everything that it did not run is a wait;
//! or it slept in between, and what the kernel has added is.

use crate::usage::accounts::{Times, schedstat};
use crate::usage::text;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Time between two looks: long beside the kernel's tick, with which CPU time is counted, short beside every limit.
pub const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The waits of one thread.
#[derive(Debug)]
pub struct KeptWaiting {
    task: PathBuf,
    waits: Waits,
}

impl KeptWaiting {
    /// Of a process's first thread, which runs its imports and its end.
    pub fn of_main_thread(pid: u32) -> Self {
        Self { task: format!("/proc/{pid}/task/{pid}").into(), waits: Waits::default() }
    }

    /// All its waits until now, or until a look just before. It never falls. Zero where the kernel does not say.
    pub fn look(&mut self) -> Duration {
        let soon = self.waits.last.as_ref().is_some_and(|last| last.at.elapsed() < BETWEEN_LOOKS / 2);
        if !soon && let Some(look) = self.read() {
            self.waits.take(look);
        }
        Duration::from_nanos(u64::try_from(self.waits.most).unwrap_or(0))
    }

    fn read(&self) -> Option<Look> {
        let status = text(self.task.join("status"))?;
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
        let runnable = field("State:")?.starts_with('R');
        let sleeps = field("voluntary_ctxt_switches:")?.parse().ok()?;
        let at = Instant::now();
        let times = schedstat(&self.task)?;
        // A kernel that does not count says so with zeros, and a thread that runs would look like one that waits.
        (times.switches > 0).then_some(Look { at, runnable, sleeps, times })
    }
}

/// What is known of the thread at one moment.
#[derive(Debug, Clone)]
struct Look {
    at: Instant,
    /// It runs or waits for a CPU.
    runnable: bool,
    /// Times it gave its CPU up because it had nothing to do.
    sleeps: u64,
    times: Times,
}

/// Nanoseconds, with a sign: a thread's CPU time is a tick late, or, on a CPU without ticks, a second, and makes up for it.
#[derive(Debug, Default)]
struct Waits {
    last: Option<Look>,
    sum: i64,
    /// Part of it that may be the beginning of a wait, which the kernel adds as a whole at its end.
    ahead: i64,
    /// The largest sum.
    most: i64,
}

impl Waits {
    fn take(&mut self, look: Look) {
        let signed = |nanoseconds: u64| i64::try_from(nanoseconds).unwrap_or(i64::MAX);
        let Some(last) = self.last.replace(look.clone()) else {
            self.sum = signed(look.times.run_delay);
            self.most = self.sum;
            return;
        };
        let between = |now: u64, before: u64| signed(now.saturating_sub(before));
        let counted = between(look.times.run_delay, last.times.run_delay);
        if last.runnable && look.runnable && last.sleeps == look.sleeps {
            let passed = i64::try_from((look.at - last.at).as_nanos()).unwrap_or(i64::MAX);
            let waited = passed - between(look.times.cpu, last.times.cpu);
            self.sum += waited;
            self.ahead = (self.ahead + waited - counted).max(0);
        } else {
            self.sum += (counted - self.ahead).max(0);
            self.ahead = 0;
        }
        self.most = self.most.max(self.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look after so many milliseconds: runnable, sleeps, milliseconds of CPU and of ended waits.
    fn sums(looks: &[(u64, bool, u64, u64, u64)]) -> Vec<i64> {
        let begin = Instant::now();
        let mut waits = Waits::default();
        let of = |&(at, runnable, sleeps, cpu, run_delay): &(u64, bool, u64, u64, u64)| Look {
            at: begin + Duration::from_millis(at),
            runnable,
            sleeps,
            times: Times { cpu: cpu * 1_000_000, run_delay: run_delay * 1_000_000, switches: 1 },
        };
        let taken = looks.iter().map(|look| {
            waits.take(of(look));
            waits.most / 1_000_000
        });
        taken.collect()
    }

    #[test]
    fn a_wait_counts_while_it_lasts_and_once() {
        for (looks, waited) in [
            // What was before the first look.
            (vec![(0, false, 1, 5, 30)], vec![30]),
            // It spins.
            (vec![(0, true, 1, 0, 0), (100, true, 1, 100, 0), (200, true, 1, 200, 0)], vec![0, 0, 0]),
            // It sleeps.
            (vec![(0, false, 1, 0, 0), (100, false, 1, 0, 0), (200, false, 2, 0, 0)], vec![0, 0, 0]),
            // It waits; the kernel adds all of it when it ends, and the thread sleeps.
            (
                vec![
                    (0, true, 1, 0, 0),
                    (100, true, 1, 0, 0),
                    (200, true, 1, 0, 0),
                    (300, false, 2, 10, 250),
                ],
                vec![0, 100, 200, 250],
            ),
            // It began to wait before the first look.
            (vec![(0, true, 1, 0, 0), (100, true, 1, 0, 0), (200, false, 2, 1, 900)], vec![0, 100, 900]),
            // It waits, runs and waits again.
            (
                vec![
                    (0, true, 1, 0, 0),
                    (100, true, 1, 0, 0),
                    (200, true, 1, 40, 130),
                    (300, false, 2, 50, 220),
                ],
                vec![0, 100, 160, 220],
            ),
            // The host has its CPU.
            (vec![(0, true, 1, 0, 0), (100, true, 1, 30, 0), (200, true, 1, 60, 0)], vec![0, 70, 140]),
            // It runs where CPU time is counted once in a second.
            (
                vec![
                    (0, true, 1, 0, 0),
                    (500, true, 1, 0, 0),
                    (1000, true, 1, 1000, 0),
                    (1500, true, 1, 1000, 0),
                ],
                vec![0, 500, 500, 500],
            ),
        ] {
            assert_eq!(sums(&looks), waited, "{looks:?}");
        }
    }

    #[test]
    fn a_process_that_is_gone_has_waited_for_nothing() {
        assert_eq!(KeptWaiting::of_main_thread(u32::MAX).look(), Duration::ZERO);
        assert!(KeptWaiting::of_main_thread(std::process::id()).read().is_some());
    }
}
