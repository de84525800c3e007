//! The search in three stages: every configuration briefly, the better ones again, the best few in rounds; then it picks one. Pure
//! except for the trials, which run behind a trait, so that tests run on simulated machines.

use super::space::{Config, Space};
use super::{Measured, Target};
use crate::table::columns::MedianRange;
use crate::table::row::Row;

/// Shortest trial, its warm-up included, seconds.
const SHORTEST: f64 = 0.8;
/// Longest trial of the first stage.
const FIRST: f64 = 3.0;
/// Shares of the time for the first and the second stage; the rest is for the last.
const SHARES: (f64, f64) = (0.45, 0.2);
/// Rounds of the last stage.
const ROUNDS: u32 = 3;
/// Configurations of the last stage beside the usual one.
const LAST: usize = 4;
/// Configurations within this share of the best count as equally good.
pub const NEAR: f64 = 0.03;
/// Seconds of a trial of the whole grid.
const GRID: f64 = 2.0;
/// Share of requests that may fail.
const FAILURES: f64 = 0.001;
/// For `--target memory`: share of the best throughput, or of the rate, that a configuration must keep.
const KEPT: f64 = 0.95;

/// Runs trials.
pub trait TrialRunner {
    /// Runs a trial of `seconds` for each configuration, in `rounds` interleaved rounds. `stage`: name of the stage, in words.
    fn run(
        &mut self,
        stage: &'static str,
        configs: &[Config],
        rounds: u32,
        seconds: f64,
    ) -> Result<Vec<Measured>, String>;
    /// Seconds since the search began.
    fn elapsed(&self) -> f64;
    /// Seconds that starting and stopping a server takes.
    fn overhead(&self) -> f64;
}

/// What to search for, and within which limits.
#[derive(Debug, Clone, Copy)]
pub struct SearchGoal {
    /// The figure to optimise.
    pub target: Target,
    /// Time for the whole search, seconds.
    pub budget: f64,
    /// Memory limit of the server, bytes.
    pub memory: Option<f64>,
    /// Requests per second of an open loop; `None`: closed loop.
    pub rate: Option<f64>,
}

/// Why to keep the current configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepReason {
    /// It is the best.
    Best,
    /// Its range of rounds overlaps that of the best.
    Scatter,
    /// The best is better by at most [`NEAR`].
    Near,
}

/// Result of a search.
#[derive(Debug, Clone)]
pub struct SearchResult {
    /// The recommended configuration.
    pub chosen: Config,
    /// Set when the recommendation is to change nothing.
    pub keep: Option<KeepReason>,
    /// Configurations of the last stage, the best first.
    pub last: Vec<(Config, Row)>,
    /// Configurations that could not be measured or are ruled out, with the reason.
    pub out: Vec<(Config, String)>,
    /// Every configuration with at least one trial.
    pub tried: Vec<Config>,
    /// Configurations the budget left no time for.
    pub untried: Vec<Config>,
}

/// A row's score: larger is better.
pub fn score(row: &Row, target: Target) -> Option<MedianRange> {
    let (id, less) = target.column();
    let middle = row.value(id)?;
    Some(match less {
        false => middle,
        true => MedianRange { median: -middle.median, least: -middle.most, most: -middle.least, ..middle },
    })
}

/// Why a row is ruled out on its own figures.
fn barred(row: &Row, goal: &SearchGoal) -> Option<String> {
    if row.errors as f64 > FAILURES * (row.requests as f64).max(1.0) {
        return Some(format!("{} of {} requests failed", row.errors, row.requests));
    }
    let memory = row.value("resident_mb").map_or(0.0, |m| m.most);
    if let Some(most) = goal.memory.filter(|most| memory * 1e6 > *most) {
        return Some(format!("it uses {memory:.0} MB, more than {:.0}", most / 1e6));
    }
    if let Some(module) = &row.gil_module {
        return Some(format!("{module} turns the GIL on again"));
    }
    None
}

