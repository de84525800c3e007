//! Findings about what the application itself does, beside its extension modules: imports that fail, threads, the end,
//! signals, atexit. Pure.

use super::advice;
use super::event::{Asked, Kind, Passage, Trial};
use super::report::{Finding, Level, Mode, ModuleReport};
use super::study::{Outcome, Place, Setting, Trials, What, application};
use super::wording::{cut, shown};
use std::collections::BTreeSet;

/// What CPython says of a daemon thread in an interpreter that allows none.
const NO_DAEMONS: &str = "daemon thread";

/// Findings about the application in one mode.
pub fn of_application(trials: &Trials, mode: Mode, modules: &[ModuleReport]) -> Vec<Finding> {
    let mut found = Vec::new();
    for place in mode.places() {
        let (setting, index) = place.tried();
        let Some(trial) = trials.get(&(setting, What::Application)) else { continue };
        let Some(passage) = trial.passages.get(index) else {
            // Whoever was before it there was fine.
            found.push(dies(mode, format!("No interpreter was begun there: {}", departure(trial))));
            break;
        };
        let failed = import(mode, *place, trial, passage, modules);
        let done = failed.is_some();
        found.extend(failed);
        for (name, text) in &passage.warned {
            let package = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
            let of = name.as_deref().map(package);
            let owner = modules.iter().find(|m| Some(package(&m.name)) == of).map(ModuleReport::owner);
            let subject = owner.or(of).unwrap_or_else(|| "the application".to_owned());
            let text = format!("{subject} warns when it is imported there: {}", cut(text));
            found.push(finding(mode, Level::Caution, "warns", subject, text, advice::GLOBAL.into()));
        }
        // A second interpreter fails as the first one does.
        if done {
            break;
        }
    }
    match mode {
        Mode::SubInterpreter => found.extend(declared_otherwise(modules)),
        Mode::OwnGil => found.extend(daemons(trials)),
        Mode::FreeThreading => found.extend(forced(trials)),
    }
    let (setting, _) = mode.places()[0].tried();
    found.extend(trials.get(&(setting, What::Application)).and_then(|trial| end(mode, trial)));
    if mode == Mode::FreeThreading {
        found.extend(unexplained(trials, modules));
    }
    found
}

fn finding(
    mode: Mode,
    level: Level,
    what: &'static str,
    subject: String,
    text: String,
    remedy: String,
) -> Finding {
    Finding { mode: Some(mode), level, what, subject, modules: Vec::new(), text, remedy }
}

/// The import that did not end well, unless a module's finding says why.
fn import(
    mode: Mode,
    place: Place,
    trial: &Trial,
    passage: &Passage,
    modules: &[ModuleReport],
) -> Option<Finding> {
    let Some(imported) = &passage.imported else {
        let open = passage.open.last();
        let died = |m: &ModuleReport| {
            matches!(m.outcomes.get(&place), Some(Outcome::Crashes { .. } | Outcome::Hangs { .. }))
        };
        if modules.iter().any(|m| Some(&m.name) == open && died(m)) {
            return None;
        }
        let at = open.map_or_else(String::new, |name| format!(", while {name} was loaded"));
        return Some(dies(mode, format!("The import did not end{at}: {}", departure(trial))));
    };
    let subject = "the application".to_owned();
    let error = imported.error.as_ref()?;
    let explains = |m: &ModuleReport| {
        matches!(
            m.outcomes.get(&place),
            Some(Outcome::Refuses { .. } | Outcome::Crashes { .. } | Outcome::Hangs { .. })
        )
    };
    if modules.iter().any(explains) || error.contains(NO_DAEMONS) {
        return None;
    }
    let text =
        format!("The application does not import there, and does in the main interpreter: {}", cut(error));
    Some(finding(mode, Level::Unsafe, "import-fails", subject, text, advice::import_fails(mode, error)))
}

/// An import that took the process with it.
fn dies(mode: Mode, text: String) -> Finding {
    let subject = "the application".to_owned();
    finding(mode, Level::Unsafe, "import-dies", subject, text, advice::GLOBAL.into())
}

/// How the process went.
fn departure(trial: &Trial) -> String {
    match (trial.death(), trial.status()) {
        (Some(death), _) => death,
        (None, status) => format!("the process left with status {}", status.unwrap_or(0)),
    }
}

/// Modules that load where they declare that they must not: sub-interpreters that share the GIL are not checked.
fn declared_otherwise(modules: &[ModuleReport]) -> Vec<Finding> {
    let loads = |m: &&ModuleReport| {
        m.declares.as_ref().is_some_and(|d| d.interpreters == "none")
            && Place::ALL[..2].iter().all(|p| m.outcomes.get(p) == Some(&Outcome::Loads))
    };
    let all = modules.iter().filter(loads).map(|m| {
        let text =
            format!("{} ({}) loads, and declares that it supports one interpreter only", m.owner(), m.name);
        let remedy = advice::GLOBAL.to_owned();
        let mut found =
            finding(Mode::SubInterpreter, Level::Caution, "declares-none", m.owner(), text, remedy);
        found.modules = vec![m.name.clone()];
        found
    });
    all.collect()
}

