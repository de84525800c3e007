//! Interpreters of each application group: the main interpreter for "", one sub-interpreter for every other group, or
//! several with `interpreters=N`. The thread that needs one first creates it.

use crate::serve::group_options::GroupOptions;
use gk_python::{Attached, Gil, Interpreter, InterpreterHandle, PyError, ThreadStates};
use gk_sys::log::plain;
use gk_wire::control::InterpreterFigures;
use gk_wire::log::Level;
use gk_wire::setup::WorkerSetup;
use gk_wsgi::{Application, InterpreterSettings};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The interpreters of this process.
pub(crate) struct Groups {
    /// Not an owner: Python itself ends it, while threads that end only with the process still hold these groups.
    main: InterpreterHandle,
    facts: InterpreterSettings,
    setup: WorkerSetup,
    table: Mutex<GroupTable>,
    creation_ended: Condvar,
    /// Threads run in parallel: there is no GIL, or requests are served under more than one.
    parallel: Arc<AtomicBool>,
}

#[derive(Default)]
struct GroupTable {
    groups: HashMap<String, Arc<[Arc<GroupInterpreter>]>>,
    creating: bool,
}

/// An interpreter of an application group.
pub(crate) struct GroupInterpreter {
    pub(crate) interpreter: Interpreter,
    pub(crate) application: Application,
    /// Its GIL mode when it was created.
    created: &'static str,
    /// Number of its application group on the scoreboard.
    pub(crate) board: u16,
    /// Its position among the interpreters of its application group, from 0.
    index: usize,
    /// Number of request threads in it, counted if the application group has several interpreters.
    load: Load,
    /// It has served a request.
    used: AtomicBool,
    /// The application's subscribers have been told that the process stops, or are being told.
    pub(crate) told_of_end: AtomicBool,
    /// Its switch interval when last asked: the bits of an `f64`, 0 without a GIL.
    switch_interval: AtomicU64,
    /// Bytes of resident memory added by its creation and its imports at start.
    memory: AtomicI64,
}

/// A count that threads of several interpreters read, in a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Load(AtomicU32);

/// A request thread's place in an interpreter.
pub(crate) struct Seat {
    group: Arc<GroupInterpreter>,
    /// All interpreters of the application group, where there are several.
    others: Option<Arc<[Arc<GroupInterpreter>]>>,
}

impl Seat {
    /// Returns true if no other interpreter of the group is less busy.
    pub(crate) fn stays(&self) -> bool {
        let Some(others) = &self.others else { return true };
        let own = self.group.load.0.load(Ordering::Relaxed);
        others.iter().all(|other| other.load.0.load(Ordering::Relaxed) + 1 >= own)
    }
}

impl std::ops::Deref for Seat {
    type Target = GroupInterpreter;

    fn deref(&self) -> &GroupInterpreter {
        &self.group
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.others.is_some() {
            self.group.load.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl GroupInterpreter {
    /// `shared`, `own` or `free-threading`.
    pub(crate) fn gil_mode(&self) -> &'static str {
        match self.created {
            "free-threading" if gk_wsgi::gil::returned().is_some() => "shared",
            mode => mode,
        }
    }

    /// Seconds; `None` without a GIL.
    pub(crate) fn switch_interval(&self) -> Option<f64> {
        let bits = self.switch_interval.load(Ordering::Relaxed);
        (bits != 0).then(|| f64::from_bits(bits))
    }

    /// Asks the interpreter for its switch interval.
    pub(crate) fn ask_switch_interval(&self, py: Attached<'_>) {
        if self.gil_mode() != "free-threading"
            && let Ok(seconds) = switch_interval(py)
        {
            self.switch_interval.store(seconds.to_bits(), Ordering::Relaxed);
        }
    }

    /// Runs `f`, which loads something in it, and adds the memory that took.
    pub(crate) fn measured<R>(&self, f: impl FnOnce() -> R) -> R {
        let before = resident();
        let result = f();
        self.memory.fetch_add(resident() - before, Ordering::Relaxed);
        result
    }
}

impl Groups {
    /// `gil`: the process has a GIL.
    pub(crate) fn new(main: &Interpreter, setup: &WorkerSetup, gil: bool) -> Self {
        let facts = InterpreterSettings {
            process_group: setup.group.name.clone(),
            application_group: String::new(),
            processes: setup.group.processes,
            threads: setup.group.threads,
            multiprocess: setup.group.multiprocess,
            run_once: setup.group.threads == 1 && setup.group.maximum_requests == 1,
            gil_mode: if gil { "shared" } else { "free-threading" },
            restrict_stdin: false,
            restrict_stdout: false,
            restrict_signal: setup.group.threads != 0,
            eager_imports: setup.group.lazy_imports != "application",
        };
        Self {
            main: main.handle(),
            facts,
            setup: setup.clone(),
            table: Mutex::default(),
            creation_ended: Condvar::new(),
            parallel: Arc::new(AtomicBool::new(!gil)),
        }
    }

    fn table(&self) -> MutexGuard<'_, GroupTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The main interpreter, which the main thread owns until the worker has ended.
    pub(crate) fn main(&self) -> Interpreter {
        self.main.upgrade().expect("the main thread owns the main interpreter")
    }

    /// True if threads run in parallel; changes once, when a second GIL comes into use.
    pub(crate) fn parallel(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.parallel)
    }

    /// A module turned the GIL back on: threads take turns again.
    pub(crate) fn gil_returned(&self) {
        self.parallel.store(false, Ordering::Relaxed);
    }

    /// `shared`, `own` if some interpreter has its own GIL, or `free-threading`.
    pub(crate) fn gil_mode(&self) -> &'static str {
        if gk_wsgi::gil::returned().is_some() {
            return "shared";
        }
        let own = self.table().groups.values().flat_map(|g| g.iter()).any(|g| g.gil_mode() == "own");
        if own { "own" } else { self.facts.gil_mode }
    }

