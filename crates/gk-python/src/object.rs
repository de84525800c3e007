//! Objects. [`Attached`] proves that the thread may call Python; an [`Object`] borrows that proof and so cannot outlive
//! the attachment; a [`Kept`] is a reference that may, and is turned back into an object under a new attachment.

use crate::error::PyError;
use pyo3_ffi as ffi;
use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Proof that this thread is attached to an interpreter. Not `Send`: it never leaves its thread.
#[derive(Clone, Copy)]
pub struct Attached<'p> {
    interpreter: *mut ffi::PyInterpreterState,
    _not_send: PhantomData<(&'p (), *mut ())>,
}

/// An owned reference, released when dropped, always under the attachment it was made in.
pub struct Object<'p> {
    raw: NonNull<ffi::PyObject>,
    py: Attached<'p>,
}

/// An owned reference that lives without an attachment. It must be given back with [`Kept::release`] in its own
/// interpreter; one that is merely dropped leaks its object (safe, and counted nowhere: use it for long-lived things).
pub struct Kept {
    raw: NonNull<ffi::PyObject>,
    interpreter: *mut ffi::PyInterpreterState,
}

// SAFETY: without an attachment nothing can be done with the pointer; `bind` checks the interpreter.
unsafe impl Send for Kept {}
// SAFETY: as above; CPython's reference counts are only touched under an attachment.
unsafe impl Sync for Kept {}

// === impl Attached ===

impl<'p> Attached<'p> {
    /// # Safety
    /// The calling thread must be attached to an interpreter for all of `'p`.
    pub(crate) unsafe fn assume() -> Self {
        // SAFETY: attached by the contract, so there is a current interpreter.
        let interpreter = unsafe { ffi::PyInterpreterState_Get() };
        Self { interpreter, _not_send: PhantomData }
    }

    pub(crate) fn interpreter(self) -> *mut ffi::PyInterpreterState {
        self.interpreter
    }

    /// Takes an owned reference, or the raised exception when the pointer is null.
    pub(crate) fn owned(self, raw: *mut ffi::PyObject) -> Result<Object<'p>, PyError<'p>> {
        match NonNull::new(raw) {
            Some(raw) => Ok(Object { raw, py: self }),
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

    /// Lets other threads run Python while `f` works without it. Objects and the proof cannot be used inside (`Send`).
    pub fn detach<R: Send>(self, f: impl FnOnce() -> R + Send) -> R {
        /// Attaches again also when `f` panics.
        struct Again(*mut ffi::PyThreadState);
        impl Drop for Again {
            fn drop(&mut self) {
                // SAFETY: the state this same thread gave up in `detach`.
                unsafe { ffi::PyEval_RestoreThread(self.0) }
            }
        }
        // SAFETY: attached, so there is a current thread state to give up.
        let _again = Again(unsafe { ffi::PyEval_SaveThread() });
        f()
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

    /// Raises an exception (a class or `None` to take a pending one back) in another thread of this interpreter the
    /// next time it runs Python code. Returns how many threads that were (0 or 1).
    pub fn raise_in_thread(self, ident: u64, exception: Option<&Object<'p>>) -> i32 {
        let raw = exception.map_or(std::ptr::null_mut(), Object::raw);
        // SAFETY: a live exception class or null; an unknown thread id only gives 0.
        unsafe { ffi::PyThreadState_SetAsyncExc(ident as std::ffi::c_long, raw) }
    }
}

// === impl Object ===

impl Drop for Object<'_> {
    fn drop(&mut self) {
        // SAFETY: an owned reference, and `py` says the thread is attached.
        unsafe { ffi::Py_DECREF(self.raw.as_ptr()) }
    }
}

impl Clone for Object<'_> {
    fn clone(&self) -> Self {
        // SAFETY: a live reference under attachment.
        unsafe { ffi::Py_INCREF(self.raw.as_ptr()) };
        Self { raw: self.raw, py: self.py }
    }
}

impl<'p> Object<'p> {
    pub(crate) fn raw(&self) -> *mut ffi::PyObject {
        self.raw.as_ptr()
    }

    pub(crate) fn into_raw(self) -> *mut ffi::PyObject {
        let raw = self.raw.as_ptr();
        std::mem::forget(self);
        raw
    }

    /// The attachment it was made in.
    pub fn py(&self) -> Attached<'p> {
        self.py
    }

    /// A reference that may outlive the attachment.
    pub fn keep(self) -> Kept {
        let interpreter = self.py.interpreter();
        let raw = self.raw;
        std::mem::forget(self);
        Kept { raw, interpreter }
    }

    /// Whether both are the same object.
    pub fn is(&self, other: &Object<'_>) -> bool {
        self.raw == other.raw
    }

    /// Whether it is `None`.
    pub fn is_none(&self) -> bool {
        // SAFETY: compares addresses with a static object.
        unsafe { ffi::Py_IsNone(self.raw()) != 0 }
    }

