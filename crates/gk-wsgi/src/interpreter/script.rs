//! Loading scripts: a script file becomes a module with a name of its own, a package is imported. One copy per interpreter,
//! one load at a time. Changes of loaded files: `watched_file`.

use crate::forked::{Called, stop_child};
use crate::interpreter::runtime::Runtime;
use crate::interpreter::watched_file::{WatchedFile, modified};
use crate::log::log;
use gk_python::{Attached, Kept, Object, PyError};
use gk_sys::clock::Moment;
use gk_wire::log::Level;
use md5::{Digest, Md5};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Name of the function by which a script asks for its reload.
const HOOK: &str = "reload_required";

/// Scripts that one interpreter has loaded.
pub(crate) struct Scripts {
    /// The interpreter, for the log.
    place: String,
    loaded: Mutex<HashMap<String, Arc<LoadedScript>>>,
    /// Scripts and callables that the configuration names, and whether a lone `app` will do.
    asked: Mutex<HashMap<(String, String), bool>>,
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
    pub(crate) module: Kept,
    /// File to watch.
    pub(crate) file: Option<Arc<WatchedFile>>,
    /// It has a function `reload_required`.
    pub(crate) has_hook: bool,
    /// Time of the load.
    pub(crate) loaded: Moment,
    /// It has answered a request.
    pub(crate) used: AtomicBool,
}

impl LoadedScript {
    /// For a module, and its file where that is watched.
    pub(crate) fn new(module: &Object<'_>, file: Option<LoadedFile>) -> Self {
        Self {
            module: module.clone().keep(),
            file: file.map(|(path, read)| Arc::new(WatchedFile::new(path, read))),
            has_hook: module.attr(HOOK).is_ok_and(|hook| hook.callable()),
            loaded: Moment::now(),
            used: AtomicBool::new(false),
        }
    }

    /// Calls the script's `reload_required` for the script at `path`.
    pub(crate) fn asks_for_reload<'p>(&self, py: Attached<'p>, path: &str) -> Result<bool, PyError<'p>> {
        self.module.bind(py).call_method(HOOK, &[&py.str(path)?])?.truth()
    }

    pub(crate) fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

/// Why a script could not be loaded; the log has been written.
pub struct LoadFailure {
    /// Status for a request: 404 for a missing file, 403 for a directory, else 500.
    pub status: u16,
    /// Python's traceback.
    pub traceback: String,
}

/// A loaded file and its modification time (`None` if that could not be read).
pub(crate) type LoadedFile = (PathBuf, Option<SystemTime>);

impl Scripts {
    /// For an interpreter, named as in log lines.
    pub(crate) fn new(place: String) -> Self {
        Self {
            place,
            loaded: Mutex::default(),
            asked: Mutex::default(),
            loading: Mutex::default(),
            load_ended: Condvar::new(),
        }
    }

    /// A script that is loaded.
    pub(crate) fn loaded(&self, script: &str) -> Option<Arc<LoadedScript>> {
        lock(&self.loaded).get(script).cloned()
    }

    /// A script, loaded now if it is not yet. Failures are logged with mod_wsgi's codes and tried again next time.
    /// `in_request` selects the code.
    pub(crate) fn load(
        &self,
        py: Attached<'_>,
        runtime: &Runtime,
        script: &str,
        is_module: bool,
        in_request: bool,
    ) -> Result<Arc<LoadedScript>, LoadFailure> {
        if let Some(loaded) = self.loaded(script) {
            return Ok(loaded);
        }
        if !is_module && let Some(failure) = no_file(Path::new(script), in_request) {
            return Err(failure);
        }
        py.detach(|| self.begin_load());
        let _loading = LoadPermit(self);
        if let Some(loaded) = self.loaded(script) {
            return Ok(loaded);
        }
        log(Level::Info, None, &format!("Loading WSGI script '{script}' into {}", self.place));
        let loaded = if is_module { import(py, runtime, script) } else { run_file(py, runtime, script) };
        match loaded {
            Ok((module, file)) => {
                let kept = Arc::new(LoadedScript::new(&module, file));
                lock(&self.loaded).insert(script.to_owned(), Arc::clone(&kept));
                Ok(kept)
            }
            Err((error, stage)) => Err(report(&error, stage, script, in_request)),
        }
    }

