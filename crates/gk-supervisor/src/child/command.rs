//! Command lines of workers, front and admin process: arguments, environment, identity, limits. Values; `start` starts them.

use crate::configuration::Configuration;
use crate::configuration::python::{PythonBuild, PythonRuntime};
use crate::service_manager;
use gk_config::site::{ProcessGroup, Site};
use gk_sys::child::identity::{self, Identity};
use gk_sys::child::spawn::Limit;
use gk_wire::handover;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A child's command line with everything but its descriptors.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandLine {
    /// Executable.
    pub program: PathBuf,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Complete environment.
    pub env: Vec<(OsString, OsString)>,
    /// User and groups; `None`: ours.
    pub identity: Option<Identity>,
    /// Root directory.
    pub chroot: Option<PathBuf>,
    /// Working directory.
    pub directory: Option<PathBuf>,
    /// It renounces privileges that programs could give it.
    pub no_new_privileges: bool,
    /// File mode mask.
    pub umask: Option<u32>,
    /// Resource limits: which, soft, hard.
    pub limits: Vec<(Limit, u64, u64)>,
    /// Added to the nice value.
    pub nice: i32,
    /// A warning for the user.
    pub remark: Option<String>,
}

/// The front: isolated and without `site`, because it runs no application.
pub fn front(configuration: &Configuration, runtime: &PythonRuntime) -> CommandLine {
    let args = own(runtime, "front.py");
    let identity = configuration.front_identity.clone();
    let env = environment(identity.as_ref(), Vec::new());
    CommandLine {
        program: runtime.executable.clone(),
        args,
        env,
        identity,
        chroot: None,
        directory: None,
        no_new_privileges: false,
        umask: None,
        limits: Vec::new(),
        nice: 0,
        remark: None,
    }
}

/// The admin process, started by the front as the same user: program and arguments.
pub fn admin(runtime: &PythonRuntime) -> Vec<String> {
    let args = own(runtime, "admin.py");
    let all = std::iter::once(runtime.executable.as_os_str()).chain(args.iter().map(OsString::as_os_str));
    all.map(|word| word.to_string_lossy().into_owned()).collect()
}

fn own(runtime: &PythonRuntime, script: &str) -> Vec<OsString> {
    vec!["-I".into(), "-S".into(), runtime.package_dir.join(script).into_os_string()]
}

/// A worker of that group.
pub fn worker(configuration: &Configuration, group: &ProcessGroup, runtime: &PythonRuntime) -> CommandLine {
    let site = &configuration.site;
    let about = configuration.about(&group.name);
    let identity = about.identity.clone();
    let mut changes: Vec<(OsString, OsString)> =
        configuration.environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let mut set = |name: &str, value: Option<&std::ffi::OsStr>| {
        changes.extend(value.map(|value| (OsString::from(name), value.to_owned())));
    };
    set("LANG", group.lang.as_ref().map(|s| s.as_ref()));
    set("LC_ALL", group.locale.as_ref().map(|s| s.as_ref()));
    let utf8 = group.utf8_mode.as_deref().map(|word| if word == "on" { "1" } else { "0" });
    set("PYTHONUTF8", utf8.map(|s| s.as_ref()));
    set("PYTHON_EGG_CACHE", group.python_eggs.as_ref().map(|p| p.as_os_str()));
    set("PYTHONHASHSEED", site.python.hash_seed.as_ref().map(|s| s.as_ref()));
    let mut env = environment(identity.as_ref(), changes);
    if about.executable != runtime.executable {
        // They describe the supervisor's Python and would mislead another one.
        env.retain(|(name, _)| name != "PYTHONHOME" && name != "PYTHONEXECUTABLE");
    }
    env.retain(|(name, value)| name != "PYTHON_GIL" || hears_of_the_gil(about.build, about.gil, value));
    let mut directory = directory(group, identity.as_ref(), &configuration.directory);
    let start = &configuration.directory;
    let gone = directory.clone().filter(|folder| is_gone(group, folder, start));
    if gone.is_some() {
        directory = Some("/".into());
    }
    let remark = |folder: PathBuf| {
        let what = if folder == *start {
            format!("the folder {}, in which the server was started, is gone", folder.display())
        } else {
            format!("the home of its user, {}, is not there", folder.display())
        };
        format!("{what}: process group '{}' works in / instead", group.name)
    };
    CommandLine {
        program: about.executable.clone(),
        args: arguments(site, about.build, about.gil, &runtime.package_dir),
        env,
        directory,
        identity,
        chroot: group.chroot.clone(),
        no_new_privileges: group.renounces_privileges(),
        umask: group.umask,
        limits: limits(group),
        nice: group.cpu_priority,
        remark: gone.map(remark),
    }
}

