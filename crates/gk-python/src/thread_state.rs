//! One OS thread's thread states, one per interpreter, kept for the thread's life so that thread-locals survive between
//! requests (as mod_wsgi does). `&mut self` is the check: a thread is attached to one interpreter at a time.

use crate::attached::Attached;
use crate::gil;
use crate::interpreter::{Gil, Interpreter};
use pyo3_ffi as ffi;
use std::marker::PhantomData;

/// The states of the calling thread. Not `Send`.
pub struct ThreadStates {
    states: Vec<(Interpreter, *mut ffi::PyThreadState)>,
    _not_send: PhantomData<*mut ()>,
}

impl ThreadStates {
    /// No states yet; each is made at the first attach.
    #[allow(clippy::new_without_default, reason = "a default would hide that it belongs to one thread")]
    pub fn new() -> Self {
        Self { states: Vec::new(), _not_send: PhantomData }
    }

    /// Attaches to an interpreter for the length of `f`. The thread must be detached.
    pub fn attach<R>(&mut self, interpreter: Interpreter, f: impl for<'p> FnOnce(Attached<'p>) -> R) -> R {
        /// Detaches also when `f` panics.
        struct Detach;
        impl Drop for Detach {
            fn drop(&mut self) {
                // SAFETY: attached since `attach`; the state stays in the list.
                unsafe { ffi::PyEval_SaveThread() };
            }
        }
        let state = self.state_of(interpreter);
        // SAFETY: a state of this thread and not current anywhere (`&mut self`).
        gil::in_own_acquire(|| unsafe { ffi::PyEval_RestoreThread(state) });
        let _detach = Detach;
        // SAFETY: attached until `_detach` drops, after `f`; `for<'p>` keeps objects from escaping.
        f(unsafe { Attached::assume() })
    }

    /// Creates a sub-interpreter. The thread must be detached. The sentence says why it was not possible.
    pub fn create(&mut self, main: Interpreter, gil: Gil) -> Result<Interpreter, String> {
        let state = self.state_of(main);
        // SAFETY: a state of this thread and not current anywhere (`&mut self`).
        unsafe { ffi::PyEval_RestoreThread(state) };
        // SAFETY: attached to the main interpreter.
        let new = match unsafe { crate::interpreter::create(gil) } {
            Ok(new) => new,
            Err(why) => {
                // SAFETY: on failure the former state is current again, or is made so.
                unsafe { ffi::PyThreadState_Swap(state) };
                // SAFETY: attached through `state`.
                unsafe { ffi::PyEval_SaveThread() };
                return Err(why);
            }
        };
        // SAFETY: the current state is the new interpreter's.
        let interpreter = Interpreter { raw: unsafe { ffi::PyInterpreterState_Get() } };
        gil::adopt(new);
        self.states.push((interpreter, new));
        // SAFETY: attached through `new`; it stays in the list (3.12 wants the creating thread's state kept).
        unsafe { ffi::PyEval_SaveThread() };
        Ok(interpreter)
    }

    /// Whether no thread but this one has a state in that interpreter: CPython ends the process when an interpreter is
    /// ended while another one has. The thread must be detached.
    pub fn alone(&mut self, interpreter: Interpreter) -> bool {
        let own = self.state_of(interpreter);
        self.attach(interpreter, |_| {
            // SAFETY: attached to that interpreter.
            let head = unsafe { ffi::PyInterpreterState_ThreadHead(interpreter.raw) };
            // SAFETY: this thread's own state, which lives.
            head == own && unsafe { ffi::PyThreadState_Next(own) }.is_null()
        })
    }

    /// Ends a sub-interpreter: joins its non-daemon threads, runs its atexit functions. The thread must be detached, and
    /// every other thread must have given up its state there ([`ThreadStates::give_up`]).
    pub fn end(&mut self, main: Interpreter, interpreter: Interpreter) {
        let state = self.state_of(interpreter);
        let main = self.state_of(main);
        self.states.retain(|(i, _)| *i != interpreter);
        gil::abandon(state);
        gil::forget(interpreter);
        // SAFETY: a state of this thread and not current anywhere.
        unsafe { ffi::PyEval_RestoreThread(state) };
        // SAFETY: current, and the last state of that interpreter by this function's contract.
        unsafe { ffi::Py_EndInterpreter(state) };
        // Up to 3.11 the GIL is then held with no current state; from 3.12 on it is released.
        if cfg!(Py_3_12) {
            return;
        }
        // SAFETY: the GIL is held and there is no current state; a state of this thread becomes it.
        unsafe { ffi::PyThreadState_Swap(main) };
        // SAFETY: attached through `main`.
        unsafe { ffi::PyEval_SaveThread() };
    }

    /// Deletes this thread's states, for a thread that ends. The thread must be detached.
    pub fn give_up(&mut self) {
        for (_, state) in self.states.drain(..) {
            // SAFETY: a state of this thread and not current anywhere.
            unsafe { ffi::PyEval_RestoreThread(state) };
            gil::abandon(state);
            // SAFETY: current; clearing may run destructors.
            unsafe { ffi::PyThreadState_Clear(state) };
            // SAFETY: current and cleared; afterwards the thread is detached.
            unsafe { ffi::PyThreadState_DeleteCurrent() };
        }
    }

    /// For a thread that Python started: runs `f` detached, with the states of this thread, the present one among them.
    pub fn lead<R: Send>(py: Attached<'_>, f: impl FnOnce(&mut ThreadStates) -> R + Send) -> R {
        // SAFETY: attached, so there is a current thread state.
        let own = unsafe { ffi::PyThreadState_Get() };
        let interpreter = Interpreter::current(py);
        // Addresses only, so that the closure below may be `Send`; it runs on this very thread.
        gil::adopt(own);
        let own = own as usize;
        py.detach(move || {
            let mut states =
                Self { states: vec![(interpreter, own as *mut ffi::PyThreadState)], _not_send: PhantomData };
            f(&mut states)
        })
    }

    fn state_of(&mut self, interpreter: Interpreter) -> *mut ffi::PyThreadState {
        if let Some((_, state)) = self.states.iter().find(|(i, _)| *i == interpreter) {
            return *state;
        }
        // SAFETY: may be called without an attachment; the interpreter lives until the end sequence.
        let state = unsafe { ffi::PyThreadState_New(interpreter.raw) };
        assert!(!state.is_null(), "CPython could not make a thread state: out of memory");
        gil::adopt(state);
        self.states.push((interpreter, state));
        state
    }
}
