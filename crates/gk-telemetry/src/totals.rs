//! A whole server at one moment: counters that grow from its start. The difference of two is exact for the time between them,
//! unlike the seconds of the history. `compare` asks for these.

use crate::figures::Figures;
use crate::sample::GilMode;
use serde::{Deserialize, Serialize};

/// A server at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Monotonic nanoseconds of the machine.
    pub at: u64,
    /// The front's process.
    pub front: Process,
    /// The workers that live.
    pub workers: Vec<Worker>,
    /// All requests since the start, those of workers that are gone included.
    pub figures: Figures,
}

/// CPU time, memory and delay of a process since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// CPU seconds.
    pub cpu: f64,
    /// Resident bytes now.
    pub resident: u64,
    /// Seconds in which its threads were runnable without running.
    pub run_delay: f64,
}

/// A worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Worker {
    /// CPU time, memory and delay.
    pub process: Process,
    /// Process group.
    pub process_group: String,
    /// `3.14.2`, with `t` for a free-threaded build.
    pub python: String,
    /// Request threads.
    pub threads: u32,
    /// GIL mode of its first application group.
    pub gil_mode: GilMode,
    /// A GIL is in force.
    pub gil_enabled: bool,
    /// The module that turned the GIL on again; empty when none did.
    pub gil_module: String,
    /// Its GIL waits are exact.
    pub exact: bool,
    /// Of its first application group, nanoseconds; 0 without a GIL.
    pub switch_interval: u64,
}

/// The difference of two moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Span {
    /// Seconds.
    pub seconds: f64,
    /// The front; `resident` at the end.
    pub front: Process,
    /// Workers that live at the end, with what they used in this time; `resident` at the end.
    pub workers: Vec<Worker>,
    /// Workers that came or went meanwhile.
    pub changed: usize,
    /// Requests finished in this time.
    pub figures: Figures,
}

impl Totals {
    /// The difference to an earlier moment.
    pub fn since(&self, earlier: &Self) -> Span {
        let process = |now: &Process, before: &Process| Process {
            cpu: (now.cpu - before.cpu).max(0.0),
            run_delay: (now.run_delay - before.run_delay).max(0.0),
            ..*now
        };
        let both = |now: &Worker| earlier.workers.iter().find(|one| one.process.pid == now.process.pid);
        let stayed = self.workers.iter().filter(|now| both(now).is_some()).count();
        // A worker that came meanwhile used everything in this time.
        let used =
            |now: &Worker| both(now).map_or(now.process, |before| process(&now.process, &before.process));
        let workers: Vec<Worker> =
            self.workers.iter().map(|now| Worker { process: used(now), ..now.clone() }).collect();
        Span {
            seconds: self.at.saturating_sub(earlier.at) as f64 / 1e9,
            front: process(&self.front, &earlier.front),
            changed: self.workers.len() + earlier.workers.len() - 2 * stayed,
            workers,
            figures: self.figures.since(&earlier.figures),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_what_happened_between() {
        let worker = |pid, cpu| Worker {
            process: Process { pid, cpu, resident: 10, run_delay: cpu / 2.0 },
            ..Worker::default()
        };
        let at = |at, workers, requests| Totals {
            at,
            workers,
            figures: Figures { requests, ..Figures::default() },
            ..Totals::default()
        };
        let before = at(1_000_000_000, vec![worker(1, 2.0), worker(2, 3.0)], 10);
        let after = at(3_000_000_000, vec![worker(1, 3.0), worker(7, 1.0)], 25);
        let span = after.since(&before);
        assert_eq!((span.seconds, span.changed, span.figures.requests), (2.0, 2, 15));
        let cpu: Vec<f64> = span.workers.iter().map(|w| w.process.cpu).collect();
        assert_eq!(cpu, [1.0, 1.0]);
        let json = serde_json::to_string(&after).unwrap();
        assert_eq!(serde_json::from_str::<Totals>(&json).unwrap(), after);
    }
}
