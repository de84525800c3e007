//! Findings about what the application itself does, beside its extension modules: imports that fail, threads, the end,
//! signals, atexit. Pure.

use super::advice;
use super::event::{CodeOrigin, InterpreterRun, Registration, Trial};
use super::report::{Finding, FindingLevel, Mode, ModuleReport};
use super::study::{ImportTarget, InterpreterKind, ModuleOutcome, Setting, Trials, application};
use super::wording::{cut, shown};
use std::collections::BTreeSet;

/// Part of CPython's message for a daemon thread in an interpreter that allows none.
const NO_DAEMONS: &str = "daemon thread";
/// Imports inside functions that are named.
const SHOWN: usize = 5;

/// Findings about the application in one mode.
pub fn of_application(trials: &Trials, mode: Mode, modules: &[ModuleReport]) -> Vec<Finding> {
    let mut found = Vec::new();
    for place in mode.places() {
        let (setting, index) = place.tried();
        let Some(trial) = trials.get(&(setting, ImportTarget::Application)) else { continue };
        let Some(run) = trial.runs.get(index) else {
            // The interpreter before it was fine.
            found.push(dies(mode, format!("No interpreter was started there: {}", departure(trial))));
            break;
        };
        let failed = import(mode, *place, trial, run, modules);
        let done = failed.is_some();
        found.extend(failed);
        for (name, text) in &run.warned {
            let package = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
            let of = name.as_deref().map(package);
            let owner = modules.iter().find(|m| Some(package(&m.name)) == of).map(ModuleReport::owner);
            let subject = owner.or(of).unwrap_or_else(|| "the application".to_owned());
            let text = format!("{subject} warns when it is imported there: {}", cut(text));
            found.push(finding(mode, FindingLevel::Caution, "warns", subject, text, advice::GLOBAL.into()));
        }
        // The second interpreter fails like the first one.
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
    found.extend(trials.get(&(setting, ImportTarget::Application)).and_then(|trial| end(mode, trial)));
    if mode == Mode::FreeThreading {
        found.extend(unexplained(trials, modules));
    }
    found
}

fn finding(
    mode: Mode,
    level: FindingLevel,
    what: &'static str,
    subject: String,
    text: String,
    remedy: String,
) -> Finding {
    Finding { mode: Some(mode), level, what, subject, modules: Vec::new(), text, remedy }
}

/// An import that failed or died, unless a module's finding explains it.
fn import(
    mode: Mode,
    place: InterpreterKind,
    trial: &Trial,
    run: &InterpreterRun,
    modules: &[ModuleReport],
) -> Option<Finding> {
    let Some(imported) = &run.imported else {
        let open = run.open.last();
        let died = |m: &ModuleReport| {
            matches!(
                m.outcomes.get(&place),
                Some(ModuleOutcome::Crashes { .. } | ModuleOutcome::Hangs { .. })
            )
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
            Some(ModuleOutcome::Refuses { .. } | ModuleOutcome::Crashes { .. } | ModuleOutcome::Hangs { .. })
        )
    };
    if modules.iter().filter(|m| m.loaded).any(explains) || error.contains(NO_DAEMONS) {
        return None;
    }
    let text =
        format!("The application does not import there, and does in the main interpreter: {}", cut(error));
    Some(finding(
        mode,
        FindingLevel::Unsafe,
        "import-fails",
        subject,
        text,
        advice::import_fails(mode, error),
    ))
}

/// An import that ended the process.
fn dies(mode: Mode, text: String) -> Finding {
    let subject = "the application".to_owned();
    finding(mode, FindingLevel::Unsafe, "import-dies", subject, text, advice::GLOBAL.into())
}

/// How the process ended.
fn departure(trial: &Trial) -> String {
    match (trial.death(), trial.status()) {
        (Some(death), _) => death,
        (None, status) => format!("the process left with status {}", status.unwrap_or(0)),
    }
}

/// Modules that load although they declare support for one interpreter only: CPython does not check sub-interpreters that share
/// the GIL.
fn declared_otherwise(modules: &[ModuleReport]) -> Vec<Finding> {
    let loads = |m: &&ModuleReport| {
        m.declares.as_ref().is_some_and(|d| d.interpreters == "none")
            && InterpreterKind::ALL[..2].iter().all(|p| m.outcomes.get(p) == Some(&ModuleOutcome::Loads))
    };
    let all = modules.iter().filter(loads).map(|m| {
        let text =
            format!("{} ({}) loads, and declares that it supports one interpreter only", m.owner(), m.name);
        let remedy = advice::GLOBAL.to_owned();
        let mut found =
            finding(Mode::SubInterpreter, FindingLevel::Caution, "declares-none", m.owner(), text, remedy);
        found.modules = vec![m.name.clone()];
        found
    });
    all.collect()
}

fn daemons(trials: &Trials) -> Option<Finding> {
    let reference = trials.get(&(Setting::Main, ImportTarget::Application))?.runs.first()?;
    let started = &reference.imported.as_ref()?.threads;
    let daemons: Vec<&Registration> = started.iter().filter(|t| t.daemon == Some(true)).collect();
    let own = application(trials, InterpreterKind::OwnGil).map(|(_, run)| run);
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
    Some(finding(Mode::OwnGil, FindingLevel::Unsafe, "daemon-thread", subject, text, advice::DAEMON.into()))
}

/// An import that fails with the GIL forced off only.
fn forced(trials: &Trials) -> Option<Finding> {
    let (_, free) = application(trials, InterpreterKind::FreeThreading)?;
    let trial = trials.get(&(Setting::Forced, ImportTarget::Application))?;
    let run = trial.runs.first()?;
    if run.fine() || !free.fine() {
        return None;
    }
    let error = run.imported.as_ref().and_then(|i| i.error.clone());
    let how = error.or_else(|| trial.death()).unwrap_or_else(|| "the process left".to_owned());
    let at = run.open.last().map_or_else(String::new, |name| format!(", while {name} was loaded"));
    let text = format!("The import fails with the GIL forced off (-X gil=0){at}: {}", cut(&how));
    let (subject, remedy) = ("the application".to_owned(), advice::KEEP_GIL.to_owned());
    Some(finding(Mode::FreeThreading, FindingLevel::Unsafe, "import-fails", subject, text, remedy))
}

/// A GIL that came back although no module of the application turned it on.
fn unexplained(trials: &Trials, modules: &[ModuleReport]) -> Option<Finding> {
    let (_, run) = application(trials, InterpreterKind::FreeThreading)?;
    let back = run.imported.as_ref()?.gil == Some(true);
    let blamed = |m: &ModuleReport| {
        m.loaded
            && matches!(m.outcomes.get(&InterpreterKind::FreeThreading), Some(ModuleOutcome::GilBack { .. }))
    };
    if !back || modules.iter().any(blamed) {
        return None;
    }
    let named = run.gil_back.first().map_or("a module that is not in sys.modules", String::as_str);
    let text = format!("After the import the GIL is on: {named} turned it on");
    let remedy = advice::KEEP_GIL.to_owned();
    Some(finding(Mode::FreeThreading, FindingLevel::Unsafe, "gil-back", named.to_owned(), text, remedy))
}

/// An interpreter that does not end, or crashes at its end.
fn end(mode: Mode, trial: &Trial) -> Option<Finding> {
    let death = trial.death().filter(|_| trial.ending)?;
    let threads = trial.runs.iter().filter_map(|p| p.imported.as_ref()).flat_map(|i| &i.threads);
    let alive: BTreeSet<String> =
        threads.filter(|t| t.alive == Some(true) && t.daemon == Some(false)).map(shown).collect();
    let alive: Vec<String> = alive.into_iter().collect();
    let hangs = matches!(trial.end, super::event::ChildEnd::TimeOver(_));
    let (what, begin) =
        if hangs { ("end-hangs", "does not end") } else { ("end-crashes", "crashes at its end") };
    let because = match alive.is_empty() {
        true => String::new(),
        false => format!(": it waits for {}", alive.join("; ")),
    };
    let text = format!("The interpreter {begin} ({death}){because}");
    let subject = "the application".to_owned();
    Some(finding(mode, FindingLevel::Unsafe, what, subject, text, advice::END.into()))
}

/// Findings that hold in every mode.
pub fn everywhere(run: &InterpreterRun) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut note = |what, all: &[Registration], text: &str, remedy: &str| {
        let own: Vec<&Registration> = all.iter().filter(|a| a.kind != CodeOrigin::Standard).collect();
        if let Some(first) = own.first() {
            let list = own.iter().map(|a| shown(a)).collect::<Vec<_>>().join("; ");
            let (subject, text) = (first.by.clone(), format!("{text}: {list}"));
            let remedy = remedy.to_owned();
            found.push(Finding {
                mode: None,
                level: FindingLevel::Note,
                what,
                subject,
                modules: Vec::new(),
                text,
                remedy,
            });
        }
    };
    note("atexit", &run.atexit, "Functions registered with atexit", advice::ATEXIT);
    note("signal", &run.signals, "Handlers installed with signal.signal", advice::SIGNAL);
    found.extend(run.no_application.as_ref().map(|(name, others)| no_application(name, others)));
    found
}

