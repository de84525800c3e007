//! The doors from Python into Rust: the gate where panics stop, and the definition of the extension module. The one
//! exported symbol that calls [`init`] lives in `gk-native`.

use crate::attached::Attached;
use crate::error::{Builtin, PyError};
use crate::object::Object;
use pyo3_ffi as ffi;

use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// Runs `f` for a call that came from CPython: errors become the pending exception, panics a `SystemError`, `None` is a
/// null pointer without an exception (the end of an iterator).
pub(crate) fn guard(
    f: impl for<'p> FnOnce(Attached<'p>) -> Result<Option<Object<'p>>, PyError<'p>>,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls functions attached, and the proof does not outlive this call.
    let py = unsafe { Attached::assume() };
    let result = catch_unwind(AssertUnwindSafe(|| f(py))).unwrap_or_else(|_| {
        Err(PyError::new(py, Builtin::SystemError, "gilkeeper: internal error (a panic); please report it"))
    });
    match result {
        Ok(Some(object)) => object.into_raw(),
        Ok(None) => std::ptr::null_mut(),
        Err(error) => {
            error.restore();
            std::ptr::null_mut()
        }
    }
}

/// A call's positional arguments; the few that most calls have need no allocation.
pub(crate) type Arguments<'p> = smallvec::SmallVec<[Object<'p>; 4]>;

/// The arguments of a fast call as owned references.
pub(crate) fn arguments<'p>(
    py: Attached<'p>,
    args: *const *mut ffi::PyObject,
    count: usize,
) -> Result<Arguments<'p>, PyError<'p>> {
    // Collecting results into it costs ten times as much.
    let mut items = Arguments::new();
    for index in 0..count {
        // SAFETY: CPython passes `count` arguments.
        let place = unsafe { args.add(index) };
        // SAFETY: each is a live borrowed reference for the length of the call.
        let arg = unsafe { *place };
        items.push(py.borrowed(arg)?);
    }
    Ok(items)
}

/// A function of the extension module: takes the positional arguments, returns an `int`.
pub trait Function: 'static {
    /// Its name.
    const NAME: &'static CStr;
    /// Its docstring.
    const DOC: &'static CStr;
    /// Calls it.
    fn call<'p>(py: Attached<'p>, args: &[Object<'p>]) -> Result<i64, PyError<'p>>;
}

/// The table entry of a function.
pub struct Entry(ffi::PyMethodDef);

/// The table entry of `F`.
pub fn entry<F: Function>() -> Entry {
    Entry(ffi::PyMethodDef {
        ml_name: F::NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: function::<F> },
        ml_flags: ffi::METH_FASTCALL,
        ml_doc: F::DOC.as_ptr(),
    })
}

extern "C" fn function<F: Function>(
    _module: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    guard(|py| {
        let items = arguments(py, args, count as usize)?;
        let value = F::call(py, &items)?;
        py.int(value).map(Some)
    })
}

static VERSION: OnceLock<&'static CStr> = OnceLock::new();

/// Fills a new module object: once per interpreter that imports it.
extern "C" fn execute(module: *mut ffi::PyObject) -> c_int {
    let version = VERSION.get().copied().unwrap_or(c"");
    // SAFETY: attached, a live module; both texts are static.
    unsafe { ffi::PyModule_AddStringConstant(module, c"__version__".as_ptr(), version.as_ptr()) }
}

/// The extension module's definition: multi-phase, for interpreters with their own GIL, without need of a GIL. Called once
/// per import of the library's exported symbol; gives what that symbol returns to CPython.
pub fn init(name: &'static CStr, version: &'static CStr, functions: Vec<Entry>) -> *mut c_void {
    let _ = VERSION.set(version);
    let mut table: Vec<ffi::PyMethodDef> = functions.into_iter().map(|entry| entry.0).collect();
    table.push(ffi::PyMethodDef::zeroed());
    let slots: Vec<ffi::PyModuleDef_Slot> = vec![
        ffi::PyModuleDef_Slot { slot: ffi::Py_mod_exec as c_int, value: execute as *mut c_void },
        #[cfg(Py_3_12)]
        ffi::PyModuleDef_Slot {
            slot: ffi::Py_mod_multiple_interpreters as c_int,
            value: ffi::Py_MOD_PER_INTERPRETER_GIL_SUPPORTED,
        },
        #[cfg(Py_3_13)]
        ffi::PyModuleDef_Slot { slot: ffi::Py_mod_gil as c_int, value: ffi::Py_MOD_GIL_NOT_USED },
        ffi::PyModuleDef_Slot::default(),
    ];
    // The definition and its tables must live as long as the process: module definitions are never freed.
    let definition = Box::leak(Box::new(ffi::PyModuleDef {
        m_base: ffi::PyModuleDef_HEAD_INIT,
        m_name: name.as_ptr(),
        m_doc: std::ptr::null(),
        m_size: 0,
        m_methods: table.leak().as_mut_ptr(),
        m_slots: slots.leak().as_mut_ptr(),
        m_traverse: None,
        m_clear: None,
        m_free: None,
    }));
    // SAFETY: a static definition with static tables.
    unsafe { ffi::PyModuleDef_Init(definition) }.cast()
}

/// Starts Python in this process, runs `f` attached to its main interpreter, and finalises it. For tests of the crates above
/// and for embedding; a worker is started by Python itself.
///
/// # Panics
/// When Python was started in this process before: CPython starts once per process. When an owner of any interpreter
/// ([`Interpreter`](crate::Interpreter)) is left after `f`: it would point to an ended one.
///
/// `f` is `Send` so that a thread's [`ThreadStates`](crate::ThreadStates) do not get in, where they would attach once more:
///
/// ```compile_fail,E0277
/// # use gk_python::{Interpreter, ThreadStates, entry};
/// # fn nested(states: &mut ThreadStates) {
/// // `*mut ()` cannot be sent between threads safely
/// entry::embed(|py| states.attach(&Interpreter::main(py), |_| ()));
/// # }
/// ```
///
/// ```no_run
/// # use gk_python::{Interpreter, ThreadStates, entry};
/// entry::embed(|py| {
///     let main = Interpreter::main(py);
///     ThreadStates::lead(py, |states| states.attach(&main, |_| ()));
/// });
/// ```
pub fn embed<R>(f: impl for<'p> FnOnce(Attached<'p>) -> R + Send) -> R {
    /// Detaches when `f` panics: what runs later on this thread must find it so.
    struct Detach;
    impl Drop for Detach {
        fn drop(&mut self) {
            // SAFETY: attached since initialisation, and not finalised.
            unsafe { ffi::PyEval_SaveThread() };
        }
    }
    // SAFETY: no arguments.
    let before = unsafe { ffi::Py_IsInitialized() };
    assert!(before == 0, "Python was started in this process before");
    // SAFETY: 0 leaves the signal handlers alone.
    unsafe { ffi::Py_InitializeEx(0) };
    // This thread is attached after initialisation, until finalisation below.
    let detach = Detach;
    // SAFETY: as said.
    let result = f(unsafe { Attached::assume() });
    crate::interpreter::finalising();
    std::mem::forget(detach);
    // SAFETY: attached to the main interpreter, on the thread that initialised it.
    unsafe { ffi::Py_FinalizeEx() };
    result
}
