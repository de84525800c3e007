//! The proof that waits are told apart rightly: a helper thread is made to wait for a list, for a `threading.Lock` and for the lock of
//! imports, while this thread holds them; then this one waits until the helper is paused. What the replacements see must be just that.

use super::{ESTABLISHED, IMPORTERS, IMPORTS, LOCKS, PAUSES, PROBE, Parked, Probe, install};
use crate::attached::Attached;
use crate::error::PyError;
use crate::gil::blame;
use crate::object::Object;
use pyo3_ffi as ffi;
use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Longest time for a thread to get to its wait. A machine that has more to do than it can lets one stand still for a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same once it waits, but for something else: it goes on from there at once, or never.
const ELSEWHERE: Duration = Duration::from_secs(1);

/// The things that are waited for. An object's class can only change while the world stands still.
const THINGS: &CStr = c"
import _imp, _queue, _thread
import _frozen_importlib as importing
class A: pass
class B: pass
a = A()
def pause():
    a.__class__ = B
a_list = []
lock = _thread.allocate_lock()
kinds = [id(type(lock)), id(_thread.RLock), id(_queue.SimpleQueue)]
importer = id(importing._ModuleLock.acquire.__code__)
append, acquire, release = a_list.append, lock.acquire, lock.release
hold, let_go = _imp.acquire_lock, _imp.release_lock
def wait():
    append(None)
    acquire()
    release()
    hold()
    let_go()
";

/// A critical section as CPython has it: two words on the stack of whoever is in it.
#[repr(C)]
struct CriticalSection([usize; 2]);

type Begin = unsafe extern "C" fn(*mut CriticalSection, *mut ffi::PyObject);
type End = unsafe extern "C" fn(*mut CriticalSection);

/// From now on waits of threads in this interpreter are told apart. The sentence says why that is not possible. For a thread that is
/// attached to an interpreter without a GIL; once for each.
pub fn establish(py: Attached<'_>) -> Result<(), String> {
    if !crate::version::FREE_THREADED_BUILD {
        return Err("this CPython has a GIL".to_owned());
    }
    blame::verified(py)?;
    install()?;
    prove(py).unwrap_or_else(|error| Err(format!("its waits could not be tried: {}", error.summary())))?;
    ESTABLISHED.store(true, Ordering::Relaxed);
    Ok(())
}

fn function<F: Copy>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<usize>()) };
    // SAFETY: a lookup by name among the loaded objects.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: a function of CPython with the signature that the caller names.
    (!found.is_null()).then(|| unsafe { std::mem::transmute_copy(&found) })
}

fn prove<'p>(py: Attached<'p>) -> Result<Result<(), String>, PyError<'p>> {
    let (Some(begin), Some(end)) =
        (function::<Begin>(c"PyCriticalSection_Begin"), function::<End>(c"PyCriticalSection_End"))
    else {
        return Ok(Err("this CPython has no critical sections".to_owned()));
    };
    let things = py.run(THINGS, c"<gilkeeper>", &[])?;
    let thing = |name: &str| things.item(&py.str(name)?);
    let (list, wait) = (thing("a_list")?, thing("wait")?);
    let address = |object: &Object<'p>| object.index().map(|address| address as usize);
    let kinds = thing("kinds")?;
    let mut room = IMPORTERS.add(address(&thing("importer")?)?);
    for index in 0..3 {
        room &= LOCKS.add(address(&kinds.item(&py.int(index)?)?)?);
    }
    if let Err(why) = known(room) {
        return Ok(Err(why));
    }
    let probe = Arc::new(Probe { address: AtomicUsize::new(0), kind: AtomicUsize::new(0) });
    let shared = Arc::new(Shared { ready: AtomicBool::new(false), over: AtomicBool::new(false) });
    thing("acquire")?.call(&[])?;
    thing("hold")?.call(&[])?;
    let mut section = CriticalSection([0; 2]);
    // SAFETY: attached; the section is a local value that stays where it is until it ends.
    unsafe { begin(&mut section, list.raw()) };
    let helper = helper(py.interpreter() as usize, wait.raw() as usize, &probe, &shared);
    let first = match &helper {
        Ok(_) => seen(&probe, &[Parked::List]),
        Err(why) => Err(why.clone()),
    };
    // SAFETY: the section that was begun above.
    unsafe { end(&mut section) };
    let second = first.and_then(|_| seen(&probe, &[Parked::Lock]));
    thing("release")?.call(&[])?;
    // Its address is what is looked for. It is known where the lock of an interpreter that is gone lay there.
    let third = second.and_then(|_| seen(&probe, &[Parked::Other, Parked::Import]));
    let third = third.and_then(|lock| known(IMPORTS.add(lock)));
    thing("let_go")?.call(&[])?;
    let outcome = third.map(|()| {
        if let Some(pause) = pause(&shared, || thing("pause")?.call(&[]).map(|_| ())) {
            PAUSES.add(pause);
        }
    });
    shared.over.store(true, Ordering::Release);
    match helper {
        Ok(helper) => {
            let _ = py.detach(|| helper.join());
            Ok(outcome)
        }
        Err(why) => Ok(Err(why)),
    }
}

