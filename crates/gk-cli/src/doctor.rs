//! `gilkeeper doctor`: imports the application in each kind of interpreter, in child processes, and reports which extension
//! modules refuse, lose their C part or turn the GIL back on, and what to change.
//!
//! `study` chooses the next trials, `trial` runs one child, `verdict` makes the report from `module_findings` and
//! `application_findings`, `text` prints it.

mod advice;
mod application_findings;
pub mod environment;
mod event;
mod explained;
mod module_findings;
mod progress;
mod report;
mod study;
#[cfg(test)]
mod tests;
mod text;
mod trial;
mod verdict;
mod wording;

use crate::surroundings::Disk;
use crate::surroundings::application::{self, NamedApplication};
use crate::{Failure, print};
use clap::ArgMatches;
use clap::parser::ValueSource;
use event::Trial;
use gk_config::{Surroundings, express, python_variables};
use gk_supervisor::PythonRuntime;
use gk_supervisor::python::{self, PythonBuild, Pythons};
use gk_sys::signal::{SIGINT, SIGTERM, Signals};
use progress::Progress;
use report::{Mode, Verdict};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use study::{ImportTarget, Job, Setting, Trials};
use verdict::Examination;

pub fn run(given: &ArgMatches, runtime: PythonRuntime) -> Result<i32, Failure> {
    if let Some(package) = given.get_one::<String>("explain") {
        return explain(package, given);
    }
    let patient = ExaminedApplication::new(given, &runtime)?;
    let impossible = impossible(patient.build);
    let asked: Vec<Mode> = Mode::ALL
        .into_iter()
        .filter(|mode| {
            given.get_many::<String>("for").is_some_and(|mut all| all.any(|one| one == mode.name()))
        })
        .collect();
    let tried = Mode::ALL.into_iter().filter(|mode| {
        (asked.is_empty() || asked.contains(mode)) && impossible.iter().all(|(no, _)| no != mode)
    });
    let settings: Vec<Setting> = tried
        .flat_map(|mode| match mode {
            Mode::SubInterpreter => vec![Setting::Shared],
            Mode::OwnGil => vec![Setting::Own],
            Mode::FreeThreading => vec![Setting::Free, Setting::Forced],
        })
        .collect();
    // Ctrl-C reaches only this process; Python's own handler would not run before it has ended.
    let signals = Signals::new(&[SIGINT, SIGTERM])
        .map_err(|e| Failure::Failed(format!("signals cannot be caught: {e}")))?;
    let (mut trials, progress) = (Trials::new(), Progress::new());
    loop {
        let jobs = study::next(&trials, &settings);
        if jobs.is_empty() {
            break;
        }
        patient.examine(jobs, &mut trials, &signals, &progress)?;
    }
    patient.imports(&trials)?;
    let beside = patient.beside.as_ref().map(|(executable, inherits)| (executable.as_str(), *inherits));
    let question = Examination {
        beside,
        script: &patient.shown,
        executable: &patient.python.to_string_lossy(),
        minor: patient.build.minor,
        free_threaded: patient.build.free_threaded,
        modes: &asked,
        impossible: &impossible,
    };
    let report = verdict::report(&trials, &question);
    match given.get_one::<String>("format").map(String::as_str) {
        Some("json") => {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|e| Failure::Failed(format!("the report cannot be written: {e}")))?;
            print(&text);
        }
        _ => print(&text::page(&report)),
    }
    debug_assert!(report.modes.iter().all(|m| !m.asked || !report.safe || m.verdict == Verdict::Safe));
    Ok(i32::from(!report.safe))
}

/// What was tried of a package: nothing is imported, so no option about an import fits.
fn explain(package: &str, given: &ArgMatches) -> Result<i32, Failure> {
    let is_given = |id: &&str| given.value_source(id) == Some(ValueSource::CommandLine);
    let mut unfit = given.ids().map(clap::Id::as_str).filter(|id| !matches!(*id, "explain" | "format"));
    if let Some(option) = unfit.find(is_given) {
        let text = format!("--explain only prints what was tried of a package; leave out --{option}");
        return Err(Failure::Input(text));
    }
    let explained = explained::explained(package).map_err(Failure::Input)?;
    match given.get_one::<String>("format").map(String::as_str) {
        Some("json") => print(&format!("{:#}", explained.json())),
        _ => print(&explained.text()),
    }
    Ok(0)
}

/// Whether the threads of a Python inherit context variables.
fn inherits_context(build: PythonBuild, surroundings: &Surroundings) -> bool {
    match surroundings.environment.get("PYTHON_THREAD_INHERIT_CONTEXT").map(String::as_str) {
        Some("0") => false,
        Some("1") => build.minor >= 14,
        _ => build.minor >= 14 && build.free_threaded,
    }
}