    /// All interpreters, with the names of their application groups.
    pub(crate) fn all(&self) -> Vec<(String, Arc<GroupInterpreter>)> {
        let table = self.table();
        let each =
            table.groups.iter().flat_map(|(name, each)| each.iter().map(|g| (name.clone(), Arc::clone(g))));
        let mut all: Vec<_> = each.collect();
        all.sort_by(|a, b| (&a.0, a.1.index).cmp(&(&b.0, b.1.index)));
        all
    }

    /// [`Groups::all`] for their end: removes them here, so that the caller has the last owners.
    pub(crate) fn take_all(&self) -> Vec<(String, Arc<GroupInterpreter>)> {
        let all = self.all();
        self.table().groups.clear();
        all
    }

    /// Interpreters as `status` shows them. `busy`: interpreter number of each busy request thread.
    pub(crate) fn figures(&self, busy: &[i64]) -> Vec<InterpreterFigures> {
        let figures = |(name, group): (String, Arc<GroupInterpreter>)| InterpreterFigures {
            application_group: name,
            gil_mode: group.gil_mode().to_owned(),
            switch_interval: group.switch_interval(),
            busy: busy.iter().filter(|id| **id == group.interpreter.id()).count() as u32,
            memory: group.memory.load(Ordering::Relaxed).max(0) as u64,
        };
        self.all().into_iter().map(figures).collect()
    }

    /// Takes a seat in the least busy interpreter of the group and creates the group's interpreters if there are none. The
    /// thread must be detached. Returns `None` if they cannot be created (logged); the next request tries again.
    pub(crate) fn get(&self, states: &mut ThreadStates, name: &str) -> Option<Seat> {
        let each = self.each(states, name)?;
        let seat = match &each[..] {
            [only] => Seat { group: Arc::clone(only), others: None },
            _ => least_busy(&each),
        };
        if !seat.used.load(Ordering::Relaxed) && !seat.used.swap(true, Ordering::Relaxed) {
            self.count_gils();
        }
        Some(seat)
    }

    /// All interpreters of the group, created if there are none, as in [`Groups::get`].
    pub(crate) fn each(&self, states: &mut ThreadStates, name: &str) -> Option<Arc<[Arc<GroupInterpreter>]>> {
        {
            let mut table = self.table();
            loop {
                if let Some(group) = table.groups.get(name) {
                    return Some(Arc::clone(group));
                }
                if !table.creating {
                    break;
                }
                table = self.creation_ended.wait(table).unwrap_or_else(PoisonError::into_inner);
            }
            table.creating = true;
        }
        let created = self.create(states, name);
        let mut table = self.table();
        table.creating = false;
        if let Some(each) = &created {
            table.groups.insert(name.to_owned(), Arc::clone(each));
        }
        self.creation_ended.notify_all();
        created
    }

    /// Sets `parallel` once requests are served under a second GIL.
    fn count_gils(&self) {
        let used = |(_, group): &(String, Arc<GroupInterpreter>)| group.used.load(Ordering::Relaxed);
        let used: Vec<_> = self.all().into_iter().filter(used).collect();
        let own = used.iter().filter(|(_, group)| group.gil_mode() == "own").count();
        if own + usize::from(own < used.len()) > 1 {
            self.parallel.store(true, Ordering::Relaxed);
        }
    }

    /// Creates the interpreters of a group. The first one must succeed; a group works without the others.
    fn create(&self, states: &mut ThreadStates, name: &str) -> Option<Arc<[Arc<GroupInterpreter>]>> {
        let can = self.facts.gil_mode == "shared" && gk_python::interpreter::OWN_GIL;
        let options = GroupOptions::of(&self.setup, name, can);
        let first = self.create_one(states, name, &options, 0)?;
        let rest =
            (1..options.own_gils).map_while(|index| self.create_one(states, name, &options, index as usize));
        Some(std::iter::once(first).chain(rest).collect())
    }

