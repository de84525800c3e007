//! Command lines of `serve` read with the real file system and the real environment, and the supervisor's loader over them.

use crate::command_line::complaint;
use crate::surroundings::{Disk, here, server_root};
use crate::{Failure, options};
use clap::ArgMatches;
use gk_config::diagnostic::{Diagnostic, Severity, render_all};
use gk_config::express::layers::{Sources, gather};
use gk_config::express::{self, ServeOptions};
use gk_config::report;
use gk_config::site::{MountTarget, Site};
use gk_config::{Machine, PythonBuild, Pythons, Surroundings, load, load_text};
use gk_supervisor::{Loaded, Loader, PythonRuntime, build_of};
use gk_sys::child::identity;
use gk_sys::usage::control_group;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The surroundings of a configuration: those of the command, with defines and Pythons.
fn surroundings(given: &ArgMatches, python: &PythonRuntime) -> Result<Surroundings, Failure> {
    let here = here()?;
    let defines = given.get_many::<String>("define").into_iter().flatten().map(|text| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    });
    Ok(Surroundings {
        default_server_root: Some(server_root::default(&here.directory, &here.environment)),
        defines: defines.collect(),
        ignore_unknown: given.get_flag("ignore-unknown"),
        pythons: pythons(python),
        machine: Some(Machine {
            cpus: control_group::limits().whole_cpus(),
            user: |name| identity::user(name).is_some(),
            group: |name| identity::group(name).is_some(),
        }),
        ..here
    })
}

