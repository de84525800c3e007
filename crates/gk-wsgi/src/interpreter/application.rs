//! Objects of one interpreter between requests: its types, interned names, loaded scripts, and an environ template for each
//! profile. All are [`Kept`] and bound again in their interpreter for each request.

use crate::conversation::input::Input;
use crate::conversation::start_response::StartResponse;
use crate::forked::{Called, stop_child};
use crate::interpreter::active_requests::Tracking;
use crate::interpreter::connection_templates::ConnectionTemplates;
use crate::interpreter::host::Host;
use crate::interpreter::imported_files::ImportedFiles;
use crate::interpreter::runtime::Runtime;
use crate::interpreter::script::{LoadFailure, LoadedScript, Scripts};
use crate::interpreter::watched_file::WatchedFile;
use foldhash::fast::RandomState;
use gk_python::version::FREE_THREADED_BUILD;
use gk_python::{Attached, Kept, KeptType, Loans, Object, PyError, Type};
use gk_wire::control::SourceFile;
use gk_wire::request::Profile;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Settings of the process and the interpreter that applications see.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names are those of `WorkerSetup` and `InterpreterSetup`")]
pub struct InterpreterSettings {
    pub process_group: String,
    pub application_group: String,
    pub processes: u32,
    pub threads: u32,
    pub multiprocess: bool,
    /// `wsgi.run_once`: one thread and one request per process.
    pub run_once: bool,
    pub gil_mode: &'static str,
    pub restrict_stdin: bool,
    pub restrict_stdout: bool,
    pub restrict_signal: bool,
    /// Imports that the application declares lazy are run where they stand.
    pub eager_imports: bool,
}

impl InterpreterSettings {
    /// The interpreter in log lines.
    fn place(&self) -> String {
        let interpreter = match self.application_group.as_str() {
            "" => "main interpreter".to_owned(),
            name => format!("interpreter '{name}'"),
        };
        format!("{interpreter} of process group '{}'", self.process_group)
    }
}

/// Value of `mod_wsgi.version`: the version of mod_wsgi that this server behaves like.
pub const MOD_WSGI_VERSION: [i64; 3] = [6, 1, 1];

/// An interpreter that is ready to serve.
pub struct Application {
    pub(crate) facts: InterpreterSettings,
    pub(crate) start_response: KeptType<StartResponse>,
    pub(crate) input: KeptType<Input>,
    pub(crate) names: Names,
    pub(crate) close: Kept,
    pub(crate) runtime: Runtime,
    pub(crate) scripts: Scripts,
    pub(crate) imports: ImportedFiles,
    /// Pieces of responses that the front has.
    pub(crate) loans: Arc<Loans>,
    pub(crate) tracking: Arc<Tracking>,
    /// One table for all request threads; without a GIL one for each of them.
    targets: Box<[Targets]>,
    /// Scripts of hooks that were loaded, by profile number.
    hooks: Mutex<HashMap<u64, Arc<LoadedScript>, RandomState>>,
    header_names: Mutex<HashMap<Box<[u8]>, Kept, RandomState>>,
}

/// Targets by profile number. Threads that run at once have a table each, and in it objects of their own: what each request copies and
/// drops has its reference counts in their threads' caches then.
#[derive(Default)]
#[repr(align(128))]
struct Targets(Mutex<HashMap<u64, Arc<Target>, RandomState>>);

/// Objects shared by the requests of a profile: the loaded script and the constant environ entries.
pub(crate) struct Target {
    pub(crate) script: Arc<LoadedScript>,
    pub(crate) callable: Kept,
    /// Entries of every request.
    pub(crate) environ: Kept,
    /// `environ` with the entries that requests of one connection share.
    pub(crate) connections: ConnectionTemplates,
}

/// A profile with its number in this process, which no other profile gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedProfile {
    /// Unique in this process.
    pub number: u64,
    /// The profile.
    pub profile: Profile,
}

macro_rules! names {
    ($($field:ident = $key:literal),* $(,)?) => {
        /// Interned environ keys, each set for every request.
        pub(crate) struct Names { $(pub(crate) $field: Kept),* }
        impl Names {
            /// All of them.
            pub(crate) fn each(&self) -> impl Iterator<Item = &Kept> {
                [$(&self.$field),*].into_iter()
            }

            fn new<'p>(py: Attached<'p>) -> Result<Self, PyError<'p>> {
                Ok(Self { $($field: py.interned($key)?.keep()),* })
            }
        }
    };
}

