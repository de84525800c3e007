//! From children's reports to trials, outcomes, findings, page and JSON. The reports are written here; `tests/doctor.rs` tests that
//! children write such reports.

use super::event::{ChildEnd, Trial};
use super::report::{FindingLevel, Mode, Report, Verdict};
use super::study::{
    ImportTarget, InterpreterKind, Job, ModuleOutcome, Setting, Trials, modules, next, outcome,
};
use super::text::page;
use super::verdict::{Examination, report};
use serde_json::{Value, json};

const BOTH: [Setting; 2] = [Setting::Shared, Setting::Own];

/// An extension module that loads in an interpreter, or refuses with this exception.
type Load = (&'static str, Option<&'static str>);

fn loads(loads: &[Load], error: Option<&str>) -> Vec<Value> {
    let mut events = vec![json!({"event": "begin", "number": 1})];
    for (name, refused) in loads {
        let package = name.split('.').next().unwrap_or(name);
        let chain = json!([["_mod_wsgi_script", "application"], [package, "installed"]]);
        events.push(json!({"event": "loading", "name": name, "file": "f.so", "chain": chain}));
        events.push(match refused {
            None => json!({"event": "loaded", "name": name}),
            Some(error) => json!({"event": "refused", "name": name, "stage": "create", "error": error}),
        });
    }
    let present: Vec<&str> = loads.iter().filter(|(_, refused)| refused.is_none()).map(|(n, _)| *n).collect();
    events.push(json!({"event": "imported", "error": error, "traceback": null, "present": present,
        "threads": [], "gil": null}));
    events
}

fn described(name: &str, declares: [&str; 3]) -> Value {
    let package = name.split('.').next().unwrap_or(name);
    json!({"event": "described", "name": name, "file": format!("/site-packages/{name}.so"), "kind": "installed",
        "distribution": package, "version": "1.0", "phases": declares[0], "interpreters": declares[1],
        "gil": declares[2]})
}

fn trial(events: Vec<Vec<Value>>, end: ChildEnd) -> Trial {
    let first = json!({"event": "python", "version": "3.14.7", "gil": null});
    let lines: Vec<String> =
        std::iter::once(first).chain(events.into_iter().flatten()).map(|e| e.to_string()).collect();
    Trial::new(&lines.join("\n"), end, String::new())
}

fn fine(events: Vec<Vec<Value>>) -> Trial {
    trial(events, ChildEnd::Status(0))
}

fn import(setting: Setting, name: &str) -> Job {
    (setting, ImportTarget::Import(name.to_owned()))
}

fn extension(setting: Setting, name: &str) -> Job {
    (setting, ImportTarget::Extension(name.to_owned()))
}

const APPLICATION: ImportTarget = ImportTarget::Application;
const UNDECLARED: [&str; 3] = ["multi", "undeclared", "undeclared"];
const NO: &str = "ImportError: module does not support loading in subinterpreters";

/// `a.one` and `a.two` of one package, and `b.c`, which has a fallback.
fn reference() -> Trial {
    let mut events = loads(&[("a.one", None), ("a.two", None), ("b.c", None)], None);
    events.extend(["a.one", "a.two", "b.c"].map(|name| described(name, UNDECLARED)));
    fine(vec![events])
}

/// The main interpreter, two sub-interpreters that share the GIL, and one that refuses at the first module.
fn begun() -> Trials {
    let all = || loads(&[("a.one", None), ("a.two", None), ("b.c", None)], None);
    let again = loads(&[("a.one", None), ("a.two", None), ("b.c", Some("ImportError: once"))], None);
    Trials::from([
        ((Setting::Main, APPLICATION), reference()),
        ((Setting::Shared, APPLICATION), fine(vec![all(), again])),
        ((Setting::Own, APPLICATION), fine(vec![loads(&[("a.one", Some(NO))], Some(NO))])),
    ])
}

fn finished() -> Trials {
    let mut trials = begun();
    trials.insert(import(Setting::Own, "a"), fine(vec![loads(&[("a.one", Some(NO))], Some(NO))]));
    trials.insert(import(Setting::Own, "b"), fine(vec![loads(&[("b.c", Some(NO))], None)]));
    trials.insert(extension(Setting::Own, "a.two"), fine(vec![loads(&[("a.two", Some(NO))], Some(NO))]));
    trials
}

fn outcomes(trials: &Trials, place: InterpreterKind) -> Vec<ModuleOutcome> {
    modules(trials).into_iter().map(|module| outcome(trials, place, module)).collect()
}