/// Why a row is ruled out. `best_rpm`: the best throughput of the rows that are not [`barred`].
fn refused(row: &Row, goal: &SearchGoal, best_rpm: f64) -> Option<String> {
    if let Some(why) = barred(row, goal) {
        return Some(why);
    }
    if goal.target == Target::Memory {
        let rpm = row.value("requests_per_minute").map_or(0.0, |m| m.median);
        let wanted = goal.rate.map_or(best_rpm, |rate| rate * 60.0) * KEPT;
        if rpm < wanted {
            return Some(format!("it answers {rpm:.0} requests a minute, and {wanted:.0} are needed"));
        }
    }
    None
}

/// Runs the search. `Err`: not even the current configuration can be measured, or nothing serves the load within the limits.
pub fn search(
    space: &Space,
    goal: &SearchGoal,
    trials: &mut dyn TrialRunner,
) -> Result<SearchResult, String> {
    let grid = space.grid();
    let budget = goal.budget;
    // The first trial measures what a start costs here. Without the current configuration there is nothing to compare with.
    let begin = trials.run("a first look", &[space.usual], 1, SHORTEST)?;
    if let Some(Measured { row: Err(why), .. }) = begin.first() {
        return Err(format!("{} cannot be measured: {why}", space.usual.name()));
    }
    let each = trials.overhead() + SHORTEST;
    let fit = ((SHARES.0 * budget - trials.elapsed()) / each).max(3.0) as usize;
    let (first, rest) = grid.split_at(fit.min(grid.len()));
    let seconds = (SHARES.0 * budget / first.len() as f64 - trials.overhead()).clamp(SHORTEST, FIRST);
    let mut tried: Vec<Config> = first.to_vec();
    let measured = trials.run("everything, briefly", first, 1, seconds)?;
    let mut out = Vec::new();
    let mut ranked = rank(&measured, goal, &mut out);

    // The better ones again, and the untried neighbours of the best two.
    let mut second: Vec<Config> = ranked.iter().take((first.len() / 5).max(LAST)).map(|(c, _)| *c).collect();
    let near = ranked.iter().take(2).flat_map(|(config, _)| space.neighbours(config));
    let near: Vec<Config> = near.filter(|config| !tried.contains(config)).collect();
    let room = ((SHARES.1 * budget) / each).max(LAST as f64) as usize;
    for config in near {
        if !second.contains(&config) && second.len() < room {
            second.push(config);
            tried.push(config);
        }
    }
    let left = (budget * (SHARES.0 + SHARES.1) - trials.elapsed()).max(0.0);
    let seconds = (left / second.len().max(1) as f64 - trials.overhead()).clamp(SHORTEST, 2.0 * FIRST);
    if second.len() > LAST {
        let measured = trials.run("the better part", &second, 1, seconds)?;
        ranked = rank(&measured, goal, &mut out);
    }

    let mut last: Vec<Config> = ranked.iter().take(LAST).map(|(config, _)| *config).collect();
    if !last.contains(&space.usual) {
        last.push(space.usual);
    }
    let share = (budget - trials.elapsed()) / f64::from(ROUNDS) / last.len() as f64;
    let seconds = (share - trials.overhead()).clamp(SHORTEST, 4.0 * FIRST);
    let measured = trials.run("the best few", &last, ROUNDS, seconds)?;
    let last = rank(&measured, goal, &mut out);
    let untried = rest.iter().filter(|config| !tried.contains(config)).copied().collect();
    // A configuration that one short trial ruled out and the rounds did not is not out.
    out.retain(|(config, _)| last.iter().all(|(one, _)| one != config));
    let Some((chosen, keep)) = decide(&last, goal.target, space.usual) else {
        return Err(
            "no configuration serves this load within the limits; a smaller load, or wider limits".into()
        );
    };
    Ok(SearchResult { chosen, keep, last, out, tried, untried })
}