names! {
    method = c"REQUEST_METHOD", uri = c"REQUEST_URI", script_name = c"SCRIPT_NAME", path_info = c"PATH_INFO",
    query = c"QUERY_STRING", protocol = c"SERVER_PROTOCOL", scheme = c"REQUEST_SCHEME", url_scheme = c"wsgi.url_scheme",
    server_name = c"SERVER_NAME", server_port = c"SERVER_PORT", server_addr = c"SERVER_ADDR",
    remote_addr = c"REMOTE_ADDR", remote_port = c"REMOTE_PORT", input = c"wsgi.input",
    own_script_name = c"mod_wsgi.script_name", own_path_info = c"mod_wsgi.path_info",
    request_id = c"mod_wsgi.request_id", connection_id = c"mod_wsgi.connection_id",
    thread_id = c"mod_wsgi.thread_id", request_start = c"mod_wsgi.request_start",
    queue_start = c"mod_wsgi.queue_start", daemon_start = c"mod_wsgi.daemon_start",
    application_start = c"mod_wsgi.application_start",
}

impl Application {
    /// Prepares the interpreter that this thread is attached to.
    pub fn prepare<'p>(py: Attached<'p>, facts: InterpreterSettings) -> Result<Self, PyError<'p>> {
        let tracking = Arc::new(Tracking::default());
        let host = Type::<Host>::new(py)?.instance(Host { tracking: Arc::clone(&tracking) })?;
        let runtime = Runtime::load(py, host, python_facts(py, &facts)?)?;
        let tables = if FREE_THREADED_BUILD { facts.threads.max(1) } else { 1 };
        Ok(Self {
            start_response: Type::new(py)?.keep(),
            input: Type::new(py)?.keep(),
            names: Names::new(py)?,
            close: py.interned(c"close")?.keep(),
            runtime,
            scripts: Scripts::new(facts.place()),
            imports: ImportedFiles::default(),
            loans: Arc::default(),
            tracking,
            targets: (0..tables).map(|_| Targets::default()).collect(),
            hooks: Mutex::default(),
            header_names: Mutex::default(),
            facts,
        })
    }

    /// Adds site directories to `sys.path` and puts `home` first. The caller logs errors.
    pub fn paths<'p>(
        &self,
        py: Attached<'p>,
        home: Option<&str>,
        dirs: &[String],
    ) -> Result<(), PyError<'p>> {
        if !dirs.is_empty() {
            let dirs = dirs.iter().map(|dir| py.str(dir)).collect::<Result<Vec<_>, _>>()?;
            self.runtime.add_paths.bind(py).call(&[&py.list(&dirs)?])?;
        }
        if let Some(home) = home {
            self.runtime.insert_home.bind(py).call(&[&py.str(home)?])?;
        }
        Ok(())
    }

    /// `logging.config.dictConfig()` with a dictionary in JSON.
    pub fn configure_logging<'p>(&self, py: Attached<'p>, dictionary: &str) -> Result<(), PyError<'p>> {
        self.runtime.configure_logging.bind(py).call(&[&py.str(dictionary)?]).map(drop)
    }

    /// `locale.setlocale(LC_ALL, name)`.
    pub fn locale<'p>(&self, py: Attached<'p>, name: &str) -> Result<(), PyError<'p>> {
        self.runtime.set_locale.bind(py).call(&[&py.str(name)?]).map(drop)
    }

    /// Imports a script at process start and checks that it has its callable. `lone_app`: its `app` will do as `application`.
    pub fn preload(
        &self,
        py: Attached<'_>,
        script: &str,
        is_module: bool,
        callable: Option<&str>,
        lone_app: bool,
    ) -> Result<(), LoadFailure> {
        self.scripts.preload(py, &self.runtime, script, is_module, callable, lone_app)
    }

    /// Loaded scripts with their files, for watching.
    pub fn watched(&self) -> Vec<(String, Arc<WatchedFile>)> {
        self.scripts.watched()
    }

    /// Records imports from now on, for [`Application::imported`].
    pub fn note_imports<'p>(&self, py: Attached<'p>) -> Result<(), PyError<'p>> {
        self.imports.note(py)
    }

    /// Source files imported since the last call, without those of the standard library. One thread at a time. Empty after
    /// an error.
    pub fn imported<'p>(&self, py: Attached<'p>) -> Result<Vec<SourceFile>, PyError<'p>> {
        self.imports.read(py)
    }

    /// Reports garbage collections from now on ([`crate::metrics::provide_collected`]), with this number.
    pub fn watch_collections<'p>(&self, py: Attached<'p>, group: u16) -> Result<(), PyError<'p>> {
        self.runtime.watch_collections.bind(py).call(&[&py.int(i64::from(group))?]).map(drop)
    }

    /// Calls the application's shutdown subscribers.
    pub fn stopping(&self, py: Attached<'_>, reason: &str) {
        let told = py.str(reason).and_then(|reason| self.runtime.stopping.bind(py).call(&[&reason]));
        stop_child(py, &self.runtime, Called::Function, told.as_ref().err());
        if let Err(error) = told {
            crate::log::log(gk_wire::log::Level::Error, Some("WSGI0112"), &error.traceback());
        }
    }

    /// Calls the application's signal subscribers.
    pub fn signalled(&self, py: Attached<'_>, name: &str, number: i32) {
        let told = py
            .str(name)
            .and_then(|name| self.runtime.signalled.bind(py).call(&[&name, &py.int(i64::from(number))?]));
        stop_child(py, &self.runtime, Called::Function, told.as_ref().err());
        if let Err(error) = told {
            crate::log::log(gk_wire::log::Level::Error, Some("WSGI0209"), &error.traceback());
        }
    }

    /// Joins the interpreter's non-daemon threads, then calls functions registered with `atexit`. No request thread may
    /// serve in it any more.
    pub fn end(&self, py: Attached<'_>) {
        for step in [&self.runtime.end_threads, &self.runtime.end_functions] {
            self.call_ending(py, step);
        }
    }

    fn call_ending(&self, py: Attached<'_>, step: &Kept) {
        let ended = step.bind(py).call(&[]);
        stop_child(py, &self.runtime, Called::Function, ended.as_ref().err());
        if let Err(error) = ended {
            crate::log::log(gk_wire::log::Level::Error, Some("WSGI0098"), &error.traceback());
        }
    }

    /// Calls functions registered with `atexit`, although threads still run.
    pub fn end_functions(&self, py: Attached<'_>) {
        self.call_ending(py, &self.runtime.end_functions);
    }

    /// Threads that the end of the interpreter waits for, as text; `None` if there are none.
    pub fn held_up(&self, py: Attached<'_>) -> Option<String> {
        let text = self.runtime.held_up.bind(py).call(&[]).ok()?.as_utf8()?.to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Names of the daemon threads that still run.
    pub fn daemon_threads(&self, py: Attached<'_>) -> String {
        let names = self.runtime.living_threads.bind(py).call(&[&py.bool(true)]);
        names.map_or_else(|error| error.summary(), |names| names.display())
    }

    /// Kernel id and name of the living threads that `threading` knows in this interpreter.
    pub fn thread_names(&self, py: Attached<'_>) -> Vec<(u32, String)> {
        let read = || -> Result<Vec<(u32, String)>, PyError<'_>> {
            let rows = self.runtime.thread_names.bind(py).call(&[])?.to_tuple()?;
            let row = |i| -> Result<(u32, String), PyError<'_>> {
                let row = rows.tuple_item(i)?;
                Ok((row.tuple_item(0)?.index()? as u32, row.tuple_item(1)?.display()))
            };
            (0..rows.size()?).map(row).collect()
        };
        read().unwrap_or_default()
    }

    /// Python stacks of threads in this interpreter. `threads`: `threading.get_ident()` and number of the thread state.
    /// `several_gils`: another interpreter of the process has another GIL.
    pub fn stacks(&self, py: Attached<'_>, threads: &[(u64, u64)], several_gils: bool) -> Vec<(u64, String)> {
        told(py, &self.runtime.stacks, threads, several_gils)
    }

    /// What these threads import, or which import they wait for; arguments as for [`Application::stacks`].
    pub fn imports_under_way(
        &self,
        py: Attached<'_>,
        threads: &[(u64, u64)],
        several_gils: bool,
    ) -> Vec<(u64, String)> {
        told(py, &self.runtime.imports_under_way, threads, several_gils)
    }

    /// Raises `RequestTimeout` in the thread with this `threading.get_ident()`; returns true if there is one.
    pub fn interrupt(&self, py: Attached<'_>, ident: u64) -> bool {
        py.raise_in_thread(ident, Some(&self.runtime.request_timeout.bind(py))) == 1
    }

    /// The table of a request thread, by its number from 1.
    fn targets(&self, thread: i64) -> MutexGuard<'_, HashMap<u64, Arc<Target>, RandomState>> {
        let at = (thread.max(1) - 1) as usize % self.targets.len();
        self.targets[at].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Target of a profile for a request thread, if a request of it was served there before.
    pub(crate) fn target(&self, profile: &NumberedProfile, thread: i64) -> Option<Arc<Target>> {
        self.targets(thread).get(&profile.number).cloned()
    }

    /// Keeps the target of a profile. If another thread with this table has kept one meanwhile, that one stays.
    pub(crate) fn keep_target(&self, profile: &NumberedProfile, thread: i64, target: Target) -> Arc<Target> {
        Arc::clone(self.targets(thread).entry(profile.number).or_insert_with(|| Arc::new(target)))
    }

    /// The script of a hook, if a request of its profile was served before.
    pub(crate) fn hook(&self, profile: &NumberedProfile) -> Option<Arc<LoadedScript>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).get(&profile.number).cloned()
    }

    /// Keeps the script of a hook. If another thread has kept one meanwhile, that one stays.
    pub(crate) fn keep_hook(&self, profile: &NumberedProfile, script: LoadedScript) -> Arc<LoadedScript> {
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hooks.entry(profile.number).or_insert_with(|| Arc::new(script)))
    }

    /// Environ key of a header, kept for the next request.
    pub(crate) fn header_name<'p>(&self, py: Attached<'p>, name: &[u8]) -> Result<Object<'p>, PyError<'p>> {
        const MOST: usize = 512;
        let mut known = self.header_names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(name) {
            return Ok(key.bind(py));
        }
        let key = py.latin1(name)?;
        if known.len() < MOST {
            // Applications ask with interned names; and without a GIL these have no count that threads would share.
            let key = key.interned();
            known.insert(name.into(), key.clone().keep());
            return Ok(key);
        }
        Ok(key)
    }
}