/// Refuses an environment in which this Python does not start, which would look like an application that cannot be imported.
fn starts(
    python: &Path,
    build: PythonBuild,
    environment: &BTreeMap<OsString, OsString>,
    surroundings: &Surroundings,
) -> Result<(), Failure> {
    let value = |name: &str| environment.get(OsStr::new(name)).and_then(|value| value.to_str());
    let known = gk_config::PythonBuild { minor: build.minor.into(), free_threaded: build.free_threaded };
    match python_variables::refused(known, value, &Disk).first() {
        None => Ok(()),
        Some(refused) => Err(Failure::Input(format!(
            "{}, with which {} (CPython {known}) does not start: {}; {}",
            refused.subject(surroundings.file_of(refused.name)),
            python.display(),
            refused.why,
            refused.hint()
        ))),
    }
}

/// Modes that this build does not have, with the reason.
fn impossible(build: PythonBuild) -> Vec<(Mode, String)> {
    let mut found = Vec::new();
    if build.minor < 12 {
        let why = format!("not possible with CPython 3.{}: it needs 3.12", build.minor);
        found.push((Mode::OwnGil, why));
    }
    if !build.free_threaded {
        let why = "this Python has a GIL for good; name a free-threaded build with --python".to_owned();
        found.push((Mode::FreeThreading, why));
    }
    found
}

/// What the trials so far say of the modules.
struct Known {
    /// Files by name.
    files: BTreeMap<String, String>,
    /// Those that the application has not loaded.
    unloaded: Vec<String>,
    /// Modules that functions of the application import.
    later: Vec<String>,
    /// Those without an outcome, by setting.
    open: BTreeSet<(Setting, String)>,
}

/// The application and the Python it is examined with.
struct ExaminedApplication {
    python: PathBuf,
    build: PythonBuild,
    /// The server's own Python where another one is examined, and whether its threads inherit context variables.
    beside: Option<(String, bool)>,
    start_file: PathBuf,
    environment: Vec<(OsString, OsString)>,
    limit: Duration,
    /// The application as the user named it.
    shown: String,
    /// A file's path, or a module's name.
    script: String,
    module: bool,
    callable: Option<String>,
    also: Vec<String>,
    home: PathBuf,
    python_path: Vec<String>,
}

impl ExaminedApplication {
    fn new(given: &ArgMatches, runtime: &PythonRuntime) -> Result<Self, Failure> {
        let here = std::env::current_dir()
            .map_err(|e| Failure::Input(format!("the working directory cannot be determined: {e}")))?;
        let one = |name: &str| given.get_one::<String>(name).cloned();
        let many = |name: &str| given.get_many::<String>(name).into_iter().flatten().cloned();
        let NamedApplication { options, variables, surroundings } = application::named(given)?;
        let shown = options.script.clone();
        let (target, callable) =
            express::script(&shown, &|path| path.is_file(), &here).map_err(Failure::Input)?;
        let module = target.strip_prefix("module:");
        let script = match module {
            Some(name) => name.to_owned(),
            None => here.join(&target).to_string_lossy().into_owned(),
        };
        if module.is_none() && !PathBuf::from(&script).is_file() {
            let text = format!("there is no file {script}; {}", express::instead(Path::new(&script), &Disk));
            return Err(Failure::Input(text));
        }
        let home = options.one("working-directory").map_or_else(|| here.clone(), |path| here.join(path));
        if !home.is_dir() {
            let called = options.called("working-directory");
            return Err(Failure::Input(format!("{called} {} is no directory", home.display())));
        }
        let python = match one("python") {
            Some(name) => python::named(&name, &here).ok_or_else(|| {
                Failure::Input(format!("--python {name} is no file; name a Python executable"))
            })?,
            None => runtime.executable.clone(),
        };
        let mut builds = Pythons::new(runtime);
        let build = builds.build(&python).map_err(|refused| Failure::Input(refused.0))?;
        let beside = (python != runtime.executable).then(|| builds.build(&runtime.executable).ok()).flatten();
        let beside = beside
            .map(|build| (runtime.executable.display().to_string(), inherits_context(build, &surroundings)));
        let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        // Each trial sets the GIL itself, with -X gil.
        let mut gone = vec!["PYTHON_GIL"];
        if python != runtime.executable {
            gone.extend(["PYTHONHOME", "PYTHONEXECUTABLE"]);
        }
        environment.retain(|name, _| gone.iter().all(|gone| name != gone));
        starts(&python, build, &environment, &surroundings)?;
        let limit = one("time-limit").unwrap_or_else(|| "60".to_owned());
        let limit =
            limit.parse::<u64>().ok().filter(|seconds| (1..=86_400).contains(seconds)).ok_or_else(|| {
                Failure::Input(format!("--time-limit takes whole seconds from 1 to 86400, not `{limit}`"))
            })?;
        Ok(Self {
            python,
            build,
            beside,
            start_file: runtime.package_dir.join("doctor.py"),
            environment: environment.into_iter().collect(),
            limit: Duration::from_secs(limit),
            module: module.is_some(),
            script,
            callable: match (options.flag("factory"), options.one("callable-object").or(callable)) {
                (true, callable) => Some(express::called(callable)),
                (false, callable) => callable.map(str::to_owned),
            },
            shown: shown.clone(),
            also: many("import").collect(),
            home,
            python_path: options
                .many("python-path")
                .iter()
                .map(|path| here.join(path).to_string_lossy().into_owned())
                .collect(),
        })
    }

