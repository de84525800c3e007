//! The search: everything briefly, the better part of it again, the best few in rounds; then one of these. Pure but for the trials
//! it asks for, so that it is tested on made-up machines.

use super::space::{Config, Space};
use super::{Measured, Target};
use crate::figures::Middle;
use crate::table::Row;

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
/// What is nearer to the best than this share is as good.
const NEAR: f64 = 0.03;
/// Seconds of a trial of the whole grid.
const GRID: f64 = 2.0;
/// Share of requests that may fail.
const FAILURES: f64 = 0.001;
/// For memory: share of the best throughput, or of the rate, that must be kept.
const KEPT: f64 = 0.95;

/// What runs trials.
pub trait Trials {
    /// Each of these, `rounds` times, interleaved, `seconds` long.
    fn run(&mut self, configs: &[Config], rounds: u32, seconds: f64) -> Result<Vec<Measured>, String>;
    /// Seconds since the search began.
    fn elapsed(&self) -> f64;
    /// Seconds that starting and stopping a server takes.
    fn overhead(&self) -> f64;
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// What is to be best.
    pub target: Target,
    /// Seconds for everything.
    pub budget: f64,
    /// Bytes that the server may use.
    pub memory: Option<f64>,
    /// Requests per second of the load, where it is an open loop.
    pub rate: Option<f64>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The one to take.
    pub chosen: Config,
    /// It is what runs now already.
    pub leave_it: bool,
    /// The last stage, the best first.
    pub last: Vec<(Config, Row)>,
    /// What could not be measured, or may not be taken, with the reason.
    pub out: Vec<(Config, String)>,
    /// Tried at all.
    pub tried: Vec<Config>,
    /// Not tried: the time was too short.
    pub untried: Vec<Config>,
}

/// A row's score: larger is better.
pub fn score(row: &Row, target: Target) -> Option<Middle> {
    let (id, less) = target.column();
    let middle = row.value(id)?;
    Some(match less {
        false => middle,
        true => Middle { median: -middle.median, least: -middle.most, most: -middle.least, ..middle },
    })
}

/// Why a row must not be taken.
fn refused(row: &Row, question: &Question, best_rpm: f64) -> Option<String> {
    let responses: u64 = row.latency.iter().map(|(_, count)| count).sum();
    if row.errors as f64 > FAILURES * (responses as f64).max(1.0) {
        return Some(format!("{} of {} requests failed", row.errors, responses + row.errors));
    }
    let memory = row.value("resident_mb").map_or(0.0, |m| m.most);
    if let Some(most) = question.memory.filter(|most| memory * 1e6 > *most) {
        return Some(format!("it uses {memory:.0} MB, more than {:.0}", most / 1e6));
    }
    if let Some(module) = &row.gil_module {
        return Some(format!("{module} turns the GIL on again"));
    }
    if question.target == Target::Memory {
        let rpm = row.value("requests_per_minute").map_or(0.0, |m| m.median);
        let wanted = question.rate.map_or(best_rpm, |rate| rate * 60.0) * KEPT;
        if rpm < wanted {
            return Some(format!("it answers {rpm:.0} requests a minute, and {wanted:.0} are needed"));
        }
    }
    None
}

/// Searches. An `Err`: not even the usual configuration can be measured.
pub fn search(space: &Space, question: &Question, trials: &mut dyn Trials) -> Result<Found, String> {
    let grid = space.grid();
    let budget = question.budget;
    // The first trial says what a start costs here; without the usual one there is nothing to compare with.
    let begin = trials.run(&[space.usual], 1, SHORTEST)?;
    if let Some(Measured { row: Err(why), .. }) = begin.first() {
        return Err(format!("{} cannot be measured: {why}", space.usual.name()));
    }
    let each = trials.overhead() + SHORTEST;
    let fit = ((SHARES.0 * budget - trials.elapsed()) / each).max(3.0) as usize;
    let (first, rest) = grid.split_at(fit.min(grid.len()));
    let seconds = (SHARES.0 * budget / first.len() as f64 - trials.overhead()).clamp(SHORTEST, FIRST);
    let mut tried: Vec<Config> = first.to_vec();
    let measured = trials.run(first, 1, seconds)?;
    let mut out = Vec::new();
    let mut ranked = rank(&measured, question, &mut out);

    // Again, with what lies beside the best two and was not tried.
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
        let measured = trials.run(&second, 1, seconds)?;
        ranked = rank(&measured, question, &mut out);
    }

    let mut last: Vec<Config> = ranked.iter().take(LAST).map(|(config, _)| *config).collect();
    if !last.contains(&space.usual) {
        last.push(space.usual);
    }
    let share = (budget - trials.elapsed()) / f64::from(ROUNDS) / last.len() as f64;
    let seconds = (share - trials.overhead()).clamp(SHORTEST, 4.0 * FIRST);
    let measured = trials.run(&last, ROUNDS, seconds)?;
    let last = rank(&measured, question, &mut out);
    let untried = rest.iter().filter(|config| !tried.contains(config)).copied().collect();
    out.dedup_by_key(|(config, _)| config.name());
    let usual = last.iter().find(|(config, _)| *config == space.usual);
    let Some(chosen) = choose(&last, question.target) else {
        return Err(
            "no configuration serves this load within the limits; a smaller load, or wider limits".into()
        );
    };
    let leave_it = chosen == space.usual
        || usual.is_some_and(|(_, row)| {
            last.iter()
                .find(|(config, _)| *config == chosen)
                .is_some_and(|(_, best)| as_good(score(row, question.target), score(best, question.target)))
        });
    let chosen = if leave_it { space.usual } else { chosen };
    Ok(Found { chosen, leave_it, last, out, tried, untried })
}

