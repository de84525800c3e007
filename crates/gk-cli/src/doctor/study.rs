//! Chooses the trials, and derives the outcome of each extension module from them. Pure.
//!
//! The application is imported once in each setting. A module that the main interpreter has and another one lacks is then tried
//! again: first the package that imports it, then the file of the extension module alone. So modules after the first refusal get an
//! outcome, too. Extension modules of imported distributions that the application has not loaded, as those that are imported when
//! they are needed, are imported by themselves, all in one trial of each setting.

mod together;

use super::event::{CodeOrigin, Described, InterpreterRun, Trial};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The kind of process and interpreter of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// The main interpreter, with the GIL: the reference for the others.
    Main,
    /// Two sub-interpreters that share the GIL, one after the other, in one process.
    Shared,
    /// A sub-interpreter with a GIL of its own.
    Own,
    /// The main interpreter of a free-threaded build, whose GIL may come back.
    Free,
    /// The same, with the GIL forced off.
    Forced,
}

/// The thing to import.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImportTarget {
    /// The application as `serve` loads it.
    Application,
    /// One module, by name.
    Import(String),
    /// One extension module, from its file.
    Extension(String),
    /// Those that are to be loaded from their files, one after the other.
    Extensions,
    /// Those that the application has not loaded, one after the other.
    Unloaded,
}

/// Setting and import of a trial.
pub type Job = (Setting, ImportTarget);

/// The trials made so far.
pub type Trials = BTreeMap<Job, Trial>;

/// The kind of interpreter that an outcome is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterpreterKind {
    /// The first sub-interpreter that shares the GIL.
    SubInterpreter,
    /// The second one in the same process.
    SecondSubInterpreter,
    /// One with a GIL of its own.
    OwnGil,
    /// A process without a GIL.
    FreeThreading,
}

impl InterpreterKind {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 4] =
        [Self::SubInterpreter, Self::SecondSubInterpreter, Self::OwnGil, Self::FreeThreading];

    /// The setting that tries it, and the index of the interpreter there.
    pub fn tried(self) -> (Setting, usize) {
        match self {
            Self::SubInterpreter => (Setting::Shared, 0),
            Self::SecondSubInterpreter => (Setting::Shared, 1),
            Self::OwnGil => (Setting::Own, 0),
            Self::FreeThreading => (Setting::Free, 0),
        }
    }
}

/// The outcome of an extension module in one kind of interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum ModuleOutcome {
    /// It loads as in the main interpreter.
    Loads,
    /// The import raises.
    Refuses {
        /// The exception.
        error: String,
    },
    /// Its package goes on importing without it.
    Lost {
        /// The swallowed exception, if there was one.
        error: Option<String>,
    },
    /// It ends the process.
    Crashes {
        /// The signal, and the place if Python reported it.
        error: String,
    },
    /// It hangs.
    Hangs {
        /// The time limit, and the place if Python reported it.
        error: String,
    },
    /// It loads and turns the GIL on for the process.
    GilBack {
        /// Observed in a trial; otherwise concluded from the module's declaration.
        seen: bool,
    },
    /// It loads and has nothing in it, or less than half of what the main interpreter's has.
    Empty,
    /// A module of Python's own library that nothing imports there.
    Unused,
    /// No trial reached this module.
    NotReached,
}

impl ModuleOutcome {
    /// Whether it is a finding.
    pub fn speaks_against(&self) -> bool {
        !matches!(self, Self::Loads | Self::Unused)
    }

    /// The outcome in one word, as in the JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Loads => "loads",
            Self::Refuses { .. } => "refuses",
            Self::Lost { .. } => "lost",
            Self::Crashes { .. } => "crashes",
            Self::Hangs { .. } => "hangs",
            Self::GilBack { .. } => "gil-back",
            Self::Empty => "empty",
            Self::Unused => "unused",
            Self::NotReached => "not-reached",
        }
    }
}

