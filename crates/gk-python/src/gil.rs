//! How long threads wait for a GIL, and who held it meanwhile: exactly, inside the application's own code too.
//!
//! On Linux a thread that wants a GIL waits in `pthread_cond_timedwait` on that GIL's condition variable; one that was asked
//! to drop it waits in `pthread_cond_wait` until another thread has it. Nothing else in CPython waits there: its locks use
//! semaphores. So these two functions are replaced in CPython's own import table ([`install`]), and the replacements
//! (`hook`) time the waits on condition variables that are known to be a GIL's. Which ones those are is found by provoking
//! one known wait per GIL ([`recognise`], `probe`). What stands beside the condition variable is verified in the same moment.
//!
//! A thread that is given the GIL also notes where the one before it stands in its Python code ([`note_places`], `place`, `holds`).
//! `names` says later what that is called. The same is noted of threads that use the processor, with all callers, while a [`profile`] runs.
//!
//! Callers decide the use of the figures; docs/design/gil-measurement.md has mechanism, limits and figures.

mod blame;
mod holder;
mod holds;
mod hook;
mod memory;
mod names;
mod offsets;
pub mod parking;
mod place;
mod probe;
pub mod profile;
mod samples;
mod threshold;

pub use blame::note_places;
pub use holder::Holder;
pub use holds::Held;
pub(crate) use hook::in_own_acquire;
pub use hook::{Listener, Wait, Waited, listen, take_longest, waited};
pub use names::Named;
pub(crate) use offsets::debugger as debugger_offset;
pub use place::Place;
pub(crate) use probe::forget;
pub use probe::recognise;
pub(crate) use profile::attached_with;
pub use samples::Sample;

use crate::attached::Attached;
use gk_sys::interpose::Object;
use gk_sys::usage::RunDelay;
use pyo3_ffi as ffi;
use std::ffi::c_void;
use std::sync::OnceLock;

/// Exactness of a GIL's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exactness {
    /// Every wait is timed.
    Exact,
    /// There is no GIL to wait for.
    NoGil,
    /// Only waits where this server itself takes the GIL are timed. The sentence says why.
    LowerBound(String),
}

/// Replaces the two functions, once per process; later calls give the same result.
pub fn install() -> Result<(), String> {
    static RESULT: OnceLock<Result<(), String>> = OnceLock::new();
    RESULT.get_or_init(redirect).clone()
}

fn redirect() -> Result<(), String> {
    // Not `PyEval_RestoreThread`: for CPython before 3.14 that name is a function of pyo3-ffi.
    let python = Object::containing(ffi::PyEval_SaveThread as *const c_void)?;
    let timed = python.import(c"pthread_cond_timedwait")?.ok_or_else(|| {
        format!(
            "{} does not import pthread_cond_timedwait: this CPython waits for its GIL elsewhere",
            named(python.path())
        )
    })?;
    let untimed = python.import(c"pthread_cond_wait")?;
    hook::keep_originals(timed.original, untimed.as_ref().map(|import| import.original));
    // SAFETY: the same signature; it calls the original for every wait, and this library is never unloaded.
    unsafe { timed.redirect(hook::timed_wait as *const c_void) }?;
    if let Some(untimed) = untimed {
        // SAFETY: as above.
        unsafe { untimed.redirect(hook::wait as *const c_void) }?;
    }
    Ok(())
}

/// [`install`] and [`recognise`] for the interpreter this thread is attached to.
pub fn measure(py: Attached<'_>) -> Exactness {
    if let Err(why) = install() {
        return Exactness::LowerBound(why);
    }
    recognise(py)
}

/// While it lives, waits of the calling thread are told apart from time on the run queue. One per request thread, which
/// it cannot leave.
#[derive(Debug)]
pub struct ThreadWatch {
    delay: Option<RunDelay>,
    /// The thread's own: that it is a raw pointer keeps this value on the thread.
    cells: *const hook::Cells,
}

impl ThreadWatch {
    /// For the calling thread.
    #[allow(clippy::new_without_default, reason = "a default would hide that it belongs to one thread")]
    pub fn new() -> Self {
        let delay = RunDelay::open();
        hook::watch_delay(delay.as_ref().map(RunDelay::descriptor));
        profile::take_part(true);
        Self { delay, cells: hook::cells() }
    }

    /// A number that changes whenever the result of [`waited`] does. It is cheap to read, so a request without a wait need not
    /// call [`waited`].
    #[inline]
    pub fn changes(&self) -> u64 {
        // SAFETY: the calling thread's thread-local value, which has no destructor and lives as long as the thread; `new`
        // ran on this thread, since this type is neither `Send` nor `Sync`.
        unsafe { &*self.cells }.changes()
    }

    /// Nanoseconds of this thread on the run queue so far, inside waits and outside. `None` where the kernel does not say.
    pub fn run_delay(&self) -> Option<u64> {
        gk_sys::usage::run_delay(self.delay.as_ref()?.descriptor())
    }
}

impl Drop for ThreadWatch {
    fn drop(&mut self) {
        profile::take_part(false);
        hook::watch_delay(None);
    }
}

/// Sets the work of the calling thread, to which waits are booked that it causes. 0 is no work.
pub fn set_work(work: u64) {
    holder::set_work(work);
}

/// Sets whether the calling thread collects garbage: waits that it causes meanwhile are caused by that.
pub fn set_collecting(on: bool) {
    holder::set_collecting(on);
}

/// The work of the calling thread.
pub fn work() -> u64 {
    holder::own_work()
}

/// Makes a thread state known as one of the calling thread's, so that it is recognised as a GIL's holder.
pub(crate) fn adopt(state: *mut ffi::PyThreadState) {
    holder::adopt(state as usize);
}

/// The opposite of [`adopt`], before the state is deleted.
pub(crate) fn abandon(state: *mut ffi::PyThreadState) {
    holder::abandon(state as usize);
}

fn named(path: &str) -> &str {
    if path.is_empty() { "the executable" } else { path }
}