    /// Truth value.
    pub fn truth(&self) -> Result<bool, PyError<'p>> {
        // SAFETY: a live object.
        let status = unsafe { ffi::PyObject_IsTrue(self.raw()) };
        self.py.check(status).map(|()| status == 1)
    }

    /// Whether it can be called.
    pub fn callable(&self) -> bool {
        // SAFETY: a live object.
        unsafe { ffi::PyCallable_Check(self.raw()) != 0 }
    }

    /// `isinstance(self, str)`.
    pub fn is_str(&self) -> bool {
        // SAFETY: a live object.
        unsafe { ffi::PyUnicode_Check(self.raw()) != 0 }
    }

    /// `isinstance(self, bytes)`.
    pub fn is_bytes(&self) -> bool {
        // SAFETY: a live object.
        unsafe { ffi::PyBytes_Check(self.raw()) != 0 }
    }

    /// `isinstance(self, list)`.
    pub fn is_list(&self) -> bool {
        // SAFETY: a live object.
        unsafe { ffi::PyList_Check(self.raw()) != 0 }
    }

    /// `isinstance(self, tuple)`.
    pub fn is_tuple(&self) -> bool {
        // SAFETY: a live object.
        unsafe { ffi::PyTuple_Check(self.raw()) != 0 }
    }

    /// `type(self) is kind`.
    pub fn is_exactly(&self, kind: &Object<'_>) -> bool {
        // SAFETY: a live object always has a type.
        unsafe { ffi::Py_TYPE(self.raw()).cast::<ffi::PyObject>() == kind.raw() }
    }

    /// `type(self).__name__`, for messages.
    pub fn type_name(&self) -> String {
        // SAFETY: a live object has a type.
        let kind = unsafe { ffi::Py_TYPE(self.raw()) };
        // SAFETY: the type lives at least as long as its instance.
        let name = unsafe { (*kind).tp_name };
        // SAFETY: a type's name is a C string that lives as long as the type.
        unsafe { CStr::from_ptr(name) }.to_string_lossy().rsplit('.').next().unwrap_or_default().to_owned()
    }

    /// Attribute.
    pub fn getattr(&self, name: &Object<'p>) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: both live.
        self.py.owned(unsafe { ffi::PyObject_GetAttr(self.raw(), name.raw()) })
    }

    /// Attribute by name.
    pub fn attr(&self, name: &str) -> Result<Object<'p>, PyError<'p>> {
        self.getattr(&self.py.str(name)?)
    }

    /// Attribute, `None` when there is none (`AttributeError`); other exceptions stay.
    pub fn attr_if_there(&self, name: &Object<'p>) -> Result<Option<Object<'p>>, PyError<'p>> {
        match self.getattr(name) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_attribute_error() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets an attribute.
    pub fn set_attr(&self, name: &str, value: &Object<'p>) -> Result<(), PyError<'p>> {
        let name = self.py.str(name)?;
        // SAFETY: all three live.
        self.py.check(unsafe { ffi::PyObject_SetAttr(self.raw(), name.raw(), value.raw()) })
    }

    /// Calls it with positional arguments.
    pub fn call(&self, args: &[&Object<'p>]) -> Result<Object<'p>, PyError<'p>> {
        const MOST: usize = 8;
        assert!(args.len() <= MOST, "at most {MOST} arguments");
        // One slot before the arguments, so that a bound method can put `self` there.
        let mut raw = [std::ptr::null_mut(); MOST + 1];
        for (slot, arg) in raw[1..].iter_mut().zip(args) {
            *slot = arg.raw();
        }
        let count = args.len() | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
        // SAFETY: the array holds `args.len()` live borrowed references behind its first slot.
        self.py.owned(unsafe {
            ffi::PyObject_Vectorcall(self.raw(), raw[1..].as_ptr(), count, std::ptr::null_mut())
        })
    }

    /// Calls a method with positional arguments.
    pub fn call_method(&self, name: &str, args: &[&Object<'p>]) -> Result<Object<'p>, PyError<'p>> {
        self.attr(name)?.call(args)
    }

    /// `self[key] = value` of a `dict`.
    pub fn set_item(&self, key: &Object<'p>, value: &Object<'p>) -> Result<(), PyError<'p>> {
        // SAFETY: all live; on something that is no dict it raises SystemError.
        self.py.check(unsafe { ffi::PyDict_SetItem(self.raw(), key.raw(), value.raw()) })
    }

    /// `self[key]` of anything.
    pub fn item(&self, key: &Object<'p>) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: both live.
        self.py.owned(unsafe { ffi::PyObject_GetItem(self.raw(), key.raw()) })
    }

    /// A shallow copy of a `dict`.
    pub fn copy_dict(&self) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: live; on something that is no dict it raises SystemError.
        self.py.owned(unsafe { ffi::PyDict_Copy(self.raw()) })
    }

    /// Length.
    pub fn size(&self) -> Result<usize, PyError<'p>> {
        // SAFETY: live.
        let len = unsafe { ffi::PyObject_Size(self.raw()) };
        if len < 0 { Err(PyError::take(self.py)) } else { Ok(len as usize) }
    }

    /// The items of a `list` or `tuple` at this moment, as a tuple that nobody else can change.
    pub fn to_tuple(&self) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: live.
        self.py.owned(unsafe { ffi::PySequence_Tuple(self.raw()) })
    }

    /// Item of a `tuple`.
    pub fn tuple_item(&self, index: usize) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: live; wrong kind or index raises; tuples do not change, so the borrowed item is alive.
        self.py.borrowed(unsafe { ffi::PyTuple_GetItem(self.raw(), index as ffi::Py_ssize_t) })
    }

    /// `iter(self)`.
    pub fn iter(&self) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: live.
        self.py.owned(unsafe { ffi::PyObject_GetIter(self.raw()) })
    }

    /// `next(self)` of an iterator; `None` at its end.
    pub fn next(&self) -> Result<Option<Object<'p>>, PyError<'p>> {
        // SAFETY: live; something that is no iterator cannot come here through `iter`.
        let raw = unsafe { ffi::PyIter_Next(self.raw()) };
        match NonNull::new(raw) {
            Some(raw) => Ok(Some(Object { raw, py: self.py })),
            None => PyError::pending(self.py).map_or(Ok(None), Err),
        }
    }

    /// The contents of `bytes`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if !self.is_bytes() {
            return None;
        }
        // SAFETY: a bytes object; its buffer lives and stays the same as long as the object.
        let start = unsafe { ffi::PyBytes_AsString(self.raw()) };
        // SAFETY: a bytes object.
        let len = unsafe { ffi::PyBytes_Size(self.raw()) };
        // SAFETY: CPython guarantees that many readable bytes, also for the empty object.
        Some(unsafe { std::slice::from_raw_parts(start.cast(), len as usize) })
    }

    /// A `str` as UTF-8; `None` for other kinds and for lone surrogates.
    pub fn as_utf8(&self) -> Option<&str> {
        if !self.is_str() {
            return None;
        }
        let mut len = 0;
        // SAFETY: a str; the buffer is owned by the object and lives as long as it.
        let start = unsafe { ffi::PyUnicode_AsUTF8AndSize(self.raw(), &mut len) };
        if start.is_null() {
            drop(PyError::take(self.py));
            return None;
        }
        // SAFETY: CPython gave the start and length of a live buffer.
        let bytes = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len as usize) };
        // SAFETY: CPython made these bytes as UTF-8 just now or before.
        Some(unsafe { std::str::from_utf8_unchecked(bytes) })
    }

    /// A `str` as latin-1 bytes; `None` for other kinds and for characters above U+00FF.
    pub fn as_latin1(&self) -> Option<Cow<'_, [u8]>> {
        let text = self.as_utf8()?;
        if text.is_ascii() {
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        text.chars().map(|c| u8::try_from(c as u32).ok()).collect::<Option<Vec<u8>>>().map(Cow::Owned)
    }

    /// `str(self)` for messages; never fails.
    pub fn display(&self) -> String {
        // SAFETY: live.
        match self.py.owned(unsafe { ffi::PyObject_Str(self.raw()) }) {
            Ok(text) => text.as_utf8().unwrap_or("?").to_owned(),
            Err(_) => format!("<{} object>", self.type_name()),
        }
    }

    /// `int(self)` of an integer object (`__index__`), clamped to `i64`.
    pub fn index(&self) -> Result<i64, PyError<'p>> {
        // SAFETY: live; null as exception type clamps.
        let value = unsafe { ffi::PyNumber_AsSsize_t(self.raw(), std::ptr::null_mut()) };
        if value == -1
            && let Some(error) = PyError::pending(self.py)
        {
            return Err(error);
        }
        Ok(value as i64)
    }

    /// `float(self)`.
    pub fn to_f64(&self) -> Result<f64, PyError<'p>> {
        // SAFETY: live.
        let value = unsafe { ffi::PyFloat_AsDouble(self.raw()) };
        if value == -1.0
            && let Some(error) = PyError::pending(self.py)
        {
            return Err(error);
        }
        Ok(value)
    }
}

// === impl Kept ===

impl Kept {
    /// The object under an attachment to its own interpreter.
    ///
    /// # Panics
    /// When attached to another interpreter: a bug of the caller that must not reach CPython.
    pub fn bind<'p>(&self, py: Attached<'p>) -> Object<'p> {
        assert!(
            py.interpreter() == self.interpreter,
            "an object was used in another interpreter: this is a bug"
        );
        // SAFETY: a live reference of this interpreter, and the thread is attached to it.
        unsafe { ffi::Py_INCREF(self.raw.as_ptr()) };
        Object { raw: self.raw, py }
    }

    /// Gives the reference back.
    pub fn release(self, py: Attached<'_>) {
        assert!(
            py.interpreter() == self.interpreter,
            "an object was used in another interpreter: this is a bug"
        );
        // SAFETY: this value owned one reference; it is not used again.
        unsafe { ffi::Py_DECREF(self.raw.as_ptr()) };
    }
}
