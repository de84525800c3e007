//! The replacements of the two waiting functions, and the figures of each thread.
//!
//! They run while the mutex of a GIL is held, on any thread of the process: so no allocation, no lock, no Python, nothing
//! that can panic. A thread's figures are plain cells of its own; shared tables are atomics. A wait on anything that is not
//! a known GIL costs the look into a short table.

use super::holder::{self, Holder};
use super::holds::{Charges, Held, Notes, PartBegin};
use super::threshold::threshold;
use super::{offsets, place};
use gk_sys::clock::monotonic_nanos;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// GILs of a process that can be known: one, and one more for each interpreter with its own.
const GILS: usize = 256;
/// Bytes below a GIL's condition variable: the interval in µs, the holder, whether it is held, the number of holds. See `probe`.
pub(super) const INTERVAL: usize = 32;
pub(super) const HOLDER: usize = 24;
pub(super) const LOCKED: usize = 16;
const HOLDS: usize = 8;
/// Waits are compared with the run queue only where they last longer than this on average: the comparison costs about 1 µs.
const WORTH_COMPARING: u64 = 100_000;

type TimedWait = unsafe extern "C-unwind" fn(*mut c_void, *mut c_void, *const c_void) -> c_int;
type UntimedWait = unsafe extern "C-unwind" fn(*mut c_void, *mut c_void) -> c_int;

static TIMED_WAIT: AtomicUsize = AtomicUsize::new(0);
static WAIT: AtomicUsize = AtomicUsize::new(0);
static LISTENER: AtomicPtr<Listener> = AtomicPtr::new(std::ptr::null_mut());
static KNOWN: [Known; GILS] = [const { Known::none() }; GILS];
/// How many of `KNOWN` were ever used.
static KNOWN_COUNT: AtomicUsize = AtomicUsize::new(0);

/// A known GIL.
struct Known {
    /// Address of its condition variable; 0: none.
    condition: AtomicUsize,
    /// Address of the second one (`switch_cond`).
    switch: AtomicUsize,
    /// What stands below the condition variable was verified (1).
    shape: AtomicUsize,
    /// Its last holds, while waits are booked to lines.
    notes: Notes,
}

impl Known {
    const fn none() -> Self {
        Self {
            condition: AtomicUsize::new(0),
            switch: AtomicUsize::new(0),
            shape: AtomicUsize::new(0),
            notes: Notes::none(),
        }
    }
}

/// Functions that are told of waits. They are called on the waiting thread, while a mutex of CPython is held: they must not
/// allocate, lock, panic or call Python.
#[derive(Debug)]
pub struct Listener {
    /// Names a holder when it is seen, in a number of the listener's own below `u64::MAX`: what it works on may be over when the wait is.
    pub culprit: fn(Holder) -> u64,
    /// Is told of every part of every wait in the process.
    pub waited: fn(&Wait),
    /// Is told whom a wait that has ended is booked to ([`super::note_places`]).
    pub held: fn(&Held),
}

/// A finished part of a wait, for the listener.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// Nanoseconds of this part.
    pub nanos: u64,
    /// Nanoseconds of the whole wait, when this part ended it: the thread has the GIL now.
    pub whole: Option<u64>,
    /// Holder of the GIL when this part began, as the listener named it.
    pub culprit: u64,
    /// Work of the waiting thread ([`super::set_work`]), 0 for nothing or a thread of the application's own.
    pub work: u64,
    /// The waiting thread is one of this server's.
    pub server: bool,
    /// This server itself takes the GIL; otherwise the application's code waits to go on.
    pub own: bool,
}

/// The calling thread's figures so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waited {
    /// Nanoseconds of exact waiting.
    pub nanos: u64,
    /// Exact waits that ended.
    pub waits: u64,
    /// Nanoseconds of `nanos` that were spent where this server takes the GIL itself.
    pub inside_own: u64,
    /// Nanoseconds that taking the GIL took where this server does it itself, measured from outside: mod_wsgi's definition.
    /// Counted while no GIL is known; afterwards `inside_own` says it better.
    pub own: u64,
    /// Number of these waits.
    pub own_times: u64,
    /// Nanoseconds of run-queue delay inside the waits.
    pub delay: u64,
}

