//! The beginning of a worker: Python's settings, the imports, the threads, `Ready`. Serving and the end are `worker`'s.

use crate::engine::Engine;
use crate::python_thread::PythonThread;
use crate::signals::Signals;
use crate::thread;
use crate::watch::Watched;
use crate::watchdog::Watchdog;
use crate::worker::Worker;
use gk_python::ThreadStates;
use gk_sys::log::plain;
use gk_wire::control::{FromWorker, ImportFailure};
use gk_wire::log::Level;
use gk_wire::setup::WorkerSetup;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// Longest traceback sent to the supervisor, in bytes.
const MOST_TRACEBACK: usize = 16 * 1024;

impl Worker {
    /// Prepares Python, imports, starts the threads and says `Ready`.
    pub(crate) fn start(
        engine: Arc<Engine>,
        control: OwnedFd,
        python: String,
        gil_mode: &'static str,
        states: &mut ThreadStates,
    ) -> Result<Self, String> {
        let setup = &engine.setup;
        let main = engine.groups.get(states, "").ok_or("Python could not be prepared")?;
        let mut switch_interval = None;
        states.attach(main.interpreter, |py| {
            if let Some(locale) = &setup.locale
                && let Err(error) = main.application.locale(py, locale)
            {
                plain(
                    Level::Warn,
                    "wsgi",
                    Some("WSGI0079"),
                    &format!("locale '{locale}': {}", error.summary()),
                );
            }
            let sys = py.import("sys");
            if let (Ok(sys), Some(seconds)) = (&sys, setup.switch_interval)
                && gil_mode != "free-threading"
            {
                let set = py.float(seconds).and_then(|s| sys.call_method("setswitchinterval", &[&s]));
                if let Err(error) = set {
                    plain(Level::Error, "wsgi", None, &format!("switch-interval: {}", error.summary()));
                }
            }
            if gil_mode != "free-threading" {
                switch_interval =
                    sys.and_then(|s| s.call_method("getswitchinterval", &[])).and_then(|s| s.to_f64()).ok();
            }
        });
        let failed = import_all(&engine, states);
        set_title(setup);
        let signals =
            Signals::new(setup.threads == 0).map_err(|e| format!("Signals cannot be caught: {e}"))?;
        let mut worker = Self {
            control,
            signals,
            python: python.clone(),
            gil_mode,
            threads: Vec::new(),
            python_thread: Some(
                PythonThread::start(&engine).map_err(|e| format!("A thread cannot be started: {e}"))?,
            ),
            watchdog: Watchdog::new(setup.timers.clone(), setup.threads),
            watched: Watched::new(&engine),
            last_ping: Instant::now(),
            leaving: None,
            engine: Arc::clone(&engine),
        };
        for index in 0..setup.threads as usize {
            let engine = Arc::clone(&engine);
            let mut builder = std::thread::Builder::new().name(format!("request-{}", index + 1));
            if let Some(bytes) = engine.setup.stack_size {
                builder = builder.stack_size(bytes as usize);
            } else {
                // CPython's own default for threads is the platform's 8 MiB; deep recursion needs it.
                builder = builder.stack_size(8 << 20);
            }
            let thread = builder
                .spawn(move || thread::run(&engine, index))
                .map_err(|e| format!("Request thread {} cannot be started: {e}", index + 1))?;
            worker.threads.push(thread);
        }
        let ticker = Arc::clone(&engine);
        std::thread::Builder::new()
            .name("gk-ticker".to_owned())
            .stack_size(64 << 10)
            .spawn(move || ticker.tick_forever())
            .map_err(|e| format!("A thread cannot be started: {e}"))?;
        worker.tell(&FromWorker::Ready { python, gil_mode: gil_mode.to_owned(), switch_interval, failed });
        Ok(worker)
    }
}

/// `display-name`: what `ps` shows.
fn set_title(setup: &WorkerSetup) {
    let Some(name) = &setup.display_name else { return };
    let title = name.replace("%{GROUP}", &format!("(wsgi:{})", setup.process_group));
    if let Err(error) = gk_sys::process::set_title(&title) {
        plain(Level::Info, "wsgi", None, &format!("display-name: the process title cannot be set: {error}"));
    }
}

fn import_all(engine: &Engine, states: &mut ThreadStates) -> Vec<ImportFailure> {
    let mut failed = Vec::new();
    for import in &engine.setup.imports {
        let traceback = match engine.groups.get(states, &import.application_group) {
            None => Some("the interpreter could not be created; see the error log".to_owned()),
            Some(group) => states.attach(group.interpreter, |py| {
                let callable = import.callable.as_deref();
                group
                    .application
                    .preload(py, &import.script, import.module, callable)
                    .err()
                    .map(|f| f.traceback)
            }),
        };
        if let Some(mut traceback) = traceback {
            if traceback.len() > MOST_TRACEBACK {
                let cut = traceback.ceil_char_boundary(traceback.len() - MOST_TRACEBACK);
                traceback = traceback.split_off(cut);
            }
            failed.push(ImportFailure {
                script: import.script.clone(),
                application_group: import.application_group.clone(),
                traceback,
            });
        }
    }
    failed
}
