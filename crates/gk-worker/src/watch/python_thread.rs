//! The thread that calls Python for the main thread: it proves that the GIL can be taken, raises `RequestTimeout`, reads
//! stacks. If Python is blocked this thread hangs, and the watchdog sees its time stamp grow old.

use crate::measure::Profiler;
use crate::serve::engine::{Engine, RequestSlot};
use crate::serve::groups::GroupInterpreter;
use crate::watch::ending::Ending;
use crate::watch::slow_requests;
use gk_python::ThreadStates;
use gk_sys::descriptors;
use gk_sys::fork::Withheld;
use gk_sys::log::plain;
use gk_wire::control::{FromWorker, SourceFile};
use gk_wire::log::Level;
use gk_wire::request::RequestView;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A task for the thread.
pub(crate) enum Order {
    /// Take the main interpreter's GIL once.
    Ping,
    /// Ask the interpreters for the figures that `status` shows, then send the imports under way, in words.
    Refresh(Sender<Vec<String>>),
    /// Send the source files imported since the last time.
    Imported(Sender<Vec<SourceFile>>),
    /// Raise `RequestTimeout` in the request that this slot took at `since`.
    Interrupt { slot: usize, since: u64 },
    /// Pass this signal to the application's subscribers.
    Signal { number: i32, name: String },
    /// Log the stacks of the busy request threads, after this sentence.
    Stacks(Level, String),
    /// Report the stack of the request that this slot took at `since`.
    Stack { slot: usize, since: u64, slow: bool },
    /// The GIL is back on: measure it.
    GilReturned,
    /// Give the measurements the names of the application's own threads, and of places that held a GIL.
    NameHolders,
    /// Begin or end the profile of the request threads, or give its samples their names.
    Profile,
    /// Log the step that the end of the worker waits for.
    HeldUp,
    /// Call the functions registered with `atexit`, although threads still run.
    EndFunctions,
    /// No more orders.
    End,
}

/// Handle to the thread.
pub(crate) struct PythonThread {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
    stamp: Arc<AtomicU64>,
}

impl PythonThread {
    /// `control`: a second descriptor of the socket to the supervisor; packets of two threads do not mix.
    pub(crate) fn start(
        engine: &Arc<Engine>,
        ending: Arc<Ending>,
        control: OwnedFd,
    ) -> std::io::Result<Self> {
        let (orders, inbox) = channel();
        let stamp = Arc::new(AtomicU64::new(engine.now()));
        let (engine, stamped) = (Arc::clone(engine), Arc::clone(&stamp));
        let builder = std::thread::Builder::new().name("gk-python".to_owned());
        let thread = ThreadStates::spawn(builder, move |states| {
            let _withheld = Withheld::descriptor(&control);
            run(states, &engine, &ending, &control, &inbox, &stamped);
        })?;
        Ok(Self { orders, thread, stamp })
    }

    pub(crate) fn send(&self, order: Order) {
        // The thread only ends after this value was given to `end`.
        let _ = self.orders.send(order);
    }

    /// Updates the interpreters' figures and returns the imports under way; waits at most `patience` for that.
    pub(crate) fn refresh(&self, patience: Duration) -> Vec<String> {
        let (done, seen) = channel();
        self.send(Order::Refresh(done));
        seen.recv_timeout(patience).unwrap_or_default()
    }

    /// Time at which it last finished a task, in microseconds as `Engine::now`.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::Relaxed)
    }

    /// Ends it after the orders sent so far. Blocks as long as Python blocks it.
    pub(crate) fn end(self) {
        self.send(Order::End);
        let _ = self.thread.join();
    }

    /// A sender for another thread.
    pub(crate) fn orders(&self) -> Sender<Order> {
        self.orders.clone()
    }
}