/// Modules that functions of the application import, which were tried like the rest.
pub fn later(imports: &[Registration]) -> Option<Finding> {
    let first = imports.first()?;
    let at = |one: &Registration| {
        format!("{} ({} line {})", one.name.as_deref().unwrap_or("?"), one.file, one.line)
    };
    let most: Vec<String> = imports.iter().take(SHOWN).map(at).collect();
    let more = imports.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!("; {more} more") };
    Some(Finding {
        mode: None,
        level: FindingLevel::Note,
        what: "function-import",
        subject: first.by.clone(),
        modules: Vec::new(),
        text: format!("Imports inside functions: {}{more}", most.join("; ")),
        remedy: advice::LATER.to_owned(),
    })
}

/// Threads that see the context variables of whoever started them here, and not with another Python, or the other way round.
pub fn context(here: bool, (other, there): (&str, bool)) -> Option<Finding> {
    let text = match (here, there) {
        (true, false) => format!(
            "A thread that a request starts keeps the request's context variables in this Python, Flask's `request` among them; with {other} \
             it does not"
        ),
        (false, true) => format!(
            "A thread that a request starts has none of the request's context variables in this Python, Flask's `request` among them; with \
             {other} it keeps them"
        ),
        _ => return None,
    };
    Some(Finding {
        mode: None,
        level: FindingLevel::Caution,
        what: "context",
        subject: "the application".to_owned(),
        modules: Vec::new(),
        text,
        remedy: advice::CONTEXT.to_owned(),
    })
}

/// A script that no server can serve as it is.
fn no_application(name: &str, others: &[String]) -> Finding {
    Finding {
        mode: None,
        level: FindingLevel::Unsafe,
        what: "no-application",
        subject: "the application".to_owned(),
        modules: Vec::new(),
        text: format!("The script has no callable named `{name}`: requests would be answered 500"),
        remedy: advice::no_application(others),
    }
}