    fn create_one(
        &self,
        states: &mut ThreadStates,
        name: &str,
        options: &GroupOptions,
        index: usize,
    ) -> Option<Arc<GroupInterpreter>> {
        let before = resident();
        let gil = if options.own_gils > 0 { Gil::Own } else { Gil::Shared };
        let main = self.main();
        let interpreter = if name.is_empty() {
            main.clone()
        } else {
            match states.create(&main, gil) {
                Ok(interpreter) => interpreter,
                Err(why) => {
                    plain(
                        Level::Error,
                        "wsgi",
                        Some("WSGI0103"),
                        &format!("Application group '{name}': {why}"),
                    );
                    return None;
                }
            }
        };
        let facts = InterpreterSettings {
            application_group: name.to_owned(),
            gil_mode: if gil == Gil::Own { "own" } else { self.facts.gil_mode },
            restrict_stdin: options.restrict_stdin,
            restrict_stdout: options.restrict_stdout,
            restrict_signal: options.restrict_signal && self.facts.restrict_signal,
            ..self.facts.clone()
        };
        let gil_mode = facts.gil_mode;
        // The first user of a GIL sets its interval: the main interpreter for the process, each other one for its own GIL.
        let interval = if name.is_empty() { self.setup.switch_interval } else { options.switch_interval };
        let prepared = states.attach(&interpreter, |py| {
            if gil_mode != "free-threading"
                && let Some(seconds) = interval
                && let Err(error) = set_switch_interval(py, seconds)
            {
                plain(Level::Error, "wsgi", None, &format!("The switch interval: {}", error.summary()));
            }
            let application = match Application::prepare(py, facts) {
                Ok(application) => application,
                Err(error) => {
                    let text =
                        format!("Application group '{name}' cannot be prepared\n{}", error.traceback());
                    plain(Level::Crit, "wsgi", Some("WSGI0035"), &text);
                    return None;
                }
            };
            let dirs: Vec<String> =
                self.setup.python_path.iter().chain(&options.python_path).cloned().collect();
            let home = self.setup.group.home.as_ref().map(|home| home.to_string_lossy());
            if let Err(error) = application.paths(py, home.as_deref(), &dirs) {
                plain(Level::Error, "wsgi", Some("WSGI0091"), &error.traceback());
            }
            if let Some(dictionary) = &self.setup.log_config
                && let Err(error) = application.configure_logging(py, dictionary)
            {
                let text =
                    format!("Python refuses the dictionary of GilkeeperLogConfig\n{}", error.traceback());
                plain(Level::Crit, "wsgi", Some("GK0074"), &text);
                return None;
            }
            if self.setup.group.reload_on_changes
                && let Err(error) = application.note_imports(py)
            {
                let text = format!("Imported modules of application group '{name}' are not watched: ");
                plain(Level::Error, "wsgi", None, &(text + &error.summary()));
            }
            Some(application)
        });
        let Some(application) = prepared else {
            if !name.is_empty() && states.end(&main, interpreter).is_err() {
                let text =
                    format!("The interpreter of application group '{name}' is left: threads run in it");
                plain(Level::Error, "wsgi", None, &text);
            }
            return None;
        };
        let mut group = GroupInterpreter {
            board: 0,
            interpreter: interpreter.clone(),
            application,
            created: gil_mode,
            index,
            load: Load::default(),
            used: AtomicBool::new(false),
            told_of_end: AtomicBool::new(false),
            switch_interval: AtomicU64::new(0),
            memory: AtomicI64::new(0),
        };
        states.attach(&interpreter, |py| {
            group.ask_switch_interval(py);
            if let Some(measure) = crate::measure::get() {
                group.board = measure.interpreter(py, name, gil_mode, group.switch_interval());
                if let Err(error) = group.application.watch_collections(py, group.board) {
                    plain(Level::Error, "wsgi", None, &format!("Garbage collections: {}", error.summary()));
                }
            }
        });
        group.memory.store(resident() - before, Ordering::Relaxed);
        if !name.is_empty() {
            let own = if gil == Gil::Own { " with own GIL" } else { "" };
            let text = format!("Created interpreter of application group '{name}'{own}");
            plain(Level::Info, "wsgi", None, &text);
        }
        Some(Arc::new(group))
    }
}

/// Takes a seat in the interpreter with the fewest threads, the first one among equals.
fn least_busy(each: &Arc<[Arc<GroupInterpreter>]>) -> Seat {
    loop {
        let load = |group: &&Arc<GroupInterpreter>| group.load.0.load(Ordering::Relaxed);
        let least = each.iter().min_by_key(load).expect("a group has at least one interpreter");
        let seen = load(&least);
        // Another thread took a seat meanwhile: look again.
        if least.load.0.compare_exchange(seen, seen + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Seat { group: Arc::clone(least), others: Some(Arc::clone(each)) };
        }
    }
}

/// Resident bytes of this process.
fn resident() -> i64 {
    gk_sys::usage::resident(std::process::id()).unwrap_or(0) as i64
}

fn set_switch_interval<'p>(py: Attached<'p>, seconds: f64) -> Result<(), PyError<'p>> {
    py.import("sys")?.call_method("setswitchinterval", &[&py.float(seconds)?]).map(drop)
}

fn switch_interval(py: Attached<'_>) -> Result<f64, PyError<'_>> {
    py.import("sys")?.call_method("getswitchinterval", &[])?.to_f64()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic with the place")]
mod tests;
