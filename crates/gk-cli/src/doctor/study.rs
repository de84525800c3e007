//! Which trials to make, and what they say of each extension module. Pure: trials go in, the next ones or outcomes come out.
//!
//! The application is imported once in each setting. What the main interpreter has and another one lacks is then tried
//! again, first the package that imports it, then the extension module's file alone, so that a module behind the first one
//! that refuses is judged, too.

use super::event::{Described, Kind, Passage, Trial};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// In what kind of interpreter a trial is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// The main interpreter, with the GIL: what the others are compared with.
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

/// What is imported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The application as `serve` loads it.
    Application,
    /// One module, by name.
    Import(String),
    /// One extension module, from its file.
    Extension(String),
}

/// A trial made or to be made.
pub type Job = (Setting, What);

/// All trials made.
pub type Trials = BTreeMap<Job, Trial>;

/// An interpreter that an outcome is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The first sub-interpreter that shares the GIL.
    SubInterpreter,
    /// The next one in the same process.
    SecondSubInterpreter,
    /// One with a GIL of its own.
    OwnGil,
    /// A process without a GIL.
    FreeThreading,
}

impl Place {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 4] =
        [Self::SubInterpreter, Self::SecondSubInterpreter, Self::OwnGil, Self::FreeThreading];

    /// Where it is tried: the setting and which of its interpreters.
    pub fn tried(self) -> (Setting, usize) {
        match self {
            Self::SubInterpreter => (Setting::Shared, 0),
            Self::SecondSubInterpreter => (Setting::Shared, 1),
            Self::OwnGil => (Setting::Own, 0),
            Self::FreeThreading => (Setting::Free, 0),
        }
    }
}

/// What becomes of an extension module in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// As in the main interpreter.
    Loads,
    /// The import raises.
    Refuses {
        /// The exception.
        error: String,
    },
    /// The import of what uses it goes on without it.
    Lost {
        /// The exception that was passed over, when there was one.
        error: Option<String>,
    },
    /// It ends the process.
    Crashes {
        /// The signal, and the place if Python told it.
        error: String,
    },
    /// It does not come back.
    Hangs {
        /// The limit, and the place if Python told it.
        error: String,
    },
    /// It loads, and from then on the process has a GIL.
    GilBack {
        /// Whether that was seen; otherwise it follows from what the module declares.
        seen: bool,
    },
    /// A module of Python's own that nothing asks for there.
    Unused,
    /// Nothing that was tried came as far as this module.
    NotReached,
}

impl Outcome {
    /// Whether it belongs into a finding.
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
            Self::Unused => "unused",
            Self::NotReached => "not-reached",
        }
    }
}

/// The trials to make next; none: the study is done. `settings` are those asked for, beside the main interpreter.
pub fn next(trials: &Trials, settings: &[Setting]) -> Vec<Job> {
    let first = (Setting::Main, What::Application);
    let Some(reference) = trials.get(&first) else { return vec![first] };
    if !reference.passages.first().is_some_and(Passage::fine) {
        return Vec::new();
    }
    let missing = |what: What| {
        settings.iter().map(move |s| (*s, what.clone())).filter(|j| !trials.contains_key(j)).collect()
    };
    let applications: Vec<Job> = missing(What::Application);
    if !applications.is_empty() {
        return applications;
    }
    let mut jobs = BTreeSet::new();
    for place in Place::ALL {
        let (setting, _) = place.tried();
        if !settings.contains(&setting) {
            continue;
        }
        for module in modules(trials) {
            let name = &module.name;
            let decided = decided(trials, place, name).is_some();
            if !decided {
                let open = imports(trials, place, name).into_iter().find(|job| !trials.contains_key(job));
                jobs.insert(open.unwrap_or_else(|| (setting, What::Extension(name.clone()))));
            }
            // The warning names the first module only: each one that may be a culprit is loaded alone.
            if setting == Setting::Free && suspect(module) && !seen_back(trials, name) {
                jobs.insert((setting, What::Extension(name.clone())));
            }
        }
    }
    jobs.into_iter().filter(|job| !trials.contains_key(job)).collect()
}

/// The extension modules that the application has in the main interpreter.
pub fn modules(trials: &Trials) -> Vec<&Described> {
    let Some(reference) = trials.get(&(Setting::Main, What::Application)) else { return Vec::new() };
    let there = |m: &&Described| reference.passages.first().is_some_and(|p| p.has(&m.name));
    reference.described.iter().filter(there).collect()
}

/// The application's own trial in one place.
pub fn application(trials: &Trials, place: Place) -> Option<(&Trial, &Passage)> {
    let (setting, index) = place.tried();
    let trial = trials.get(&(setting, What::Application))?;
    Some((trial, trial.passages.get(index)?))
}

/// What becomes of this module there.
pub fn outcome(trials: &Trials, place: Place, module: &Described) -> Outcome {
    let name = &module.name;
    let found = decided(trials, place, name).unwrap_or_else(|| alone(trials, place, name));
    if module.kind == Kind::Standard && found == (Outcome::Lost { error: None }) {
        return Outcome::Unused;
    }
    if place != Place::FreeThreading || found != Outcome::Loads {
        return found;
    }
    if seen_back(trials, name) {
        return Outcome::GilBack { seen: true };
    }
    // Loaded alone, with the GIL still off, it is innocent whatever was read from its definition.
    let job = (Setting::Free, What::Extension(name.clone()));
    let innocent = trials
        .get(&job)
        .and_then(|t| t.passages.first())
        .is_some_and(|p| p.has(name) && p.imported.as_ref().is_some_and(|i| i.gil == Some(false)));
    match suspect(module) && !innocent {
        true => Outcome::GilBack { seen: false },
        false => Outcome::Loads,
    }
}