fn python_facts<'p>(py: Attached<'p>, facts: &InterpreterSettings) -> Result<Object<'p>, PyError<'p>> {
    let dict = py.dict()?;
    let put = |name: &str, value: Object<'p>| dict.set_item(&py.str(name)?, &value);
    put("process_group", py.str(&facts.process_group)?)?;
    put("application_group", py.str(&facts.application_group)?)?;
    put("processes", py.int(i64::from(facts.processes))?)?;
    put("threads", py.int(i64::from(facts.threads))?)?;
    put("gil_mode", py.str(facts.gil_mode)?)?;
    put("restrict_stdin", py.bool(facts.restrict_stdin))?;
    put("restrict_stdout", py.bool(facts.restrict_stdout))?;
    put("restrict_signal", py.bool(facts.restrict_signal))?;
    put("eager_imports", py.bool(facts.eager_imports))?;
    put("server_pid", py.int(i64::from(std::os::unix::process::parent_id()))?)?;
    put("version", py.str(gk_wire::PACKAGE_VERSION)?)?;
    put("mod_wsgi_version", mod_wsgi_version(py)?)?;
    Ok(dict)
}

pub(crate) fn mod_wsgi_version<'p>(py: Attached<'p>) -> Result<Object<'p>, PyError<'p>> {
    let parts = MOD_WSGI_VERSION.iter().map(|n| py.int(*n)).collect::<Result<Vec<_>, _>>()?;
    py.tuple(&parts)
}

/// Rows of (ident, text) from a function of the runtime about threads.
fn told(py: Attached<'_>, function: &Kept, threads: &[(u64, u64)], several_gils: bool) -> Vec<(u64, String)> {
    let read = || -> Result<Vec<(u64, String)>, PyError<'_>> {
        let pair = |(i, s): &(u64, u64)| py.tuple(&[py.int(*i as i64)?, py.int(*s as i64)?]);
        let threads = threads.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
        let rows = function.bind(py).call(&[&py.list(&threads)?, &py.bool(several_gils)])?.to_tuple()?;
        (0..rows.size()?)
            .map(|i| {
                let row = rows.tuple_item(i)?;
                let text = row.tuple_item(1)?.as_utf8().unwrap_or_default().to_owned();
                Ok((row.tuple_item(0)?.index()? as u64, text))
            })
            .collect()
    };
    read().unwrap_or_else(|error| {
        crate::log::log(gk_wire::log::Level::Warn, Some("WSGI0067"), &error.summary());
        Vec::new()
    })
}
