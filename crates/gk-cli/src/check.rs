//! `gilkeeper check`: what a configuration or a command line of `serve` means and what is wrong with it; with `--python`, also which installed packages the
//! interpreters of its applications refuse.

mod certificates;
mod forks;

use crate::doctor::environment::{Refusal, refusals};
use crate::load::{Read, Reading};
use crate::{Failure, print, say};
use clap::ArgMatches;
use gk_config::Loaded;
use gk_config::diagnostic::{Diagnostic, Ignores, Severity};
use gk_config::express::layers::Sources;
use gk_config::report::{self, MountUse};
use gk_supervisor::PythonRuntime;
use gk_supervisor::python::{self, Pythons};
use gk_sys::signal::{SIGINT, SIGTERM, Signals};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub fn run(given: &ArgMatches, python: &PythonRuntime) -> Result<i32, Failure> {
    let Read { mut loaded, remarks, .. } =
        Reading::new(given, python, Sources::All)?.read().map_err(Failure::Input)?;
    remarks.iter().for_each(|remark| say(&format!("gilkeeper: {remark}")));
    let groups = loaded.site.iter().flat_map(|site| &site.groups);
    let forking: Vec<Diagnostic> = {
        let mounts = report::mounts(&loaded);
        groups.flat_map(|group| forks::warnings(&group.name, &mounts)).collect()
    };
    loaded.diagnostics.extend(forking);
    let files = certificates::said(&loaded);
    if files.iter().any(|said| said.severity == Severity::Error) {
        loaded.site = None;
    }
    loaded.diagnostics.extend(files);
    if let Some(named) = given.get_one::<String>("python") {
        examine(&mut loaded, Some(named.as_str()).filter(|name| !name.is_empty()), python)?;
    }
    let json = given.get_one::<String>("format").is_some_and(|format| format == "json");
    print(&if json { report::json(&loaded) } else { report::text(&loaded) });
    Ok(match loaded.site {
        None => 2,
        Some(_) if given.get_flag("strict") && loaded.has(Severity::Warning) => 1,
        Some(_) => 0,
    })
}

/// Adds a warning for each script in a sub-interpreter that installed packages refuse. `named`: the Python of `--python`, else
/// each process group's own is asked.
fn examine(loaded: &mut Loaded, named: Option<&str>, runtime: &PythonRuntime) -> Result<(), Failure> {
    let Some(site) = &loaded.site else { return Ok(()) };
    let signals = Signals::new(&[SIGINT, SIGTERM])
        .map_err(|e| Failure::Failed(format!("signals cannot be caught: {e}")))?;
    let here = std::env::current_dir()
        .map_err(|e| Failure::Input(format!("the working directory cannot be determined: {e}")))?;
    let (mut builds, mut known) = (Pythons::new(runtime), BTreeMap::<PathBuf, Vec<Refusal>>::new());
    let mut warnings = Vec::new();
    let mounts = report::mounts(loaded);
    for group in &site.groups {
        let sub = |mount: &&MountUse<'_>| mount.process_group == group.name && !is_main(mount);
        let mounted: Vec<&MountUse<'_>> = mounts.iter().filter(sub).collect();
        if mounted.is_empty() {
            continue;
        }
        let executable = match named {
            Some(name) => python::named(name, &here).ok_or_else(|| {
                Failure::Input(format!("--python {name} is no file; name a Python executable"))
            })?,
            None => python::executable(site, group, runtime).map_err(|refused| Failure::Input(refused.0))?,
        };
        let build = builds.build(&executable).map_err(|refused| Failure::Input(refused.0))?;
        if !known.contains_key(&executable) {
            let found =
                refusals(&executable, runtime, build.free_threaded, &signals).map_err(Failure::Failed)?;
            let found = found.ok_or_else(|| Failure::Failed("interrupted; there is no report".into()))?;
            known.insert(executable.clone(), found);
        }
        warnings.extend(about(&group.name, &mounted, &known[&executable]));
    }
    loaded.diagnostics.extend(warnings);
    Ok(())
}

fn is_main(mount: &MountUse<'_>) -> bool {
    ["", "%{GLOBAL}"].contains(&mount.application_group.as_str())
}

/// The warnings about one process group, at the line of its first script in a sub-interpreter.
fn about(group: &str, mounted: &[&MountUse<'_>], refusals: &[Refusal]) -> Vec<Diagnostic> {
    let Some(first) = mounted.first() else { return Vec::new() };
    let several = {
        let names: BTreeSet<&str> = mounted.iter().map(|m| m.application_group.as_str()).collect();
        // Names with a variable in them may stand for any number of interpreters.
        names.len() > 1 || mounted.len() > 1 && names.iter().any(|name| name.contains("%{"))
    };
    let scripts = match mounted.len() {
        1 => format!("the script at {}", first.url),
        more => format!("{more} scripts, the first at {},", first.url),
    };
    let mut said = Vec::new();
    let mut warn = |every: bool, happens: &str| {
        let names: Vec<&str> =
            refusals.iter().filter(|one| one.every == every).map(|one| one.package.as_str()).collect();
        let Some(why) = refusals.iter().find(|one| one.every == every).map(|one| &one.why) else { return };
        let verb = if mounted.len() == 1 { "runs in a sub-interpreter" } else { "run in sub-interpreters" };
        let message = format!(
            "{scripts} {verb} of process group `{group}`, and {happens} installed packages: {}",
            names.join(", ")
        );
        let hint = format!(
            "{why}. WSGIApplicationGroup %{{GLOBAL}} serves it in the main interpreter; give each of several applications \
             a process group of its own"
        );
        said.push(Diagnostic {
            severity: Severity::Warning,
            code: None,
            message,
            file: first.used.map(|used| used.file.clone()).unwrap_or_default(),
            line: first.used.map_or(1, |used| used.line),
            column: 1,
            width: 1,
            source: String::new(),
            hint: Some(hint),
            ignores: Ignores::Nothing,
        });
    };
    warn(true, "no sub-interpreter imports these");
    if several {
        warn(false, "only the first sub-interpreter of a process imports these");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_for_each_kind_of_refusal() {
        let refusals = [("bcrypt 5.0.0", true), ("psycopg2 2.9.13", true), ("SQLAlchemy 2.1.0", false)].map(
            |(package, every)| Refusal {
                package: package.to_owned(),
                every,
                why: "ImportError: no".to_owned(),
            },
        );
        let mount = |url, application: &str| MountUse {
            host: 0,
            url,
            script: None,
            process_group: "site".to_owned(),
            application_group: application.to_owned(),
            used: None,
        };
        let (a, b) = (mount("/a", "%{RESOURCE}"), mount("/b", "%{RESOURCE}"));
        let one = about("site", &[&a], &refusals);
        assert_eq!(one.len(), 1);
        assert_eq!(
            one[0].message,
            "the script at /a runs in a sub-interpreter of process group `site`, and no sub-interpreter imports these \
             installed packages: bcrypt 5.0.0, psycopg2 2.9.13"
        );
        assert_eq!(about("site", &[&a, &b], &refusals).len(), 2);
        assert_eq!(about("site", &[&mount("/a", "x"), &mount("/b", "x")], &refusals).len(), 1);
        assert!(is_main(&mount("/", "")) && !is_main(&a));
    }
}
