//! The Python of a process group, and its build. Each executable is asked once. Nothing here links Python.

use crate::{StartError, service_manager};
use gk_config::site::{ProcessGroup, Site};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The Python that the command runs in, given by the entry point.
#[derive(Debug, Clone)]
pub struct PythonRuntime {
    /// `sys.executable`.
    pub executable: PathBuf,
    /// Directory of the Python package `gilkeeper`: holds `front.py`, `worker.py` and the extension module.
    pub package_dir: PathBuf,
    /// Its build, if the entry point knows it; otherwise the executable is asked.
    pub build: Option<PythonBuild>,
    /// The command itself, where it is a program of its own.
    pub program: Option<PathBuf>,
}

impl PythonRuntime {
    /// With an unknown build.
    pub fn new(executable: impl Into<PathBuf>, package_dir: impl Into<PathBuf>) -> Self {
        Self { executable: executable.into(), package_dir: package_dir.into(), build: None, program: None }
    }

    /// With its build, which saves a process at each start of a server.
    pub fn with_build(mut self, build: PythonBuild) -> Self {
        self.build = Some(build);
        self
    }

    /// With the command as a program of its own.
    pub fn with_program(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
        self
    }

    /// The words that start the command `gilkeeper` of this package. The Python itself is named: a script beside it may be another
    /// package's by now.
    pub fn command(&self) -> Vec<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        match &self.program {
            Some(program) => vec![text(program)],
            None => [&text(&self.executable), "-P", "-m", "gilkeeper"].map(str::to_owned).to_vec(),
        }
    }
}

/// A build of CPython.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PythonBuild {
    /// Minor version of Python 3.
    pub minor: u8,
    /// Built with `--disable-gil`.
    pub free_threaded: bool,
}

impl PythonBuild {
    /// Refuses unsupported builds.
    fn check(self, executable: &Path) -> Result<Self, StartError> {
        let t = if self.free_threaded { "t" } else { "" };
        let shown = format!("{} is CPython 3.{}{t}", executable.display(), self.minor);
        if !(11..=15).contains(&self.minor) {
            return Err(StartError(format!("{shown}; Gilkeeper runs on CPython 3.11 to 3.15")));
        }
        if self.free_threaded && self.minor < 14 {
            return Err(StartError(format!(
                "{shown}; Gilkeeper runs on free-threaded builds from CPython 3.14t on"
            )));
        }
        Ok(self)
    }
}

/// Time limit for the answer of an executable.
const PATIENCE: Duration = Duration::from_secs(10);

/// The question to an executable: implementation, version and ABI flags (`t` marks a free-threaded build).
const QUESTION: &str =
    "import sys; v = sys.version_info; print(sys.implementation.name, v[0], v[1], sys.abiflags + '.')";

/// Executables asked so far.
#[derive(Debug, Default, Clone)]
pub struct Pythons {
    known: BTreeMap<PathBuf, PythonBuild>,
}

impl Pythons {
    /// Knows the runtime's own build, if the runtime does.
    pub fn new(runtime: &PythonRuntime) -> Self {
        let own = runtime.build.map(|build| (runtime.executable.clone(), build));
        Self { known: own.into_iter().collect() }
    }

    /// The build of an executable that may run workers.
    pub fn build(&mut self, executable: &Path) -> Result<PythonBuild, StartError> {
        if let Some(build) = self.known.get(executable) {
            return build.check(executable);
        }
        let build = ask(executable)?.check(executable)?;
        self.known.insert(executable.to_owned(), build);
        Ok(build)
    }
}

/// The executable of a process group: `python=`, else `python-home=`, else `WSGIPythonHome`, else our own.
pub fn executable(site: &Site, group: &ProcessGroup, runtime: &PythonRuntime) -> Result<PathBuf, StartError> {
    find(group, site.python.home.as_deref(), runtime)
}

/// The build of a process group's Python, if it can be determined. `WSGIPythonHome` is already part of the group.
pub fn build_of(group: &ProcessGroup, runtime: &PythonRuntime, pythons: &mut Pythons) -> Option<PythonBuild> {
    pythons.build(&find(group, None, runtime).ok()?).ok()
}