fn daemons(trials: &Trials) -> Option<Finding> {
    let reference = trials.get(&(Setting::Main, What::Application))?.passages.first()?;
    let started = &reference.imported.as_ref()?.threads;
    let daemons: Vec<&Asked> = started.iter().filter(|t| t.daemon == Some(true)).collect();
    let own = application(trials, Place::OwnGil).map(|(_, passage)| passage);
    let error = own.and_then(|p| p.imported.as_ref()?.error.as_ref()).filter(|e| e.contains(NO_DAEMONS));
    if daemons.is_empty() && error.is_none() {
        return None;
    }
    let (subject, threads) = match daemons.first() {
        Some(first) => (first.by.clone(), daemons.iter().map(|t| shown(t)).collect::<Vec<_>>().join("; ")),
        None => ("the application".to_owned(), "one that it starts only there".to_owned()),
    };
    let seen = error.map_or_else(String::new, |error| format!(" ({})", cut(error)));
    let text = format!("An interpreter with a GIL of its own allows no daemon threads{seen}: {threads}");
    Some(finding(Mode::OwnGil, Level::Unsafe, "daemon-thread", subject, text, advice::DAEMON.into()))
}

/// The import with the GIL forced off, where the other one was fine.
fn forced(trials: &Trials) -> Option<Finding> {
    let (_, free) = application(trials, Place::FreeThreading)?;
    let trial = trials.get(&(Setting::Forced, What::Application))?;
    let passage = trial.passages.first()?;
    if passage.fine() || !free.fine() {
        return None;
    }
    let error = passage.imported.as_ref().and_then(|i| i.error.clone());
    let how = error.or_else(|| trial.death()).unwrap_or_else(|| "the process left".to_owned());
    let at = passage.open.last().map_or_else(String::new, |name| format!(", while {name} was loaded"));
    let text = format!("The import fails with the GIL forced off (-X gil=0){at}: {}", cut(&how));
    let (subject, remedy) = ("the application".to_owned(), advice::KEEP_GIL.to_owned());
    Some(finding(Mode::FreeThreading, Level::Unsafe, "import-fails", subject, text, remedy))
}

/// A GIL that is back without a module to blame.
fn unexplained(trials: &Trials, modules: &[ModuleReport]) -> Option<Finding> {
    let (_, passage) = application(trials, Place::FreeThreading)?;
    let back = passage.imported.as_ref()?.gil == Some(true);
    let blamed =
        |m: &ModuleReport| matches!(m.outcomes.get(&Place::FreeThreading), Some(Outcome::GilBack { .. }));
    if !back || modules.iter().any(blamed) {
        return None;
    }
    let named = passage.gil_back.first().map_or("a module that is not in sys.modules", String::as_str);
    let text = format!("After the import the GIL is on: {named} turned it on");
    let remedy = advice::KEEP_GIL.to_owned();
    Some(finding(Mode::FreeThreading, Level::Unsafe, "gil-back", named.to_owned(), text, remedy))
}

/// The end that never came, or came by a signal.
fn end(mode: Mode, trial: &Trial) -> Option<Finding> {
    let death = trial.death().filter(|_| trial.ending)?;
    let threads = trial.passages.iter().filter_map(|p| p.imported.as_ref()).flat_map(|i| &i.threads);
    let alive: BTreeSet<String> =
        threads.filter(|t| t.alive == Some(true) && t.daemon == Some(false)).map(shown).collect();
    let alive: Vec<String> = alive.into_iter().collect();
    let hangs = matches!(trial.end, super::event::End::TimeOver(_));
    let (what, begin) =
        if hangs { ("end-hangs", "does not end") } else { ("end-crashes", "crashes at its end") };
    let because = match alive.is_empty() {
        true => String::new(),
        false => format!(": it waits for {}", alive.join("; ")),
    };
    let text = format!("The interpreter {begin} ({death}){because}");
    let subject = "the application".to_owned();
    Some(finding(mode, Level::Unsafe, what, subject, text, advice::END.into()))
}

/// What holds in every mode.
pub fn everywhere(passage: &Passage) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut note = |what, all: &[Asked], text: &str, remedy: &str| {
        let own: Vec<&Asked> = all.iter().filter(|a| a.kind != Kind::Standard).collect();
        if let Some(first) = own.first() {
            let list = own.iter().map(|a| shown(a)).collect::<Vec<_>>().join("; ");
            let (subject, text) = (first.by.clone(), format!("{text}: {list}"));
            let remedy = remedy.to_owned();
            found.push(Finding {
                mode: None,
                level: Level::Note,
                what,
                subject,
                modules: Vec::new(),
                text,
                remedy,
            });
        }
    };
    note("atexit", &passage.atexit, "Functions registered with atexit", advice::ATEXIT);
    note("signal", &passage.signals, "Handlers installed with signal.signal", advice::SIGNAL);
    found
}
