//! Modules whose files are loaded alone, many in one process: a process for each would take most of the time of an application
//! such as pandas. What this does not decide (a crash, a module that is gone at the end, one
//! that a module before it kept from loading) gets a process of its own.

use super::{
    ImportTarget, InterpreterKind, InterpreterRun, Job, ModuleOutcome, Setting, Trials, decided, found,
};
use std::collections::BTreeSet;

/// As many that would be tried alone in one setting are tried alone.
const FEW: usize = 3;
/// The settings in which one module does not change what the next one meets. In a free-threaded process the first that turns the
/// GIL on hides the others.
const SETTINGS: [Setting; 2] = [Setting::Shared, Setting::Own];

/// Puts one job in the place of many.
pub fn put(jobs: &mut BTreeSet<Job>, trials: &Trials) {
    for setting in SETTINGS {
        let job = (setting, ImportTarget::Extensions);
        if !trials.contains_key(&job) && jobs.iter().filter(|job| is_alone(job, setting)).count() > FEW {
            jobs.retain(|job| !is_alone(job, setting));
            jobs.insert(job);
        }
    }
}

fn is_alone((of, what): &Job, setting: Setting) -> bool {
    *of == setting && matches!(what, ImportTarget::Extension(_))
}

fn refuses(trials: &Trials, place: InterpreterKind, run: &InterpreterRun, name: &str) -> bool {
    let by_itself =
        || run.alone.get(name).is_some_and(|alone| alone.error.is_some() && alone.other.is_none());
    decided(trials, place, name).map_or_else(by_itself, |outcome| outcome.speaks_against())
}

/// The outcome of a module that was loaded alone among others.
pub fn outcome(trials: &Trials, place: InterpreterKind, name: &str) -> Option<ModuleOutcome> {
    let (setting, index) = place.tried();
    let run = trials.get(&(setting, ImportTarget::Extensions))?.runs.get(index)?;
    let alone = run.alone.get(name)?;
    match (&alone.error, &alone.other) {
        (None, _) => run.has(name).then(|| found(trials, run, name)),
        // Where the other one loads by itself, one before it was in its way.
        (Some(_), Some(other)) if !refuses(trials, place, run, other) => None,
        (Some(error), Some(other)) => {
            Some(ModuleOutcome::Refuses { error: format!("needs {other}, which refuses ({error})") })
        }
        (Some(error), None) => Some(ModuleOutcome::Refuses { error: error.clone() }),
    }
}
