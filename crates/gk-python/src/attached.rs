//! [`Attached`]: proof that the thread may call Python. What can be made with nothing but that proof is in `values`.

use pyo3_ffi as ffi;
use std::marker::PhantomData;

/// Proof that this thread is attached to an interpreter. Not `Send`: it never leaves its thread.
#[derive(Clone, Copy)]
pub struct Attached<'p> {
    /// CPython's number of the interpreter.
    interpreter: i64,
    _not_send: PhantomData<(&'p (), *mut ())>,
}

// === impl Attached ===

impl<'p> Attached<'p> {
    /// # Safety
    /// The calling thread must be attached to an interpreter for all of `'p`.
    pub(crate) unsafe fn assume() -> Self {
        // SAFETY: attached by the contract, so there is a current interpreter.
        let current = unsafe { ffi::PyInterpreterState_Get() };
        // SAFETY: the current interpreter lives.
        let interpreter = unsafe { ffi::PyInterpreterState_GetID(current) };
        Self { interpreter, _not_send: PhantomData }
    }

    /// The same where the interpreter's number is known.
    ///
    /// # Safety
    /// The calling thread must be attached to the interpreter of that number for all of `'p`.
    pub(crate) unsafe fn assume_to(interpreter: i64) -> Self {
        Self { interpreter, _not_send: PhantomData }
    }

    /// CPython's number of the interpreter that this thread is attached to; 0 is the main one.
    pub fn interpreter_id(self) -> i64 {
        self.interpreter
    }

    /// The interpreter's address, good while the thread is attached.
    pub(crate) fn interpreter(self) -> *mut ffi::PyInterpreterState {
        // SAFETY: attached, so there is a current interpreter.
        unsafe { ffi::PyInterpreterState_Get() }
    }

    /// Lets other threads run Python while `f` works without it. Objects and the proof cannot be used inside (`Send`).
    pub fn detach<R: Send>(self, f: impl FnOnce() -> R + Send) -> R {
        /// Attaches again also when `f` panics.
        struct Again(*mut ffi::PyThreadState);
        impl Drop for Again {
            fn drop(&mut self) {
                // SAFETY: the state this same thread gave up in `detach`.
                crate::gil::in_own_acquire(|| unsafe { ffi::PyEval_RestoreThread(self.0) });
            }
        }
        // SAFETY: attached, so there is a current thread state to give up.
        let _again = Again(unsafe { ffi::PyEval_SaveThread() });
        f()
    }
}
