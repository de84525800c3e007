//! The thread states of one OS thread, one per interpreter, kept for the thread's life so that thread-locals survive between
//! requests (as mod_wsgi does). `&mut self` is the check: a thread is attached to one interpreter at a time.

use crate::attached::Attached;
use crate::gil;
use crate::interpreter::{Gil, Interpreter, MAIN, StillUsed};
use crate::outer_frame;
use crate::version::FREE_THREADED_BUILD;
use pyo3_ffi as ffi;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// The states of the calling thread. Not `Send`. A thread has at most one such value: it comes from [`ThreadStates::spawn`] or
/// [`ThreadStates::lead`], where the thread is detached, and nothing else makes one.
///
/// ```no_run
/// use gk_python::{Gil, Interpreter, ThreadStates};
/// # gk_python::entry::embed(|py| {
/// let main = Interpreter::main(py);
/// ThreadStates::lead(py, |states| {
///     let other = states.create(&main, Gil::Shared).unwrap();
///     let one = states.attach(&other, |py| py.int(1).unwrap().index().unwrap());
///     assert_eq!(states.attach(&main, |py| py.int(one).unwrap().index().unwrap()), 1);
///     states.end(&main, other).unwrap();
/// });
/// # });
/// ```
///
/// An interpreter that was ended cannot be attached to: its owner was moved.
///
/// ```compile_fail,E0382
/// # use gk_python::{Gil, Interpreter, ThreadStates};
/// # gk_python::entry::embed(|py| {
/// # let main = Interpreter::main(py);
/// # ThreadStates::lead(py, |states| {
/// let other = states.create(&main, Gil::Shared).unwrap();
/// states.end(&main, other).unwrap();
/// states.attach(&other, |_| ()); // borrow of moved value: `other`
/// # });
/// # });
/// ```
///
/// Attachments do not nest, neither through the same states nor through others.
///
/// ```compile_fail,E0501
/// # use gk_python::{Gil, Interpreter, ThreadStates};
/// # fn nested(states: &mut ThreadStates, main: &Interpreter, other: &Interpreter) {
/// states.attach(main, |_| states.attach(other, |_| ())); // cannot borrow: the closure needs it alone
/// # }
/// ```
///
/// ```compile_fail,E0599
/// # use gk_python::{Gil, Interpreter, ThreadStates};
/// # fn nested(states: &mut ThreadStates, main: &Interpreter, other: &Interpreter) {
/// states.attach(main, |_| ThreadStates::new().attach(other, |_| ())); // no function named `new`
/// # }
/// ```
///
/// Objects stay inside their attachment.
///
/// ```compile_fail
/// # use gk_python::{Gil, Interpreter, ThreadStates};
/// # fn escape(states: &mut ThreadStates, main: &Interpreter) {
/// let none = states.attach(main, |py| py.none()); // lifetime may not live long enough
/// # }
/// ```
pub struct ThreadStates {
    states: Vec<(Interpreter, *mut ffi::PyThreadState)>,
    /// Interpreters whose state has a Python frame at any time.
    framed: Vec<Interpreter>,
    _not_send: PhantomData<*mut ()>,
}

/// Detaches also when what runs attached panics.
struct Detach;

impl Drop for Detach {
    fn drop(&mut self) {
        gil::attached_with(0);
        // SAFETY: made by a thread that attached itself; its state stays in the list.
        unsafe { ffi::PyEval_SaveThread() };
    }
}

impl ThreadStates {
    fn of(states: Vec<(Interpreter, *mut ffi::PyThreadState)>) -> Self {
        Self { states, framed: Vec::new(), _not_send: PhantomData }
    }

