//! The scoreboard of this process, and the waits for a GIL that are booked on it as they happen.
//!
//! There is one per process, in a static, as the listener for waits is called without an argument, while CPython holds a
//! mutex. So nothing on its path locks, allocates or can panic.

use super::holders::Holders;
use super::metrics::MetricsWindow;
use super::threads::ThreadRoutes;
use gk_python::Attached;
use gk_python::gil::{self, Exactness, Held, Holder, Listener};
use gk_python::interpreter::MAIN;
use gk_sys::clock::{self, Moment};
use gk_sys::fork::Withheld;
use gk_sys::memory::SharedWords;
use gk_telemetry::sample::Collection;
use gk_telemetry::{Board, GilMode, Identity, Route, Wait};
use gk_wire::setup::WorkerSetup;
use gk_wsgi::metrics::Question;
use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static MEASURE: OnceLock<Measurements> = OnceLock::new();
static LISTENER: Listener = Listener { culprit, waited, held };

/// Work of a thread that imports before it serves requests; no slot has that number.
const IMPORTING: u64 = 0xffff_ffff;

thread_local! {
    /// The slot of a request thread.
    static SLOT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The measurements of this process.
pub(crate) struct Measurements {
    /// Children that the application forks do not write onto the scoreboard. Dropped before it.
    _withheld: Withheld,
    pub(super) board: Board<SharedWords>,
    threads: ThreadRoutes,
    holders: Holders,
    /// Nanoseconds from which on a wait is booked to lines; `Some(None)`: the switch interval; `None`: none is.
    lines: Option<Option<u64>>,
    window: MetricsWindow,
    /// Culprits that are no request: the server's own threads, a request thread between two requests, imports before
    /// requests, garbage collections.
    server: Route,
    pub(super) between: Route,
    import: Route,
    collection: Route,
    exact: AtomicBool,
    begun: Moment,
}

/// The measurements, if they are on.
pub(crate) fn get() -> Option<&'static Measurements> {
    MEASURE.get()
}

/// Runs `import` as that: waits that it causes or suffers are no request's.
pub(crate) fn importing<R>(import: impl FnOnce() -> R) -> R {
    let work = gil::work();
    gil::set_work(IMPORTING);
    let result = import();
    gil::set_work(work);
    result
}

/// Maps the scoreboard that the supervisor made and starts measuring. The text of an error says why nothing is measured.
pub(crate) fn begin(file: OwnedFd, setup: &WorkerSetup, python: &str) -> Result<(), String> {
    let words = SharedWords::map(&file).map_err(|e| format!("it cannot be mapped: {e}"))?;
    let withheld = words.withhold();
    let identity = Identity {
        pid: std::process::id(),
        worker: setup.worker,
        process_group: &setup.group.name,
        threads: setup.group.threads,
        python,
        started: clock::epoch_micros() * 1000,
        slow: (setup.slow_requests * 1e9) as u64,
        unread: setup.unread,
    };
    let board = Board::create(words, &identity).map_err(|e| e.to_string())?;
    let measure = Measurements {
        _withheld: withheld,
        server: board.thread(b"(server)"),
        between: board.thread(b"(between requests)"),
        import: board.thread(b"(import)"),
        collection: board.thread(b"(garbage collection)"),
        board,
        threads: ThreadRoutes::new(),
        holders: Holders::new(),
        lines: lines(setup.holders),
        window: MetricsWindow::default(),
        exact: AtomicBool::new(false),
        begun: Moment::now(),
    };
    if MEASURE.set(measure).is_ok() {
        gil::listen(&LISTENER);
        gk_wsgi::metrics::provide(answer);
        gk_wsgi::metrics::provide_collected(collected);
        gk_wsgi::metrics::provide_raised(raised);
        gk_wsgi::metrics::provide_started(started);
    }
    Ok(())
}

// The listener for waits. The head of this file says what it must not do.

