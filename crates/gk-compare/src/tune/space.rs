//! The search space: processes × threads × switch interval × GIL mode × interpreters, and how a configuration is named
//! and written as a variant. Pure; [`super::paste`] writes it as directives.

use crate::plan::variant::{Gil, Variant};
use serde::Serialize;

/// CPython's switch interval, seconds.
pub const USUAL: f64 = 0.005;
/// The short one.
const SHORT: f64 = 0.0001;
/// Request threads of a process.
const THREADS: [u32; 6] = [1, 2, 4, 8, 16, 32];

/// A configuration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Config {
    /// GIL mode.
    pub gil: Gil,
    /// Worker processes.
    pub processes: u32,
    /// Request threads of each.
    pub threads: u32,
    /// Own-GIL interpreters of each; 0 in other modes.
    pub interpreters: u32,
    /// Switch interval in seconds.
    pub interval: f64,
}

impl Config {
    /// The current configuration; by default that of a plain `serve`.
    pub fn usual(processes: u32, threads: u32) -> Self {
        Self { gil: Gil::Shared, processes, threads, interpreters: 0, interval: USUAL }
    }

    /// `2 x 5, 0.1 ms`.
    pub fn name(&self) -> String {
        let interval = match self.interval == USUAL || self.gil == Gil::FreeThreading {
            true => String::new(),
            false => format!(", {} ms", self.interval * 1e3),
        };
        let gil = match self.gil {
            Gil::Shared => String::new(),
            Gil::Own => format!(", own GIL, {} interpreters", self.interpreters),
            Gil::FreeThreading => ", free-threaded".into(),
        };
        format!("{} x {}{gil}{interval}", self.processes, self.threads)
    }

    /// As a variant of a plan. `python`: the free-threaded one.
    pub fn variant(&self, python: Option<&str>) -> Variant {
        Variant {
            name: self.name(),
            processes: Some(self.processes),
            threads: Some(self.threads),
            switch_interval: (self.interval != USUAL).then_some(self.interval),
            gil: self.gil,
            interpreters: (self.gil == Gil::Own).then_some(self.interpreters),
            python: if self.gil == Gil::FreeThreading { python.map(str::to_owned) } else { None },
            ..Variant::default()
        }
    }

    /// How demanding it is for application and machine; of two equally good ones the smaller weight wins.
    pub fn weight(&self) -> (Gil, bool, u32, u32, u32) {
        (self.gil, self.interval != USUAL, self.processes, self.threads, self.interpreters)
    }
}

/// Limits of the search space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Space {
    /// Cores of the server.
    pub cores: u32,
    /// Connections of the load: more threads than that would idle.
    pub connections: u32,
    /// A GIL per interpreter is safe.
    pub own: bool,
    /// A free-threaded Python was given, and the mode is safe.
    pub free: bool,
    /// The current configuration.
    pub usual: Config,
}

