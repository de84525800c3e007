//! The installed packages that sub-interpreters refuse: each package with extension modules is imported in the main interpreter
//! and in two sub-interpreters, in child processes as `doctor` runs them. For `gilkeeper check --python`.

use super::event::{ChildEnd, Trial};
use super::trial::{self, ChildCommand};
use super::wording::cut;
use gk_supervisor::PythonRuntime;
use gk_sys::signal::Signals;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// Time limit for the imports of one child.
const LIMIT: Duration = Duration::from_secs(120);
/// Packages that may end a child before the rest is left alone.
const DEATHS: usize = 8;

/// A package that a sub-interpreter refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Distribution and version.
    pub package: String,
    /// Every sub-interpreter refuses it; otherwise the second one of a process does.
    pub every: bool,
    /// The exception, or how the process ended.
    pub why: String,
}

/// The packages in the environment of a Python that sub-interpreters refuse. `None`: a signal ended the examination.
pub fn refusals(
    python: &Path,
    runtime: &PythonRuntime,
    free_threaded: bool,
    signals: &Signals,
) -> Result<Option<Vec<Refusal>>, String> {
    let place = Place { python, runtime, free_threaded };
    let Some(main) = place.run("main", signals)? else { return Ok(None) };
    let Some(shared) = place.run("shared", signals)? else { return Ok(None) };
    Ok(Some(compared(&main, &shared)))
}

/// Everything that the trials of one kind of interpreter said.
#[derive(Debug, Default)]
struct Said {
    /// Name to import, with distribution and version.
    packages: BTreeMap<String, String>,
    /// Packages that raised, by the interpreter's position.
    failed: Vec<BTreeMap<String, String>>,
}

struct Place<'a> {
    python: &'a Path,
    runtime: &'a PythonRuntime,
    free_threaded: bool,
}

impl Place<'_> {
    /// Imports all packages; one that ends the process is left out of the next try.
    fn run(&self, interpreter: &str, signals: &Signals) -> Result<Option<Said>, String> {
        let mut said = Said { failed: vec![BTreeMap::new(); 2], ..Said::default() };
        let mut without: Vec<String> = Vec::new();
        loop {
            let Some(trial) = self.child(interpreter, &without, signals)? else { return Ok(None) };
            said.take(&trial);
            let last = trial.runs.last();
            let done = last.is_some_and(|run| run.imported.is_some());
            let guilty = last.and_then(|run| run.trying.clone()).filter(|_| !done);
            match guilty {
                Some(name) if without.len() < DEATHS => {
                    let at = trial.runs.len() - 1;
                    let why = trial.death().unwrap_or_else(|| "the process left".to_owned());
                    said.failed[at.min(1)].insert(name.clone(), why);
                    without.push(name);
                }
                _ if !done => {
                    let why = match trial.end {
                        ChildEnd::Status(_) => {
                            trial.output.trim().lines().last().unwrap_or_default().to_owned()
                        }
                        _ => trial.death().unwrap_or_default(),
                    };
                    return Err(format!("{} could not import its packages: {why}", self.python.display()));
                }
                _ => return Ok(Some(said)),
            }
        }
    }

    fn child(
        &self,
        interpreter: &str,
        without: &[String],
        signals: &Signals,
    ) -> Result<Option<Trial>, String> {
        let job = json!({
            "interpreter": interpreter, "interpreters": if interpreter == "main" { 1 } else { 2 },
            "mode": "shared-gil", "what": "environment", "without": without,
            "home": null, "python_path": [], "describe": false, "end": false,
        });
        let mut args: Vec<OsString> = Vec::new();
        if self.free_threaded {
            args.extend(["-X".into(), "gil=1".into()]);
        }
        args.extend([self.runtime.package_dir.join("doctor.py").into(), job.to_string().into()]);
        let gone = ["PYTHON_GIL", "PYTHONHOME", "PYTHONEXECUTABLE"];
        let env = std::env::vars_os().filter(|(name, _)| gone.iter().all(|gone| name != gone)).collect();
        let directory = Path::new("/");
        trial::run(
            &ChildCommand {
                program: self.python,
                args,
                env,
                directory,
                limit: LIMIT,
                end_limit: trial::END_LIMIT,
            },
            signals,
        )
    }
}

impl Said {
    fn take(&mut self, trial: &Trial) {
        for package in &trial.packages {
            let shown = format!("{} {}", package.distribution, package.version);
            self.packages.insert(package.name.clone(), shown);
        }
        for (failed, run) in self.failed.iter_mut().zip(&trial.runs) {
            failed.extend(run.failed.iter().map(|(name, error)| (name.clone(), error.clone())));
        }
    }
}

/// What the main interpreter imports and sub-interpreters do not, one entry for a distribution.
fn compared(main: &Said, shared: &Said) -> Vec<Refusal> {
    let mut found: BTreeMap<String, Refusal> = BTreeMap::new();
    for (name, package) in &main.packages {
        if main.failed[0].contains_key(name) {
            continue;
        }
        let (first, second) = (shared.failed[0].get(name), shared.failed[1].get(name));
        if let Some(why) = first.or(second) {
            let refusal = Refusal { package: package.clone(), every: first.is_some(), why: cut(why) };
            found.entry(package.clone()).and_modify(|known| known.every |= refusal.every).or_insert(refusal);
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_main_interpreter_imports_is_refused() {
        let names = ["both", "broken", "first", "second"];
        let packages: BTreeMap<String, String> =
            names.iter().map(|name| ((*name).to_owned(), format!("{name} 1.0"))).collect();
        let raised = |names: &[&str]| -> BTreeMap<String, String> {
            names.iter().map(|name| ((*name).to_owned(), "ImportError: no".to_owned())).collect()
        };
        let main = Said { packages, failed: vec![raised(&["broken"]), raised(&[])] };
        let failed = vec![raised(&["broken", "first"]), raised(&["broken", "first", "second"])];
        let shared = Said { failed, ..Said::default() };
        let found: Vec<(String, bool)> =
            compared(&main, &shared).into_iter().map(|one| (one.package, one.every)).collect();
        assert_eq!(found, [("first 1.0".to_owned(), true), ("second 1.0".to_owned(), false)]);
    }
}
