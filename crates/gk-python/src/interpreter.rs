//! Interpreters: the main one, sub-interpreters that share its GIL, and sub-interpreters with a GIL of their own. Which
//! application group gets which is decided in `gk-worker`.

use crate::attached::Attached;
use pyo3_ffi as ffi;

/// Whose GIL a new sub-interpreter takes.
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

/// One interpreter. Sub-interpreters are ended by [`crate::ThreadStates::end`], never by dropping this value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interpreter {
    pub(crate) raw: *mut ffi::PyInterpreterState,
}

// SAFETY: an address that is only handed to CPython functions made for use from any thread.
unsafe impl Send for Interpreter {}
// SAFETY: as above.
unsafe impl Sync for Interpreter {}

impl Interpreter {
    /// The interpreter this thread is attached to.
    pub fn current(py: Attached<'_>) -> Self {
        Self { raw: py.interpreter() }
    }

    /// CPython's number of it: 0 is the main interpreter.
    pub fn id(self) -> i64 {
        // SAFETY: interpreters live until the process's end sequence, after all users are gone.
        unsafe { ffi::PyInterpreterState_GetID(self.raw) }
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