fn judge(trials: &Trials, modes: &[Mode], impossible: &[(Mode, String)]) -> Report {
    let (script, executable) = ("wsgi.py", "/usr/bin/python3.14");
    report(
        trials,
        &Examination {
            script,
            executable,
            minor: 14,
            free_threaded: impossible.is_empty(),
            modes,
            beside: None,
            impossible,
        },
    )
}

fn no_free_threading() -> Vec<(Mode, String)> {
    vec![(Mode::FreeThreading, "this Python has a GIL".to_owned())]
}

#[test]
fn the_first_refusal_does_not_hide_the_others() {
    let mut trials = Trials::new();
    assert_eq!(next(&trials, &BOTH), [(Setting::Main, APPLICATION)]);
    trials.insert((Setting::Main, APPLICATION), reference());
    assert_eq!(next(&trials, &BOTH), [(Setting::Shared, APPLICATION), (Setting::Own, APPLICATION)]);
    trials = begun();
    // The packages by themselves, in the interpreter where the application stopped.
    assert_eq!(next(&trials, &BOTH), [import(Setting::Own, "a"), import(Setting::Own, "b")]);
    trials.insert(import(Setting::Own, "a"), fine(vec![loads(&[("a.one", Some(NO))], Some(NO))]));
    trials.insert(import(Setting::Own, "b"), fine(vec![loads(&[("b.c", Some(NO))], None)]));
    // And the file of a module that its own package did not reach.
    assert_eq!(next(&trials, &BOTH), [extension(Setting::Own, "a.two")]);
    assert!(next(&finished(), &BOTH).is_empty());
}

#[test]
fn a_module_that_is_imported_later_is_not_lost_when_its_package_loads() {
    let chain = json!([
        ["_mod_wsgi_script", "application"],
        ["other", "installed"],
        ["a", "installed"],
        ["a.lazy", "installed"]
    ]);
    let mut main = loads(&[("a.one", None)], None);
    main[1]["chain"] = chain;
    main.push(described("a.one", UNDECLARED));
    let mut trials = Trials::from([
        ((Setting::Main, APPLICATION), fine(vec![main])),
        ((Setting::Own, APPLICATION), fine(vec![loads(&[], Some("ImportError: other"))])),
    ]);
    let own = [Setting::Own];
    let mut steps = Vec::new();
    for name in ["other", "a", "a.lazy"] {
        steps.extend(next(&trials, &own));
        let events = if name == "a.lazy" { loads(&[("a.one", None)], None) } else { loads(&[], None) };
        trials.insert(import(Setting::Own, name), fine(vec![events]));
    }
    assert_eq!(steps, ["other", "a", "a.lazy"].map(|name| import(Setting::Own, name)));
    assert!(next(&trials, &own).is_empty());
    assert_eq!(outcomes(&trials, InterpreterKind::OwnGil), [ModuleOutcome::Loads]);
}

#[test]
fn an_application_that_does_not_import_anywhere_is_not_studied() {
    let broken = fine(vec![loads(&[], Some("ImportError: x"))]);
    assert!(next(&Trials::from([((Setting::Main, APPLICATION), broken)]), &BOTH).is_empty());
}

#[test]
fn outcomes_of_refusing_and_of_losing() {
    let trials = finished();
    let refuses = || ModuleOutcome::Refuses { error: NO.to_owned() };
    let lost = |error: &str| ModuleOutcome::Lost { error: Some(error.to_owned()) };
    assert_eq!(outcomes(&trials, InterpreterKind::OwnGil), [refuses(), refuses(), lost(NO)]);
    assert_eq!(
        outcomes(&trials, InterpreterKind::SubInterpreter),
        [ModuleOutcome::Loads, ModuleOutcome::Loads, ModuleOutcome::Loads]
    );
    let second = outcomes(&trials, InterpreterKind::SecondSubInterpreter);
    assert_eq!(second, [ModuleOutcome::Loads, ModuleOutcome::Loads, lost("ImportError: once")]);
}