pub(super) struct Cells {
    figures: Cell<Waited>,
    /// Number of changes of the figures.
    changes: Cell<u64>,
    /// Nanoseconds of the wait that goes on.
    current: Cell<u64>,
    longest: Cell<u64>,
    /// Mean nanoseconds of a part of a wait (exponential).
    mean: Cell<u64>,
    delay_descriptor: Cell<RawFd>,
    own: Cell<bool>,
    /// What the wait that goes on is booked to.
    charges: Charges,
    /// Where to put the address of the condition variable that this thread waits on next; null: nowhere.
    probing: Cell<*const AtomicUsize>,
}

thread_local! {
    // No destructor and a constant beginning: reaching it registers nothing.
    static CELLS: Cells = const {
        Cells {
            changes: Cell::new(0),
            figures: Cell::new(Waited { nanos: 0, waits: 0, inside_own: 0, own: 0, own_times: 0, delay: 0 }),
            current: Cell::new(0),
            longest: Cell::new(0),
            mean: Cell::new(0),
            delay_descriptor: Cell::new(-1),
            own: Cell::new(false),
            charges: Charges::none(),
            probing: Cell::new(std::ptr::null()),
        }
    };
}

// === what threads ask ===

/// The calling thread's figures.
pub fn waited() -> Waited {
    CELLS.with(|cells| cells.figures.get())
}

/// The calling thread's cells, at an address that is good until the thread ends.
pub(super) fn cells() -> *const Cells {
    CELLS.with(std::ptr::from_ref)
}

impl Cells {
    pub(super) fn changes(&self) -> u64 {
        self.changes.get()
    }

    fn set(&self, figures: Waited) {
        self.figures.set(figures);
        self.changes.set(self.changes.get().wrapping_add(1));
    }
}

/// Another figure of the calling thread has changed.
pub(super) fn changed() {
    CELLS.with(|cells| cells.changes.set(cells.changes.get().wrapping_add(1)));
}

/// Nanoseconds of the calling thread on the run queue so far; `None` where it is not watched.
pub(super) fn run_delay() -> Option<u64> {
    let descriptor = CELLS.with(|cells| cells.delay_descriptor.get());
    (descriptor >= 0).then(|| gk_sys::usage::run_delay(descriptor)).flatten()
}

/// The calling thread's longest wait since this was last asked, in nanoseconds.
pub fn take_longest() -> u64 {
    CELLS.with(|cells| cells.longest.replace(0))
}

/// Sets who is told of waits.
pub fn listen(listener: &'static Listener) {
    LISTENER.store(std::ptr::from_ref(listener).cast_mut(), Ordering::Release);
}

#[inline]
fn listener() -> Option<&'static Listener> {
    // SAFETY: null, or what `listen` was given, which lives for ever.
    unsafe { LISTENER.load(Ordering::Acquire).as_ref() }
}

/// The number by which the listener calls a holder.
pub(super) fn named(holder: Holder) -> u64 {
    listener().map_or(0, |listener| (listener.culprit)(holder))
}

pub(super) fn watch_delay(descriptor: Option<RawFd>) {
    CELLS.with(|cells| cells.delay_descriptor.set(descriptor.unwrap_or(-1)));
}

/// Runs `take`, which takes a GIL, as this server's own waiting. Where waits are exact they say how long it took; elsewhere
/// it is timed from outside.
pub(crate) fn in_own_acquire<R>(take: impl FnOnce() -> R) -> R {
    let begun = if KNOWN_COUNT.load(Ordering::Relaxed) == 0 { monotonic_nanos() } else { 0 };
    CELLS.with(|cells| cells.own.set(true));
    let result = take();
    CELLS.with(|cells| {
        cells.own.set(false);
        if begun != 0 {
            let nanos = monotonic_nanos().saturating_sub(begun);
            let mut figures = cells.figures.get();
            figures.own = figures.own.wrapping_add(nanos);
            figures.own_times = figures.own_times.wrapping_add(1);
            cells.set(figures);
        }
    });
    result
}

// === what `probe` needs ===

pub(super) fn keep_originals(timed: *const c_void, untimed: Option<*const c_void>) {
    TIMED_WAIT.store(timed as usize, Ordering::Release);
    WAIT.store(untimed.map_or(0, |f| f as usize), Ordering::Release);
}

/// Until it is called with `None`, the address of what the calling thread waits on is put into `seen`.
pub(super) fn probing(seen: Option<&AtomicUsize>) {
    CELLS.with(|cells| cells.probing.set(seen.map_or(std::ptr::null(), std::ptr::from_ref)));
}

