//! What a thread waits for where there is no GIL. CPython's locks, its critical sections and its pauses of the world all park a thread in
//! the same place: on a semaphore of the thread's own, which stands in an entry on the thread's stack, behind the address that the thread
//! waits for. So the functions that wait on semaphores are replaced in CPython's import table, as those for condition variables are, and
//! the address before the semaphore says what is waited for: the lock in the head of an object, a `threading.Lock`, the thread's own state
//! while others are paused, the lock of imports. That the entry is laid out like this is not believed: [`establish`] provokes each wait.
//!
//! The replacements run on any thread, some of them not attached: they allocate nothing, take no lock, call no Python.

mod proof;

pub use proof::establish;

use super::memory::{Access, read_word};
use super::{hook, offsets, place, profile};
use gk_sys::clock::monotonic_nanos;
use gk_sys::interpose::Object;
use pyo3_ffi as ffi;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a thread waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Parked {
    /// The lock of a `dict`.
    Dict,
    /// The lock of a `list`.
    List,
    /// The lock of a `set`.
    Set,
    /// The lock of another object.
    Object,
    /// A `threading.Lock` or `RLock`, or what is built on one, as conditions, events and queues are; or an entry of a `SimpleQueue`.
    Lock,
    /// All threads being paused, mostly for the garbage collection; or the pause's end.
    World,
    /// Another thread's import.
    Import,
    /// Anything else: a lock of the interpreter itself, the end of another thread.
    Other,
}

impl Parked {
    /// Number of kinds.
    pub const COUNT: usize = 8;
}

/// Nanoseconds that the calling thread has slept so far until it got what it waited for, by kind. What it was runnable again before it ran
/// is not in them.
pub type Parkings = [u64; Parked::COUNT];

/// Bytes of a thread state in which its own word for attaching lies.
const STATE: usize = 512;
/// Bytes of stack between a replacement and the entry of the thread that waits.
const STACK: usize = 1 << 16;
/// Bytes from an object to its lock, on free-threaded builds: after the thread's id and the flags.
const LOCK_OF_OBJECT: usize = 10;
/// Bytes from an object to its type.
const TYPE: usize = 24;
/// Bytes from a `threading.Lock` to its mutex: the head of an object. A `SimpleQueue` has there what its readers wait for.
const MUTEX_OF_LOCK: usize = 32;
/// Waits are compared with the run queue only where they last longer than this on average: the comparison costs about 1 µs.
const WORTH_COMPARING: u64 = 20_000;

/// Addresses that are known: a list that grows. Each interpreter has its own.
struct Known([AtomicUsize; 256]);

impl Known {
    const fn none() -> Self {
        Self([const { AtomicUsize::new(0) }; 256])
    }

