//! Operations of an attachment: results of CPython as objects or errors, new objects, modules, threads of the
//! interpreter. Operations on an object are in `operations`.

use crate::attached::Attached;
use crate::error::PyError;
use crate::object::Object;
use pyo3_ffi as ffi;
use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

impl<'p> Attached<'p> {
    /// Takes an owned reference, or the raised exception when the pointer is null.
    pub(crate) fn owned(self, raw: *mut ffi::PyObject) -> Result<Object<'p>, PyError<'p>> {
        match NonNull::new(raw) {
            Some(raw) => Ok(Object::new(raw, self)),
            None => Err(PyError::take(self)),
        }
    }

    /// Makes an owned reference from a borrowed one; null is the raised exception.
    pub(crate) fn borrowed(self, raw: *mut ffi::PyObject) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: XINCREF accepts null; a non-null borrowed reference is alive at this moment.
        unsafe { ffi::Py_XINCREF(raw) };
        self.owned(raw)
    }

    pub(crate) fn check(self, status: c_int) -> Result<(), PyError<'p>> {
        if status < 0 { Err(PyError::take(self)) } else { Ok(()) }
    }

    /// `None`.
    pub fn none(self) -> Object<'p> {
        // SAFETY: Py_None gives a static object.
        let raw = unsafe { ffi::Py_None() };
        self.borrowed(raw).unwrap_or_else(|_| unreachable!("None exists"))
    }

    /// `True` or `False`.
    pub fn bool(self, value: bool) -> Object<'p> {
        let raw = if value {
            // SAFETY: a static object.
            unsafe { ffi::Py_True() }
        } else {
            // SAFETY: a static object.
            unsafe { ffi::Py_False() }
        };
        self.borrowed(raw).unwrap_or_else(|_| unreachable!("True and False exist"))
    }

    /// A `str` from bytes, each byte one character (latin-1), as PEP 3333 wants.
    pub fn latin1(self, bytes: &[u8]) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: pointer and length are of a live slice; the bytes are copied.
        self.owned(unsafe {
            ffi::PyUnicode_DecodeLatin1(
                bytes.as_ptr().cast(),
                bytes.len() as ffi::Py_ssize_t,
                std::ptr::null(),
            )
        })
    }

    /// A `str` from UTF-8.
    pub fn str(self, text: &str) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: pointer and length are of a live slice of UTF-8; the text is copied.
        self.owned(unsafe {
            ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as ffi::Py_ssize_t)
        })
    }

    /// An interned `str`, for names that are looked up often.
    pub fn interned(self, name: &CStr) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: a live C string; it is copied.
        self.owned(unsafe { ffi::PyUnicode_InternFromString(name.as_ptr()) })
    }

    /// `bytes`.
    pub fn bytes(self, bytes: &[u8]) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: pointer and length are of a live slice; the bytes are copied.
        self.owned(unsafe {
            ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t)
        })
    }

    /// `int`.
    pub fn int(self, value: i64) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: no pointers.
        self.owned(unsafe { ffi::PyLong_FromLongLong(value) })
    }

    /// `float`.
    pub fn float(self, value: f64) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: no pointers.
        self.owned(unsafe { ffi::PyFloat_FromDouble(value) })
    }

    /// An empty `dict`.
    pub fn dict(self) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: no pointers.
        self.owned(unsafe { ffi::PyDict_New() })
    }

    /// A `list` of these objects.
    pub fn list(self, items: &[Object<'p>]) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: no pointers.
        let list = self.owned(unsafe { ffi::PyList_New(0) })?;
        for item in items {
            // SAFETY: both are live; append takes its own reference.
            self.check(unsafe { ffi::PyList_Append(list.raw(), item.raw()) })?;
        }
        Ok(list)
    }

    /// A `tuple` of these objects.
    pub fn tuple(self, items: &[Object<'p>]) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: no pointers.
        let tuple = self.owned(unsafe { ffi::PyTuple_New(items.len() as ffi::Py_ssize_t) })?;
        for (index, item) in items.iter().enumerate() {
            let item = item.clone().into_raw();
            // SAFETY: the tuple is new and not shared, the index is inside; SetItem takes the reference over.
            self.check(unsafe { ffi::PyTuple_SetItem(tuple.raw(), index as ffi::Py_ssize_t, item) })?;
        }
        Ok(tuple)
    }

    /// Imports a module by its dotted name.
    pub fn import(self, name: &str) -> Result<Object<'p>, PyError<'p>> {
        let name = self.str(name)?;
        // SAFETY: a live str.
        self.owned(unsafe { ffi::PyImport_Import(name.raw()) })
    }

    /// Runs source text as a module body in a new namespace with these entries; gives the namespace (a `dict`).
    pub fn run(
        self,
        source: &CStr,
        file: &CStr,
        entries: &[(&str, Object<'p>)],
    ) -> Result<Object<'p>, PyError<'p>> {
        let namespace = self.dict()?;
        // SAFETY: attached; a borrowed reference to the running interpreter's builtins.
        let builtins = self.borrowed(unsafe { ffi::PyEval_GetBuiltins() })?;
        namespace.set_item(&self.str("__builtins__")?, &builtins)?;
        for (name, value) in entries {
            namespace.set_item(&self.str(name)?, value)?;
        }
        // SAFETY: both C strings are live.
        let code =
            self.owned(unsafe { ffi::Py_CompileString(source.as_ptr(), file.as_ptr(), ffi::Py_file_input) })?;
        // SAFETY: a code object and a dict as globals and locals.
        self.owned(unsafe { ffi::PyEval_EvalCode(code.raw(), namespace.raw(), namespace.raw()) })?;
        Ok(namespace)
    }

    /// `sys.setswitchinterval` and the like are ordinary calls; this is `threading.get_ident()` of the calling thread.
    pub fn thread_ident(self) -> u64 {
        // SAFETY: no arguments.
        unsafe { ffi::PyThread_get_thread_ident() as u64 }
    }

    /// CPython's number of the calling thread's state in this interpreter.
    pub fn state_id(self) -> u64 {
        // SAFETY: attached, so there is a current thread state.
        let state = unsafe { ffi::PyThreadState_Get() };
        // SAFETY: a live thread state.
        unsafe { ffi::PyThreadState_GetID(state) as u64 }
    }

    /// What each thread of this interpreter executes: the number of its thread state and its frame. Only where there is a
    /// GIL; without one it gives nothing, as the other threads would run on while they are looked at.
    pub fn frames(self) -> Vec<(u64, Object<'p>)> {
        let mut found = Vec::new();
        if cfg!(Py_GIL_DISABLED) && !self.has_gil() {
            return found;
        }
        // SAFETY: attached to this interpreter.
        let mut state = unsafe { ffi::PyInterpreterState_ThreadHead(self.interpreter()) };
        while !state.is_null() {
            // SAFETY: a live state of this interpreter: threads give theirs up while they hold the GIL, which this one has
            // without a break, as nothing in this loop runs Python code.
            let frame = unsafe { ffi::PyThreadState_GetFrame(state) };
            // SAFETY: as above.
            let id = unsafe { ffi::PyThreadState_GetID(state) } as u64;
            if let Some(raw) = NonNull::new(frame.cast()) {
                found.push((id, Object::new(raw, self)));
            }
            // SAFETY: as above.
            state = unsafe { ffi::PyThreadState_Next(state) };
        }
        found
    }

    fn has_gil(self) -> bool {
        let asked = self.import("sys").and_then(|sys| sys.call_method("_is_gil_enabled", &[]));
        asked.and_then(|answer| answer.truth()).unwrap_or(true)
    }

    /// Raises an exception (a class or `None` to take a pending one back) in another thread of this interpreter the
    /// next time it runs Python code. Returns how many threads that were (0 or 1).
    pub fn raise_in_thread(self, ident: u64, exception: Option<&Object<'p>>) -> i32 {
        let raw = exception.map_or(std::ptr::null_mut(), Object::raw);
        // SAFETY: a live exception class or null; an unknown thread id only gives 0.
        unsafe { ffi::PyThreadState_SetAsyncExc(ident as std::ffi::c_long, raw) }
    }
}
