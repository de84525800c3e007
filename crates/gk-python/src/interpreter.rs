//! Interpreters: the main one and sub-interpreters that share its GIL. Which application group gets which is decided in
//! `gk-worker`.

use crate::attached::Attached;
use pyo3_ffi as ffi;

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
