//! Loading scripts: a script file becomes a module with a name of its own, a package is imported. One copy per interpreter,
//! one load at a time.

use crate::forked::{Called, stop_child};
use crate::interpreter::runtime::Runtime;
use crate::log::log;
use gk_python::{Attached, Kept, Object, PyError};
use gk_wire::log::Level;
use md5::{Digest, Md5};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Scripts that one interpreter has loaded.
#[derive(Default)]
pub(crate) struct Scripts {
    loaded: Mutex<HashMap<String, Arc<LoadedScript>>>,
    /// True during a load. Threads wait for its end detached, so that they do not hold the GIL.
    loading: Mutex<bool>,
    load_ended: Condvar,
}

/// The right to load; dropping it passes it on.
struct LoadPermit<'a>(&'a Scripts);

impl Scripts {
    /// Blocks; call it detached.
    fn begin_load(&self) {
        let mut loading = lock(&self.loading);
        while *loading {
            loading = self.load_ended.wait(loading).unwrap_or_else(PoisonError::into_inner);
        }
        *loading = true;
    }
}

impl Drop for LoadPermit<'_> {
    fn drop(&mut self) {
        *lock(&self.0.loading) = false;
        self.0.load_ended.notify_one();
    }
}

/// A loaded script.
pub(crate) struct LoadedScript {
    module: Kept,
    /// File to watch, with its modification time when it was read.
    file: Option<(PathBuf, Option<SystemTime>)>,
}

/// Why a script could not be loaded; the log has been written.
pub struct LoadFailure {
    /// Status for a request: 404 for a missing file, 403 for a directory, else 500.
    pub status: u16,
    /// Python's traceback.
    pub traceback: String,
}

/// A loaded file and its modification time (`None` if that could not be read).
pub type LoadedFile = (PathBuf, Option<SystemTime>);

impl Scripts {
    /// Module of a script, loaded now if it is not yet. Failures are logged with mod_wsgi's codes and tried again next time.
    /// `in_request` selects the code.
    pub(crate) fn module<'p>(
        &self,
        py: Attached<'p>,
        runtime: &Runtime,
        script: &str,
        is_module: bool,
        in_request: bool,
    ) -> Result<Object<'p>, LoadFailure> {
        if let Some(loaded) = lock(&self.loaded).get(script) {
            return Ok(loaded.module.bind(py));
        }
        if !is_module && let Some(failure) = no_file(Path::new(script), in_request) {
            return Err(failure);
        }
        py.detach(|| self.begin_load());
        let _loading = LoadPermit(self);
        if let Some(loaded) = lock(&self.loaded).get(script) {
            return Ok(loaded.module.bind(py));
        }
        let loaded = if is_module { import(py, runtime, script) } else { run_file(py, runtime, script) };
        match loaded {
            Ok((module, file)) => {
                let kept = Arc::new(LoadedScript { module: module.clone().keep(), file });
                lock(&self.loaded).insert(script.to_owned(), kept);
                Ok(module)
            }
            Err((error, stage)) => Err(report(&error, stage, script, in_request)),
        }
    }

    /// Imports a script at process start and checks that it has its callable.
    pub(crate) fn preload<'p>(
        &self,
        py: Attached<'p>,
        runtime: &Runtime,
        script: &str,
        is_module: bool,
        callable: Option<&str>,
    ) -> Result<(), LoadFailure> {
        let module = self.module(py, runtime, script, is_module, false)?;
        match callable {
            Some(name) if module.attr(name).is_err() => {
                let text = format!("'{script}' has no callable named '{name}'");
                log(Level::Error, Some("WSGI0089"), &text);
                Err(LoadFailure { status: 500, traceback: text })
            }
            _ => Ok(()),
        }
    }

    /// Loaded scripts with their files, for watching.
    pub(crate) fn watched(&self) -> Vec<(String, LoadedFile)> {
        let loaded = lock(&self.loaded);
        loaded.iter().filter_map(|(script, loaded)| Some((script.clone(), loaded.file.clone()?))).collect()
    }
}