/// Measures the whole grid, then its best configuration and the chosen one against each other, because the largest of many figures
/// is partly chance. Returns the best configuration and the share of its figure that the chosen one reaches.
pub fn against_the_grid(
    space: &Space,
    goal: &SearchGoal,
    chosen: Config,
    trials: &mut dyn TrialRunner,
) -> Result<Option<(Config, f64)>, String> {
    let measured = trials.run("the whole grid", &space.grid(), 2, GRID)?;
    let Some((best, _)) = rank(&measured, goal, &mut Vec::new()).into_iter().next() else {
        return Ok(None);
    };
    if best == chosen {
        return Ok(Some((best, 1.0)));
    }
    let pair = trials.run("the best of the grid", &[best, chosen], 2 * ROUNDS, 1.5 * GRID)?;
    let median = |m: &Measured| Some(m.row.as_ref().ok()?.value(goal.target.column().0)?.median);
    let [Some(best_value), Some(mine)] = [pair.first().and_then(median), pair.last().and_then(median)] else {
        return Ok(None);
    };
    let share = if goal.target.column().1 { best_value / mine } else { mine / best_value };
    Ok(Some((best, share)))
}

/// Sorts rows, the best first; rows that are ruled out go to `out`.
fn rank(measured: &[Measured], goal: &SearchGoal, out: &mut Vec<(Config, String)>) -> Vec<(Config, Row)> {
    let may = |m: &Measured| m.row.as_ref().ok().filter(|row| barred(row, goal).is_none()).cloned();
    let rpm = |m: &Measured| Some(may(m)?.value("requests_per_minute")?.median);
    let best_rpm = measured.iter().filter_map(rpm).fold(0.0, f64::max);
    let mut ranked = Vec::new();
    for one in measured {
        let why = match &one.row {
            Err(why) => Some(why.clone()),
            Ok(row) => refused(row, goal, best_rpm),
        };
        match (why, &one.row) {
            (None, Ok(row)) if score(row, goal.target).is_some() => ranked.push((one.config, row.clone())),
            (why, _) => {
                let why = why.unwrap_or_else(|| "nothing was measured".into());
                if !out.iter().any(|(config, _)| *config == one.config) {
                    out.push((one.config, why));
                }
            }
        }
    }
    let median = |row: &Row| score(row, goal.target).map_or(f64::MIN, |middle| middle.median);
    ranked.sort_by(|(_, a), (_, b)| median(b).total_cmp(&median(a)));
    ranked
}

/// Picks from `last` (the best first). The current configuration is kept unless the best is clearly better; otherwise the lightest
/// configuration wins that is near the best and clearly better than the current one.
fn decide(last: &[(Config, Row)], target: Target, usual: Config) -> Option<(Config, Option<KeepReason>)> {
    let score = |row: &Row| score(row, target);
    let (best_config, best_row) = last.first()?;
    let best = score(best_row)?;
    let now = last.iter().find(|(config, _)| *config == usual).and_then(|(_, row)| score(row));
    let reason = now.and_then(|now| match () {
        () if *best_config == usual => Some(KeepReason::Best),
        () if near(&now, &best) => {
            Some(if scatter(&now, &best) { KeepReason::Scatter } else { KeepReason::Near })
        }
        () => scatter(&now, &best).then_some(KeepReason::Scatter),
    });
    if reason.is_some() {
        return Some((usual, reason));
    }
    let good = last.iter().filter(|(_, row)| {
        score(row).is_some_and(|one| near(&one, &best) && now.is_none_or(|now| !scatter(&now, &one)))
    });
    let lightest = good
        .min_by(|(a, _), (b, _)| a.weight().partial_cmp(&b.weight()).expect("no part of a weight is a NaN"));
    Some((lightest.map_or(*best_config, |(config, _)| *config), None))
}

/// Whether `one` is worse than `best` by at most [`NEAR`].
fn near(one: &MedianRange, best: &MedianRange) -> bool {
    (best.median - one.median) <= NEAR * best.median.abs()
}

/// Whether the ranges of rounds overlap: the difference of the medians may be chance.
fn scatter(one: &MedianRange, other: &MedianRange) -> bool {
    one.rounds > 1 && other.rounds > 1 && one.overlaps(other)
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