/// The next trials; empty: the study is done. `settings`: the requested ones, without the main interpreter.
pub fn next(trials: &Trials, settings: &[Setting]) -> Vec<Job> {
    let first = (Setting::Main, ImportTarget::Application);
    let Some(reference) = trials.get(&first) else { return vec![first] };
    if !reference.runs.first().is_some_and(InterpreterRun::fine) {
        return Vec::new();
    }
    let missing = |what: ImportTarget| {
        settings.iter().map(move |s| (*s, what.clone())).filter(|j| !trials.contains_key(j))
    };
    let mut applications: Vec<Job> = missing(ImportTarget::Application).collect();
    if !applications.is_empty() {
        let unloaded = (!reference.unloaded.is_empty()).then_some((Setting::Main, ImportTarget::Unloaded));
        applications.extend(unloaded);
        return applications;
    }
    let mut jobs = BTreeSet::new();
    if modules(trials).iter().any(|module| !loaded(trials, &module.name)) {
        let unloaded: Vec<Job> =
            missing(ImportTarget::Unloaded).filter(|(setting, _)| *setting != Setting::Forced).collect();
        // They decide most of these modules: the others are tried when it is done.
        if !unloaded.is_empty() {
            return unloaded;
        }
    }
    for place in InterpreterKind::ALL {
        let (setting, _) = place.tried();
        if !settings.contains(&setting) {
            continue;
        }
        for module in modules(trials) {
            let name = &module.name;
            if is_open(trials, place, name) {
                let open = imports(trials, place, name).into_iter().find(|job| !trials.contains_key(job));
                jobs.insert(open.unwrap_or_else(|| (setting, ImportTarget::Extension(name.clone()))));
            }
            // CPython's warning names the first module only, so each suspect is loaded alone.
            if setting == Setting::Free && suspect(module) && !seen_back(trials, name) {
                jobs.insert((setting, ImportTarget::Extension(name.clone())));
            }
        }
    }
    jobs.retain(|job| !trials.contains_key(job));
    together::put(&mut jobs, trials);
    jobs.into_iter().collect()
}

/// Whether no trial has decided a module's outcome in one kind of interpreter.
fn is_open(trials: &Trials, place: InterpreterKind, name: &str) -> bool {
    decided(trials, place, name).or_else(|| together::outcome(trials, place, name)).is_none()
}

/// The settings in which no trial has decided a module's outcome.
pub fn open(trials: &Trials, name: &str) -> Vec<Setting> {
    let open = InterpreterKind::ALL.into_iter().filter(|place| is_open(trials, *place, name));
    open.map(|place| place.tried().0).collect()
}

/// The extension modules of the application in the main interpreter, then those that it has not loaded and that load there.
pub fn modules(trials: &Trials) -> Vec<&Described> {
    let of = |what: ImportTarget| trials.get(&(Setting::Main, what));
    let Some(reference) = of(ImportTarget::Application) else { return Vec::new() };
    let there = |trial: &Trial, m: &Described| trial.runs.first().is_some_and(|p| p.has(&m.name));
    let mut found: Vec<&Described> = reference.described.iter().filter(|m| there(reference, m)).collect();
    if let Some(trial) = of(ImportTarget::Unloaded) {
        let wanted = |m: &&Described| reference.unloaded.iter().any(|unloaded| unloaded.name == m.name);
        found.extend(trial.described.iter().filter(wanted).filter(|m| there(trial, m)));
    }
    found
}

/// Whether the import of the application loads this module.
pub fn loaded(trials: &Trials, name: &str) -> bool {
    let reference = trials.get(&(Setting::Main, ImportTarget::Application));
    reference.and_then(|trial| trial.runs.first()).is_some_and(|run| run.has(name))
}

/// The trial of the whole application in one kind of interpreter.
pub fn application(trials: &Trials, place: InterpreterKind) -> Option<(&Trial, &InterpreterRun)> {
    let (setting, index) = place.tried();
    let trial = trials.get(&(setting, ImportTarget::Application))?;
    Some((trial, trial.runs.get(index)?))
}

/// The outcome of a module in one kind of interpreter.
pub fn outcome(trials: &Trials, place: InterpreterKind, module: &Described) -> ModuleOutcome {
    let name = &module.name;
    let found = decided(trials, place, name).unwrap_or_else(|| alone(trials, place, name));
    if module.kind == CodeOrigin::Standard && found == (ModuleOutcome::Lost { error: None }) {
        return ModuleOutcome::Unused;
    }
    if place != InterpreterKind::FreeThreading || found != ModuleOutcome::Loads {
        return found;
    }
    if seen_back(trials, name) {
        return ModuleOutcome::GilBack { seen: true };
    }
    // A module that loads alone and leaves the GIL off is innocent, whatever its definition says.
    let job = (Setting::Free, ImportTarget::Extension(name.clone()));
    let innocent = trials
        .get(&job)
        .and_then(|t| t.runs.first())
        .is_some_and(|p| p.has(name) && p.imported.as_ref().is_some_and(|i| i.gil == Some(false)));
    match suspect(module) && !innocent {
        true => ModuleOutcome::GilBack { seen: false },
        false => ModuleOutcome::Loads,
    }
}

