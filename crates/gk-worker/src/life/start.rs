//! The start of a worker: Python's settings, imports, threads, `Ready`.

use crate::life::embedded::front::{EmbeddedFront, EmbeddedStart};
use crate::life::signals::Signals;
use crate::life::worker::Worker;
use crate::serve::engine::Engine;
use crate::serve::groups::GroupInterpreter;
use crate::serve::intake::Intake;
use crate::serve::thread;
use crate::watch::ending::Ending;
use crate::watch::folders::Folders;
use crate::watch::module_changes;
use crate::watch::python_thread::{self, PythonThread};
use crate::watch::script_changes::ScriptChanges;
use crate::watch::slow_requests::SlowRequests;
use crate::watch::startup::Startup;
use crate::watch::watchdog::Watchdog;
use gk_python::{Attached, ThreadStates};
use gk_sys::fork::Withheld;
use gk_sys::log::plain;
use gk_wire::control::{FromWorker, ImportFailure, SourceFile};
use gk_wire::log::Level;
use gk_wire::setup::{Import, WorkerSetup};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// Longest traceback sent to the supervisor, in bytes.
const MOST_TRACEBACK: usize = 16 * 1024;
/// Most bytes of all tracebacks together: `Ready` is one packet, and JSON escapes make it longer.
const ALL_TRACEBACKS: usize = 48 * 1024;

impl Worker {
    /// Prepares Python, imports, starts the threads and says `Ready`.
    pub(crate) fn start(
        engine: Arc<Engine>,
        control: OwnedFd,
        python: String,
        embedded: Option<EmbeddedStart>,
        states: &mut ThreadStates,
    ) -> Result<Self, String> {
        // Before the imports, which may fork.
        let withheld = Withheld::descriptor(&control);
        let embedded = embedded.map(EmbeddedFront::new).transpose();
        let embedded = embedded.map_err(|e| format!("The front's descriptors cannot be had: {e}"))?;
        let setup = &engine.setup;
        // Before the imports, so that no change is missed.
        let folders = (!setup.group.watch.is_empty()).then(|| Folders::watch(&setup.group.watch));
        let startup = Startup::watch(&engine);
        let main = main_group(&engine, states)?;
        let mut failed = crate::measure::importing(|| import_all(&engine, &startup, states));
        drop(startup);
        if setup.without_gil {
            failed.extend(states.attach(&main.interpreter, |py| gil_returned(py, setup)));
        }
        if let Some(measure) = crate::measure::get() {
            measure.imported();
        }
        states.attach(&main.interpreter, |py| main.ask_switch_interval(py));
        set_title(setup);
        let signals = Signals::new().map_err(|e| format!("Signals cannot be caught: {e}"))?;
        let told = control.try_clone().map_err(|e| format!("No descriptor is left: {e}"))?;
        let ending = Arc::new(Ending::default());
        let mut worker = Self {
            _withheld: withheld,
            control,
            signals,
            python: python.clone(),
            threads: Vec::new(),
            python_thread: Some(
                PythonThread::start(&engine, Arc::clone(&ending), told)
                    .map_err(|e| format!("A thread cannot be started: {e}"))?,
            ),
            watchdog: Watchdog::new(setup.group.clone()),
            watched: ScriptChanges::new(&engine),
            more_to_watch: None,
            gil_told: false,
            last_ping: Instant::now(),
            broken: None,
            slow: SlowRequests::new(setup.slow_requests, setup.group.threads as usize),
            leaving: None,
            announcing: None,
            embedded,
            told: None,
            engine: Arc::clone(&engine),
            ending,
        };
        for index in 0..setup.group.threads as usize {
            let engine = Arc::clone(&engine);
            let mut builder = std::thread::Builder::new().name(format!("request-{}", index + 1));
            if let Some(bytes) = engine.setup.group.stack_size {
                builder = builder.stack_size(bytes as usize);
            } else {
                // CPython's own default for threads is the platform's 8 MiB; deep recursion needs it.
                builder = builder.stack_size(8 << 20);
            }
            let thread = ThreadStates::spawn(builder, move |states| thread::run(states, &engine, index))
                .map_err(|e| format!("Request thread {} cannot be started: {e}", index + 1))?;
            worker.threads.push(thread);
        }
        let ticker = Arc::clone(&engine);
        std::thread::Builder::new()
            .name("gk-ticker".to_owned())
            .stack_size(64 << 10)
            .spawn(move || ticker.tick_forever())
            .map_err(|e| format!("A thread cannot be started: {e}"))?;
        if let Intake::Several(_) = &engine.intake {
            let reader = Arc::clone(&engine);
            std::thread::Builder::new()
                .name("gk-links".to_owned())
                .stack_size(128 << 10)
                .spawn(move || {
                    if let Intake::Several(links) = &reader.intake {
                        links.read_forever();
                    }
                })
                .map_err(|e| format!("A thread cannot be started: {e}"))?;
        }
        worker.tell_of_gil();
        let gil_mode = engine.groups.gil_mode().to_owned();
        let switch_interval = main.switch_interval();
        let sources = setup.group.reload_on_changes.then(|| python_thread::imported(&engine, states));
        if let Some(files) = sources.as_ref().filter(|_| !failed.is_empty()) {
            worker.tell(&FromWorker::Tried { files: module_changes::read_last(files) });
        }
        // What the start and the imports have freed would stay with each process.
        gk_sys::memory::give_back();
        let imported = setup.imports.len().saturating_sub(failed.len()) as u32;
        worker.tell(&FromWorker::Ready { python, gil_mode, switch_interval, failed, imported });
        if let Some(files) = sources {
            // After `Ready`, so that the supervisor gets no change before it.
            worker.watch_imported(files);
        }
        if let Some(folders) = folders {
            worker.watch_folders(folders);
        }
        Ok(worker)
    }

