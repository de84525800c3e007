//! Configurations from the real file system and the real environment, and the supervisor's loader over them.

use crate::{Failure, options};
use clap::ArgMatches;
use gk_config::diagnostic::{Diagnostic, Severity, render_all};
use gk_config::express::{self, ServeOptions};
use gk_config::report;
use gk_config::site::{MountTarget, Site};
use gk_config::source::{Source, names};
use gk_config::{Machine, PythonBuild, Pythons, Surroundings, load, load_text};
use gk_supervisor::{Loaded, Loader, PythonRuntime, build_of};
use gk_sys::child::identity;
use gk_sys::usage::control_group;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Files on disk.
pub struct Disk;

impl Source for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|e| e.to_string())
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let mut found = vec![PathBuf::new()];
        for part in pattern.components() {
            let wild =
                matches!(part, Component::Normal(name) if name.to_string_lossy().contains(['*', '?', '[']));
            found = match wild {
                true => found.iter().flat_map(|dir| entries(dir)).filter(|p| last_matches(part, p)).collect(),
                false => found.into_iter().map(|dir| dir.join(part)).filter(|p| p.exists()).collect(),
            };
        }
        let mut files = Vec::new();
        for path in found {
            collect(path, &mut files);
        }
        files.sort();
        Ok(files)
    }
}

fn last_matches(pattern: Component<'_>, path: &Path) -> bool {
    path.file_name().is_some_and(|name| names(Path::new(&pattern), Path::new(name)))
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn collect(path: PathBuf, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        entries(&path).into_iter().for_each(|entry| collect(entry, files));
    } else {
        files.push(path);
    }
}

/// The surroundings of a configuration: working directory, environment, defines, Pythons.
pub fn surroundings(
    given: &ArgMatches,
    server_root: Option<&str>,
    python: &PythonRuntime,
) -> Result<Surroundings, Failure> {
    let directory = std::env::current_dir()
        .map_err(|e| Failure::Input(format!("the working directory cannot be determined: {e}")))?;
    let directory = as_named(directory, std::env::var_os("PWD").as_deref());
    let environment: std::collections::BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let server_root = server_root
        .or_else(|| environment.get("GILKEEPER_ROOT").map(String::as_str).filter(|v| !v.is_empty()));
    let defines = given.get_many::<String>("define").into_iter().flatten().map(|text| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    });
    Ok(Surroundings {
        server_root: server_root.map(|root| directory.join(root)),
        directory,
        defines: defines.collect(),
        ignore_unknown: given.get_flag("ignore-unknown"),
        environment,
        pythons: pythons(python),
        machine: Some(Machine {
            cpus: control_group::limits().whole_cpus(),
            user: |name| identity::user(name).is_some(),
            group: |name| identity::group(name).is_some(),
        }),
    })
}

/// The working directory by the name that the shell has for it (`$PWD`), when that is the same folder: a link in it, such as
/// `current`, leads elsewhere when it has been switched, and a reload goes there.
fn as_named(directory: PathBuf, named: Option<&OsStr>) -> PathBuf {
    let folder = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let plain = |path: &PathBuf| {
        path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
    };
    let named = named.map(PathBuf::from).filter(|path| path.is_absolute() && plain(path));
    named.filter(|path| folder(path).is_some() && folder(path) == folder(&directory)).unwrap_or(directory)
}

