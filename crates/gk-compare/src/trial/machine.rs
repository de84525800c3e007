//! The machine: processor, cores and kernel, and how busy its cores were during a trial. From `/proc`.

use serde::{Deserialize, Serialize};
use std::fs;

/// CPU ticks of the whole machine since it started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ticks {
    all: u64,
    idle: u64,
}

impl Ticks {
    /// Current values; zeros without `/proc/stat`.
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self::of(text.lines().next().unwrap_or_default())
    }

    fn of(line: &str) -> Self {
        let numbers: Vec<u64> =
            line.split_ascii_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
        // Guest time is already counted in user and nice.
        let all = numbers.iter().take(8).sum();
        Self { all, idle: numbers.iter().skip(3).take(2).sum() }
    }

    /// Share (0..1) of all cores' time since `earlier` in which they were not idle.
    pub fn busy_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all);
        let idle = self.idle.saturating_sub(earlier.idle);
        if all == 0 { 0.0 } else { 1.0 - idle as f64 / all as f64 }
    }
}

/// The machine and the version that results come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// Number of cores this process may use.
    pub cores: usize,
    /// Kernel.
    pub kernel: String,
    /// Gilkeeper's version.
    pub version: String,
}

impl Machine {
    /// The machine this runs on.
    pub fn this() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: model.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_owned(),
            cores: gk_load::cpus::allowed().len().max(1),
            kernel: format!("{} {}", std::env::consts::OS, kernel.trim()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_the_rest_of_idle() {
        let (a, b) = (Ticks::of("cpu 10 0 10 70 10 0 0 0 5 0"), Ticks::of("cpu 40 0 40 80 20 0 20 0 9 0"));
        assert!((b.busy_since(a) - 0.8).abs() < 1e-9);
        assert_eq!(a.busy_since(a), 0.0);
        assert!(Machine::this().cores > 0);
    }
}