/// Whether nothing says that it runs without the GIL.
fn suspect(module: &Described) -> bool {
    module.declares.as_ref().is_some_and(|d| d.gil != "not-used")
}

fn seen_back(trials: &Trials, name: &str) -> bool {
    let free = trials.iter().filter(|((setting, _), _)| *setting == Setting::Free);
    free.flat_map(|(_, trial)| &trial.passages).any(|p| p.gil_back.iter().any(|n| n == name))
}

/// The imports by name that would load this module, the farthest first: for each installed package in the chain below the
/// application's last own module, the first of its modules that ran, then the last one (which is behind a lazy import,
/// maybe) unless its package failed already.
fn imports(trials: &Trials, place: Place, name: &str) -> Vec<Job> {
    let (setting, index) = place.tried();
    let job = |module: &str| (setting, What::Import(module.to_owned()));
    let fine = |job: &Job| trials.get(job).and_then(|t| t.passages.get(index)).is_some_and(Passage::fine);
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
    let reference = trials.get(&(Setting::Main, What::Application));
    let mut loading = reference.and_then(|t| t.passages.first()).into_iter().flat_map(|p| &p.loading);
    let chain = loading.find(|(n, _)| n == name).map(|(_, chain)| chain.as_slice()).unwrap_or_default();
    let own = chain.iter().rposition(|(_, kind)| *kind == Kind::Application);
    let below = chain[own.map_or(0, |at| at + 1)..].iter().filter(|(_, kind)| *kind == Kind::Installed);
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

/// The outcome as far as imports by name tell it.
fn decided(trials: &Trials, place: Place, name: &str) -> Option<Outcome> {
    let (setting, index) = place.tried();
    if place == Place::SecondSubInterpreter {
        // What the first one has not, the second one is not asked for.
        let first = decided(trials, Place::SubInterpreter, name)?;
        if first != Outcome::Loads {
            return Some(first);
        }
    }
    let application = trials.get(&(setting, What::Application))?;
    if let Some(found) = told(application, index, name, true) {
        return Some(found);
    }
    let imports = imports(trials, place, name);
    for (position, job) in imports.iter().enumerate() {
        let nearest = position + 1 == imports.len();
        if let Some(found) = trials.get(job).and_then(|trial| told(trial, index, name, nearest)) {
            return Some(found);
        }
    }
    // Nothing went on without it, so the exception counts. The last import is the nearest to it.
    let error = |trial: &Trial| trial.passages.get(index)?.refused.get(name).cloned();
    let all: Option<Vec<&Trial>> = imports.iter().map(|job| trials.get(job)).collect();
    let error = all?.into_iter().rev().find_map(error).or_else(|| error(application));
    error.map(|error| Outcome::Refuses { error })
}

/// What one trial says for sure. `nearest`: nothing nearer to the module can be imported by name.
fn told(trial: &Trial, index: usize, name: &str, nearest: bool) -> Option<Outcome> {
    let passage = trial.passages.get(index)?;
    if passage.has(name) {
        return Some(Outcome::Loads);
    }
    if passage.fine() && (nearest || passage.refused.contains_key(name)) {
        return Some(Outcome::Lost { error: passage.refused.get(name).cloned() });
    }
    died(trial, passage, name)
}

/// The trial's death, when this module was the one being loaded.
fn died(trial: &Trial, passage: &Passage, name: &str) -> Option<Outcome> {
    if passage.imported.is_some() || passage.open.last().is_none_or(|open| open != name) {
        return None;
    }
    let error = trial.death()?;
    let hung = matches!(trial.end, super::event::End::TimeOver(_));
    Some(if hung { Outcome::Hangs { error } } else { Outcome::Crashes { error } })
}

/// What loading the file alone says.
fn alone(trials: &Trials, place: Place, name: &str) -> Outcome {
    let (setting, index) = place.tried();
    if place == Place::SecondSubInterpreter {
        let first = decided(trials, Place::SubInterpreter, name);
        let first = first.unwrap_or_else(|| alone(trials, Place::SubInterpreter, name));
        if first != Outcome::Loads {
            return first;
        }
    }
    let Some(trial) = trials.get(&(setting, What::Extension(name.to_owned()))) else {
        return Outcome::NotReached;
    };
    let Some(passage) = trial.passages.get(index) else { return Outcome::NotReached };
    if passage.has(name) && passage.fine() {
        return Outcome::Loads;
    }
    if let Some(died) = died(trial, passage, name) {
        return died;
    }
    let Some(error) = passage.refused.get(name) else { return Outcome::NotReached };
    let other = passage.refused.keys().find(|other| *other != name);
    Outcome::Refuses {
        error: match other {
            Some(other) => format!("needs {other}, which refuses ({error})"),
            None => error.clone(),
        },
    }
}