    /// Imports a script at process start and checks that it has its callable. `lone_app`: its `app` will do as `application`.
    pub(crate) fn preload<'p>(
        &self,
        py: Attached<'p>,
        runtime: &Runtime,
        script: &str,
        is_module: bool,
        callable: Option<&str>,
        lone_app: bool,
    ) -> Result<(), LoadFailure> {
        if let Some(name) = callable {
            // Also for a script that loads later.
            lock(&self.asked).insert((script.to_owned(), name.to_owned()), lone_app);
        }
        let loaded = self.load(py, runtime, script, is_module, false)?;
        let Some(name) = callable else { return Ok(()) };
        let complete = self.complete(py, runtime, &loaded, script, name);
        complete.map_err(|error| report(&error, LoadStage::Run, script, false))?;
        let module = loaded.module.bind(py);
        let found = module.attr(name).ok().filter(|found| found.callable());
        if let Some(found) = found {
            let asgi = runtime.speaks_asgi.bind(py).call(&[&found]).and_then(|answer| answer.truth());
            if !asgi.unwrap_or(false) {
                return Ok(());
            }
            let text = format!(
                "'{name}' of '{script}' is an ASGI application, and only WSGI is served here; an adapter such as a2wsgi makes one of the other"
            );
            log(Level::Error, Some("WSGI0089"), &text);
            return Err(LoadFailure { status: 500, traceback: text });
        }
        let usual = runtime.usual_callables.bind(py).call(&[&module]).ok();
        let usual = usual.as_ref().and_then(|names| names.as_utf8()).unwrap_or_default();
        let hint = match usual.split_once(' ').map_or(usual, |(first, _)| first) {
            "" => String::new(),
            ".wsgi" => format!("; did you mean its module {script}.wsgi?"),
            first => format!("; it has `{first}`, which {script}:{first} names"),
        };
        let text = format!("'{script}' has no callable named '{name}'{hint}");
        log(Level::Error, Some("WSGI0089"), &text);
        Err(LoadFailure { status: 500, traceback: text })
    }

    /// Gives the module of a script the callable that the configuration asks for and that is no attribute by itself: the result of
    /// `create_app()`, under that text as its name; or a lone `app` as `application`. A factory is called once, whoever asks.
    ///
    /// Only what was asked for at the start: a name that comes with a request is never more than a name.
    pub(crate) fn complete<'p>(
        &self,
        py: Attached<'p>,
        runtime: &Runtime,
        loaded: &LoadedScript,
        script: &str,
        callable: &str,
    ) -> Result<(), PyError<'p>> {
        let key = (script.to_owned(), callable.to_owned());
        let Some(lone_app) = lock(&self.asked).get(&key).copied() else { return Ok(()) };
        let module = loaded.module.bind(py);
        let is_expression = callable.contains(['(', '.']);
        if !is_expression && (!lone_app || module.attr(callable).is_ok()) {
            return Ok(());
        }
        py.detach(|| self.begin_load());
        let _loading = LoadPermit(self);
        if is_expression {
            let found = runtime.find_callable.bind(py).call(&[&module, &py.str(callable)?]);
            stop_child(py, runtime, Called::Script(script), found.as_ref().err());
            return found.map(drop);
        }
        if runtime.lone_app.bind(py).call(&[&module])?.truth()? {
            let text = format!(
                "'{script}' has no callable named '{callable}', so its 'app' is served; write {script}:app"
            );
            log(Level::Warn, None, &text);
        }
        Ok(())
    }

    /// Loaded scripts with their files, for watching.
    pub(crate) fn watched(&self) -> Vec<(String, Arc<WatchedFile>)> {
        let loaded = lock(&self.loaded);
        let file = |(script, loaded): (&String, &Arc<LoadedScript>)| {
            Some((script.clone(), Arc::clone(loaded.file.as_ref()?)))
        };
        loaded.iter().filter_map(file).collect()
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

/// Failure for a script that is missing, a directory or a named pipe, as opposed to one that cannot be read.
pub(crate) fn no_file(path: &Path, in_request: bool) -> Option<LoadFailure> {
    let (status, code, why) = match std::fs::metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            (404, "WSGI0135", "does not exist")
        }
        Ok(found) if found.is_dir() => (403, "WSGI0136", "is a directory"),
        // Python would wait for somebody who writes.
        Ok(found) if found.file_type().is_fifo() => (500, "WSGI0105", "is a pipe, not a file"),
        _ => return None,
    };
    let text = format!("the script {} {why}", path.display());
    log(Level::Error, Some(if in_request { code } else { "WSGI0106" }), &text);
    Some(LoadFailure { status, traceback: text })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: a process whose script was a named pipe waited for it until `startup-timeout`, and so did the next one.
    #[test]
    fn what_is_no_file_is_refused_before_python_opens_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file.py"), "").unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("pipe.py")).status().unwrap();
        assert!(made.success());
        let status = |path: &Path| no_file(path, true).map(|failure| failure.status);
        assert_eq!(status(&at("file.py")), None);
        assert_eq!(status(&at("gone.py")), Some(404));
        assert_eq!(status(dir.path()), Some(403));
        assert_eq!(status(&at("pipe.py")), Some(500));
        let said = no_file(&at("pipe.py"), false).unwrap().traceback;
        assert!(said.ends_with("pipe.py is a pipe, not a file"), "{said}");
    }
}