/// Measures everything there is to try, then the best of it and the chosen one against each other: the largest of many figures is
/// large by chance, too. Gives the best one, and the share of it that the chosen one reaches.
pub fn against_the_grid(
    space: &Space,
    question: &Question,
    chosen: Config,
    trials: &mut dyn Trials,
) -> Result<Option<(Config, f64)>, String> {
    let measured = trials.run(&space.grid(), 2, GRID)?;
    let Some((best, _)) = rank(&measured, question, &mut Vec::new()).into_iter().next() else {
        return Ok(None);
    };
    if best == chosen {
        return Ok(Some((best, 1.0)));
    }
    let pair = trials.run(&[best, chosen], 2 * ROUNDS, 1.5 * GRID)?;
    let median = |m: &Measured| Some(m.row.as_ref().ok()?.value(question.target.column().0)?.median);
    let [Some(best_value), Some(mine)] = [pair.first().and_then(median), pair.last().and_then(median)] else {
        return Ok(None);
    };
    let share = if question.target.column().1 { best_value / mine } else { mine / best_value };
    Ok(Some((best, share)))
}

/// The best first; what must not be taken goes to `out`.
fn rank(measured: &[Measured], question: &Question, out: &mut Vec<(Config, String)>) -> Vec<(Config, Row)> {
    let rpm = |m: &Measured| Some(m.row.as_ref().ok()?.value("requests_per_minute")?.median);
    let best_rpm = measured.iter().filter_map(rpm).fold(0.0, f64::max);
    let mut ranked = Vec::new();
    for one in measured {
        let why = match &one.row {
            Err(why) => Some(why.clone()),
            Ok(row) => refused(row, question, best_rpm),
        };
        match (why, &one.row) {
            (None, Ok(row)) if score(row, question.target).is_some() => {
                ranked.push((one.config, row.clone()))
            }
            (why, _) => {
                let why = why.unwrap_or_else(|| "nothing was measured".into());
                if !out.iter().any(|(config, _)| *config == one.config) {
                    out.push((one.config, why));
                }
            }
        }
    }
    let median = |row: &Row| score(row, question.target).map_or(f64::MIN, |middle| middle.median);
    ranked.sort_by(|(_, a), (_, b)| median(b).total_cmp(&median(a)));
    ranked
}

/// The lightest among those that are as good as the best.
fn choose(last: &[(Config, Row)], target: Target) -> Option<Config> {
    let best = score(&last.first()?.1, target);
    let good = last.iter().filter(|(_, row)| near(score(row, target), best));
    good.min_by(|(a, _), (b, _)| a.weight().partial_cmp(&b.weight()).expect("no part of a weight is a NaN"))
        .map(|(config, _)| *config)
}

/// So little worse that it does not matter.
fn near(one: Option<Middle>, best: Option<Middle>) -> bool {
    let (Some(one), Some(best)) = (one, best) else { return false };
    (best.median - one.median) <= NEAR * best.median.abs()
}

/// Near, or the rounds of both scatter over each other and the difference is small beside that.
fn as_good(one: Option<Middle>, best: Option<Middle>) -> bool {
    let (Some(a), Some(b)) = (one, best) else { return false };
    near(one, best) || (a.meets(&b) && (b.median - a.median) <= 0.05 * b.median.abs())
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