/// Whether a worker is given the server's PYTHON_GIL. A build that has a GIL does not start with 0. Elsewhere the configuration decides, and
/// the operator may keep the GIL off at any price, with 0.
fn hears_of_the_gil(build: PythonBuild, gil: bool, value: &std::ffi::OsStr) -> bool {
    build.free_threaded && (gil || value == "0")
}

fn arguments(site: &Site, build: PythonBuild, gil: bool, package_dir: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    // No option for running without: `gil=0` would keep extension modules that need the GIL from turning it back on.
    if build.free_threaded && gil {
        args.extend(["-X".into(), "gil=1".into()]);
    }
    if site.python.optimize > 0 {
        args.push(if site.python.optimize == 1 { "-O" } else { "-OO" }.into());
    }
    for filter in &site.python.warnings {
        args.extend(["-W".into(), filter.into()]);
    }
    if site.python.dont_write_bytecode {
        args.push("-B".into());
    }
    args.push(package_dir.join("worker.py").into_os_string());
    args
}

/// The working directory: `home=`, else the home of its user, else the folder that the server was started in, by its name:
/// what it leads to may have been switched. `None`: our own, for another user who may not be able to reach it.
fn directory(group: &ProcessGroup, identity: Option<&Identity>, start: &Path) -> Option<PathBuf> {
    let another = identity.filter(|i| i.uid != identity::effective_uid());
    let own = || (another.is_none() && group.chroot.is_none()).then(|| start.to_owned());
    group.home.clone().or_else(|| another.and_then(|i| i.home.clone())).or_else(own)
}

/// Whether a working directory that nobody chose is not there: the one that the server was started in (which `serve` gives as `home=`), or
/// the home of a system's user, which often does not exist in a container. One that `home=` names is meant.
fn is_gone(group: &ProcessGroup, folder: &Path, start: &Path) -> bool {
    let is_chosen = group.home.is_some() && folder != start;
    !is_chosen && group.chroot.is_none() && !folder.is_dir()
}

/// Why the working directory could not be entered, with a remedy.
pub fn why_not_entered(
    group: &ProcessGroup,
    identity: Option<&Identity>,
    start: &Path,
    error: &std::io::Error,
) -> String {
    let shown = directory(group, identity, start).unwrap_or_default();
    let ours = shown == start;
    let shown = shown.display();
    match (&group.home, identity.and_then(|i| i.name.as_ref()).filter(|_| !ours)) {
        (Some(_), _) => format!("its home= directory '{shown}' could not be entered: {error}"),
        (None, Some(name)) => format!(
            "'{shown}', the home of user {name} and so its working directory, could not be entered: {error}; \
             give a directory with home="
        ),
        (None, None) if ours => format!(
            "'{shown}', in which the server was started, could not be entered: {error}; give a directory with home="
        ),
        (None, None) => format!("its working directory '{shown}' could not be entered: {error}"),
    }
}

fn limits(group: &ProcessGroup) -> Vec<(Limit, u64, u64)> {
    let mut limits = Vec::new();
    if group.cpu_time_limit > 0 {
        // The soft limit makes the worker leave in order; the hard one ends it when that takes too long.
        let hard = group.cpu_time_limit + 1 + group.shutdown_timeout.max(0.0) as u64;
        limits.push((Limit::Cpu, group.cpu_time_limit, hard));
    }
    for (limit, bytes) in
        [(Limit::Data, group.memory_limit), (Limit::AddressSpace, group.virtual_memory_limit)]
    {
        if bytes > 0 {
            limits.push((limit, bytes, bytes));
        }
    }
    limits
}

