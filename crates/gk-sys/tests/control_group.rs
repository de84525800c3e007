//! Control groups as runtimes and service managers show them: folders of samples, and what is made of each.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

use gk_sys::usage::control_group::{ControlGroup, Limits, limits};
use std::path::Path;

const MIB: u64 = 1 << 20;

fn seen(sample: &str, processors: usize) -> Limits {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/control_groups").join(sample);
    ControlGroup::find(&folder).limits(processors)
}

#[test]
fn what_the_files_say() {
    let none = Limits::default();
    let memory = |limit, used, kills| Limits {
        memory: Some(limit),
        memory_used: Some(used),
        memory_kills: Some(kills),
        ..none
    };
    for (sample, processors, expected) in [
        ("docker-2", 8, Limits { cpus: 1.5, throttled: Some((17, 2.5)), ..memory(512 * MIB, 120 * MIB, 2) }),
        // The slice's limits hold for the service; the kills are those of the service.
        ("systemd-2", 8, Limits { cpus: 2.5, ..memory(1024 * MIB, 700 * MIB, 0) }),
        ("machine-2", 8, Limits { cpus: 8.0, ..none }),
        // A cpuset or taskset is narrower than the quota.
        ("systemd-2", 1, Limits { cpus: 1.0, ..memory(1024 * MIB, 700 * MIB, 0) }),
        ("names-of-the-machine-2", 4, Limits { cpus: 0.5, ..memory(256 * MIB, MIB, 0) }),
        ("beside-the-mount-2", 4, Limits { cpus: 3.0, ..none }),
        ("docker-1", 4, Limits { cpus: 2.2, throttled: Some((4, 1.5)), ..memory(128 * MIB, 48 * MIB, 3) }),
        ("no-limits-1", 4, Limits { cpus: 4.0, ..none }),
        ("both-versions", 4, Limits { cpus: 1.0, ..memory(32 * MIB, 0, 1) }),
        ("unreadable-2", 4, Limits { cpus: 4.0, ..none }),
        ("nothing-at-all", 3, Limits { cpus: 3.0, ..none }),
    ] {
        assert_eq!(seen(sample, processors), expected, "{sample} on {processors}");
    }
}

#[test]
fn a_part_of_a_cpu_counts_as_one() {
    for (cpus, whole) in [(0.5, 1), (1.0, 1), (1.5, 2), (2.2, 3), (8.0, 8), (0.0, 1)] {
        assert_eq!(Limits { cpus, ..Limits::default() }.whole_cpus(), whole, "{cpus}");
    }
}

#[test]
fn this_process_may_use_something() {
    assert!(limits().cpus > 0.0);
}