/// Number of a holder's entry on the scoreboard.
fn culprit(holder: Holder) -> u64 {
    let Some(measure) = MEASURE.get() else { return 0 };
    let route = match holder {
        Holder::Unknown => Route::UNKNOWN,
        Holder::Work(0) => measure.server,
        Holder::Work(IMPORTING) => measure.import,
        Holder::Work(work) => {
            let route = unpack(work).0.and_then(|slot| measure.board.route_of_slot(slot));
            route.unwrap_or(measure.between)
        }
        Holder::Collecting => measure.collection,
        Holder::Thread(id) => measure.threads.route(id),
    };
    route.number().into()
}

/// The entry on the scoreboard behind a number of [`culprit`].
pub(super) fn route(culprit: u64) -> Route {
    u16::try_from(culprit).map_or(Route::UNKNOWN, Route::from_number)
}

fn waited(wait: &gil::Wait) {
    let Some(measure) = MEASURE.get() else { return };
    let (slot, group) = waiting(wait.work);
    let victim = match slot {
        Some(_) => measure.between,
        None if wait.work == IMPORTING => measure.import,
        None if wait.server => measure.server,
        None => measure.threads.route(clock::thread_id()),
    };
    let culprit = route(wait.culprit);
    let (ns, whole) = (wait.nanos, wait.whole);
    measure.board.waited(&Wait { slot, victim, group, ns, whole, server: wait.own, culprit });
}

fn held(held: &Held) {
    let Some(measure) = MEASURE.get() else { return };
    let (_, group) = waiting(held.work);
    measure.holders.held(&measure.board, held.place, route(held.culprit), group, held.nanos);
}

/// Slot and application group of a thread that waits.
pub(super) fn waiting(work: u64) -> (Option<usize>, u16) {
    if work == IMPORTING { (None, 0) } else { unpack(work) }
}

/// From the setup's seconds, which are negative for the switch interval.
fn lines(holders: Option<f64>) -> Option<Option<u64>> {
    holders.map(|seconds| (seconds >= 0.0).then_some((seconds * 1e9) as u64))
}

/// Answers a question of the application.
fn answer(question: Question) -> Option<String> {
    let measure = MEASURE.get()?;
    match question {
        Question::Start => {
            measure.window.start_recording(&measure.board);
            None
        }
        Question::Requests => Some(measure.window.request_metrics(&measure.board).to_string()),
        Question::Process => Some(measure.window.process_metrics(&measure.board).to_string()),
    }
}

/// Names a thread of the application's own that begins.
fn started(thread: u32, name: &str) {
    if let Some(measure) = MEASURE.get() {
        measure.threads.name_one(thread, measure.board.thread(name.as_bytes()));
    }
}

/// Records a garbage collection.
fn collected(group: u16, generation: u8, pause: u64, collected: u64, uncollectable: u64) {
    let Some(measure) = MEASURE.get() else { return };
    let start = (clock::epoch_micros() * 1000).saturating_sub(pause);
    measure.board.collected(group, &Collection { start, pause, generation, collected, uncollectable });
}

/// Records that an exception of this type left the application in the calling thread's request.
fn raised(name: &str) {
    let Some((measure, slot)) = MEASURE.get().zip(SLOT.get()) else { return };
    measure.board.raised(slot, name);
}

/// The calling thread serves requests in this slot.
pub(super) fn serve_in(slot: usize) {
    SLOT.set(Some(slot));
}

/// Slot and application group of a request thread, packed into the word that comes with each of its waits.
pub(super) fn pack(slot: usize, group: u16) -> u64 {
    (slot as u64 + 1) | u64::from(group) << 32
}

fn unpack(work: u64) -> (Option<usize>, u16) {
    (((work & 0xffff_ffff) as usize).checked_sub(1), (work >> 32) as u16)
}

