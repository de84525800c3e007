//! From trials to the report: findings of each mode, and whether it is safe. Pure. What to do about a finding is `advice`'s,
//! what the application itself does `conduct`'s.

use super::advice;
use super::conduct;
use super::event::{End, Kind, Passage, Trial};
use super::report::{Finding, Level, Mode, ModeReport, ModuleReport, PythonFacts, Report, Verdict};
use super::study::{Outcome, Place, Setting, Trials, What, modules, outcome};
use std::collections::{BTreeMap, BTreeSet};

/// What was asked of `doctor`.
pub struct Question<'a> {
    /// The application, as it was named.
    pub script: &'a str,
    /// The Python's executable.
    pub executable: &'a str,
    /// Its minor version.
    pub minor: u8,
    /// Whether it is a free-threaded build.
    pub free_threaded: bool,
    /// The modes of `--for`; none: all that this Python has.
    pub modes: &'a [Mode],
    /// Modes that this Python does not have, and why.
    pub impossible: &'a [(Mode, String)],
}

impl Question<'_> {
    fn asked(&self, mode: Mode) -> bool {
        match self.modes.is_empty() {
            true => self.why_not(mode).is_none(),
            false => self.modes.contains(&mode),
        }
    }

    fn why_not(&self, mode: Mode) -> Option<&String> {
        self.impossible.iter().find(|(m, _)| *m == mode).map(|(_, why)| why)
    }
}

/// The report.
pub fn report(trials: &Trials, question: &Question<'_>) -> Report {
    let reference = trials.get(&(Setting::Main, What::Application));
    let passage = reference.and_then(|t| t.passages.first()).cloned().unwrap_or_default();
    let modules = described(trials);
    let mut findings = Vec::new();
    for mode in Mode::ALL {
        if question.why_not(mode).is_some() {
            let wanted = mode == Mode::FreeThreading && (question.asked(mode) || question.modes.is_empty());
            // Before 3.13 no module can declare it.
            let wanted = wanted && question.minor >= 13;
            findings.extend(wanted.then(|| conduct::undeclared(&modules)).flatten());
        } else if tried(trials, mode) {
            findings.extend(of_modules(mode, &modules));
            findings.extend(conduct::of_application(trials, mode, &modules));
        }
    }
    findings.extend(conduct::everywhere(&passage));
    findings.sort_by_key(|f| (f.level, f.mode, f.subject.to_lowercase()));
    let modes: Vec<ModeReport> =
        Mode::ALL.map(|mode| judged(trials, question, mode, &findings)).into_iter().collect();
    let version = reference.and_then(|t| t.version.clone()).unwrap_or_default();
    let threads = passage.imported.as_ref().map(|i| i.threads.clone()).unwrap_or_default();
    Report {
        script: question.script.to_owned(),
        python: PythonFacts {
            executable: question.executable.to_owned(),
            version,
            free_threaded: question.free_threaded,
        },
        safe: modes.iter().filter(|m| m.asked).all(|m| m.verdict == Verdict::Safe),
        modes,
        modules,
        threads,
        atexit: passage.atexit,
        signals: passage.signals,
        shutdown_callbacks: passage.subscribed,
        findings,
    }
}

fn tried(trials: &Trials, mode: Mode) -> bool {
    mode.places().iter().all(|place| trials.contains_key(&(place.tried().0, What::Application)))
}

fn judged(trials: &Trials, question: &Question<'_>, mode: Mode, findings: &[Finding]) -> ModeReport {
    let (asked, why) = (question.asked(mode), question.why_not(mode).cloned());
    let error = |place: &Place| application(trials, *place)?.1.imported.as_ref()?.error.clone();
    let import_error = mode.places().iter().find_map(error);
    let against = |f: &Finding| f.level == Level::Unsafe && (f.mode == Some(mode) || f.mode.is_none());
    let tried = tried(trials, mode);
    let verdict = match (why.is_some() || !tried, findings.iter().any(against)) {
        (true, _) => Verdict::Untried,
        (false, true) => Verdict::Unsafe,
        (false, false) => Verdict::Safe,
    };
    let why = why.or_else(|| (!tried).then(|| "not asked for".to_owned()));
    ModeReport { mode, asked, verdict, why, import_error }
}

/// The application's own trial in one place.
pub fn application(trials: &Trials, place: Place) -> Option<(&Trial, &Passage)> {
    let (setting, index) = place.tried();
    let trial = trials.get(&(setting, What::Application))?;
    Some((trial, trial.passages.get(index)?))
}

fn described(trials: &Trials) -> Vec<ModuleReport> {
    let tried = |place: &Place| trials.contains_key(&(place.tried().0, What::Application));
    let places: Vec<Place> = Place::ALL.into_iter().filter(tried).collect();
    let mut found: Vec<ModuleReport> = modules(trials)
        .into_iter()
        .map(|m| ModuleReport {
            name: m.name.clone(),
            file: m.file.clone(),
            kind: m.kind,
            distribution: m.distribution.clone(),
            version: m.version.clone(),
            declares: m.declares.clone(),
            outcomes: places.iter().map(|place| (*place, outcome(trials, *place, m))).collect(),
        })
        .collect();
    let key = |m: &ModuleReport| (m.kind == Kind::Standard, m.owner().to_lowercase(), m.name.clone());
    found.sort_by_key(key);
    found
}