    /// Starts a thread that can attach. Its states are made at the first attach to each interpreter and deleted after `f`.
    pub fn spawn<R: Send + 'static>(
        builder: Builder,
        f: impl FnOnce(&mut ThreadStates) -> R + Send + 'static,
    ) -> io::Result<JoinHandle<R>> {
        /// Gives the states up also when `f` panics.
        struct GiveUp(ThreadStates);
        impl Drop for GiveUp {
            fn drop(&mut self) {
                self.0.give_up();
            }
        }
        builder.spawn(move || f(&mut GiveUp(Self::of(Vec::new())).0))
    }

    /// For a thread that Python started, in the main interpreter: runs `f` detached, with the states of this thread, the present
    /// one among them.
    ///
    /// # Panics
    /// When attached to another interpreter than the main one.
    pub fn lead<R: Send>(py: Attached<'_>, f: impl FnOnce(&mut ThreadStates) -> R + Send) -> R {
        let main = Interpreter::main(py);
        // SAFETY: attached, so there is a current thread state.
        let own = unsafe { ffi::PyThreadState_Get() };
        gil::adopt(own);
        // An address only, so that the closure below may be `Send`; it runs on this very thread.
        let own = own as usize;
        py.detach(move || f(&mut Self::of(vec![(main, own as *mut ffi::PyThreadState)])))
    }

    /// Attaches to an interpreter for the length of `f`.
    pub fn attach<R>(&mut self, interpreter: &Interpreter, f: impl for<'p> FnOnce(Attached<'p>) -> R) -> R {
        let state = self.state_of(interpreter);
        // Before: what is waited for meanwhile is told by it.
        gil::attached_with(state as usize);
        // SAFETY: a state of this thread and not current anywhere (`&mut self`).
        gil::in_own_acquire(|| unsafe { ffi::PyEval_RestoreThread(state) });
        let _detach = Detach;
        // SAFETY: attached until `_detach` drops, after `f`; `for<'p>` keeps objects from escaping.
        let result = f(unsafe { Attached::assume_to(interpreter.id()) });
        if gk_sys::fork::is_child() {
            // What follows is the server's and not the child's. Whoever calls applications ends their children before, and says so.
            gk_sys::own_process::exit_now(0);
        }
        result
    }

    /// Whether this thread's state of the interpreter has no outermost Python frame and can have one ([`ThreadStates::within`]). In an
    /// interpreter with its own GIL it cannot: `sys._current_frames()` of another interpreter would make an object of that frame in
    /// its own memory, which the frame's interpreter would free as a part of its own. In a free-threaded build a thread can have one frame
    /// only: see [`ThreadStates::is_hidden`].
    pub fn lacks_frame(&self, interpreter: &Interpreter) -> bool {
        let framed = |framed: &Interpreter| framed.is(interpreter);
        interpreter.0.gil == Gil::Shared && !self.is_hidden(interpreter) && !self.framed.iter().any(framed)
    }

    /// Whether what runs in this interpreter could not be seen beside this thread's outermost frame in another one. Without a GIL the
    /// states of a process cannot be walked, so `sys._current_frames()` is the only way to a thread's stack, and it has one frame for each
    /// thread, whichever interpreter it finds last.
    pub fn is_hidden(&self, interpreter: &Interpreter) -> bool {
        FREE_THREADED_BUILD && self.framed.iter().any(|framed| !framed.is(interpreter))
    }

    /// Runs `f` detached, while this thread's state of the interpreter has an outermost Python frame, for tools that look into the process
    /// ([`outer_frame`]). The frame stands on the C stack, so `f` is what the thread does from now on. Without a frame where there
    /// can be none.
    pub fn within<R>(&mut self, interpreter: &Interpreter, f: impl FnOnce(&mut ThreadStates) -> R) -> R {
        if !self.lacks_frame(interpreter) {
            return f(self);
        }
        let state = self.state_of(interpreter);
        self.framed.push(interpreter.clone());
        let (mut f, mut result) = (Some(f), None);
        {
            let states = &mut *self;
            let mut work = || {
                // Not through the frames of CPython.
                result = f.take().map(|f| catch_unwind(AssertUnwindSafe(|| f(states))));
            };
            // SAFETY: a state of this thread and not current anywhere (`&mut self`).
            gil::in_own_acquire(|| unsafe { ffi::PyEval_RestoreThread(state) });
            let _detach = Detach;
            // SAFETY: attached until `_detach` drops.
            let py = unsafe { Attached::assume_to(interpreter.id()) };
            let _ = outer_frame::run(py, &mut work);
        }
        self.framed.pop();
        match (result, f) {
            (Some(result), _) => result.unwrap_or_else(|panic| resume_unwind(panic)),
            (None, Some(f)) => f(self),
            (None, None) => unreachable!("what was taken has a result"),
        }
    }

    /// Attaches like [`ThreadStates::attach`], and keeps no state that it makes: for a thread that has no outermost frame there.
    pub fn visit<R>(&mut self, interpreter: &Interpreter, f: impl for<'p> FnOnce(Attached<'p>) -> R) -> R {
        /// Deletes the state also when `f` panics.
        struct Delete(*mut ffi::PyThreadState);
        impl Drop for Delete {
            fn drop(&mut self) {
                // SAFETY: current since `visit`, of this thread alone; the interpreter lives, as the caller has an owner.
                unsafe { delete(self.0) };
            }
        }
        if self.states.iter().any(|(known, _)| known.is(interpreter)) {
            return self.attach(interpreter, f);
        }
        // SAFETY: may be called without an attachment; the interpreter lives, as the caller has an owner.
        let state = unsafe { ffi::PyThreadState_New(interpreter.0.raw) };
        assert!(!state.is_null(), "CPython could not make a thread state: out of memory");
        gil::adopt(state);
        // SAFETY: a new state of this thread, current nowhere.
        gil::in_own_acquire(|| unsafe { ffi::PyEval_RestoreThread(state) });
        let _delete = Delete(state);
        // SAFETY: attached until `_delete` drops.
        let result = f(unsafe { Attached::assume_to(interpreter.id()) });
        if gk_sys::fork::is_child() {
            // As in `attach`.
            gk_sys::own_process::exit_now(0);
        }
        result
    }

    /// Creates a sub-interpreter and gives its owner. The sentence says why it was not possible.
    pub fn create(&mut self, main: &Interpreter, gil: Gil) -> Result<Interpreter, String> {
        if main.id() != MAIN {
            return Err("sub-interpreters are created from the main interpreter only".to_owned());
        }
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
        let interpreter = unsafe { Interpreter::adopt(gil) };
        gil::adopt(new);
        self.states.push((interpreter.clone(), new));
        // SAFETY: attached through `new`; it stays in the list (3.12 wants the creating thread's state kept).
        unsafe { ffi::PyEval_SaveThread() };
        Ok(interpreter)
    }

    /// Whether no thread but this one has a state in that interpreter. CPython ends the process when an interpreter is ended
    /// while another thread has one.
    pub fn alone(&mut self, interpreter: &Interpreter) -> bool {
        let own = self.state_of(interpreter);
        self.attach(interpreter, |py| {
            // SAFETY: attached to that interpreter, whose list has at least this thread's state.
            let head = unsafe { ffi::PyInterpreterState_ThreadHead(py.interpreter()) };
            // SAFETY: this thread's own state, which lives.
            head == own && unsafe { ffi::PyThreadState_Next(own) }.is_null()
        })
    }

    /// Ends a sub-interpreter: joins its non-daemon threads, runs its atexit functions. `last` must be its last owner, and no
    /// other thread may have a state in it; otherwise, and for the main interpreter, `last` comes back.
    pub fn end(&mut self, main: &Interpreter, last: Interpreter) -> Result<(), StillUsed> {
        if last.id() == MAIN || !self.alone(&last) {
            return Err(StillUsed(last));
        }
        let main = self.state_of(main);
        let state = self.state_of(&last);
        self.states.retain(|(interpreter, _)| !interpreter.is(&last));
        // From here on no handle gives an owner, so that no thread of this library can make a state there.
        let living = match Arc::try_unwrap(last.0) {
            Ok(living) => living,
            Err(shared) => {
                let shared = Interpreter(shared);
                self.states.push((shared.clone(), state));
                return Err(StillUsed(shared));
            }
        };
        let last = Interpreter(Arc::new(living));
        self.states.push((last.clone(), state));
        // A thread that dropped its owner just now may have left a state behind.
        if !self.alone(&last) {
            return Err(StillUsed(last));
        }
        self.states.retain(|(interpreter, _)| !interpreter.is(&last));
        gil::abandon(state);
        gil::forget(last.id());
        // SAFETY: a state of this thread and not current anywhere.
        unsafe { ffi::PyEval_RestoreThread(state) };
        // SAFETY: current, and the last state of an interpreter that only `last` still owns, which ends here.
        unsafe { ffi::Py_EndInterpreter(state) };
        // Up to 3.11 the GIL is then held with no current state; from 3.12 on it is released.
        if cfg!(Py_3_12) {
            return Ok(());
        }
        // SAFETY: the GIL is held and there is no current state; a state of this thread becomes it.
        unsafe { ffi::PyThreadState_Swap(main) };
        // SAFETY: attached through `main`.
        unsafe { ffi::PyEval_SaveThread() };
        Ok(())
    }

    /// Deletes this thread's states. It may wait for each interpreter's GIL.
    fn give_up(&mut self) {
        for (_interpreter, state) in self.states.drain(..) {
            // SAFETY: a state of this thread and not current anywhere, of an interpreter that is owned here.
            unsafe { ffi::PyEval_RestoreThread(state) };
            // SAFETY: current.
            unsafe { delete(state) };
        }
    }

    fn state_of(&mut self, interpreter: &Interpreter) -> *mut ffi::PyThreadState {
        if let Some((_, state)) = self.states.iter().find(|(known, _)| known.is(interpreter)) {
            return *state;
        }
        // SAFETY: may be called without an attachment; the interpreter lives, as the caller has an owner.
        let state = unsafe { ffi::PyThreadState_New(interpreter.0.raw) };
        assert!(!state.is_null(), "CPython could not make a thread state: out of memory");
        gil::adopt(state);
        self.states.push((interpreter.clone(), state));
        state
    }
}

/// Deletes a state; afterwards the thread is detached.
///
/// # Safety
/// The state must be current, and used by nobody afterwards.
unsafe fn delete(state: *mut ffi::PyThreadState) {
    gil::abandon(state);
    // SAFETY: current; clearing may run destructors.
    unsafe { ffi::PyThreadState_Clear(state) };
    // SAFETY: current and cleared.
    unsafe { ffi::PyThreadState_DeleteCurrent() };
}
