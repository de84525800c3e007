//! From trials to the report: findings and verdict of each mode. Pure.

use super::application_findings;
use super::module_findings;
use super::report::{Finding, FindingLevel, Mode, ModeReport, PythonFacts, Report, Verdict};
use super::study::{ImportTarget, InterpreterKind, Setting, Trials, application};

/// The arguments of an examination.
pub struct Examination<'a> {
    /// The application as the user named it.
    pub script: &'a str,
    /// The Python's executable.
    pub executable: &'a str,
    /// Its minor version.
    pub minor: u8,
    /// Whether it is a free-threaded build.
    pub free_threaded: bool,
    /// The modes of `--for`; empty: all that this Python has.
    pub modes: &'a [Mode],
    /// Another Python that serves, and whether its threads inherit context variables.
    pub beside: Option<(&'a str, bool)>,
    /// Modes that this Python does not have, and why.
    pub impossible: &'a [(Mode, String)],
}

impl Examination<'_> {
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
pub fn report(trials: &Trials, question: &Examination<'_>) -> Report {
    let reference = trials.get(&(Setting::Main, ImportTarget::Application));
    let run = reference.and_then(|t| t.runs.first()).cloned().unwrap_or_default();
    let modules = module_findings::described(trials);
    let mut findings = Vec::new();
    for mode in Mode::ALL {
        if question.why_not(mode).is_some() {
            let wanted = mode == Mode::FreeThreading && (question.asked(mode) || question.modes.is_empty());
            // No module can declare it before 3.13.
            let wanted = wanted && question.minor >= 13;
            findings.extend(wanted.then(|| module_findings::undeclared(&modules)).flatten());
        } else if tried(trials, mode) {
            findings.extend(module_findings::of_modules(mode, &modules));
            findings.extend(application_findings::of_application(trials, mode, &modules));
        }
    }
    findings.extend(application_findings::everywhere(&run));
    let later = reference.map(|t| t.later.clone()).unwrap_or_default();
    findings.extend(application_findings::later(&later));
    let inherits = reference.filter(|t| t.version.is_some()).map(|t| t.inherits_context);
    findings.extend(inherits.and_then(|inherits| application_findings::context(inherits, question.beside?)));
    findings.sort_by_key(|f| (f.level, f.mode, f.subject.to_lowercase()));
    let modes: Vec<ModeReport> =
        Mode::ALL.map(|mode| judged(trials, question, mode, &findings)).into_iter().collect();
    let version = reference.and_then(|t| t.version.clone()).unwrap_or_default();
    let threads = run.imported.as_ref().map(|i| i.threads.clone()).unwrap_or_default();
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
        atexit: run.atexit,
        signals: run.signals,
        shutdown_callbacks: run.subscribed,
        function_imports: later,
        findings,
    }
}

fn tried(trials: &Trials, mode: Mode) -> bool {
    mode.places().iter().all(|place| trials.contains_key(&(place.tried().0, ImportTarget::Application)))
}

fn judged(trials: &Trials, question: &Examination<'_>, mode: Mode, findings: &[Finding]) -> ModeReport {
    let (asked, why) = (question.asked(mode), question.why_not(mode).cloned());
    let error = |place: &InterpreterKind| application(trials, *place)?.1.imported.as_ref()?.error.clone();
    let import_error = mode.places().iter().find_map(error);
    let against = |f: &Finding| f.level == FindingLevel::Unsafe && (f.mode == Some(mode) || f.mode.is_none());
    let tried = tried(trials, mode);
    let verdict = match (why.is_some() || !tried, findings.iter().any(against)) {
        (true, _) => Verdict::Untried,
        (false, true) => Verdict::Unsafe,
        (false, false) => Verdict::Safe,
    };
    let why = why.or_else(|| (!tried).then(|| "not asked for".to_owned()));
    ModeReport { mode, asked, verdict, why, import_error }
}

#[cfg(test)]
mod tests {
    use super::super::event::{ChildEnd, Trial};
    use super::*;

    /// Threads see the request's context variables in free-threaded builds: code that relies on either breaks beside the other.
    #[test]
    fn another_context_of_threads_is_told_of() {
        for (version, here, there, wanted) in [
            ("3.15.0t", true, Some(false), Some("keeps the request's context variables in this Python")),
            ("3.14.7", false, Some(true), Some("has none of the request's context variables in this Python")),
            ("3.15.0t", true, Some(true), None),
            ("3.14.7", false, Some(false), None),
            ("3.14.7", false, None, None),
        ] {
            let told =
                format!(r#"{{"event": "python", "version": "{version}", "inherits_context": {here}}}"#);
            let trial = Trial::new(&told, ChildEnd::Status(0), String::new());
            let question = Examination {
                script: "wsgi.py",
                executable: "python3",
                minor: 14,
                free_threaded: false,
                modes: &[],
                beside: there.map(|there| ("/opt/other/bin/python3", there)),
                impossible: &[],
            };
            let report =
                report(&Trials::from([((Setting::Main, ImportTarget::Application), trial)]), &question);
            let found: Vec<&Finding> = report.findings.iter().filter(|f| f.what == "context").collect();
            let texts: Vec<&str> = found.iter().map(|f| f.text.as_str()).collect();
            assert_eq!(texts.len(), usize::from(wanted.is_some()), "{version} {here} {there:?}: {texts:?}");
            if let Some(wanted) = wanted {
                assert!(
                    texts[0].contains(wanted) && texts[0].contains("/opt/other/bin/python3"),
                    "{texts:?}"
                );
                assert!(found[0].level == FindingLevel::Caution && found[0].remedy.contains("copy_context"));
            }
        }
    }
}
