//! The search on simulated machines with a known best configuration.

use super::*;
use crate::plan::variant::Gil;
use crate::table::columns::COLUMNS;

/// A machine of two cores, with a clock of its own. `model`: requests per minute, p99 in ms, MB.
struct Machine<M> {
    clock: f64,
    model: M,
    runs: u32,
    stages: Vec<&'static str>,
}

impl<M: Fn(&Config) -> Option<[f64; 3]>> TrialRunner for Machine<M> {
    fn run(
        &mut self,
        stage: &'static str,
        configs: &[Config],
        rounds: u32,
        seconds: f64,
    ) -> Result<Vec<Measured>, String> {
        self.stages.push(stage);
        self.clock += configs.len() as f64 * f64::from(rounds) * (seconds + self.overhead());
        self.runs += 1;
        let measured = configs.iter().enumerate().map(|(at, config)| {
            // One per cent of scatter, the same in each run of the test.
            let noise = 1.0 + 0.01 * (((at as u32 * 7 + self.runs * 3) % 5) as f64 - 2.0) / 2.0;
            let row =
                (self.model)(config).ok_or_else(|| "it does not start".to_owned()).map(|[rpm, p99, mb]| {
                    let value = |id: &str| match id {
                        "requests_per_minute" => MedianRange::of(vec![rpm * noise, rpm]),
                        "response_p99_ms" => MedianRange::of(vec![p99 * noise, p99]),
                        "resident_mb" => MedianRange::of(vec![mb]),
                        _ => None,
                    };
                    let values = COLUMNS.iter().map(|column| value(column.id)).collect();
                    Row { variant: config.name(), values, requests: 100_000, ..Row::default() }
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

fn goal(target: Target, budget: f64) -> SearchGoal {
    SearchGoal { target, budget, memory: None, rate: None }
}

fn find(
    space: &Space,
    goal: &SearchGoal,
    model: impl Fn(&Config) -> Option<[f64; 3]>,
) -> (SearchResult, f64) {
    let mut machine = Machine { clock: 0.0, model, runs: 0, stages: Vec::new() };
    let found = search(space, goal, &mut machine).unwrap();
    (found, machine.clock)
}

fn memory(c: &Config) -> f64 {
    f64::from(c.processes * 25 + c.threads / 4 + c.interpreters * 8) + 15.0
}

/// A handler that waits 10 ms: the number of threads decides.
fn waits(c: &Config) -> Option<[f64; 3]> {
    let threads = f64::from((c.processes * c.threads).min(16));
    Some([threads * 6_000.0, 160.0 / threads, memory(c)])
}

/// A handler that computes in Python: the number of GILs decides, up to the two cores.
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
fn near_the_best(space: &Space, found: &SearchResult, model: impl Fn(&Config) -> Option<[f64; 3]>) -> bool {
    let best = space.grid().iter().filter_map(&model).map(|v| v[0]).fold(0.0, f64::max);
    model(&found.chosen).is_some_and(|v| v[0] >= 0.95 * best)
}

#[test]
fn the_known_best_configuration_is_found() {
    for budget in [60.0, 200.0] {
        let goal = goal(Target::Throughput, budget);
        for (own, free) in [(false, false), (true, false), (true, true)] {
            let space = space(own, free);
            let (found, took) = find(&space, &goal, waits);
            assert!(near_the_best(&space, &found, waits), "{budget} {}: {took}", found.chosen.name());
            let (found, took) = find(&space, &goal, computes);
            assert!(near_the_best(&space, &found, computes), "{budget} {}: {took}", found.chosen.name());
            // Of equally good modes, the least demanding.
            assert_eq!(found.chosen.gil, Gil::Shared);
            assert!(took < budget * 1.4, "{budget}: {took}");
        }
    }
}

#[test]
fn the_current_configuration_is_kept_when_nothing_is_better() {
    let (found, _) =
        find(&space(true, false), &goal(Target::Throughput, 60.0), |c| Some([10_000.0, 5.0, memory(c)]));
    assert!(found.keep.is_some() && found.chosen == Config::usual(1, 5));
}

#[test]
fn limits_are_kept() {
    let tight = SearchGoal { memory: Some(70e6), ..goal(Target::Throughput, 120.0) };
    let (found, _) = find(&space(false, false), &tight, computes);
    assert!(memory(&found.chosen) <= 70.0, "{}", found.chosen.name());
    assert!(found.out.iter().any(|(_, why)| why.contains("MB, more than 70")));
    // Target memory: the smallest configuration that keeps up.
    let least = goal(Target::Memory, 120.0);
    let (found, _) = find(&space(false, false), &least, computes);
    assert_eq!((found.chosen.processes, found.chosen.threads), (2, 1), "{}", found.chosen.name());
    let (found, _) = find(&space(false, false), &goal(Target::P99, 120.0), waits);
    assert_eq!(found.chosen.processes * found.chosen.threads, 16, "{}", found.chosen.name());
}

#[test]
fn a_configuration_that_does_not_start_is_out() {
    let broken = |c: &Config| if c.gil == Gil::Own { None } else { computes(c) };
    let (found, _) = find(&space(true, false), &goal(Target::Throughput, 100.0), broken);
    assert!(
        found.chosen.gil == Gil::Shared
            && found.out.iter().any(|(c, why)| c.gil == Gil::Own && why == "it does not start")
    );
    let nothing = |_: &Config| None;
    let mut machine = Machine { clock: 0.0, model: nothing, runs: 0, stages: Vec::new() };
    let why = search(&space(false, false), &goal(Target::P99, 60.0), &mut machine).unwrap_err();
    assert_eq!(why, "1 x 5 cannot be measured: it does not start");
}

/// A row of the last stage with these figures in its rounds.
fn rounds(config: Config, rpm: &[f64]) -> (Config, Row) {
    let value = |id: &str| if id == "requests_per_minute" { MedianRange::of(rpm.to_vec()) } else { None };
    let values = COLUMNS.iter().map(|column| value(column.id)).collect();
    (config, Row { values, requests: 1000, ..Row::default() })
}

#[test]
fn overlapping_rounds_keep_the_current_configuration() {
    let [usual, two, four] = [(1, 5), (2, 5), (4, 5)].map(|(p, t)| Config::usual(p, t));
    let decided = |last: &[(Config, Row)]| decide(last, Target::Throughput, usual).unwrap();
    // The rounds scatter by 10 %, the medians differ by 6 %.
    let noisy = [rounds(two, &[95.4, 106.0, 116.6]), rounds(usual, &[90.0, 100.0, 110.0])];
    assert_eq!(decided(&noisy), (usual, Some(KeepReason::Scatter)));
    // The same difference, and no doubt.
    let clear = [rounds(two, &[105.0, 106.0, 107.0]), rounds(usual, &[99.0, 100.0, 101.0])];
    assert_eq!(decided(&clear), (two, None));
    // No doubt about the difference, but it is too small.
    let little = [rounds(two, &[101.9, 102.0, 102.1]), rounds(usual, &[99.9, 100.0, 100.1])];
    assert_eq!(decided(&little), (usual, Some(KeepReason::Near)));
    assert_eq!(decided(&[rounds(usual, &[2.0, 3.0]), rounds(two, &[1.0])]), (usual, Some(KeepReason::Best)));
    // The best one is chosen, not the lighter one near it, whose range overlaps that of the current configuration.
    let lighter = [
        rounds(four, &[110.0, 111.0, 112.0]),
        rounds(two, &[103.0, 108.0, 109.0]),
        rounds(usual, &[99.0, 100.0, 104.0]),
    ];
    assert_eq!(decided(&lighter), (four, None));
    // The current configuration fails every request.
    assert_eq!(decided(&[rounds(two, &[1.0])]), (two, None));
}

#[test]
fn a_configuration_that_is_ruled_out_sets_no_mark() {
    let memory = |rpm: f64, mb: f64, errors: u64| {
        let value = |id: &str| match id {
            "requests_per_minute" => MedianRange::of(vec![rpm]),
            "resident_mb" => MedianRange::of(vec![mb]),
            _ => None,
        };
        let values = COLUMNS.iter().map(|column| value(column.id)).collect();
        Ok(Row { values, requests: 1000, errors, ..Row::default() })
    };
    let measured = [
        Measured { config: Config::usual(1, 5), row: memory(1000.0, 50.0, 0) },
        Measured { config: Config::usual(4, 5), row: memory(2000.0, 200.0, 0) },
        Measured { config: Config::usual(2, 5), row: memory(3000.0, 60.0, 500) },
    ];
    let goal = SearchGoal { memory: Some(100e6), ..goal(Target::Memory, 60.0) };
    let mut out = Vec::new();
    let ranked = rank(&measured, &goal, &mut out);
    assert_eq!(ranked.iter().map(|(config, _)| *config).collect::<Vec<_>>(), [Config::usual(1, 5)]);
    let why: Vec<&str> = out.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(why, ["it uses 200 MB, more than 100", "500 of 1000 requests failed"]);
}

#[test]
fn stages_have_names_and_no_configuration_is_both_in_and_out() {
    let space = Space { cores: 1, connections: 1, ..space(false, false) };
    // The first trials of the current configuration fail sometimes.
    let calls = std::cell::Cell::new(0);
    let model = |c: &Config| {
        calls.set(calls.get() + 1);
        if *c == Config::usual(1, 5) && calls.get() == 2 { None } else { computes(c) }
    };
    let mut machine = Machine { clock: 0.0, model, runs: 0, stages: Vec::new() };
    let found = search(&space, &goal(Target::Throughput, 60.0), &mut machine).unwrap();
    assert!(found.last.iter().any(|(c, _)| *c == Config::usual(1, 5)), "{:?}", found.out);
    assert!(found.out.is_empty(), "{:?}", found.out);
    assert_eq!((machine.stages[0], *machine.stages.last().unwrap()), ("a first look", "the best few"));
}