/// Our environment with the changes. HOME is that of the child's user; variables with a user name are adapted.
fn environment(identity: Option<&Identity>, changes: Vec<(OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    env.retain(|name, _| {
        !service_manager::VARIABLES.iter().any(|own| name == own) && name != handover::VARIABLE
    });
    let own = || identity::user_by_id(identity::effective_uid()).map(|u| (Some(u.name), Some(u.home)));
    let (name, home) = match identity {
        Some(identity) => (identity.name.clone(), identity.home.clone()),
        None => own().unwrap_or_default(),
    };
    if let Some(home) = home {
        env.insert("HOME".into(), home.into_os_string());
    }
    if let Some(name) = name {
        for variable in ["USER", "USERNAME", "LOGNAME"] {
            if let Some(value) = env.get_mut(std::ffi::OsStr::new(variable)) {
                *value = name.clone().into();
            }
        }
    }
    env.extend(changes);
    env.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_entered_is_named() {
        let nobody = Identity {
            uid: identity::effective_uid() + 1,
            gid: 1,
            groups: Vec::new(),
            name: Some("nobody".into()),
            home: Some("/nonexistent".into()),
        };
        let gone = std::io::Error::from_raw_os_error(2);
        let mut group = ProcessGroup::named("one");
        let start = Path::new("/srv/site");
        let told = why_not_entered(&group, Some(&nobody), start, &gone);
        assert!(told.starts_with("'/nonexistent', the home of user nobody"), "{told}");
        assert!(told.ends_with("give a directory with home="), "{told}");
        assert!(why_not_entered(&group, None, start, &gone).starts_with("'/srv/site', in which the server"));
        group.home = Some("/nowhere".into());
        let told = why_not_entered(&group, Some(&nobody), start, &gone);
        assert!(told.starts_with("its home= directory '/nowhere'"), "{told}");
    }

    /// Reported: after the folder that the server was started in was removed, no worker started any more. Met with deploys that remove
    /// old releases.
    #[test]
    fn a_working_directory_that_nobody_chose_may_be_gone() {
        let (start, gone) = (Path::new("/gone/start"), Path::new("/gone/home"));
        let mut group = ProcessGroup::named("one");
        assert!(is_gone(&group, start, start) && is_gone(&group, gone, start));
        assert!(!is_gone(&group, Path::new("/"), start));
        group.home = Some(start.to_owned());
        assert!(is_gone(&group, start, start), "`serve` names it");
        group.home = Some(gone.to_owned());
        assert!(!is_gone(&group, gone, start));
    }

    #[test]
    fn limits_leave_a_worker_time_to_stop() {
        let mut group = ProcessGroup::named("one");
        assert_eq!(limits(&group), []);
        (group.cpu_time_limit, group.shutdown_timeout) = (10, 5.0);
        (group.memory_limit, group.virtual_memory_limit) = (1 << 30, 2 << 30);
        assert_eq!(
            limits(&group),
            [(Limit::Cpu, 10, 16), (Limit::Data, 1 << 30, 1 << 30), (Limit::AddressSpace, 2 << 30, 2 << 30)]
        );
    }

    /// Met with PYTHON_GIL=0 for one group on a free-threaded build: a group on another CPython did not start any more.
    #[test]
    fn an_environment_without_gil_is_for_builds_that_can_do_without() {
        let hears = |free_threaded, gil, value: &str| {
            hears_of_the_gil(PythonBuild { minor: 14, free_threaded }, gil, value.as_ref())
        };
        assert!(hears(true, false, "0") && !hears(true, false, "1"));
        // There `-X gil=1` is stronger.
        assert!(hears(true, true, "0"));
        assert!(!hears(false, true, "0"));
    }

    #[test]
    fn the_gil_is_forced_on_only_where_a_build_can_do_without() {
        let around = gk_config::Surroundings { directory: "/".into(), ..gk_config::Surroundings::default() };
        let text = "WSGIDaemonProcess one\nWSGIPythonOptimize 2\nWSGIDontWriteBytecode On\n";
        let loaded = gk_config::load_text("site.conf", text, &gk_config::source::Memory::new(), &around);
        let site = loaded.site.unwrap();
        let words = |free_threaded, gil| {
            let args = arguments(&site, PythonBuild { minor: 14, free_threaded }, gil, Path::new("/package"));
            args.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(true, true), "-X gil=1 -OO -B /package/worker.py");
        assert_eq!(words(true, false), "-OO -B /package/worker.py");
        assert_eq!(words(false, true), "-OO -B /package/worker.py");
    }
}
