//! The search on made-up machines: what is best there is known.

use super::*;
use crate::figures::COLUMNS;
use crate::variant::Gil;

/// A machine of two cores, with a clock of its own. `model`: requests per minute, p99 in ms, MB.
struct Machine<M> {
    clock: f64,
    model: M,
    runs: u32,
}

impl<M: Fn(&Config) -> Option<[f64; 3]>> Trials for Machine<M> {
    fn run(&mut self, configs: &[Config], rounds: u32, seconds: f64) -> Result<Vec<Measured>, String> {
        self.clock += configs.len() as f64 * f64::from(rounds) * (seconds + self.overhead());
        self.runs += 1;
        let measured = configs.iter().enumerate().map(|(at, config)| {
            // One per cent of scatter, the same in each run of the test.
            let noise = 1.0 + 0.01 * (((at as u32 * 7 + self.runs * 3) % 5) as f64 - 2.0) / 2.0;
            let row =
                (self.model)(config).ok_or_else(|| "it does not start".to_owned()).map(|[rpm, p99, mb]| {
                    let value = |id: &str| match id {
                        "requests_per_minute" => Middle::of(vec![rpm * noise, rpm]),
                        "response_p99_ms" => Middle::of(vec![p99 * noise, p99]),
                        "resident_mb" => Middle::of(vec![mb]),
                        _ => None,
                    };
                    let values = COLUMNS.iter().map(|column| value(column.id)).collect();
                    Row { variant: config.name(), values, latency: vec![(1, 100_000)], ..Row::default() }
                });
            Measured { config: *config, row }
        });
        Ok(measured.collect())
    }

    fn elapsed(&self) -> f64 {
        self.clock
    }

    fn overhead(&self) -> f64 {
        0.7
    }
}

fn space(own: bool, free: bool) -> Space {
    Space { cores: 2, connections: 16, own, free, usual: Config::usual(1, 5) }
}

fn question(target: Target, budget: f64) -> Question {
    Question { target, budget, memory: None, rate: None }
}

fn find(space: &Space, question: &Question, model: impl Fn(&Config) -> Option<[f64; 3]>) -> (Found, f64) {
    let mut machine = Machine { clock: 0.0, model, runs: 0 };
    let found = search(space, question, &mut machine).unwrap();
    (found, machine.clock)
}

fn memory(c: &Config) -> f64 {
    f64::from(c.processes * 25 + c.threads / 4 + c.interpreters * 8) + 15.0
}

/// Waits 10 ms: threads are what counts.
fn waits(c: &Config) -> Option<[f64; 3]> {
    let threads = f64::from((c.processes * c.threads).min(16));
    Some([threads * 6_000.0, 160.0 / threads, memory(c)])
}

/// Computes in Python: as much at once as there are GILs, at most two.
fn computes(c: &Config) -> Option<[f64; 3]> {
    let gils = match c.gil {
        Gil::Shared => c.processes,
        Gil::Own => c.processes * c.interpreters,
        Gil::FreeThreading => c.processes * c.threads,
    };
    let cores = f64::from(gils.min(2));
    let speed = if c.gil == Gil::FreeThreading { 0.9 } else { 1.0 };
    Some([cores * 20_000.0 * speed, 30.0 / cores, memory(c)])
}

/// Whether the chosen one reaches 95 % of the best in the whole grid.
fn near_the_best(space: &Space, found: &Found, model: impl Fn(&Config) -> Option<[f64; 3]>) -> bool {
    let best = space.grid().iter().filter_map(&model).map(|v| v[0]).fold(0.0, f64::max);
    model(&found.chosen).is_some_and(|v| v[0] >= 0.95 * best)
}

#[test]
fn what_is_known_to_be_best_is_found() {
    for budget in [60.0, 200.0] {
        let question = question(Target::Throughput, budget);
        for (own, free) in [(false, false), (true, false), (true, true)] {
            let space = space(own, free);
            let (found, took) = find(&space, &question, waits);
            assert!(near_the_best(&space, &found, waits), "{budget} {}: {took}", found.chosen.name());
            let (found, took) = find(&space, &question, computes);
            assert!(near_the_best(&space, &found, computes), "{budget} {}: {took}", found.chosen.name());
            // Of what is as good, the mode that asks for least.
            assert_eq!(found.chosen.gil, Gil::Shared);
            assert!(took < budget * 1.4, "{budget}: {took}");
        }
    }
}

#[test]
fn what_is_not_better_is_left_alone() {
    let (found, _) =
        find(&space(true, false), &question(Target::Throughput, 60.0), |c| Some([10_000.0, 5.0, memory(c)]));
    assert!(found.leave_it && found.chosen == Config::usual(1, 5));
}

#[test]
fn limits_are_kept() {
    let tight = Question { memory: Some(70e6), ..question(Target::Throughput, 120.0) };
    let (found, _) = find(&space(false, false), &tight, computes);
    assert!(memory(&found.chosen) <= 70.0, "{}", found.chosen.name());
    assert!(found.out.iter().any(|(_, why)| why.contains("MB, more than 70")));
    // Memory: the least that keeps up.
    let least = question(Target::Memory, 120.0);
    let (found, _) = find(&space(false, false), &least, computes);
    assert_eq!((found.chosen.processes, found.chosen.threads), (2, 1), "{}", found.chosen.name());
    let (found, _) = find(&space(false, false), &question(Target::P99, 120.0), waits);
    assert_eq!(found.chosen.processes * found.chosen.threads, 16, "{}", found.chosen.name());
}

#[test]
fn what_does_not_start_is_out() {
    let broken = |c: &Config| if c.gil == Gil::Own { None } else { computes(c) };
    let (found, _) = find(&space(true, false), &question(Target::Throughput, 100.0), broken);
    assert!(
        found.chosen.gil == Gil::Shared
            && found.out.iter().any(|(c, why)| c.gil == Gil::Own && why == "it does not start")
    );
    let nothing = |_: &Config| None;
    let mut machine = Machine { clock: 0.0, model: nothing, runs: 0 };
    let why = search(&space(false, false), &question(Target::P99, 60.0), &mut machine).unwrap_err();
    assert_eq!(why, "1 x 5 cannot be measured: it does not start");
}