impl Space {
    /// Every configuration: the current one first, then from coarse to fine, so that the first few span the whole range.
    pub fn grid(&self) -> Vec<Config> {
        let mut processes = vec![1, 2, self.cores, self.cores.saturating_mul(2)];
        processes.sort_unstable();
        processes.dedup();
        let most = self.connections.max(4);
        let threads: Vec<u32> = THREADS.into_iter().filter(|t| *t <= most).collect();
        let mut found: Vec<(usize, Config)> = vec![(0, self.usual)];
        let mut add = |level: usize, config: Config| {
            if !found.iter().any(|(_, known)| *known == config) {
                found.push((level, config));
            }
        };
        let odd = |index: usize| index % 2;
        for (p, &processes) in processes.iter().enumerate() {
            for (t, &threads) in threads.iter().enumerate() {
                // More threads than connections would idle; one step beyond is still tried.
                if u64::from(processes) * u64::from(threads)
                    >= 2 * u64::from(most).max(2 * u64::from(self.cores))
                {
                    continue;
                }
                for (i, interval) in [USUAL, SHORT].into_iter().enumerate() {
                    if i == 0 || threads > 1 {
                        let config =
                            Config { gil: Gil::Shared, processes, threads, interpreters: 0, interval };
                        add(odd(p) + odd(t) + i, config);
                    }
                }
                let mut interpreters = vec![2, self.cores];
                interpreters.dedup();
                for interpreters in interpreters {
                    // More processes than half the cores have nothing to gain from more GILs.
                    if self.own && threads >= interpreters && processes <= self.cores.div_ceil(2) {
                        let config =
                            Config { gil: Gil::Own, processes, threads, interpreters, interval: USUAL };
                        add(odd(p) + odd(t), config);
                    }
                }
                if self.free && threads > 1 && processes <= self.cores {
                    let gil = Gil::FreeThreading;
                    let config = Config { gil, processes, threads, interpreters: 0, interval: USUAL };
                    add(odd(p) + odd(t), config);
                }
            }
        }
        found.sort_by_key(|(level, _)| *level);
        found.into_iter().map(|(_, config)| config).collect()
    }

    /// One step away in one dimension, within the grid.
    pub fn neighbours(&self, of: &Config) -> Vec<Config> {
        let step = |a: u32, b: u32| a == b || a == b.saturating_mul(2) || b == a.saturating_mul(2);
        let near = |c: &Config| {
            let changed = usize::from(c.processes != of.processes)
                + usize::from(c.threads != of.threads)
                + usize::from(c.interval != of.interval)
                + usize::from(c.interpreters != of.interpreters);
            c.gil == of.gil && changed == 1 && step(c.processes, of.processes) && step(c.threads, of.threads)
        };
        self.grid().into_iter().filter(near).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(own: bool, free: bool) -> Space {
        Space { cores: 2, connections: 16, own, free, usual: Config::usual(1, 5) }
    }

    #[test]
    fn the_grid_holds_what_is_allowed_once() {
        let grid = space(false, false).grid();
        assert_eq!(grid[0], Config::usual(1, 5));
        assert!(
            grid.iter().all(|c| c.gil == Gil::Shared) && grid.len() > 15 && grid.len() < 40,
            "{}",
            grid.len()
        );
        let grid = space(true, true).grid();
        for (at, config) in grid.iter().enumerate() {
            assert!(!grid[..at].contains(config), "{}", config.name());
        }
        let of = |gil| grid.iter().filter(|c| c.gil == gil).count();
        assert!(of(Gil::Own) >= 2 && of(Gil::FreeThreading) >= 4);
        // The first few are of every kind.
        let first: Vec<Gil> = grid[..grid.len() / 2].iter().map(|c| c.gil).collect();
        assert!(first.contains(&Gil::Own) && first.contains(&Gil::FreeThreading));
        let near = space(true, true).neighbours(&Config::usual(2, 4));
        assert!(near.contains(&Config::usual(2, 8)) && near.contains(&Config::usual(1, 4)), "{near:?}");
        assert!(!near.contains(&Config::usual(1, 8)));
    }

    #[test]
    fn the_largest_numbers_make_a_grid_too() {
        let most = u32::MAX;
        let space =
            Space { cores: most, connections: most, usual: Config::usual(most, most), ..space(true, true) };
        assert!(!space.grid().is_empty() && space.neighbours(&space.usual).is_empty());
    }

    #[test]
    fn configurations_have_names_and_make_variants() {
        let own = Config { gil: Gil::Own, processes: 1, threads: 4, interpreters: 2, interval: 0.0001 };
        assert_eq!(own.name(), "1 x 4, own GIL, 2 interpreters, 0.1 ms");
        let free = Config { gil: Gil::FreeThreading, interpreters: 0, ..own };
        assert_eq!(free.variant(Some("/p")).python.as_deref(), Some("/p"));
        assert!(own.variant(None).check().is_ok());
    }
}