/// Whether the module does not declare that it runs without the GIL.
fn suspect(module: &Described) -> bool {
    module.declares.as_ref().is_some_and(|d| d.gil != "not-used")
}

fn seen_back(trials: &Trials, name: &str) -> bool {
    let free = trials.iter().filter(|((setting, _), _)| *setting == Setting::Free);
    free.flat_map(|(_, trial)| &trial.runs).any(|p| p.gil_back.iter().any(|n| n == name))
}

/// Imports by name that load this module, the farthest first. For each installed package in the chain below the application's last
/// own module: the first of its modules that ran, then the last one (perhaps behind a lazy import) unless the package failed already.
fn imports(trials: &Trials, place: InterpreterKind, name: &str) -> Vec<Job> {
    let (setting, index) = place.tried();
    let job = |module: &str| (setting, ImportTarget::Import(module.to_owned()));
    let fine = |job: &Job| trials.get(job).and_then(|t| t.runs.get(index)).is_some_and(InterpreterRun::fine);
    let mut found = Vec::new();
    for (first, last) in packages(trials, name) {
        let first = job(&first);
        let inner = Some(job(&last)).filter(|last| *last != first && fine(&first));
        found.push(first);
        found.extend(inner);
    }
    found
}

/// First and last module of each package in the chain.
fn packages(trials: &Trials, name: &str) -> Vec<(String, String)> {
    let reference = trials.get(&(Setting::Main, ImportTarget::Application));
    let mut loading = reference.and_then(|t| t.runs.first()).into_iter().flat_map(|p| &p.loading);
    let chain = loading.find(|(n, _)| n == name).map(|(_, chain)| chain.as_slice()).unwrap_or_default();
    let own = chain.iter().rposition(|(_, kind)| *kind == CodeOrigin::Application);
    let below = chain[own.map_or(0, |at| at + 1)..].iter().filter(|(_, kind)| *kind == CodeOrigin::Installed);
    let package = |module: &str| module.split('.').next().unwrap_or_default().to_owned();
    let mut found: Vec<(String, String)> = Vec::new();
    for (module, _) in below {
        match found.iter_mut().find(|(first, _)| package(first) == package(module)) {
            Some((_, last)) => module.clone_into(last),
            None => found.push((module.clone(), module.clone())),
        }
    }
    if found.is_empty() {
        found.push((name.to_owned(), name.to_owned()));
    }
    found
}

/// The outcome, if imports by name decide it.
fn decided(trials: &Trials, place: InterpreterKind, name: &str) -> Option<ModuleOutcome> {
    let (setting, index) = place.tried();
    if place == InterpreterKind::SecondSubInterpreter {
        // The second one is tried only for modules that the first one loads.
        let first = decided(trials, InterpreterKind::SubInterpreter, name)?;
        if first != ModuleOutcome::Loads {
            return Some(first);
        }
    }
    if !loaded(trials, name) {
        let trial = trials.get(&(setting, ImportTarget::Unloaded))?;
        if let Some(found) = told_by_itself(trials, trial, index, name) {
            return Some(found);
        }
    }
    let application = trials.get(&(setting, ImportTarget::Application))?;
    if let Some(found) = told(trials, application, index, name, loaded(trials, name)) {
        return Some(found);
    }
    let imports = imports(trials, place, name);
    for (position, job) in imports.iter().enumerate() {
        let nearest = position + 1 == imports.len();
        if let Some(found) = trials.get(job).and_then(|trial| told(trials, trial, index, name, nearest)) {
            return Some(found);
        }
    }
    if let Some(found) = imports.iter().rev().find_map(|job| blocked(job, trials.get(job)?, index, name)) {
        return Some(found);
    }
    // No import went on without it, so the exception counts; that of the nearest import first.
    let error = |trial: &Trial| trial.runs.get(index)?.refused.get(name).cloned();
    let all: Option<Vec<&Trial>> = imports.iter().map(|job| trials.get(job)).collect();
    let error = all?.into_iter().rev().find_map(error).or_else(|| error(application));
    error.map(|error| ModuleOutcome::Refuses { error })
}