    /// `watch`: tells of changes below these folders, also of those that happened meanwhile.
    fn watch_folders(&self, folders: std::io::Result<Folders>) {
        let told = self.control.try_clone();
        let watched = folders.and_then(|folders| folders.report(&self.engine, told?));
        if let Err(error) = watched {
            plain(Level::Error, "wsgi", None, &format!("The directories of watch= are not watched: {error}"));
        }
    }

    /// `reload-on-changes`: watches these files from now on, and files imported later.
    fn watch_imported(&mut self, files: Vec<SourceFile>) {
        let Some(thread) = &self.python_thread else { return };
        let control = self.control.try_clone();
        match control.and_then(|control| module_changes::watch(&self.engine, thread.orders(), control, files))
        {
            Ok(more) => self.more_to_watch = Some(more),
            Err(error) => {
                plain(Level::Error, "wsgi", None, &format!("Imported modules are not watched: {error}"));
            }
        }
    }
}

/// Prepares the main interpreter and sets the group's locale.
pub(crate) fn main_group(
    engine: &Engine,
    states: &mut ThreadStates,
) -> Result<Arc<GroupInterpreter>, String> {
    let each = engine.groups.each(states, "").ok_or("Python could not be prepared")?;
    let main = Arc::clone(&each[0]);
    if let Some(locale) = &engine.setup.group.locale {
        let set = states.attach(&main.interpreter, |py| {
            main.application.locale(py, locale).map_err(|error| error.summary())
        });
        if let Err(why) = set {
            plain(Level::Warn, "wsgi", Some("WSGI0079"), &format!("locale '{locale}': {why}"));
        }
    }
    Ok(main)
}

/// `display-name`: sets the process title that `ps` shows.
pub(crate) fn set_title(setup: &WorkerSetup) {
    let Some(name) = &setup.group.display_name else { return };
    let title = name.replace("%{GROUP}", &format!("(wsgi:{})", setup.group.name));
    if let Err(error) = gk_sys::own_process::set_title(&title) {
        plain(Level::Info, "wsgi", None, &format!("display-name: the process title cannot be set: {error}"));
    }
}

/// Imports every script in every interpreter of its application group; of several failures in one group, the first counts.
fn import_all(engine: &Engine, startup: &Startup, states: &mut ThreadStates) -> Vec<ImportFailure> {
    let (mut failed, mut left) = (Vec::new(), ALL_TRACEBACKS);
    for import in &engine.setup.imports {
        let traceback = match engine.groups.each(states, &import.application_group) {
            None => Some("the interpreter could not be created; see the error log".to_owned()),
            Some(each) => each.iter().find_map(|group| preload(states, startup, group, import)),
        };
        if let Some(mut traceback) = traceback {
            // Scripts often fail for the same reason, so the first tracebacks get the most room.
            let most = MOST_TRACEBACK.min(left / 2);
            if traceback.len() > most {
                let cut = traceback.ceil_char_boundary(traceback.len() - most);
                traceback = traceback.split_off(cut);
            }
            left -= traceback.len();
            failed.push(ImportFailure {
                script: import.script.clone(),
                application_group: import.application_group.clone(),
                traceback,
            });
        }
    }
    failed
}

/// Checks if the GIL came back on during the start. If the configuration refuses that, it counts as a failed import.
fn gil_returned(py: Attached<'_>, setup: &WorkerSetup) -> Option<ImportFailure> {
    if gk_wsgi::gil::enabled(py) {
        // The module is already named, unless it was imported before the worker started (by a .pth file, for example).
        gk_wsgi::gil::came_back("something imported at Python's own start");
    }
    let module = gk_wsgi::gil::returned().filter(|_| setup.gil_refused)?;
    Some(ImportFailure {
        script: format!("free-threading=required of process group '{}'", setup.group.name),
        application_group: String::new(),
        traceback: format!(
            "{module} turned the GIL back on: it does not declare that it supports free threading"
        ),
    })
}

/// Imports a script in one interpreter; returns the traceback if that fails.
fn preload(
    states: &mut ThreadStates,
    startup: &Startup,
    group: &Arc<GroupInterpreter>,
    import: &Import,
) -> Option<String> {
    group.measured(|| {
        states.attach(&group.interpreter, |py| {
            let callable = import.callable.as_deref();
            let load =
                || group.application.preload(py, &import.script, import.module, callable, import.lone_app);
            let loaded = startup.import(py, group, &import.script, load);
            loaded.err().map(|failure| failure.traceback)
        })
    })
}