    /// `false`: the list is full.
    fn add(&self, address: usize) -> bool {
        let put = |place: &AtomicUsize| {
            place.compare_exchange(0, address, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        self.has(address) || self.0.iter().any(put)
    }

    fn has(&self, address: usize) -> bool {
        let load = |place: &AtomicUsize| place.load(Ordering::Acquire);
        self.0.iter().map(load).take_while(|there| *there != 0).any(|there| there == address)
    }
}

// Types of locks; locks of imports; code that waits for another thread's import; where the beginning of a pause is waited for.
static LOCKS: Known = Known::none();
static IMPORTS: Known = Known::none();
static IMPORTERS: Known = Known::none();
static PAUSES: Known = Known::none();

/// Waits are told apart: only then they count.
static ESTABLISHED: AtomicBool = AtomicBool::new(false);

thread_local! {
    // No destructor and a constant beginning: reaching it registers nothing.
    static WAITED: [Cell<u64>; Parked::COUNT] = const { [const { Cell::new(0) }; Parked::COUNT] };
    /// Mean nanoseconds of a wait (exponential). The first ones are compared.
    static MEAN: Cell<u64> = const { Cell::new(1_000_000) };
    /// Where to put what this thread waits for next; null: nowhere.
    static PROBE: Cell<*const Probe> = const { Cell::new(std::ptr::null()) };
}

/// What a provoked wait is for.
struct Probe {
    address: AtomicUsize,
    /// One more than the kind; 0: the thread does not wait now.
    kind: AtomicUsize,
}

/// The calling thread's waits so far.
#[inline]
pub fn parkings() -> Parkings {
    if !crate::version::FREE_THREADED_BUILD {
        return Parkings::default();
    }
    WAITED.with(|waited| waited.each_ref().map(Cell::get))
}

type Wait = unsafe extern "C-unwind" fn(*mut c_void) -> c_int;
type TimedWait = unsafe extern "C-unwind" fn(*mut c_void, *const c_void) -> c_int;
type Yield = unsafe extern "C-unwind" fn() -> c_int;
type ClockWait = unsafe extern "C-unwind" fn(*mut c_void, c_int, *const c_void) -> c_int;

static WAIT: AtomicUsize = AtomicUsize::new(0);
static TIMED_WAIT: AtomicUsize = AtomicUsize::new(0);
static CLOCK_WAIT: AtomicUsize = AtomicUsize::new(0);
static YIELD: AtomicUsize = AtomicUsize::new(0);

/// Replaces the functions, once per process.
fn install() -> Result<(), String> {
    static RESULT: OnceLock<Result<(), String>> = OnceLock::new();
    RESULT.get_or_init(redirect).clone()
}

fn redirect() -> Result<(), String> {
    let python = Object::containing(ffi::PyEval_SaveThread as *const c_void)?;
    let table = [
        (c"sem_wait", &WAIT, wait as *const c_void),
        (c"sem_timedwait", &TIMED_WAIT, timed_wait as *const c_void),
        (c"sem_clockwait", &CLOCK_WAIT, clock_wait as *const c_void),
    ];
    if let Some(import) = python.import(c"sched_yield")? {
        YIELD.store(import.original as usize, Ordering::Release);
        // SAFETY: the same signature, and this library is never unloaded.
        unsafe { import.redirect(yields as *const c_void) }?;
    }
    let mut found = false;
    for (name, original, replacement) in table {
        let Some(import) = python.import(name)? else { continue };
        original.store(import.original as usize, Ordering::Release);
        // SAFETY: the same signature; it calls the original for every wait, and this library is never unloaded.
        unsafe { import.redirect(replacement) }?;
        found = true;
    }
    found.then_some(()).ok_or_else(|| "this CPython waits for its locks elsewhere".to_owned())
}

/// Stands for `sem_wait`.
unsafe extern "C-unwind" fn wait(semaphore: *mut c_void) -> c_int {
    // SAFETY: `redirect` stored the address of this very function type before the redirection.
    let original: Wait = unsafe { std::mem::transmute(WAIT.load(Ordering::Relaxed)) };
    // SAFETY: the caller's own arguments.
    timed(semaphore as usize, || unsafe { original(semaphore) })
}

/// Stands for `sem_timedwait`.
unsafe extern "C-unwind" fn timed_wait(semaphore: *mut c_void, until: *const c_void) -> c_int {
    // SAFETY: as in `wait`.
    let original: TimedWait = unsafe { std::mem::transmute(TIMED_WAIT.load(Ordering::Relaxed)) };
    // SAFETY: the caller's own arguments.
    timed(semaphore as usize, || unsafe { original(semaphore, until) })
}

/// Stands for `sem_clockwait`.
unsafe extern "C-unwind" fn clock_wait(semaphore: *mut c_void, clock: c_int, until: *const c_void) -> c_int {
    // SAFETY: as in `wait`.
    let original: ClockWait = unsafe { std::mem::transmute(CLOCK_WAIT.load(Ordering::Relaxed)) };
    // SAFETY: the caller's own arguments.
    timed(semaphore as usize, || unsafe { original(semaphore, clock, until) })
}

/// Stands for `sched_yield`, which a thread calls up to 40 times before it parks. Where a wait is provoked it parks at once: on a
/// machine with other work each call may last as long as the time slices of that.
unsafe extern "C-unwind" fn yields() -> c_int {
    if !PROBE.get().is_null() {
        return 0;
    }
    // SAFETY: `redirect` stored the address of this very function type before the redirection.
    let original: Yield = unsafe { std::mem::transmute(YIELD.load(Ordering::Relaxed)) };
    // SAFETY: it takes no arguments.
    unsafe { original() }
}

#[inline]
fn timed(semaphore: usize, wait: impl FnOnce() -> c_int) -> c_int {
    let probe = PROBE.get();
    let counts = || ESTABLISHED.load(Ordering::Relaxed) && profile::takes_part();
    if (probe.is_null() && !counts()) || gk_sys::fork::is_child() {
        return wait();
    }
    // Before the wait: what is waited for may be gone afterwards.
    let here = 0_usize;
    let address = address(semaphore, &raw const here as usize);
    let kind = kind(address);
    // SAFETY: null, or what lives until it is replaced by null, on this thread.
    let probe = unsafe { probe.as_ref() };
    if let Some(probe) = probe {
        probe.address.store(address, Ordering::Relaxed);
        probe.kind.store(kind as usize + 1, Ordering::Release);
    }
    let mean = MEAN.get();
    let delay = (mean > WORTH_COMPARING).then(hook::run_delay).flatten();
    let begun = monotonic_nanos();
    let result = wait();
    let nanos = monotonic_nanos().saturating_sub(begun);
    if let Some(probe) = probe {
        probe.kind.store(0, Ordering::Release);
    }
    MEAN.set((mean - mean / 8).wrapping_add(nanos / 8));
    let runnable = delay.and_then(|before| Some(run_delay_after(result)?.saturating_sub(before)));
    WAITED.with(|waited| {
        if let Some(sum) = waited.get(kind as usize) {
            sum.set(sum.get().wrapping_add(nanos.saturating_sub(runnable.unwrap_or(0))));
        }
    });
    hook::changed();
    result
}

/// CPython reads the error number when a wait has failed, so it stays as it is.
fn run_delay_after(result: c_int) -> Option<u64> {
    if result == 0 {
        return hook::run_delay();
    }
    // SAFETY: errno's address is valid for as long as the thread lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the address is valid and belongs to this thread.
    let before = unsafe { *errno };
    let delay = hook::run_delay();
    // SAFETY: as above.
    unsafe { *errno = before };
    delay
}

/// What is waited for at this semaphore; 0: it is in no entry on the caller's stack, which is near `here`.
fn address(semaphore: usize, here: usize) -> usize {
    if !(here..here + STACK).contains(&semaphore) || !semaphore.is_multiple_of(8) {
        return 0;
    }
    // SAFETY: a word of this thread's own stack, above this frame.
    unsafe { *((semaphore - 8) as *const usize) }
}

fn kind(address: usize) -> Parked {
    let state = profile::own_state();
    if address == 0 {
        return Parked::Other;
    }
    if (state != 0 && address.wrapping_sub(state) < STATE) || PAUSES.has(address) {
        return Parked::World;
    }
    if IMPORTS.has(address) {
        return Parked::Import;
    }
    // Objects begin at a multiple of 16.
    match address % 16 {
        LOCK_OF_OBJECT => object(address.wrapping_sub(LOCK_OF_OBJECT)),
        0 => lock(address.wrapping_sub(MUTEX_OF_LOCK), state),
        _ => Parked::Other,
    }
}

fn object(object: usize) -> Parked {
    let Some(kind) = object.checked_add(TYPE).and_then(read_word) else { return Parked::Other };
    let known = [
        (&raw const ffi::PyDict_Type, Parked::Dict),
        (&raw const ffi::PyList_Type, Parked::List),
        (&raw const ffi::PySet_Type, Parked::Set),
    ];
    if let Some((_, parked)) = known.iter().find(|(known, _)| *known as usize == kind) {
        return *parked;
    }
    // Nearly all types are made by `type`.
    let of_kind = kind.checked_add(TYPE).and_then(read_word);
    if of_kind == Some(&raw const ffi::PyType_Type as usize) { Parked::Object } else { Parked::Other }
}

fn lock(object: usize, state: usize) -> Parked {
    let is_lock = object.checked_add(TYPE).and_then(read_word).is_some_and(|kind| LOCKS.has(kind));
    if !is_lock {
        return Parked::Other;
    }
    let at = offsets::found().filter(|_| state != 0);
    // SAFETY: nothing is asked of memory that is read through the kernel.
    let place = at.and_then(|at| unsafe { place::read(state, Access::Checked, at) });
    if place.is_some_and(|place| IMPORTERS.has(place.code)) { Parked::Import } else { Parked::Lock }
}
