//! Finding the condition variable of a GIL: while this thread holds the GIL, a helper thread asks for it, and the hook sees
//! what it waits on. In the same moment it is certain who holds the GIL and with which switch interval, so that what stands
//! beside the condition variable can be verified instead of believed.
//!
//! CPython 3.11 to 3.15 lay a GIL out as: interval (µs), last holder, `locked`, a count, the condition variable, its mutex,
//! the second condition variable (`switch_cond`), its mutex.

use super::memory::read_word;
use super::{Exactness, holder, hook};
use crate::attached::Attached;
use pyo3_ffi as ffi;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes from the condition variable up to the second one.
const SWITCH: usize = size_of::<libc::pthread_cond_t>() + size_of::<libc::pthread_mutex_t>();
/// Longest time for the helper thread to get to its wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// CPython's numbers of the interpreters with a known GIL, and that GIL's condition variable; several may share one.
static INTERPRETERS: Mutex<Vec<(i64, usize)>> = Mutex::new(Vec::new());

fn interpreters() -> MutexGuard<'static, Vec<(i64, usize)>> {
    INTERPRETERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the GIL of the interpreter that this thread is attached to known. Cheap when it is known already; otherwise it takes
/// a thread's start. To be called once for each interpreter with a GIL of its own, and again when a GIL came back.
/// [`super::install`] comes first.
pub fn recognise(py: Attached<'_>) -> Exactness {
    let id = py.interpreter_id();
    if interpreters().iter().any(|(known, _)| *known == id) {
        return Exactness::Exact;
    }
    match provoke(py) {
        Ok(Some(condition)) => {
            interpreters().push((id, condition));
            Exactness::Exact
        }
        Ok(None) => Exactness::NoGil,
        Err(why) => Exactness::LowerBound(why),
    }
}

/// An interpreter is about to end: its GIL is no longer known, unless another interpreter has the same one.
pub(crate) fn forget(interpreter: i64) {
    let mut known = interpreters();
    let Some(at) = known.iter().position(|(known, _)| *known == interpreter) else { return };
    let (_, condition) = known.swap_remove(at);
    if known.iter().all(|(_, other)| *other != condition) {
        hook::unknow(condition);
    }
}

/// The condition variable of this interpreter's GIL, known to the hook afterwards; `None` when there is no GIL.
fn provoke(py: Attached<'_>) -> Result<Option<usize>, String> {
    let interpreter = py.interpreter() as usize;
    let interval = switch_interval(py);
    let seen = Arc::new(AtomicUsize::new(0));
    let helper = {
        let seen = Arc::clone(&seen);
        std::thread::Builder::new()
            .name("gk-gil-probe".to_owned())
            .spawn(move || take_once(interpreter, &seen))
            .map_err(|e| format!("the thread that looks for the GIL cannot be started: {e}"))?
    };
    // This thread keeps the GIL, so the helper must wait; it runs no Python meanwhile, so nothing makes it drop the GIL.
    let begun = Instant::now();
    while seen.load(Ordering::Acquire) == 0 && !helper.is_finished() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_micros(20));
    }
    let condition = seen.load(Ordering::Acquire);
    let outcome = match condition {
        0 if crate::version::FREE_THREADED_BUILD && helper.is_finished() => Ok(None),
        0 => Err("no thread was seen to wait for this CPython's GIL".to_owned()),
        _ if hook::is_known(condition) => Ok(Some(condition)),
        _ => {
            let shape = verified(condition, interval);
            let switch = if shape { condition + SWITCH } else { 0 };
            if hook::know(condition, switch, shape) {
                Ok(Some(condition))
            } else {
                Err("this process has more GILs than can be told apart".to_owned())
            }
        }
    };
    let _ = py.detach(|| helper.join());
    outcome
}

/// The helper: takes the interpreter's GIL once, and gives it back.
fn take_once(interpreter: usize, seen: &AtomicUsize) {
    // SAFETY: an interpreter that the waiting caller is attached to, so it lives; may be called without attachment.
    let state = unsafe { ffi::PyThreadState_New(interpreter as *mut ffi::PyInterpreterState) };
    if state.is_null() {
        return;
    }
    hook::probing(Some(seen));
    // SAFETY: a new state of this thread, current nowhere.
    unsafe { ffi::PyEval_RestoreThread(state) };
    hook::probing(None);
    // SAFETY: current.
    unsafe { ffi::PyThreadState_Clear(state) };
    // SAFETY: current and cleared; afterwards the thread is detached.
    unsafe { ffi::PyThreadState_DeleteCurrent() };
}

/// Whether the words below the condition variable are what they are in the versions known here: this thread holds the GIL.
fn verified(condition: usize, interval: Option<usize>) -> bool {
    // SAFETY: the caller is attached, so there is a current thread state.
    let own = unsafe { ffi::PyThreadState_Get() } as usize;
    let locked = read_word(condition - hook::LOCKED).map(|word| word as u32);
    let good = read_word(condition - hook::HOLDER) == Some(own)
        && locked == Some(1)
        && interval.is_some()
        && read_word(condition - hook::INTERVAL) == interval;
    if good {
        holder::find_id(own);
    }
    good
}

/// Whole microseconds.
fn switch_interval(py: Attached<'_>) -> Option<usize> {
    let seconds = py.import("sys").and_then(|sys| sys.call_method("getswitchinterval", &[]));
    seconds.and_then(|s| s.to_f64()).ok().map(|s| (s * 1e6).round() as usize)
}