#[test]
fn a_crash_and_a_hang_are_findings_about_the_module_being_loaded() {
    for (end, wanted, word) in [
        (ChildEnd::Signal(11), ModuleOutcome::Crashes { error: "ended by SIGSEGV".to_owned() }, "crashes"),
        (ChildEnd::TimeOver(60), ModuleOutcome::Hangs { error: "not done after 60 s".to_owned() }, "hangs"),
    ] {
        let mut trials = begun();
        // Up to `loading`: neither `loaded` nor `imported` came.
        let died = || trial(vec![loads(&[("a.one", None)], None)[..2].to_vec()], end);
        trials.insert((Setting::Own, APPLICATION), died());
        trials.insert(import(Setting::Own, "a"), died());
        trials.insert(import(Setting::Own, "b"), fine(vec![loads(&[("b.c", None)], None)]));
        trials.insert(extension(Setting::Own, "a.two"), fine(vec![loads(&[("a.two", None)], None)]));
        assert!(next(&trials, &BOTH).is_empty(), "{word}");
        assert_eq!(
            outcomes(&trials, InterpreterKind::OwnGil),
            [wanted, ModuleOutcome::Loads, ModuleOutcome::Loads]
        );
        let report = judge(&trials, &[Mode::OwnGil], &no_free_threading());
        let said: Vec<_> = report.findings.iter().filter(|f| f.mode == Some(Mode::OwnGil)).collect();
        assert_eq!((said[0].what, said.len()), (word, 1));
    }
}

#[test]
fn a_crash_without_a_module_to_blame_is_not_safe() {
    let loading = |name: &'static str| {
        let mut events = loads(&[(name, None)], None);
        events.truncate(2);
        events
    };
    let all = || loads(&[("a.one", None)], None);
    let mut main = all();
    main.push(described("a.one", ["multi", "own-gil", "not-used"]));
    // A module that only this interpreter loads; one that loads alone and exits in the application; no interpreter started.
    for (setting, place, events, end, wanted) in [
        (
            Setting::Own,
            Mode::OwnGil,
            vec![loading("only.here")],
            ChildEnd::Signal(11),
            "while only.here was loaded: ended by SIGSEGV",
        ),
        (
            Setting::Own,
            Mode::OwnGil,
            vec![loading("a.one")],
            ChildEnd::Status(0),
            "while a.one was loaded: the process left with status 0",
        ),
        (
            Setting::Own,
            Mode::OwnGil,
            vec![],
            ChildEnd::Signal(6),
            "No interpreter was started there: ended by SIGABRT",
        ),
        (
            Setting::Shared,
            Mode::SubInterpreter,
            vec![all()],
            ChildEnd::Signal(11),
            "No interpreter was started there: ended by SIGSEGV",
        ),
    ] {
        let mut trials = Trials::from([
            ((Setting::Main, APPLICATION), fine(vec![main.clone()])),
            ((setting, APPLICATION), trial(events, end)),
            (import(setting, "a"), fine(vec![all(), all()])),
        ]);
        trials.insert(extension(setting, "a.one"), fine(vec![all(), all()]));
        let report = judge(&trials, &[place], &no_free_threading());
        let said: Vec<&str> = report.findings.iter().map(|f| f.text.as_str()).collect();
        assert!(said.len() == 1 && said[0].ends_with(wanted), "{said:?}");
        assert!(!report.safe && report.findings[0].what == "import-dies");
    }
}

#[test]
fn every_module_that_turns_the_gil_on_is_found() {
    let free = [Setting::Free];
    let mut reference = loads(&[("a.one", None), ("a.two", None), ("b.c", None)], None);
    reference.push(described("a.one", ["multi", "undeclared", "used"]));
    reference.push(described("a.two", ["single", "single-phase", "undeclared"]));
    reference.push(described("b.c", ["multi", "own-gil", "not-used"]));
    let mut seen = loads(&[("a.one", None), ("a.two", None), ("b.c", None)], None);
    seen.insert(2, json!({"event": "gil-back", "name": "a.one"}));
    let mut trials = Trials::from([
        ((Setting::Main, APPLICATION), fine(vec![reference])),
        ((Setting::Free, APPLICATION), fine(vec![seen])),
    ]);
    // The first one was observed; the other suspect is loaded alone.
    assert_eq!(next(&trials, &free), [extension(Setting::Free, "a.two")]);
    let mut alone = loads(&[("a.two", None)], None);
    alone.insert(2, json!({"event": "gil-back", "name": "a.two"}));
    trials.insert(extension(Setting::Free, "a.two"), fine(vec![alone]));
    assert!(next(&trials, &free).is_empty());
    let back = || ModuleOutcome::GilBack { seen: true };
    assert_eq!(outcomes(&trials, InterpreterKind::FreeThreading), [back(), back(), ModuleOutcome::Loads]);
    let report = judge(&trials, &[Mode::FreeThreading], &[]);
    assert!(!report.safe);
    assert_eq!(report.findings[0].modules, ["a.one", "a.two"]);
}