/// The outcome of a module that was imported by its own name among others.
fn told_by_itself(trials: &Trials, trial: &Trial, index: usize, name: &str) -> Option<ModuleOutcome> {
    let run = trial.runs.get(index)?;
    let raised = || run.refused.get(name).or_else(|| run.failed.get(name));
    match (run.has(name), raised()) {
        (true, _) => Some(found(trials, run, name)),
        (false, Some(error)) => Some(ModuleOutcome::Refuses { error: error.clone() }),
        (false, None) => died(trial, run, name),
    }
}

/// The outcome of a module that is there: it may be without its content.
fn found(trials: &Trials, run: &InterpreterRun, name: &str) -> ModuleOutcome {
    let of = |what: ImportTarget| trials.get(&(Setting::Main, what))?.runs.first()?.filled(name);
    let whole = of(ImportTarget::Application).or_else(|| of(ImportTarget::Unloaded));
    match (run.filled(name), whole) {
        (Some(here), Some(whole)) if here * 2 < whole => ModuleOutcome::Empty,
        _ => ModuleOutcome::Loads,
    }
}

/// A module whose package does not import because a module of another package refuses: no trial of its own is needed.
fn blocked((_, what): &Job, trial: &Trial, index: usize, name: &str) -> Option<ModuleOutcome> {
    let package = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let own = matches!(what, ImportTarget::Import(target) if package(target) == package(name));
    let run = trial.runs.get(index).filter(|run| own && !run.fine())?;
    let (other, error) = run.refused.iter().find(|(other, _)| package(other) != package(name))?;
    Some(ModuleOutcome::Refuses { error: format!("needs {other}, which refuses ({error})") })
}

/// The outcome that one trial proves. `nearest`: no other import by name is nearer to the module.
fn told(trials: &Trials, trial: &Trial, index: usize, name: &str, nearest: bool) -> Option<ModuleOutcome> {
    let run = trial.runs.get(index)?;
    if run.has(name) {
        return Some(found(trials, run, name));
    }
    if run.fine() && index > 0 && is_with_its_importer(trial, run, name) {
        return Some(ModuleOutcome::Loads);
    }
    if run.fine() && (nearest || run.refused.contains_key(name)) {
        return Some(ModuleOutcome::Lost { error: run.refused.get(name).cloned() });
    }
    died(trial, run, name)
}

/// Whether a second interpreter has a module by way of the one whose initialisation imports it: before CPython 3.13 it gets a copy
/// of that one, which is not initialised again.
fn is_with_its_importer(trial: &Trial, run: &InterpreterRun, name: &str) -> bool {
    let importer = trial.runs.first().and_then(|first| first.within.get(name));
    !run.refused.contains_key(name) && importer.is_some_and(|importer| run.has(importer))
}

/// The trial's death, if this module was being loaded.
fn died(trial: &Trial, run: &InterpreterRun, name: &str) -> Option<ModuleOutcome> {
    if run.imported.is_some() || run.open.last().is_none_or(|open| open != name) {
        return None;
    }
    let error = trial.death()?;
    let hung = matches!(trial.end, super::event::ChildEnd::TimeOver(_));
    Some(if hung { ModuleOutcome::Hangs { error } } else { ModuleOutcome::Crashes { error } })
}

/// The outcome of loading the file alone.
fn alone(trials: &Trials, place: InterpreterKind, name: &str) -> ModuleOutcome {
    let (setting, index) = place.tried();
    if place == InterpreterKind::SecondSubInterpreter {
        let first = decided(trials, InterpreterKind::SubInterpreter, name);
        let first = first.unwrap_or_else(|| alone(trials, InterpreterKind::SubInterpreter, name));
        if first != ModuleOutcome::Loads {
            return first;
        }
    }
    let Some(trial) = trials.get(&(setting, ImportTarget::Extension(name.to_owned()))) else {
        return together::outcome(trials, place, name).unwrap_or(ModuleOutcome::NotReached);
    };
    let Some(run) = trial.runs.get(index) else { return ModuleOutcome::NotReached };
    if run.has(name) && run.fine() {
        return found(trials, run, name);
    }
    if let Some(died) = died(trial, run, name) {
        return died;
    }
    let Some(error) = run.refused.get(name) else { return ModuleOutcome::NotReached };
    let other = run.refused.keys().find(|other| *other != name);
    ModuleOutcome::Refuses {
        error: match other {
            Some(other) => format!("needs {other}, which refuses ({error})"),
            None => error.clone(),
        },
    }
}