fn find(group: &ProcessGroup, home: Option<&Path>, runtime: &PythonRuntime) -> Result<PathBuf, StartError> {
    if let Some(python) = &group.python {
        let found = match python.components().count() {
            1 => on_path(python),
            _ => Some(python.clone()).filter(|path| path.is_file()),
        };
        return found.ok_or_else(|| {
            StartError(format!(
                "process group '{}': python={} is no file; name a Python executable",
                group.name,
                python.display()
            ))
        });
    }
    let (option, home) = match (group.python_home.as_deref(), home) {
        (Some(home), _) => ("python-home", home),
        (None, Some(home)) => ("WSGIPythonHome", home),
        (None, None) => return Ok(runtime.executable.clone()),
    };
    let found =
        ["bin/python", "bin/python3"].map(|name| home.join(name)).into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        StartError(format!(
            "process group '{}': {option} {} holds no bin/python; name a virtual environment or a prefix",
            group.name,
            home.display()
        ))
    })
}

/// The executable of `--python`: a name without a slash is looked up on PATH, a path is relative to `directory`.
pub fn named(name: &str, directory: &Path) -> Option<PathBuf> {
    match name.contains('/') {
        false => on_path(Path::new(name)),
        true => Some(directory.join(name)).filter(|path| path.is_file()),
    }
}

fn on_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

fn ask(executable: &Path) -> Result<PythonBuild, StartError> {
    let refuse =
        |why: String| StartError(format!("{} does not run as a Python: {why}", executable.display()));
    let mut command = Command::new(executable);
    for name in service_manager::VARIABLES {
        command.env_remove(name);
    }
    command
        .args(["-I", "-S", "-c", QUESTION])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|e| refuse(e.to_string()))?;
    let answer = child.stdout.take().map(|out| read_within(out, PATIENCE)).unwrap_or_default();
    if answer.is_none() {
        let _ = child.kill();
    }
    let _ = child.wait();
    let answer = answer.ok_or_else(|| refuse(format!("no answer within {} s", PATIENCE.as_secs())))?;
    let mut words = answer.split_whitespace();
    match (words.next(), words.next(), words.next().and_then(|w| w.parse().ok()), words.next()) {
        (Some("cpython"), Some("3"), Some(minor), Some(flags)) => {
            Ok(PythonBuild { minor, free_threaded: flags.contains('t') })
        }
        (Some(other), Some(_), Some(_), Some(_)) => {
            Err(refuse(format!("it is {other}; Gilkeeper needs CPython")))
        }
        _ => Err(refuse(format!("it answered {:?}", answer.trim()))),
    }
}

/// Everything written until the end; `None` when that takes too long.
fn read_within(mut from: std::process::ChildStdout, patience: Duration) -> Option<String> {
    let end = Instant::now() + patience;
    let mut text = Vec::new();
    loop {
        let left = Timespec::try_from(end.saturating_duration_since(Instant::now())).ok()?;
        let ready = poll(&mut [PollFd::new(&from, PollFlags::IN)], Some(&left));
        if !matches!(ready, Ok(1..)) {
            return None;
        }
        let mut buffer = [0; 512];
        match from.read(&mut buffer) {
            Ok(0) => return Some(String::from_utf8_lossy(&text).into_owned()),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_builds_are_refused_with_a_sentence() {
        let path = Path::new("/p");
        let build = |minor, free_threaded| PythonBuild { minor, free_threaded }.check(path);
        assert!(build(11, false).is_ok() && build(15, true).is_ok() && build(14, true).is_ok());
        assert_eq!(
            build(10, false).unwrap_err().0,
            "/p is CPython 3.10; Gilkeeper runs on CPython 3.11 to 3.15"
        );
        assert!(
            build(13, true)
                .unwrap_err()
                .0
                .contains("3.13t; Gilkeeper runs on free-threaded builds from CPython 3.14t")
        );
        assert!(build(16, false).is_err());
    }

    #[test]
    fn an_executable_that_is_no_python_is_refused() {
        let mut pythons = Pythons::default();
        assert!(
            pythons.build(Path::new("/no/such/python")).unwrap_err().0.contains("does not run as a Python")
        );
        assert!(
            pythons
                .build(Path::new("/bin/echo"))
                .unwrap_err()
                .0
                .contains("does not run as a Python: it answered")
        );
    }
}
