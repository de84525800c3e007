//! Findings about extension modules: what becomes of each in each place, gathered by distribution. Pure. What to do about a
//! finding is `advice`'s.

use super::advice;
use super::event::Kind;
use super::report::{Finding, Level, Mode, ModuleReport};
use super::study::{Outcome, Place, Trials, What, modules, outcome};
use super::wording::listed;
use std::collections::{BTreeMap, BTreeSet};

/// The extension modules, with what becomes of each wherever it was tried.
pub fn described(trials: &Trials) -> Vec<ModuleReport> {
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
pub fn of_modules(mode: Mode, modules: &[ModuleReport]) -> Vec<Finding> {
    let mut groups: BTreeMap<(String, &'static str, Place), Members<'_>> = BTreeMap::new();
    for module in modules {
        let found = mode.places().iter().find_map(|place| {
            let outcome = module.outcomes.get(place)?;
            Some((*place, outcome)).filter(|(_, outcome)| outcome.speaks_against())
        });
        let Some((place, outcome)) = found else { continue };
        groups.entry((module.owner(), outcome.word(), place)).or_default().push((module, outcome));
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

/// Where the free-threaded build could not be tried: who does not declare that it runs without a GIL.
pub fn undeclared(modules: &[ModuleReport]) -> Option<Finding> {
    let silent = |m: &&ModuleReport| {
        m.kind != Kind::Standard && m.declares.as_ref().is_some_and(|d| d.gil != "not-used")
    };
    let silent: Vec<&ModuleReport> = modules.iter().filter(silent).collect();
    let first = silent.first()?;
    let names: Vec<String> = silent.iter().map(|m| m.name.clone()).collect();
    let all = modules.iter().filter(|m| m.kind != Kind::Standard).count();
    let mut owners: Vec<&str> = silent.iter().filter_map(|m| m.distribution.as_deref()).collect();
    owners.dedup();
    Some(Finding {
        mode: Some(Mode::FreeThreading),
        level: Level::Caution,
        what: "undeclared",
        subject: first.owner(),
        text: format!("Not declared, in this build, to run without the GIL: {}", listed(&names, all)),
        remedy: advice::undeclared(&owners),
        modules: names,
    })
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