/// Makes a GIL known. `false`: the table is full.
pub(super) fn know(condition: usize, switch: usize, shape: bool) -> bool {
    for (index, known) in KNOWN.iter().enumerate() {
        if known.condition.load(Ordering::Relaxed) == 0 {
            known.shape.store(usize::from(shape), Ordering::Relaxed);
            known.switch.store(switch, Ordering::Relaxed);
            known.condition.store(condition, Ordering::Release);
            KNOWN_COUNT.fetch_max(index + 1, Ordering::Release);
            return true;
        }
    }
    false
}

pub(super) fn is_known(condition: usize) -> bool {
    find(|known| &known.condition, condition).is_some()
}

pub(super) fn unknow(condition: usize) {
    if let Some(known) = find(|known| &known.condition, condition) {
        known.switch.store(0, Ordering::Relaxed);
        known.condition.store(0, Ordering::Release);
    }
}

fn find(of: fn(&Known) -> &AtomicUsize, address: usize) -> Option<&'static Known> {
    let count = KNOWN_COUNT.load(Ordering::Acquire).min(GILS);
    KNOWN.iter().take(count).find(|known| of(known).load(Ordering::Acquire) == address)
}

// === the replacements ===

/// Stands for `pthread_cond_timedwait`.
pub(super) unsafe extern "C-unwind" fn timed_wait(
    condition: *mut c_void,
    mutex: *mut c_void,
    until: *const c_void,
) -> c_int {
    // SAFETY: `keep_originals` stored the address of this very function type before the first redirection.
    let original: TimedWait = unsafe { std::mem::transmute(TIMED_WAIT.load(Ordering::Relaxed)) };
    if gk_sys::fork::is_child() {
        // Its waits are nobody's.
        // SAFETY: the caller's own arguments.
        return unsafe { original(condition, mutex, until) };
    }
    let address = condition as usize;
    let seen = CELLS.with(|cells| cells.probing.get());
    if !seen.is_null() {
        // SAFETY: `probing` was given a reference that lives until it is called with `None`, on this thread.
        unsafe { &*seen }.store(address, Ordering::Release);
    }
    let Some(known) = find(|known| &known.condition, address) else {
        // SAFETY: the caller's own arguments.
        return unsafe { original(condition, mutex, until) };
    };
    let shape = known.shape.load(Ordering::Relaxed) != 0;
    let culprit = named(if shape { holder::of_state(last_holder(address)) } else { Holder::Unknown });
    let hold = if shape { holds(address) } else { 0 };
    let begun = Begun::now();
    // SAFETY: the caller's own arguments.
    let result = unsafe { original(condition, mutex, until) };
    // The mutex is held again: what is read now is what CPython's loop reads next. While the GIL is held, it goes on waiting.
    let part = begun.end(culprit, if shape { !is_locked(address) } else { result == 0 });
    if shape {
        part.book(known, hold, address, result == 0);
    }
    result
}

/// Stands for `pthread_cond_wait`: the thread has dropped the GIL on request and waits until another one has it.
pub(super) unsafe extern "C-unwind" fn wait(condition: *mut c_void, mutex: *mut c_void) -> c_int {
    // SAFETY: as in `timed_wait`.
    let original: UntimedWait = unsafe { std::mem::transmute(WAIT.load(Ordering::Relaxed)) };
    let address = if gk_sys::fork::is_child() { 0 } else { condition as usize };
    let Some(known) = find(|known| &known.switch, address).filter(|_| address != 0) else {
        // SAFETY: the caller's own arguments.
        return unsafe { original(condition, mutex) };
    };
    let begun = Begun::now();
    // SAFETY: the caller's own arguments.
    let result = unsafe { original(condition, mutex) };
    // Who has it now is who this thread waited for.
    let gil = known.condition.load(Ordering::Relaxed);
    let verified = gil != 0 && known.shape.load(Ordering::Relaxed) != 0;
    let culprit = named(if verified { holder::of_state(last_holder(gil)) } else { Holder::Unknown });
    let part = begun.end(culprit, false);
    if verified {
        // All of it counts for who has it now, so no note is asked for: another mutex is held here.
        part.book(known, holds(gil), gil, false);
    }
    result
}

/// The beginning of a part of a wait.
struct Begun {
    at: u64,
    delay: Option<u64>,
}

impl Begun {
    fn now() -> Self {
        let delay = CELLS.with(|cells| {
            let descriptor = cells.delay_descriptor.get();
            (descriptor >= 0 && cells.mean.get() > WORTH_COMPARING)
                .then(|| gk_sys::usage::run_delay(descriptor))
                .flatten()
        });
        Self { at: monotonic_nanos(), delay }
    }