    /// Runs these trials, as many at once as there are processors.
    fn examine(
        &self,
        jobs: Vec<Job>,
        trials: &mut Trials,
        signals: &Signals,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let modules = study::modules(trials);
        let open = |d: &&event::Described| study::open(trials, &d.name);
        let open: BTreeSet<(Setting, String)> = modules
            .iter()
            .flat_map(|d| open(d).into_iter().map(|setting| (setting, d.name.clone())))
            .collect();
        let files: BTreeMap<String, String> =
            modules.into_iter().map(|d| (d.name.clone(), d.file.clone())).collect();
        let reference = trials.get(&(Setting::Main, ImportTarget::Application));
        let unloaded: Vec<String> =
            reference.into_iter().flat_map(|t| &t.unloaded).map(|one| one.name.clone()).collect();
        let later = reference.into_iter().flat_map(|t| &t.later).filter_map(|one| one.name.clone()).collect();
        let known = Known { files, unloaded, later, open };
        let at_once = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
        let (jobs, done) = (Mutex::new(jobs), Mutex::new(Vec::new()));
        let take = || jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        std::thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(|| {
                    while let Some(job) = take() {
                        let result = trial::run(&self.child(&job, &known), signals);
                        let left = jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len();
                        progress.done(&job, left);
                        let stop = !matches!(result, Ok(Some(_)));
                        done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((job, result));
                        if stop {
                            jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
                        }
                    }
                });
            }
        });
        let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (job, result) in done {
            match result {
                Ok(Some(trial)) => drop(trials.insert(job, trial)),
                Ok(None) => return Err(Failure::Failed("interrupted; there is no report".into())),
                Err(why) => return Err(Failure::Failed(why)),
            }
        }
        Ok(())
    }

    fn child(&self, (setting, what): &Job, known: &Known) -> trial::ChildCommand<'_> {
        let (interpreter, mode, gil) = match setting {
            Setting::Main => ("main", "shared-gil", Some("gil=1")),
            Setting::Shared => ("shared", "shared-gil", Some("gil=1")),
            Setting::Own => ("own", "own-gil", Some("gil=1")),
            Setting::Free => ("main", "free-threading", None),
            Setting::Forced => ("main", "free-threading", Some("gil=0")),
        };
        let whole = *what == ImportTarget::Application;
        let reference = *setting == Setting::Main;
        let (what, name) = match what {
            ImportTarget::Application => ("application", None),
            ImportTarget::Import(name) => ("import", Some(name)),
            ImportTarget::Extension(name) => ("extension", Some(name)),
            ImportTarget::Extensions => ("extensions", None),
            ImportTarget::Unloaded => ("unloaded", None),
        };
        let files: Vec<_> = match what {
            "extensions" => {
                let open = |name: &String| known.open.contains(&(*setting, name.clone()));
                known.files.iter().filter(|(name, _)| open(name)).collect()
            }
            _ => Vec::new(),
        };
        let job = json!({
            "interpreter": interpreter,
            "interpreters": if *setting == Setting::Shared { 2 } else { 1 },
            "mode": mode,
            "what": what,
            "name": name,
            "names": known.unloaded,
            "file": name.and_then(|name| known.files.get(name)),
            "files": files,
            "script": self.script,
            "module": self.module,
            "callable": self.callable,
            "also": self.also,
            // The first trial finds them out.
            "later": (!reference).then_some(&known.later),
            "home": self.home,
            "python_path": self.python_path,
            "describe": reference,
            "end": whole,
        });
        let mut args: Vec<OsString> = Vec::new();
        if let Some(gil) = gil.filter(|_| self.build.free_threaded) {
            args.extend(["-X".into(), gil.into()]);
        }
        args.extend([self.start_file.clone().into(), job.to_string().into()]);
        trial::ChildCommand {
            program: &self.python,
            args,
            env: self.environment.clone(),
            directory: &self.home,
            limit: self.limit,
            end_limit: trial::END_LIMIT,
        }
    }

    /// An application that does not import in the main interpreter cannot be judged.
    fn imports(&self, trials: &Trials) -> Result<(), Failure> {
        let Some(trial) = trials.get(&(Setting::Main, ImportTarget::Application)) else { return Ok(()) };
        let imported = trial.runs.first().and_then(|p| p.imported.as_ref());
        let why = match imported.map(|i| &i.error) {
            Some(None) => return Ok(()),
            Some(Some(error)) => wording::cut(error),
            None => died(trial),
        };
        let (script, python) = (&self.shown, self.python.display());
        Err(Failure::Input(format!(
            "{script} does not import in the main interpreter of {python}: {why}; make it import there first"
        )))
    }
}

/// How a child ended that did not finish the import.
fn died(trial: &Trial) -> String {
    let last = trial.output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    match (trial.death(), trial.end) {
        (Some(death), _) => death,
        (None, event::ChildEnd::Status(status)) => {
            format!("the process left with status {status} ({})", wording::cut(last))
        }
        (None, _) => "the process left".to_owned(),
    }
}