impl Measurements {
    /// Measures the GIL of a new interpreter and writes its mode and interval onto the scoreboard. Returns the number of its
    /// application group there.
    pub(crate) fn interpreter(&self, py: Attached<'_>, name: &str, mode: &str, interval: Option<f64>) -> u16 {
        let mode = match mode {
            "own" => GilMode::Own,
            "free-threading" => GilMode::FreeThreading,
            _ => GilMode::Shared,
        };
        let interval = interval.map(|seconds| (seconds * 1e9) as u64);
        let main = py.interpreter_id() == MAIN;
        if main {
            self.board.set_gil(mode, interval);
        }
        let exactness = gil::measure(py);
        if exactness == Exactness::Exact {
            self.note_places(py);
        }
        if exactness == Exactness::NoGil {
            self.tell_locks_apart(py, main);
        }
        match exactness {
            Exactness::Exact if main => self.set_exact(true, ""),
            Exactness::NoGil if main => self.set_exact(true, "no GIL"),
            Exactness::Exact | Exactness::NoGil => {}
            // A single GIL that cannot be measured makes the sums of the process a lower bound.
            Exactness::LowerBound(why) => self.set_exact(false, &why),
        }
        let group = self.board.group(name);
        self.board.set_group(group, mode, interval, 0);
        group
    }

    /// Records that the GIL of a free-threaded Python came back. `module`: its cause, as `the module 'x'`.
    pub(crate) fn gil_returned(&self, py: Attached<'_>, module: &str) {
        self.board.set_gil_returned(module);
        match gil::measure(py) {
            Exactness::LowerBound(why) => self.set_exact(false, &why),
            Exactness::Exact => self.note_places(py),
            Exactness::NoGil => {}
        }
    }

    fn note_places(&self, py: Attached<'_>) {
        static TOLD: AtomicBool = AtomicBool::new(false);
        let Some(threshold) = self.lines else { return };
        if let Err(why) = gil::note_places(py, threshold)
            && !TOLD.swap(true, Ordering::Relaxed)
        {
            let text = format!("Waits for the GIL are not booked to lines: {why}");
            gk_sys::log::plain(gk_wire::log::Level::Info, "wsgi", None, &text);
        }
    }

    /// A single interpreter whose waits are not known makes those of the process unknown.
    fn tell_locks_apart(&self, py: Attached<'_>, main: bool) {
        match gil::parking::establish(py) {
            Ok(()) if main => self.board.set_locks(Ok(())),
            Ok(()) => {}
            Err(why) => {
                self.board.set_locks(Err(&why));
                let text = format!("Waits for locks are not told apart: {why}");
                gk_sys::log::plain(gk_wire::log::Level::Info, "wsgi", None, &text);
            }
        }
    }

    fn set_exact(&self, exact: bool, why: &str) {
        self.board.set_exact(exact, why);
        self.exact.store(exact, Ordering::Relaxed);
        if !exact {
            let text = format!("Waits for the GIL are measured as a lower bound only: {why}");
            gk_sys::log::plain(gk_wire::log::Level::Info, "wsgi", None, &text);
        }
    }

    /// Returns true if waits are exact, or there is no GIL.
    pub(super) fn is_exact(&self) -> bool {
        self.exact.load(Ordering::Relaxed)
    }

    /// Records that the imports at start are done.
    pub(crate) fn imported(&self) {
        self.board.set_import(self.begun.elapsed());
    }

    /// Returns true if a thread of the application has caused a wait, or a place in it, and has no name yet.
    pub(crate) fn unnamed(&self) -> bool {
        self.threads.unnamed() || self.holders.pending()
    }

    /// Returns true if threads have no name yet.
    pub(crate) fn unnamed_threads(&self) -> bool {
        self.threads.unnamed()
    }

    /// Gives places that held a GIL their names. `attach` runs its argument attached to an interpreter of the application group with that
    /// number, or to the main interpreter where there is none.
    pub(crate) fn name_places(&self, mut attach: impl FnMut(u16, &mut dyn FnMut(Attached<'_>))) {
        for group in self.holders.groups() {
            attach(group, &mut |py| self.holders.name(&self.board, py, group));
        }
        self.holders.flush(&self.board);
    }

    /// Names the application's own threads. `named`: kernel id and name of the living threads of one or more interpreters.
    pub(crate) fn name_threads(&self, named: &[(u32, String)]) {
        self.threads.name(named, |name| self.board.thread(name.as_bytes()));
    }
}