pub(crate) fn import<'p>(
    py: Attached<'p>,
    runtime: &Runtime,
    name: &str,
) -> Result<(Object<'p>, Option<LoadedFile>), LoadError<'p>> {
    let ran = |error| (error, LoadStage::Run);
    let module = py.str(name).and_then(|name| runtime.import_module.bind(py).call(&[&name]));
    stop_child(py, runtime, Called::Script(name), module.as_ref().err());
    let module = module.map_err(ran)?;
    let file = py
        .str("__file__")
        .and_then(|name| module.attr_if_there(&name))
        .ok()
        .flatten()
        .and_then(|file| file.as_utf8().map(PathBuf::from));
    Ok((module, file.map(|file| (file.clone(), modified(&file)))))
}

pub(crate) fn run_file<'p>(
    py: Attached<'p>,
    runtime: &Runtime,
    path: &str,
) -> Result<(Object<'p>, Option<LoadedFile>), LoadError<'p>> {
    let file = PathBuf::from(path);
    // Read before the source, so that a change in between is seen.
    let mtime = modified(&file);
    let read = |error| (error, LoadStage::Read);
    let shown = py.str(path).map_err(read)?;
    let code = runtime.compile_script.bind(py).call(&[&shown]).map_err(read)?;
    let ran = |error| (error, LoadStage::Run);
    let name = py.str(&module_name(path)).map_err(ran)?;
    let micros =
        mtime.and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok()).map_or(0, |d| d.as_micros() as i64);
    let micros = py.int(micros).map_err(ran)?;
    let module = runtime.run_script.bind(py).call(&[&code, &shown, &name, &micros]);
    stop_child(py, runtime, Called::Script(path), module.as_ref().err());
    let module = module.map_err(ran)?;
    Ok((module, Some((file, mtime))))
}

/// Exception of a load, and the stage that raised it.
pub(crate) type LoadError<'p> = (PyError<'p>, LoadStage);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadStage {
    Read,
    Run,
}

pub(crate) fn report(error: &PyError<'_>, stage: LoadStage, script: &str, in_request: bool) -> LoadFailure {
    let traceback = error.traceback();
    let (code, text) = match (stage, error.is_system_exit(), in_request) {
        (LoadStage::Read, _, true) => ("WSGI0105", "cannot be read or compiled"),
        (LoadStage::Read, _, false) => ("WSGI0106", "cannot be read or compiled"),
        (LoadStage::Run, true, true) => ("WSGI0107", "raised SystemExit while it was loaded; ignored"),
        (LoadStage::Run, true, false) => ("WSGI0108", "raised SystemExit while it was loaded; ignored"),
        (LoadStage::Run, false, true) => ("WSGI0109", "raised an exception while it was loaded"),
        (LoadStage::Run, false, false) => ("WSGI0110", "raised an exception while it was loaded"),
    };
    log(Level::Error, Some(code), &format!("Script '{script}' {text}"));
    log(Level::Error, Some("WSGI0174"), &traceback);
    LoadFailure { status: 500, traceback }
}

/// Failure for a script that is missing or a directory, as opposed to one that cannot be read.
pub(crate) fn no_file(path: &Path, in_request: bool) -> Option<LoadFailure> {
    let (status, code, why) = match std::fs::metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            (404, "WSGI0135", "does not exist")
        }
        Ok(found) if found.is_dir() => (403, "WSGI0136", "is a directory"),
        _ => return None,
    };
    let text = format!("the script {} {why}", path.display());
    log(Level::Error, Some(if in_request { code } else { "WSGI0106" }), &text);
    Some(LoadFailure { status, traceback: text })
}

/// Modification time of a file, to compare with a later one.
pub fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

/// Module name of a script: a digest of its path, so that two files called `wsgi.py` do not collide.
fn module_name(path: &str) -> String {
    let digest = Md5::digest(path.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("_mod_wsgi_{hex}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
