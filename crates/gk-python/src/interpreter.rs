//! Interpreters: the main one, sub-interpreters that share its GIL, and sub-interpreters with a GIL of their own. Which
//! application group gets which is decided in `gk-worker`.

use crate::attached::Attached;
use pyo3_ffi as ffi;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The GIL of a new sub-interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gil {
    /// The main interpreter's.
    Shared,
    /// Its own (PEP 684). Such an interpreter is isolated: its own memory allocator, no `os.fork` and `os.exec`, no daemon
    /// threads, and only extension modules that declare support for it.
    Own,
}

/// Whether this CPython can give an interpreter a GIL of its own.
pub const OWN_GIL: bool = cfg!(Py_3_12);

/// An owner of one interpreter. While any owner exists the interpreter lives, so attaching through one cannot fail. Owners
/// are cloned like an `Arc`; [`crate::ThreadStates::end`] wants the last one. Dropping the last owner of a sub-interpreter
/// leaves the interpreter as it is, and out of reach.
#[derive(Debug, Clone)]
pub struct Interpreter(pub(crate) Arc<Living>);

/// A handle that does not keep its interpreter alive.
#[derive(Debug, Clone)]
pub struct InterpreterHandle(Weak<Living>);

/// An interpreter that has not been ended.
#[derive(Debug)]
pub(crate) struct Living {
    pub(crate) raw: *mut ffi::PyInterpreterState,
    pub(crate) id: i64,
    pub(crate) gil: Gil,
}

impl Living {
    fn new(raw: *mut ffi::PyInterpreterState, id: i64, gil: Gil) -> Arc<Self> {
        OWNED.fetch_add(1, Ordering::AcqRel);
        Arc::new(Self { raw, id, gil })
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        OWNED.fetch_sub(1, Ordering::AcqRel);
    }
}

// SAFETY: the address is only handed to CPython functions made for use from any thread, while an owner exists.
unsafe impl Send for Living {}
// SAFETY: as above.
unsafe impl Sync for Living {}

/// The interpreter could not be ended: another owner or another thread's state of it is left. It is given back.
#[derive(Debug)]
pub struct StillUsed(pub Interpreter);

/// CPython's number of the main interpreter.
pub const MAIN: i64 = 0;

/// The main interpreter's owners, if there are any.
static OWNERS_OF_MAIN: Mutex<Weak<Living>> = Mutex::new(Weak::new());

fn owners_of_main() -> MutexGuard<'static, Weak<Living>> {
    OWNERS_OF_MAIN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Interpreters that have an owner.
static OWNED: AtomicUsize = AtomicUsize::new(0);

/// Python is being finalised: the main interpreter gets no owner any more.
static FINALISING: AtomicBool = AtomicBool::new(false);

/// To be called before Python is finalised, which ends every interpreter.
///
/// # Panics
/// When an interpreter has an owner: that one would point to an ended interpreter.
pub(crate) fn finalising() {
    // Under the lock that `main` takes: an owner is counted before, or refused after.
    let _owners = owners_of_main();
    let owned = OWNED.load(Ordering::Acquire);
    assert!(owned == 0, "{owned} interpreters have an owner at Python's end: this is a bug");
    FINALISING.store(true, Ordering::Release);
}

impl Interpreter {
    /// An owner of the main interpreter. Python finalises that one when its main thread returns from this library, so every
    /// owner must be gone by then.
    ///
    /// # Panics
    /// When the thread is attached to another interpreter, or [`embed`](crate::entry::embed) finalises Python: what runs then
    /// (destructors, `atexit`) could keep the owner beyond it.
    pub fn main(py: Attached<'_>) -> Self {
        assert!(py.interpreter_id() == MAIN, "asked for the main interpreter in another one: this is a bug");
        let mut owners = owners_of_main();
        assert!(
            !FINALISING.load(Ordering::Acquire),
            "asked for the main interpreter at its end: this is a bug"
        );
        if let Some(living) = owners.upgrade() {
            return Self(living);
        }
        // SAFETY: attached, so there is a current interpreter.
        let raw = unsafe { ffi::PyInterpreterState_Get() };
        let living = Living::new(raw, MAIN, Gil::Shared);
        *owners = Arc::downgrade(&living);
        Self(living)
    }

    /// The owner of a new sub-interpreter.
    ///
    /// # Safety
    /// The calling thread must be attached to an interpreter that nobody owns.
    pub(crate) unsafe fn adopt(gil: Gil) -> Self {
        // SAFETY: attached by the contract.
        let raw = unsafe { ffi::PyInterpreterState_Get() };
        // SAFETY: the current interpreter lives.
        let id = unsafe { ffi::PyInterpreterState_GetID(raw) };
        Self(Living::new(raw, id, gil))
    }

    /// CPython's number of it: 0 is the main interpreter. Numbers never come back.
    pub fn id(&self) -> i64 {
        self.0.id
    }

    /// A handle that does not keep it alive.
    pub fn handle(&self) -> InterpreterHandle {
        InterpreterHandle(Arc::downgrade(&self.0))
    }

    /// Whether ending it is safe. One with a GIL of its own may abort the process at its end in CPython 3.12 (seen with 3.12.1
    /// after `import ssl` or `import hashlib`): such a one is left as it is, and the process ends by `_exit`.
    pub fn can_end(&self) -> bool {
        self.0.gil == Gil::Shared || cfg!(Py_3_13)
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl InterpreterHandle {
    /// An owner; `None` when the interpreter was ended.
    pub fn upgrade(&self) -> Option<Interpreter> {
        self.0.upgrade().map(Interpreter)
    }
}

/// Makes a sub-interpreter; its first thread state is current then. Otherwise why not, with the former one current or none.
///
/// # Safety
/// The calling thread must be attached to the main interpreter.
#[cfg(Py_3_12)]
pub(crate) unsafe fn create(gil: Gil) -> Result<*mut ffi::PyThreadState, String> {
    let config = match gil {
        Gil::Shared => ffi::_PyInterpreterConfig_LEGACY_INIT,
        Gil::Own => ffi::PyInterpreterConfig {
            use_main_obmalloc: 0,
            allow_fork: 0,
            allow_exec: 0,
            allow_threads: 1,
            allow_daemon_threads: 0,
            check_multi_interp_extensions: 1,
            gil: ffi::PyInterpreterConfig_OWN_GIL,
        },
    };
    let mut new = std::ptr::null_mut();
    // SAFETY: attached by the contract; both pointers are to live locals.
    let status = unsafe { ffi::Py_NewInterpreterFromConfig(&mut new, &config) };
    if !new.is_null() {
        return Ok(new);
    }
    let why = if status.err_msg.is_null() {
        "out of memory?".into()
    } else {
        // SAFETY: CPython's error messages are static C strings.
        unsafe { std::ffi::CStr::from_ptr(status.err_msg) }.to_string_lossy()
    };
    Err(format!("CPython could not create a sub-interpreter ({why})"))
}

/// The same before CPython 3.12, where every interpreter shares the one GIL.
///
/// # Safety
/// The calling thread must be attached to the main interpreter.
#[cfg(not(Py_3_12))]
pub(crate) unsafe fn create(gil: Gil) -> Result<*mut ffi::PyThreadState, String> {
    if gil == Gil::Own {
        return Err("an interpreter with its own GIL needs CPython 3.12 or later".to_owned());
    }
    // SAFETY: attached by the contract.
    let new = unsafe { ffi::Py_NewInterpreter() };
    if new.is_null() {
        return Err("CPython could not create a sub-interpreter (out of memory?)".to_owned());
    }
    Ok(new)
}