/// Modules to which the same happens, and what it is.
type Members<'r> = Vec<(&'r ModuleReport, &'r Outcome)>;

/// Findings that gather the modules of one distribution to which the same happens.
fn of_modules(mode: Mode, modules: &[ModuleReport]) -> Vec<Finding> {
    let mut groups: BTreeMap<(String, &'static str, Place), Members<'_>> = BTreeMap::new();
    for module in modules {
        let found = mode.places().iter().find_map(|place| {
            let outcome = module.outcomes.get(place)?;
            Some((*place, outcome)).filter(|(_, outcome)| outcome.speaks_against())
        });
        let Some((place, outcome)) = found else { continue };
        groups.entry((module.owner(), word(outcome), place)).or_default().push((module, outcome));
    }
    let of = |owner: &str| modules.iter().filter(|m| m.owner() == owner).count();
    groups
        .into_iter()
        .map(|((owner, what, place), members)| {
            let standard = members.iter().all(|(m, _)| m.kind == Kind::Standard);
            let level = match what {
                "not-reached" => Level::Caution,
                "lost" if standard => Level::Caution,
                _ => Level::Unsafe,
            };
            let (first, outcome) = members[0];
            let names: Vec<String> = members.iter().map(|(m, _)| m.name.clone()).collect();
            let shown = match of(&owner) {
                // Named by itself.
                1 if owner == first.name => owner.clone(),
                all => format!("{owner} ({})", listed(&names, all)),
            };
            let text = format!("{shown} {}{}", happens(outcome, place), reasons(&members));
            let remedy = advice::of_module(mode, place, outcome, first);
            Finding { mode: Some(mode), level, what, subject: owner, modules: names, text, remedy }
        })
        .collect()
}

/// The outcome in one word, as in the JSON.
pub fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Loads => "loads",
        Outcome::Refuses { .. } => "refuses",
        Outcome::Lost { .. } => "lost",
        Outcome::Crashes { .. } => "crashes",
        Outcome::Hangs { .. } => "hangs",
        Outcome::GilBack { .. } => "gil-back",
        Outcome::Unused => "unused",
        Outcome::NotReached => "not-reached",
    }
}

fn happens(outcome: &Outcome, place: Place) -> String {
    let place = match place {
        Place::SubInterpreter => "in a sub-interpreter",
        Place::SecondSubInterpreter => "in the second sub-interpreter of a process",
        Place::OwnGil => "in a sub-interpreter with a GIL of its own",
        Place::FreeThreading => "in a free-threaded process",
    };
    match outcome {
        Outcome::Loads => format!("loads {place}"),
        Outcome::Unused => format!("is not asked for {place}"),
        Outcome::Refuses { .. } => format!("refuses to load {place}"),
        Outcome::Lost { .. } => format!("silently loses its C part {place}: the import goes on without it"),
        Outcome::Crashes { .. } => format!("crashes {place}"),
        Outcome::Hangs { .. } => format!("hangs {place}"),
        Outcome::GilBack { seen: true } => {
            "turns the GIL back on for the whole process, unless it is forced off".to_owned()
        }
        Outcome::GilBack { seen: false } => {
            "does not declare that it runs without the GIL, which turns it back on".to_owned()
        }
        Outcome::NotReached => {
            format!("was not reached {place}: what imports it failed before, and its file alone says nothing")
        }
    }
}

/// The exceptions, each once.
fn reasons(members: &[(&ModuleReport, &Outcome)]) -> String {
    let texts: Vec<&str> = members
        .iter()
        .filter_map(|(_, outcome)| match outcome {
            Outcome::Refuses { error } | Outcome::Crashes { error } | Outcome::Hangs { error } => {
                Some(error.as_str())
            }
            Outcome::Lost { error } => error.as_deref(),
            _ => None,
        })
        .collect();
    let unique: BTreeSet<String> =
        members.iter().zip(&texts).map(|((m, _), text)| text.replace(&m.name, "…")).collect();
    match (texts.first(), unique.len()) {
        (None, _) => String::new(),
        (Some(first), 1) => format!(" ({first})"),
        (Some(first), others) => format!(" ({first}; {} more)", others - 1),
    }
}

/// A few names, and how many of all.
pub fn listed(names: &[String], all: usize) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let noun = if all == 1 { "extension module" } else { "extension modules" };
    match names.len() {
        1 if all == 1 => shown,
        count if count > SHOWN => format!("{count} of {all} {noun}: {shown}, …"),
        count => format!("{count} of {all} {noun}: {shown}"),
    }
}

/// The status that an application left its import with, when it did not end by itself.
pub fn left(trial: &Trial) -> Option<i32> {
    match trial.end {
        End::Status(status) => Some(status),
        End::Signal(_) | End::TimeOver(_) => None,
    }
}
