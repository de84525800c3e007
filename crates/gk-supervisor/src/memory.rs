//! The memory that the server may use: processes that the kernel killed for want of it, and a warning when the processes will not
//! fit, or hold most of it after the start.

use gk_sys::usage;
use gk_sys::usage::control_group::{ControlGroup, Limits, limits};
use std::path::Path;

/// Part of the limit that the processes may hold after their start without a word: requests need the rest.
const PART: f64 = 0.75;

/// Watches for kills for want of memory.
pub struct MemoryWatch {
    group: ControlGroup,
    /// Kills at the last look: in the control group, and on the whole machine.
    group_kills: Option<u64>,
    machine_kills: Option<u64>,
    /// What was found in this turn, which may see several ends that one look explains.
    found: Option<Option<String>>,
    /// Nothing more is said about the start.
    started: bool,
}

impl MemoryWatch {
    /// From now on.
    pub fn begin() -> Self {
        let group = ControlGroup::find(Path::new("/"));
        let (group_kills, machine_kills) = (group.memory_kills(), usage::out_of_memory_kills());
        Self { group, group_kills, machine_kills, found: None, started: false }
    }

    /// Ended processes are asked about from here on.
    pub fn begin_turn(&mut self) {
        self.found = None;
    }

    /// Why the signal KILL ended a process, if the kernel has killed for want of memory since the last turn.
    pub fn why(&mut self) -> Option<String> {
        if self.found.is_none() {
            let (group, machine) = (self.group.memory_kills(), usage::out_of_memory_kills());
            let why = why(group > self.group_kills, machine > self.machine_kills, &limits());
            (self.group_kills, self.machine_kills, self.found) = (group, machine, Some(why));
        }
        self.found.clone().flatten()
    }

    /// A warning when workers as large as the first one that is ready will not fit. `first`: its process; `all`: those of all
    /// workers.
    pub fn forecast(&mut self, first: u32, all: &[u32]) -> Option<String> {
        if self.started {
            return None;
        }
        let limits = limits();
        let held: Vec<u64> = all.iter().filter_map(|pid| usage::anonymous(*pid)).collect();
        let others = limits.memory_used?.saturating_sub(held.iter().sum());
        let warning = forecast(all.len() as u64, usage::anonymous(first)?, others, limits.memory?);
        self.started = warning.is_some();
        warning
    }

    /// A warning when the processes hold most of their memory right after the start.
    pub fn after_start(&mut self, workers: usize) -> Option<String> {
        let said = std::mem::replace(&mut self.started, true);
        warning(workers, &limits()).filter(|_| !said)
    }
}

fn why(in_group: bool, on_machine: bool, limits: &Limits) -> Option<String> {
    match (in_group, limits.memory) {
        (true, Some(limit)) => {
            let limit = mebibytes(limit);
            Some(format!(
                "the kernel killed it because memory ran out: its control group may use {limit} MiB"
            ))
        }
        (true, None) => Some("the kernel killed it because memory ran out".to_owned()),
        (false, _) if on_machine => Some("probably because the memory ran out".to_owned()),
        (false, _) => None,
    }
}

fn forecast(workers: u64, each: u64, others: u64, limit: u64) -> Option<String> {
    let all = workers * each + others;
    (all > limit).then(|| {
        format!(
            "{workers} worker processes that hold {} MiB each after their imports, as the first one does, and the server beside them need \
             {} MiB of memory, and the control group may use {}: the kernel will kill some of them. Run fewer processes \
             (processes=), or raise the limit",
            mebibytes(each),
            mebibytes(all),
            mebibytes(limit)
        )
    })
}

fn warning(workers: usize, limits: &Limits) -> Option<String> {
    let (limit, used) = (limits.memory?, limits.memory_used?);
    (used as f64 > PART * limit as f64).then(|| {
        let processes = if workers == 1 { "1 worker process".to_owned() } else { format!("{workers} worker processes") };
        format!(
            "{processes} and the server hold {} of the {} MiB of memory that the control group may use, before the first request: \
             when it is used up, the kernel kills one of them. Run fewer processes (processes=), or raise the limit",
            mebibytes(used),
            mebibytes(limit)
        )
    })
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn of(limit: u64, used: u64) -> Limits {
        Limits { memory: Some(limit * MIB), memory_used: Some(used * MIB), ..Limits::default() }
    }

    #[test]
    fn a_full_control_group_is_told_with_its_figures_and_a_remedy() {
        for (workers, limits, said) in [
            (4, of(512, 400), Some("4 worker processes and the server hold 400 of the 512 MiB")),
            (1, of(64, 60), Some("1 worker process and the server hold 60 of the 64 MiB")),
            (4, of(512, 380), None),
            (4, Limits::default(), None),
            (4, Limits { memory: Some(MIB), ..Limits::default() }, None),
        ] {
            let warning = warning(workers, &limits);
            assert_eq!(warning.is_some(), said.is_some(), "{limits:?}");
            if let Some((text, said)) = warning.zip(said) {
                assert!(text.starts_with(said) && text.contains("fewer processes"), "{text}");
            }
        }
    }

    #[test]
    fn workers_that_will_not_fit_are_foretold_by_the_first_of_them() {
        for (workers, each, others, limit, said) in [
            (4, 100, 60, 512, None),
            (8, 100, 60, 512, Some("8 worker processes that hold 100 MiB each")),
            (8, 57, 60, 512, Some("need 516 MiB")),
            (1, 10, 0, 512, None),
        ] {
            let text = forecast(workers, each * MIB, others * MIB, limit * MIB);
            assert_eq!(text.is_some(), said.is_some(), "{workers} x {each}");
            assert!(text.zip(said).is_none_or(|(text, said)| text.contains(said)));
        }
    }

    #[test]
    fn a_kill_names_the_limit_where_it_is_known() {
        let limit = "the kernel killed it because memory ran out: its control group may use 256 MiB";
        for (in_group, on_machine, limits, said) in [
            (true, true, of(256, 250), Some(limit)),
            (true, true, Limits::default(), Some("the kernel killed it because memory ran out")),
            (false, true, of(256, 9), Some("probably because the memory ran out")),
            (false, false, of(256, 255), None),
        ] {
            assert_eq!(why(in_group, on_machine, &limits).as_deref(), said);
        }
    }
}