/// Finds the build of a group's Python: ours, or the answer of its executable, asked once.
fn pythons(runtime: &PythonRuntime) -> Pythons {
    let (runtime, known) = (runtime.clone(), Mutex::new(gk_supervisor::Pythons::new(runtime)));
    Pythons::new(move |group| {
        let build = build_of(group, &runtime, &mut known.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(PythonBuild { minor: build.minor.into(), free_threaded: build.free_threaded })
    })
}

/// The source of `serve`'s configuration.
enum Origin {
    Options(Box<ServeOptions>),
    File { path: PathBuf, set: Vec<String> },
}

/// The loader for `serve`.
pub fn loader(given: &ArgMatches, python: &PythonRuntime) -> Result<Loader, Failure> {
    let (origin, surroundings) = origin(given, python)?;
    Ok(Arc::new(move || {
        let loaded = read(&origin, &surroundings)?;
        usable_tls(&loaded.site)?;
        Ok(loaded)
    }))
}

/// Reads the configuration of a command line of `serve` once, without the files that it names. `change`: adapts the surroundings.
pub fn read_once(
    given: &ArgMatches,
    python: &PythonRuntime,
    change: impl FnOnce(&mut Surroundings),
) -> Result<Loaded, Failure> {
    let (origin, mut surroundings) = origin(given, python)?;
    change(&mut surroundings);
    read(&origin, &surroundings).map_err(Failure::Input)
}

fn origin(given: &ArgMatches, python: &PythonRuntime) -> Result<(Origin, Surroundings), Failure> {
    let options = options::options(given);
    let surroundings = surroundings(given, options.one("server-root"), python)?;
    let origin = match given.get_one::<PathBuf>("config") {
        Some(path) => {
            if let Some(name) = options::not_with_file(given) {
                let text = format!(
                    "--{name} does not go with -c; say it in the file or with --set 'Directive args'"
                );
                return Err(Failure::Input(text));
            }
            if !surroundings.directory.join(path).is_file() {
                return Err(Failure::Input(format!("there is no configuration file {}", path.display())));
            }
            let listeners = express::listeners(&options, &surroundings.directory).map_err(Failure::Input)?;
            let set = listeners.lines().map(str::to_owned).chain(options::beside_file(given)).collect();
            Origin::File { path: path.clone(), set }
        }
        None if options.script.is_empty() => {
            let text = "name what to serve: a file, package.module[:callable], or -c FILE";
            return Err(Failure::Input(text.into()));
        }
        None => Origin::Options(Box::new(options)),
    };
    Ok((origin, surroundings))
}

fn read(origin: &Origin, surroundings: &Surroundings) -> Result<Loaded, String> {
    let read = match origin {
        Origin::Options(options) => {
            let (site, said) = express::load_with(options, &Disk, surroundings)?;
            scripts_exist(&site)?;
            return Ok(loaded((site, said), surroundings));
        }
        Origin::File { path, set } if set.is_empty() => load(path, &Disk, surroundings),
        Origin::File { path, set } => {
            let include = surroundings.directory.join(path);
            let mut text = format!("Include {}\n", gk_config::token::quote(&include.to_string_lossy()));
            set.iter().for_each(|line| text.push_str(&format!("{}\n", line.replace(['\n', '\r'], " "))));
            load_text("command line", &text, &Disk, surroundings)
        }
    };
    let read = read.into_result().map_err(|said| render_all(&said))?;
    Ok(loaded(read, surroundings))
}

/// Refuses a missing script of `serve SCRIPT`. A configuration file may name scripts that are created later.
fn scripts_exist(site: &Site) -> Result<(), String> {
    let files = site.hosts.iter().flat_map(|host| &host.mounts).filter_map(|mount| match &mount.target {
        MountTarget::File(path) => Some(path),
        _ => None,
    });
    match files.into_iter().find(|path| !path.is_file()) {
        Some(path) => {
            Err(format!("there is no file {}; name a WSGI script or package.module", path.display()))
        }
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

fn loaded((site, said): (Site, Vec<Diagnostic>), surroundings: &Surroundings) -> Loaded {
    let mut warnings: Vec<String> =
        said.iter().filter(|d| d.severity == Severity::Warning).map(Diagnostic::line).collect();
    if site.mounts_nothing() {
        warnings.push(report::mounts_nothing(&said));
    }
    Loaded { site, warnings, directory: surroundings.directory.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: after the link `current` was switched, a reload served the old release. Met with deploys by link.
    #[test]
    fn the_working_directory_has_the_name_that_the_shell_has_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("release"), dir.path().join("current"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let cases = [
            (Some(link.clone()), &link),
            (Some(real.clone()), &real),
            (Some(dir.path().to_owned()), &real),
            (Some(dir.path().join("gone")), &real),
            (Some(dir.path().join("current/../current")), &real),
            (Some("current".into()), &real),
            (None, &real),
        ];
        for (named, wanted) in cases {
            let named = named.map(PathBuf::into_os_string);
            assert_eq!(&as_named(real.clone(), named.as_deref()), wanted, "{named:?}");
        }
    }

    #[test]
    fn include_patterns_name_files_and_directories() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", "c.txt", "d.d/x.conf"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let found = Disk.glob(&dir.path().join(pattern)).unwrap();
            found.iter().map(|p| p.strip_prefix(dir.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(found("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(found("d.d"), ["d.d/x.conf"]);
        assert_eq!(found("*.d/*.conf"), ["d.d/x.conf"]);
        assert!(found("none*").is_empty());
    }
}
