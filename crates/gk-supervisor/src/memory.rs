//! The memory that the server may use: processes that the kernel killed for want of it, and a warning when the start has already used
//! most of it.

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
}

impl MemoryWatch {
    /// From now on.
    pub fn begin() -> Self {
        let group = ControlGroup::find(Path::new("/"));
        let (group_kills, machine_kills) = (group.memory_kills(), usage::out_of_memory_kills());
        Self { group, group_kills, machine_kills, found: None }
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

/// A warning when the processes hold most of their memory right after the start.
pub fn after_start(workers: usize) -> Option<String> {
    warning(workers, &limits())
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