    fn end(self, culprit: u64, acquired: bool) -> Part {
        let now = monotonic_nanos();
        let nanos = now.saturating_sub(self.at);
        let (whole, own) = CELLS.with(|cells| {
            let mut figures = cells.figures.get();
            figures.nanos = figures.nanos.wrapping_add(nanos);
            if cells.own.get() {
                figures.inside_own = figures.inside_own.wrapping_add(nanos);
            }
            if let Some(before) = self.delay
                && let Some(after) = gk_sys::usage::run_delay(cells.delay_descriptor.get())
            {
                // What the kernel counts a little before or after this part still belongs to it at most as long as it was.
                figures.delay = figures.delay.wrapping_add(after.saturating_sub(before).min(nanos));
            }
            let mean = cells.mean.get();
            cells.mean.set((mean - mean / 8).wrapping_add(nanos / 8));
            let current = cells.current.get().wrapping_add(nanos);
            cells.current.set(if acquired { 0 } else { current });
            if acquired {
                figures.waits = figures.waits.wrapping_add(1);
                cells.longest.set(cells.longest.get().max(current));
            }
            cells.set(figures);
            (acquired.then_some(current), cells.own.get())
        });
        if let Some(listener) = listener() {
            let (work, server) = (holder::own_work(), holder::is_own_thread());
            (listener.waited)(&Wait { nanos, whole, culprit, work, server, own });
        }
        Part { begun: self.at, now, whole, culprit }
    }
}

/// A part of a wait, to be booked to the place of who held the GIL.
struct Part {
    begun: u64,
    now: u64,
    whole: Option<u64>,
    culprit: u64,
}

impl Part {
    /// `hold`: number of the hold when the part began; `condition`: of the GIL; `free`: the GIL was free, at least for a moment.
    #[inline]
    fn book(self, known: &Known, hold: u64, condition: usize, free: bool) {
        if let Some(threshold) = threshold(|| interval(condition)) {
            self.book_from(threshold, known, hold, condition, free);
        }
    }

    #[inline(never)]
    fn book_from(self, threshold: u64, known: &Known, hold: u64, condition: usize, free: bool) {
        let begin = PartBegin { at: self.begun, hold, culprit: self.culprit };
        let last = holds(condition);
        CELLS.with(|cells| {
            cells.charges.part(&known.notes, begin, self.now, last);
            let Some(whole) = self.whole else {
                if free && hold == last {
                    cells.charges.lose(last);
                }
                return;
            };
            // The GIL is free, and nobody but this thread can take it while its mutex is held: so its last holder stands still.
            let state = last_holder(condition);
            let worth = whole >= threshold;
            // SAFETY: as the comment above says.
            let place =
                offsets::found().filter(|_| worth).and_then(|at| unsafe { place::of_state(state, at) });
            let culprit = if hold == last { self.culprit } else { named(holder::of_state(state)) };
            known.notes.put(last, self.now, culprit, place);
            match listener().filter(|_| worth) {
                Some(listener) => cells.charges.settle(&known.notes, holder::own_work(), listener.held),
                None => cells.charges.clear(),
            }
        });
    }
}

/// Nanoseconds of a GIL's switch interval.
fn interval(condition: usize) -> u64 {
    // SAFETY: a word below a known GIL's condition variable, as in `last_holder`.
    let word = unsafe { AtomicUsize::from_ptr((condition - INTERVAL) as *mut usize) };
    (word.load(Ordering::Relaxed) as u64).saturating_mul(1_000)
}

/// How often another thread took the GIL: the number of the present hold.
fn holds(condition: usize) -> u64 {
    // SAFETY: as in `last_holder`.
    let word = unsafe { AtomicUsize::from_ptr((condition - HOLDS) as *mut usize) };
    word.load(Ordering::Relaxed) as u64
}

fn last_holder(condition: usize) -> usize {
    // SAFETY: the word below a known GIL's condition variable, verified when it became known; CPython writes it atomically.
    let word = unsafe { AtomicUsize::from_ptr((condition - HOLDER) as *mut usize) };
    word.load(Ordering::Relaxed)
}

fn is_locked(condition: usize) -> bool {
    // SAFETY: as above.
    let word = unsafe { AtomicI32::from_ptr((condition - LOCKED) as *mut i32) };
    word.load(Ordering::Relaxed) == 1
}