fn run(
    states: &mut ThreadStates,
    engine: &Engine,
    ending: &Ending,
    control: &OwnedFd,
    inbox: &Receiver<Order>,
    stamp: &AtomicU64,
) {
    let mut profiler = Profiler::default();
    for order in inbox {
        match order {
            Order::Ping => states.visit(&engine.groups.main(), |_| ()),
            Order::Interrupt { slot, since } => interrupt(engine, states, slot, since),
            Order::Signal { number, name } => {
                for (_, group) in engine.groups.all() {
                    states.visit(&group.interpreter, |py| group.application.signalled(py, &name, number));
                }
            }
            Order::Refresh(done) => {
                refresh(engine, states);
                let _ = done.send(importing(engine, states));
            }
            Order::Imported(told) => {
                let _ = told.send(imported(engine, states));
            }
            Order::Stack { slot, since, slow } => {
                if let Some(stack) = slow_requests::stack(engine, states, slot, since, slow) {
                    if slow {
                        slow_requests::log(&stack);
                    }
                    let _ = descriptors::send(control, &gk_messages::encode(&FromWorker::Stack(stack)), &[]);
                }
            }
            Order::GilReturned => {
                if let (Some(measure), Some(module)) = (crate::measure::get(), gk_wsgi::gil::returned()) {
                    states.visit(&engine.groups.main(), |py| measure.gil_returned(py, module));
                }
            }
            Order::NameHolders => name_holders(engine, states),
            Order::Profile => profile(engine, states, &mut profiler),
            Order::Stacks(level, sentence) => stacks(engine, states, level, &sentence),
            Order::HeldUp => ending.report(states),
            Order::EndFunctions => ending.end_functions(states),
            Order::End => break,
        }
        stamp.store(engine.now(), Ordering::Relaxed);
    }
}

/// Skips interpreters that serve: it may take long to get their GIL, and they keep their previous figures.
fn refresh(engine: &Engine, states: &mut ThreadStates) {
    let busy = engine.busy_interpreters();
    for (_, group) in engine.groups.all() {
        if !busy.contains(&group.interpreter.id()) {
            states.visit(&group.interpreter, |py| group.ask_switch_interval(py));
        }
    }
}

/// Requests that import a module or wait for the import lock. Only where imports may be lazy is one expected within a request, and is
/// the GIL of a busy interpreter asked for.
fn importing(engine: &Engine, states: &mut ThreadStates) -> Vec<String> {
    if lazy_imports(engine) != "application" {
        return Vec::new();
    }
    let mut found = Vec::new();
    let several_gils = engine.groups.gil_mode() == "own";
    for serving in Serving::all(engine) {
        let application = &serving.group.application;
        let told = states.visit(&serving.group.interpreter, |py| {
            application.imports_under_way(py, &serving.threads, several_gils)
        });
        for (ident, text) in told {
            found.push(format!("application group '{}': {} {text}", serving.name, serving.request(ident)));
        }
    }
    found
}

/// Whether imports may be lazy: `eager`, `application`, or "" before CPython 3.15.
pub(crate) fn lazy_imports(engine: &Engine) -> String {
    if gk_python::version::minor() < 15 { String::new() } else { engine.setup.group.lazy_imports.clone() }
}

/// An interpreter that serves requests just now.
struct Serving {
    /// Its application group.
    name: String,
    group: Arc<GroupInterpreter>,
    /// `threading.get_ident()` and thread state of the threads that serve in it.
    threads: Vec<(u64, u64)>,
    /// Their requests in words.
    requests: Vec<String>,
}

impl Serving {
    fn all(engine: &Engine) -> Vec<Self> {
        // Thread and thread state, interpreter, request line.
        let busy: Vec<((u64, u64), i64, String)> = engine
            .slots
            .iter()
            .filter(|slot| slot.since.load(Ordering::Acquire) != 0)
            .map(|slot| {
                let serves = slot.interpreter.load(Ordering::Relaxed);
                let thread = (slot.ident.load(Ordering::Relaxed), slot.state.load(Ordering::Relaxed));
                (thread, serves, describe(engine, slot))
            })
            .collect();
        let mut found = Vec::new();
        for (name, group) in engine.groups.all() {
            let here = busy.iter().filter(|(_, serves, _)| *serves == group.interpreter.id());
            let (threads, requests): (Vec<_>, Vec<_>) =
                here.map(|(thread, _, what)| (*thread, what.clone())).unzip();
            if !threads.is_empty() {
                found.push(Self { name, group, threads, requests });
            }
        }
        found
    }

    /// The request of a thread.
    fn request(&self, ident: u64) -> &str {
        let at = self.threads.iter().position(|(of, _)| *of == ident);
        at.map_or("", |at| self.requests[at].as_str())
    }
}

