//! Modules whose files are loaded alone, many in one process: a process for each would take most of the time of an application
//! such as pandas. What this does not decide gets a process of its own: a module that crashes, that is gone at the end, or that perhaps
//! did not load because of one before it. Of those that fail alike in one package, one is tried first.

use super::{
    ImportTarget, InterpreterKind, InterpreterRun, Job, ModuleOutcome, Setting, Trial, Trials, decided, found,
};
use crate::doctor::event::Alone;
use std::collections::BTreeSet;

/// As many that would be tried alone in one setting are tried alone.
const FEW: usize = 3;
/// The settings in which one module does not change what the next one meets. In a free-threaded process the first that turns the
/// GIL on hides the others.
const SETTINGS: [Setting; 2] = [Setting::Shared, Setting::Own];

/// Puts one job in the place of many.
pub fn put(jobs: &mut BTreeSet<Job>, trials: &Trials) {
    for setting in SETTINGS {
        let together = (setting, ImportTarget::Extensions);
        match trials.get(&together) {
            None if jobs.iter().filter(|job| alone(job, setting).is_some()).count() > FEW => {
                jobs.retain(|job| alone(job, setting).is_none());
                jobs.insert(together);
            }
            None => {}
            Some(trial) => {
                let mut seen: Vec<Fate<'_>> = Vec::new();
                jobs.retain(|job| {
                    let Some(name) = alone(job, setting) else { return true };
                    let fate = Fate::of(trial, name);
                    if !fate.is_told() || samples(trials, setting, &fate).next().is_some() {
                        return true;
                    }
                    let first = !seen.contains(&fate);
                    seen.push(fate);
                    first
                });
            }
        }
    }
}

/// The module of a job that loads one alone in a setting.
fn alone((of, what): &Job, setting: Setting) -> Option<&str> {
    match what {
        ImportTarget::Extension(name) if *of == setting => Some(name),
        _ => None,
    }
}

/// What became of a module in each interpreter of a process that loaded many.
#[derive(PartialEq)]
struct Fate<'t> {
    package: String,
    runs: Vec<Option<&'t Alone>>,
}

impl<'t> Fate<'t> {
    fn of(trial: &'t Trial, name: &str) -> Self {
        let package = name.split('.').next().unwrap_or_default().to_owned();
        Self { package, runs: trial.runs.iter().map(|run| run.alone.get(name)).collect() }
    }

    fn is_told(&self) -> bool {
        self.runs.iter().any(Option::is_some)
    }
}

/// The trials by themselves of modules that had the same fate.
fn samples<'t>(trials: &'t Trials, setting: Setting, fate: &Fate<'_>) -> impl Iterator<Item = &'t Trial> {
    let together = trials.get(&(setting, ImportTarget::Extensions));
    trials.iter().filter_map(move |(job, trial)| {
        let name = alone(job, setting)?;
        (Fate::of(together?, name) == *fate).then_some(trial)
    })
}

/// The outcome of a module that was loaded alone among others.
pub fn outcome(trials: &Trials, place: InterpreterKind, name: &str) -> Option<ModuleOutcome> {
    let (setting, index) = place.tried();
    let trial = trials.get(&(setting, ImportTarget::Extensions))?;
    let run = trial.runs.get(index)?;
    let alone = run.alone.get(name)?;
    match (&alone.error, &alone.other) {
        (None, _) => run.has(name).then(|| found(trials, run, name)),
        // Where the other one loads by itself, one before it was perhaps in its way.
        (Some(error), Some(other)) if !refuses(trials, place, run, other) => {
            let fate = Fate::of(trial, name);
            let samples: Vec<&InterpreterRun> =
                samples(trials, setting, &fate).filter_map(|trial| trial.runs.get(index)).collect();
            let refused = !samples.is_empty() && samples.iter().all(|sample| !sample.fine());
            refused.then(|| ModuleOutcome::Refuses { error: error.clone() })
        }
        (Some(error), Some(other)) => {
            Some(ModuleOutcome::Refuses { error: format!("needs {other}, which refuses ({error})") })
        }
        (Some(error), None) => Some(ModuleOutcome::Refuses { error: error.clone() }),
    }
}

fn refuses(trials: &Trials, place: InterpreterKind, run: &InterpreterRun, name: &str) -> bool {
    let by_itself =
        || run.alone.get(name).is_some_and(|alone| alone.error.is_some() && alone.other.is_none());
    decided(trials, place, name).map_or_else(by_itself, |outcome| outcome.speaks_against())
}