/// Finds the build of a group's Python: ours, or the answer of its executable, asked once.
fn pythons(runtime: &PythonRuntime) -> Pythons {
    let (runtime, known) = (runtime.clone(), Mutex::new(gk_supervisor::Pythons::new(runtime)));
    Pythons::new(move |group| {
        let build = build_of(group, &runtime, &mut known.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(PythonBuild { minor: build.minor.into(), free_threaded: build.free_threaded })
    })
}

/// A command line of `serve`, read as often as wanted: other sources of options and the configuration are read each time.
#[derive(Clone)]
pub struct Reading {
    /// Of the command line.
    options: ServeOptions,
    /// The configuration file, if that is served.
    file: Option<PathBuf>,
    sources: Sources,
    surroundings: Surroundings,
    /// As `gilkeeper dev` serves it.
    develops: bool,
}

/// A configuration as it was read.
pub struct Read {
    /// The site and everything that there is to say.
    pub loaded: gk_config::Loaded,
    /// The surroundings with the variables of `--env-file`.
    pub surroundings: Surroundings,
    /// These variables.
    added: BTreeMap<String, String>,
    /// Remarks for the user about the sources.
    pub remarks: Vec<String>,
}

/// Name of the hidden option by which `serve` is `dev`, for a server that replaces one of `dev`.
pub const DEVELOP: &str = "develop";

/// The option that names the working directory.
const HOME: &str = "working-directory";

/// Set by whoever starts a server for a while (`compare`) to its own process id: the server ends with its parent, and has no
/// options but those of its command line.
pub const ENDS_WITH_PARENT: &str = "GILKEEPER_ENDS_WITH_PARENT";

impl Reading {
    /// Of a command line. `sources`: where options come from beside it, if it names no configuration file.
    pub fn new(given: &ArgMatches, python: &PythonRuntime, sources: Sources) -> Result<Self, Failure> {
        let options = options::options(given);
        let surroundings = surroundings(given, python)?;
        // `dev` takes none.
        let file = given.try_get_one::<PathBuf>("config").ok().flatten().cloned();
        let develops = given.try_get_one::<bool>(DEVELOP).is_ok_and(|set| set == Some(&true));
        if let Some(path) = &file {
            if let Some(name) = options::not_with_file(given) {
                let text = format!(
                    "--{name} does not go with -c; say it in the file or with --set 'Directive args'"
                );
                return Err(Failure::Input(text));
            }
            if path.extension().is_some_and(|end| end == "py") {
                let text = complaint::no_python(&path.display().to_string());
                return Err(Failure::Input(text));
            }
            if !surroundings.directory.join(path).is_file() {
                return Err(Failure::Input(format!("there is no configuration file {}", path.display())));
            }
        }
        let alone = std::env::var_os(ENDS_WITH_PARENT).is_some();
        let sources = match (alone, &file, sources) {
            (true, ..) => Sources::CommandLine,
            (_, Some(_), Sources::All) => Sources::BesideFile,
            (_, Some(_), _) => Sources::CommandLine,
            (_, None, sources) => sources,
        };
        Ok(Self { options, file, sources, surroundings, develops })
    }

    /// Reads the sources of options and the configuration. The error: why there is nothing to say about a site.
    pub fn read(&self) -> Result<Read, String> {
        let (mut options, mut surroundings) = (self.options.clone(), self.surroundings.clone());
        let added = gather(&mut options, &Disk, &mut surroundings, self.sources)?;
        let root = options.one("server-root").map(|root| surroundings.directory.join(root));
        surroundings.server_root = root.or(surroundings.server_root);
        // Django's program stands beside the package that is meant.
        if self.file.is_none()
            && Path::new(&options.script).file_name().is_some_and(|name| name == "manage.py")
            && let Some(near) = express::nearby(&Disk, &surroundings.directory)
        {
            return Err(format!(
                "manage.py runs Django's commands and is no WSGI script; did you mean `{near}`?"
            ));
        }
        if self.file.is_none()
            && let Some(home) = options.one(HOME)
            && !surroundings.directory.join(home).is_dir()
        {
            return Err(format!("{} {home} is no directory", options.called(HOME)));
        }
        if self.develops && !options.script.is_empty() {
            options = express::develop(&options, &Disk, &surroundings.directory)?;
        }
        let mut loaded = match &self.file {
            Some(path) => of_file(path, &options, &surroundings)?,
            None if options.script.is_empty() => {
                let near = express::nearby(&Disk, &surroundings.directory);
                let near = near.map(|script| format!("; did you mean `{script}`?")).unwrap_or_default();
                let choice = match self.develops {
                    true => "a file, or package.module[:callable]",
                    false => "a file, package.module[:callable], or -c FILE",
                };
                return Err(format!("name what to serve: {choice}{near}"));
            }
            None => express::read(&options, &Disk, &surroundings)?,
        };
        if let (None, Some(site)) = (&self.file, &loaded.site) {
            scripts_exist(site)?;
        }
        loaded.options = options.uses();
        Ok(Read { loaded, surroundings, added, remarks: options.remarks })
    }

    /// The same as the supervisor takes it.
    fn load(&self) -> Result<Loaded, String> {
        let Read { loaded: read, surroundings, added, remarks } = self.read()?;
        let (site, said) = read.into_result().map_err(|said| render_all(&said))?;
        let warnings = said.iter().filter(|d| d.severity == Severity::Warning).map(Diagnostic::line);
        let mut warnings: Vec<String> = remarks.into_iter().chain(warnings).collect();
        if site.mounts_nothing() {
            warnings.push(report::mounts_nothing(&said));
        }
        let environment = added.into_iter().collect();
        Ok(Loaded { site, warnings, directory: surroundings.directory, environment })
    }
}

/// The loader for `serve`.
pub fn loader(given: &ArgMatches, python: &PythonRuntime) -> Result<Loader, Failure> {
    let reading = Reading::new(given, python, Sources::All)?;
    Ok(Arc::new(move || {
        let loaded = reading.load()?;
        usable_tls(&loaded.site)?;
        Ok(loaded)
    }))
}

/// Reads the configuration of a command line of `serve` once, for a server in another environment than this. `change`: adapts the
/// surroundings.
pub fn read_once(
    given: &ArgMatches,
    python: &PythonRuntime,
    change: impl FnOnce(&mut Surroundings),
) -> Result<Loaded, Failure> {
    let mut reading = Reading::new(given, python, Sources::Files)?;
    change(&mut reading.surroundings);
    reading.load().map_err(Failure::Input)
}

/// A configuration file, with the options beside it.
fn of_file(
    path: &Path,
    options: &ServeOptions,
    surroundings: &Surroundings,
) -> Result<gk_config::Loaded, String> {
    let listeners = express::listeners(options, &surroundings.directory)?;
    let set: Vec<String> =
        listeners.lines().map(str::to_owned).chain(options::beside_file(options)).collect();
    if set.is_empty() {
        return Ok(load(path, &Disk, surroundings));
    }
    let include = surroundings.directory.join(path);
    let mut text = format!("Include {}\n", gk_config::token::quote(&include.to_string_lossy()));
    set.iter().for_each(|line| text.push_str(&format!("{}\n", line.replace(['\n', '\r'], " "))));
    Ok(load_text("command line", &text, &Disk, surroundings))
}

/// Refuses a missing script of `serve SCRIPT`. A configuration file may name scripts that are created later.
fn scripts_exist(site: &Site) -> Result<(), String> {
    let files = site.hosts.iter().flat_map(|host| &host.mounts).filter_map(|mount| match &mount.target {
        MountTarget::File(path) => Some(path),
        _ => None,
    });
    match files.into_iter().find(|path| !path.is_file()) {
        Some(path) => Err(format!("there is no file {}; {}", path.display(), express::instead(path, &Disk))),
        None => Ok(()),
    }
}

/// Refuses unusable certificates before the server starts; at a reload the old configuration stays.
fn usable_tls(site: &Site) -> Result<(), String> {
    site.measurements
        .admin_tls
        .as_ref()
        .map_or(Ok(()), |files| gk_admin::door::tls::configuration(files).map(drop))
}