/// Source files imported in any interpreter since the last call.
pub(crate) fn imported(engine: &Engine, states: &mut ThreadStates) -> Vec<SourceFile> {
    let mut files = Vec::new();
    for (name, group) in engine.groups.all() {
        let found = states
            .visit(&group.interpreter, |py| group.application.imported(py).map_err(|error| error.summary()));
        match found {
            Ok(found) => files.extend(found),
            Err(why) => {
                let text =
                    format!("Imported modules of application group '{name}' are not watched any more: {why}");
                plain(Level::Error, "wsgi", None, &text);
            }
        }
    }
    files
}

fn interrupt(engine: &Engine, states: &mut ThreadStates, index: usize, since: u64) {
    let slot = &engine.slots[index];
    let serves = slot.interpreter.load(Ordering::Relaxed);
    let Some((_, group)) = engine.groups.all().into_iter().find(|(_, g)| g.interpreter.id() == serves) else {
        return;
    };
    states.visit(&group.interpreter, |py| {
        // The request thread ends its request under this lock.
        let _still = slot.request();
        // The thread may serve another request by now, perhaps in another interpreter.
        let here = || slot.interpreter.load(Ordering::Relaxed) == serves;
        if slot.since.load(Ordering::Acquire) == since && here() {
            slot.interrupted.store(true, Ordering::Release);
            group.application.interrupt(py, slot.ident.load(Ordering::Relaxed));
        }
    });
}

fn name_holders(engine: &Engine, states: &mut ThreadStates) {
    let Some(measure) = crate::measure::get() else { return };
    let groups = engine.groups.all();
    if measure.unnamed_threads() {
        let mut named = Vec::new();
        for (_, group) in &groups {
            named.extend(states.visit(&group.interpreter, |py| group.application.thread_names(py)));
        }
        measure.name_threads(&named);
    }
    measure.name_places(|number, name| {
        let group = groups.iter().find(|(_, group)| group.board == number);
        let interpreter = group.map_or_else(|| engine.groups.main(), |(_, group)| group.interpreter.clone());
        states.visit(&interpreter, name);
    });
}

fn profile(engine: &Engine, states: &mut ThreadStates, profiler: &mut Profiler) {
    let Some(measure) = crate::measure::get() else { return };
    let groups = engine.groups.all();
    measure.profile(profiler, |number, work| {
        let group = groups.iter().find(|(_, group)| Some(group.board) == number);
        let interpreter = group.map_or_else(|| engine.groups.main(), |(_, group)| group.interpreter.clone());
        states.visit(&interpreter, work);
    });
}

fn stacks(engine: &Engine, states: &mut ThreadStates, level: Level, sentence: &str) {
    let several_gils = engine.groups.gil_mode() == "own";
    let mut text = sentence.to_owned();
    for serving in Serving::all(engine) {
        let application = &serving.group.application;
        for (ident, stack) in states
            .visit(&serving.group.interpreter, |py| application.stacks(py, &serving.threads, several_gils))
        {
            let what = serving.request(ident);
            text.push_str(&format!("\nThread {ident}, {what}:\n{}", stack.trim_end()));
        }
    }
    plain(level, "wsgi", None, &text);
}

/// The request in a slot: `GET /path for 3.2 s (request 17)`, or its id on a site with ids.
fn describe(engine: &Engine, slot: &RequestSlot) -> String {
    let seconds = engine.now().saturating_sub(slot.since.load(Ordering::Relaxed)) as f64 / 1e6;
    let request = slot.request().clone();
    let told = request.and_then(|request| {
        let view = RequestView::decode(&request.payload).ok()?;
        let path = view.texts.uri.split(|b| *b == b'?').next().unwrap_or_default();
        let line =
            format!("{} {}", String::from_utf8_lossy(view.texts.method), String::from_utf8_lossy(path));
        let id = match view.texts.id {
            [] => view.numbers.request_id.to_string(),
            id => String::from_utf8_lossy(id).into_owned(),
        };
        Some((line, format!(" (request {id})")))
    });
    let (line, number) = told.unwrap_or_else(|| ("a request".to_owned(), String::new()));
    format!("{line} for {seconds:.1} s{number}")
}

/// The requests that run now, for a log line: `GET /path for 3.2 s (request 17), …`.
pub(crate) fn running(engine: &Engine) -> String {
    let busy = engine.slots.iter().filter(|slot| slot.since.load(Ordering::Acquire) != 0);
    let requests: Vec<String> = busy.map(|slot| describe(engine, slot)).collect();
    if requests.is_empty() { "no request".to_owned() } else { requests.join(", ") }
}