#[test]
fn the_exit_status_is_that_of_the_requested_modes() {
    let trials = finished();
    let verdicts = |modes: &[Mode]| {
        let report = judge(&trials, modes, &no_free_threading());
        (report.safe, report.modes.iter().map(|m| (m.asked, m.verdict)).collect::<Vec<_>>())
    };
    // No mode requested: those that this Python has.
    let (safe, all) = verdicts(&[]);
    assert!(!safe);
    assert_eq!(
        all,
        [(true, Verdict::Unsafe), (true, Verdict::Unsafe), (false, Verdict::Untried)],
        "what cannot be tried is not asked for by default"
    );
    // A mode that could not be tried is not safe.
    let (safe, all) = verdicts(&[Mode::FreeThreading]);
    assert_eq!((safe, all[2]), (false, (true, Verdict::Untried)));
    let everywhere = || loads(&[("a.one", None)], None);
    let mut main = everywhere();
    main.push(described("a.one", ["multi", "own-gil", "not-used"]));
    let good = Trials::from([
        ((Setting::Main, APPLICATION), fine(vec![main])),
        ((Setting::Shared, APPLICATION), fine(vec![everywhere(), everywhere()])),
        ((Setting::Own, APPLICATION), fine(vec![everywhere()])),
    ]);
    let report = judge(&good, &[], &no_free_threading());
    assert!(report.safe && report.findings.is_empty(), "{report:?}");
}

#[test]
fn threads_and_the_end_are_findings() {
    let asked = |more: Value| {
        let mut all = json!({"by": "poll", "kind": "application", "file": "/srv/poll.py", "line": 7});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let imported = |daemon: bool, error: Option<&str>| {
        let thread = asked(json!({"name": "poller", "daemon": daemon, "alive": true}));
        let mut events = vec![json!({"event": "begin", "number": 1})];
        let mut function = asked(json!({"function": "poll.stop"}));
        function["event"] = json!("atexit");
        events.push(function);
        events.push(json!({"event": "imported", "error": error, "traceback": null, "present": [],
            "threads": if error.is_none() { vec![thread] } else { vec![] }, "gil": null}));
        events.push(json!({"event": "ending"}));
        events
    };
    let texts = |trials: &Trials| {
        let report = judge(trials, &[Mode::OwnGil], &no_free_threading());
        report.findings.into_iter().map(|f| (f.what, f.level, f.text)).collect::<Vec<_>>()
    };
    let error = "RuntimeError: daemon threads are disabled in this (sub)interpreter";
    let daemon = Trials::from([
        ((Setting::Main, APPLICATION), fine(vec![imported(true, None)])),
        ((Setting::Own, APPLICATION), fine(vec![imported(true, Some(error))])),
    ]);
    let (what, level, text) = &texts(&daemon)[0];
    assert_eq!((*what, *level), ("daemon-thread", FindingLevel::Unsafe));
    assert!(text.ends_with("thread 'poller', started by /srv/poll.py line 7"), "{text}");
    let waits = Trials::from([
        ((Setting::Main, APPLICATION), trial(vec![imported(false, None)], ChildEnd::TimeOver(5))),
        ((Setting::Own, APPLICATION), trial(vec![imported(false, None)], ChildEnd::TimeOver(5))),
    ]);
    let found = texts(&waits);
    assert_eq!(found[0].0, "end-hangs");
    assert!(found[0].2.contains("not done after 5 s): it waits for thread 'poller'"), "{}", found[0].2);
    assert_eq!(
        found[1],
        (
            "atexit",
            FindingLevel::Note,
            "Functions registered with atexit: poll.stop by /srv/poll.py line 7".to_owned()
        )
    );
}

/// Reported: pandas took 51 s, because each of its modules was tried alone although NumPy had refused before.
#[test]
fn modules_behind_the_refusal_of_another_package_are_not_tried_alone() {
    let chain = json!([["_mod_wsgi_script", "application"], ["frames", "installed"]]);
    let mut main = loads(&[("numbers.c", None), ("frames.one", None), ("frames.two", None)], None);
    for at in [1, 3, 5] {
        main[at]["chain"] = chain.clone();
    }
    main.extend(["numbers.c", "frames.one", "frames.two"].map(|name| described(name, UNDECLARED)));
    let refused = || fine(vec![loads(&[("numbers.c", Some(NO))], Some(NO))]);
    let mut trials = Trials::from([
        ((Setting::Main, APPLICATION), fine(vec![main])),
        ((Setting::Own, APPLICATION), refused()),
    ]);
    assert_eq!(next(&trials, &[Setting::Own]), [import(Setting::Own, "frames")]);
    trials.insert(import(Setting::Own, "frames"), refused());
    assert_eq!(next(&trials, &[Setting::Own]), []);
    let needs = || ModuleOutcome::Refuses { error: format!("needs numbers.c, which refuses ({NO})") };
    let own = outcomes(&trials, InterpreterKind::OwnGil);
    assert_eq!(own, [ModuleOutcome::Refuses { error: NO.to_owned() }, needs(), needs()]);
}

#[test]
fn the_page() {
    insta::assert_snapshot!(page(&judge(&finished(), &[], &no_free_threading())));
}

#[test]
fn the_json() {
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&judge(&finished(), &[Mode::OwnGil], &no_free_threading())).unwrap()
    );
}