fn known(room: bool) -> Result<(), String> {
    room.then_some(())
        .ok_or_else(|| "this process has had more interpreters than can be told apart".to_owned())
}

/// What both threads know of each other.
struct Shared {
    /// The helper is through with its waits, and attached.
    ready: AtomicBool,
    /// It may end.
    over: AtomicBool,
}

/// Starts the helper: it calls `wait`, then stays attached without ever being paused, until it may end.
fn helper(
    interpreter: usize,
    wait: usize,
    probe: &Arc<Probe>,
    shared: &Arc<Shared>,
) -> Result<std::thread::JoinHandle<()>, String> {
    let (probe, shared) = (Arc::clone(probe), Arc::clone(shared));
    let run = move || {
        // SAFETY: an interpreter that the waiting caller is attached to, so it lives; may be called without attachment.
        let state = unsafe { ffi::PyThreadState_New(interpreter as *mut ffi::PyInterpreterState) };
        if state.is_null() {
            return;
        }
        // SAFETY: a new state of this thread, current nowhere.
        unsafe { ffi::PyEval_RestoreThread(state) };
        PROBE.set(Arc::as_ptr(&probe));
        // SAFETY: attached; a function that the caller holds until this thread has ended.
        let result = unsafe { ffi::PyObject_CallNoArgs(wait as *mut ffi::PyObject) };
        PROBE.set(std::ptr::null());
        if result.is_null() {
            // SAFETY: attached.
            unsafe { ffi::PyErr_Clear() };
        } else {
            // SAFETY: attached; an owned reference that is not used any more.
            unsafe { ffi::Py_DECREF(result) };
        }
        shared.ready.store(true, Ordering::Release);
        let begun = Instant::now();
        while !shared.over.load(Ordering::Acquire) && begun.elapsed() < PATIENCE {
            std::hint::spin_loop();
        }
        // SAFETY: current.
        unsafe { ffi::PyThreadState_Clear(state) };
        // SAFETY: current and cleared; afterwards the thread is detached.
        unsafe { ffi::PyThreadState_DeleteCurrent() };
    };
    let builder = std::thread::Builder::new().name("gk-lock-probe".to_owned());
    builder.spawn(run).map_err(|e| format!("the thread that tries the locks cannot be started: {e}"))
}

/// Waits until the helper waits for a thing of one of these kinds; gives its address.
fn seen(probe: &Probe, kinds: &[Parked]) -> Result<usize, String> {
    let is = |seen: usize| kinds.iter().any(|kind| seen == *kind as usize + 1);
    let mut elsewhere: Option<(usize, Instant)> = None;
    let mut stays = |seen: usize| match elsewhere {
        Some((before, since)) if before == seen => since.elapsed() > ELSEWHERE,
        _ => {
            elsewhere = Some((seen, Instant::now()));
            false
        }
    };
    until(|| {
        let seen = probe.kind.load(Ordering::Acquire);
        is(seen) || (seen != 0 && stays(seen))
    });
    if is(probe.kind.load(Ordering::Acquire)) {
        return Ok(probe.address.load(Ordering::Relaxed));
    }
    let what = if kinds.contains(&Parked::Import) {
        "lock of imports was not seen"
    } else {
        "locks are not where they should be"
    };
    Err(format!("this CPython's {what}"))
}

/// Stops the world while the helper does not stop, and gives the address at which this thread waits for that.
fn pause<E>(shared: &Arc<Shared>, stop: impl FnOnce() -> Result<(), E>) -> Option<usize> {
    if !until(|| shared.ready.load(Ordering::Acquire)) {
        return None;
    }
    let probe = Arc::new(Probe { address: AtomicUsize::new(0), kind: AtomicUsize::new(0) });
    // The helper stops as soon as this thread was seen to wait; until then it can wait for nothing else.
    let watcher = {
        let (probe, shared) = (Arc::clone(&probe), Arc::clone(shared));
        std::thread::Builder::new().name("gk-lock-watch".to_owned()).spawn(move || {
            let waits = until(|| probe.kind.load(Ordering::Acquire) != 0);
            let address = probe.address.load(Ordering::Relaxed);
            shared.over.store(true, Ordering::Release);
            if waits { address } else { 0 }
        })
    };
    let Ok(watcher) = watcher else { return None };
    PROBE.set(Arc::as_ptr(&probe));
    let stopped = stop();
    PROBE.set(std::ptr::null());
    // It ends by itself: this wait, or its patience.
    probe.kind.fetch_max(1, Ordering::AcqRel);
    let address = watcher.join().unwrap_or(0);
    (stopped.is_ok() && address != 0).then_some(address)
}

fn until(mut true_at_last: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if true_at_last() {
            return true;
        }
        std::thread::sleep(Duration::from_micros(20));
    }
    false
}
