//! Findings about extension modules: the outcome of each in each kind of interpreter, gathered by distribution. Pure. Remedies are
//! `advice`'s.

use super::advice;
use super::event::CodeOrigin;
use super::report::{Finding, FindingLevel, Mode, ModuleReport};
use super::study::{ImportTarget, InterpreterKind, ModuleOutcome, Trials, loaded, modules, outcome};
use super::wording::listed;
use std::collections::{BTreeMap, BTreeSet};

/// The extension modules with their outcomes in each kind of interpreter that was tried.
pub fn described(trials: &Trials) -> Vec<ModuleReport> {
    let tried = |place: &InterpreterKind| trials.contains_key(&(place.tried().0, ImportTarget::Application));
    let places: Vec<InterpreterKind> = InterpreterKind::ALL.into_iter().filter(tried).collect();
    let mut found: Vec<ModuleReport> = modules(trials)
        .into_iter()
        .map(|m| ModuleReport {
            name: m.name.clone(),
            file: m.file.clone(),
            kind: m.kind,
            distribution: m.distribution.clone(),
            version: m.version.clone(),
            loaded: loaded(trials, &m.name),
            declares: m.declares.clone(),
            outcomes: places.iter().map(|place| (*place, outcome(trials, *place, m))).collect(),
        })
        .collect();
    let key = |m: &ModuleReport| (m.kind == CodeOrigin::Standard, m.owner().to_lowercase(), m.name.clone());
    found.sort_by_key(key);
    found
}

/// Modules with the same kind of outcome.
type Members<'r> = Vec<(&'r ModuleReport, &'r ModuleOutcome)>;

/// One finding for the modules of a distribution with the same kind of outcome.
pub fn of_modules(mode: Mode, modules: &[ModuleReport]) -> Vec<Finding> {
    let mut groups: BTreeMap<(String, &'static str, InterpreterKind, bool), Members<'_>> = BTreeMap::new();
    for module in modules {
        let found = mode.places().iter().find_map(|place| {
            let outcome = module.outcomes.get(place)?;
            Some((*place, outcome)).filter(|(_, outcome)| outcome.speaks_against())
        });
        let Some((place, outcome)) = found else { continue };
        let key = (module.owner(), outcome.word(), place, module.loaded);
        groups.entry(key).or_default().push((module, outcome));
    }
    let of = |owner: &str| modules.iter().filter(|m| m.owner() == owner).count();
    // Of a distribution that is imported and has loaded nothing of its C part, a request loads it: cffi, websockets.
    let begun = |owner: &str| modules.iter().any(|m| m.owner() == owner && m.loaded);
    groups
        .into_iter()
        .map(|((owner, what, place, loaded), members)| {
            let standard = members.iter().all(|(m, _)| m.kind == CodeOrigin::Standard);
            let level = match what {
                _ if !loaded && begun(&owner) => FindingLevel::Caution,
                "not-reached" => FindingLevel::Caution,
                "lost" if standard => FindingLevel::Caution,
                _ => FindingLevel::Unsafe,
            };
            let (first, outcome) = members[0];
            let names: Vec<String> = members.iter().map(|(m, _)| m.name.clone()).collect();
            let shown = match of(&owner) {
                // A module without a distribution.
                1 if owner == first.name => owner.clone(),
                all => format!("{owner} ({})", listed(&names, all)),
            };
            let mut text = format!("{shown} {}{}", happens(outcome, place), reasons(&members));
            if !loaded {
                text.push_str(". The import of the application does not load it; a request may");
            }
            let remedy = advice::of_module(mode, place, outcome, first);
            Finding { mode: Some(mode), level, what, subject: owner, modules: names, text, remedy }
        })
        .collect()
}

/// For a Python that is no free-threaded build: modules that do not declare support for running without the GIL.
pub fn undeclared(modules: &[ModuleReport]) -> Option<Finding> {
    let silent = |m: &&ModuleReport| {
        m.kind != CodeOrigin::Standard && m.declares.as_ref().is_some_and(|d| d.gil != "not-used")
    };
    let silent: Vec<&ModuleReport> = modules.iter().filter(silent).collect();
    let first = silent.first()?;
    let names: Vec<String> = silent.iter().map(|m| m.name.clone()).collect();
    let all = modules.iter().filter(|m| m.kind != CodeOrigin::Standard).count();
    let mut owners: Vec<&str> = silent.iter().filter_map(|m| m.distribution.as_deref()).collect();
    owners.dedup();
    Some(Finding {
        mode: Some(Mode::FreeThreading),
        level: FindingLevel::Caution,
        what: "undeclared",
        subject: first.owner(),
        text: format!("Not declared, in this build, to run without the GIL: {}", listed(&names, all)),
        remedy: advice::undeclared(&owners),
        modules: names,
    })
}

fn happens(outcome: &ModuleOutcome, place: InterpreterKind) -> String {
    let place = match place {
        InterpreterKind::SubInterpreter => "in a sub-interpreter",
        InterpreterKind::SecondSubInterpreter => "in the second sub-interpreter of a process",
        InterpreterKind::OwnGil => "in a sub-interpreter with a GIL of its own",
        InterpreterKind::FreeThreading => "in a free-threaded process",
    };
    match outcome {
        ModuleOutcome::Loads => format!("loads {place}"),
        ModuleOutcome::Unused => format!("is not asked for {place}"),
        ModuleOutcome::Refuses { .. } => format!("refuses to load {place}"),
        ModuleOutcome::Lost { .. } => {
            format!("silently loses its C part {place}: the import goes on without it")
        }
        ModuleOutcome::Crashes { .. } => format!("crashes {place}"),
        ModuleOutcome::Hangs { .. } => format!("hangs {place}"),
        ModuleOutcome::GilBack { seen: true } => {
            "turns the GIL back on for the whole process, unless it is forced off".to_owned()
        }
        ModuleOutcome::GilBack { seen: false } => {
            "does not declare that it runs without the GIL, which turns it back on".to_owned()
        }
        ModuleOutcome::Empty => {
            format!("loads without its content {place}: its functions and classes are missing")
        }
        ModuleOutcome::NotReached => {
            format!(
                "was not reached {place}: its importer failed before, and loading its file alone decides nothing"
            )
        }
    }
}

/// The exceptions, without repetitions.
fn reasons(members: &[(&ModuleReport, &ModuleOutcome)]) -> String {
    let texts: Vec<&str> = members
        .iter()
        .filter_map(|(_, outcome)| match outcome {
            ModuleOutcome::Refuses { error }
            | ModuleOutcome::Crashes { error }
            | ModuleOutcome::Hangs { error } => Some(error.as_str()),
            ModuleOutcome::Lost { error } => error.as_deref(),
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