/// Reported: pandas took a minute, most of it for processes that load one extension module each.
#[test]
fn many_modules_are_loaded_alone_in_one_process() {
    let names = ["a.one", "a.two", "a.three", "a.four", "a.five", "a.six", "a.seven"];
    let all = names.map(|name| (name, None));
    let mut events = loads(&all, None);
    events.extend(names.map(|name| described(name, UNDECLARED)));
    let refused = || fine(vec![loads(&[("a.one", Some(NO))], Some(NO))]);
    let mut trials = Trials::from([
        ((Setting::Main, APPLICATION), fine(vec![events])),
        ((Setting::Own, APPLICATION), refused()),
        (import(Setting::Own, "a"), refused()),
    ]);
    let own = [Setting::Own];
    assert_eq!(next(&trials, &own), [(Setting::Own, ImportTarget::Extensions)]);
    let alone = |name: &str, error: Option<&str>, other: Option<&str>| json!({"event": "alone", "name": name, "error": error, "other": other});
    let mut events = loads(&[("a.five", None)], None);
    let end = events.pop();
    events.extend([
        alone("a.five", None, None),
        alone("a.four", Some("no"), Some("a.one")),
        alone("a.three", Some(NO), None),
        alone("a.six", Some("no"), Some("a.five")),
        alone("a.seven", Some("no"), Some("a.five")),
    ]);
    events.extend(end);
    trials.insert((Setting::Own, ImportTarget::Extensions), fine(vec![events]));
    // What that process did not come to is tried by itself, and so is one of those that need one that loads.
    assert_eq!(next(&trials, &own), [extension(Setting::Own, "a.seven"), extension(Setting::Own, "a.two")]);
    let of = |name: &str| {
        let module = modules(&trials).into_iter().find(|module| module.name == name).unwrap();
        outcome(&trials, InterpreterKind::OwnGil, module)
    };
    assert_eq!(of("a.five"), ModuleOutcome::Loads);
    assert_eq!(of("a.three"), ModuleOutcome::Refuses { error: NO.into() });
    assert_eq!(of("a.four"), ModuleOutcome::Refuses { error: "needs a.one, which refuses (no)".into() });
    assert_eq!(of("a.two"), ModuleOutcome::NotReached);
    // The fate of that one is the fate of the others, where it is the same.
    trials.insert(extension(Setting::Own, "a.two"), fine(vec![loads(&[("a.two", None)], None)]));
    let mut refuses = trials.clone();
    let refused = fine(vec![loads(&[("a.seven", Some("no"))], Some("no"))]);
    refuses.insert(extension(Setting::Own, "a.seven"), refused);
    assert_eq!(next(&refuses, &own), []);
    trials.insert(extension(Setting::Own, "a.seven"), fine(vec![loads(&[("a.seven", None)], None)]));
    assert_eq!(next(&trials, &own), [extension(Setting::Own, "a.six")]);
}

#[test]
fn a_variable_decides_about_context_variables() {
    for (free_threaded, value, inherits) in
        [(false, "", false), (false, "1", true), (true, "", true), (true, "0", false)]
    {
        let build = gk_supervisor::python::PythonBuild { minor: 14, free_threaded };
        let mut around = gk_config::Surroundings::default();
        around.environment.insert("PYTHON_THREAD_INHERIT_CONTEXT".into(), value.into());
        assert_eq!(super::inherits_context(build, &around), inherits, "{free_threaded} {value}");
    }
}
