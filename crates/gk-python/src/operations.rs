//! Operations on an [`Object`]: kinds, attributes, calls, items, iteration, contents.

use crate::error::PyError;
use crate::object::Object;
use pyo3_ffi as ffi;
use std::borrow::Cow;
use std::ffi::CStr;
use std::ptr::NonNull;

/// An iterator: what `iter()` of a Python object gave. Only this can be asked for its next item, because CPython calls a null
/// pointer when it asks something that is no iterator.
///
/// ```no_run
/// # gk_python::entry::embed(|py| {
/// let list = py.list(&[py.none()]).unwrap();
/// let items = list.iter().unwrap();
/// assert!(items.next().unwrap().is_some());
/// # });
/// ```
///
/// ```compile_fail,E0599
/// # gk_python::entry::embed(|py| {
/// let list = py.list(&[py.none()]).unwrap();
/// assert!(list.next().unwrap().is_some()); // A list is no iterator: no method named `next`.
/// # });
/// ```
pub struct Iter<'p>(Object<'p>);

// === impl Iter ===

impl<'p> Iter<'p> {
    /// `next(self)`; `None` at its end.
    pub fn next(&self) -> Result<Option<Object<'p>>, PyError<'p>> {
        let Object { raw, py } = &self.0;
        // SAFETY: live, and PyObject_GetIter gives iterators only.
        let item = unsafe { ffi::PyIter_Next(raw.as_ptr()) };
        match NonNull::new(item) {
            Some(item) => Ok(Some(Object::new(item, *py))),
            None => PyError::pending(*py).map_or(Ok(None), Err),
        }
    }
}

// === impl Object ===

impl<'p> Object<'p> {
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
        // SAFETY: the array holds `args.len()` live borrowed references behind its first slot, which the callee may write.
        self.py.owned(unsafe {
            ffi::PyObject_Vectorcall(
                self.raw(),
                raw.as_mut_ptr().wrapping_add(1),
                count,
                std::ptr::null_mut(),
            )
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

    /// Length of a `list` at this moment, 0 of other kinds.
    pub fn list_len(&self) -> usize {
        if !self.is_list() {
            return 0;
        }
        // SAFETY: a live list.
        unsafe { ffi::PyList_Size(self.raw()) as usize }
    }

    /// Item of a `list`; an error when it has become shorter.
    pub fn list_item(&self, index: usize) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: live; wrong kind or index raises; gives an owned reference also where other threads change the list.
        self.py.owned(unsafe { ffi::compat::PyList_GetItemRef(self.raw(), index as ffi::Py_ssize_t) })
    }

    /// Item of a `tuple`.
    pub fn tuple_item(&self, index: usize) -> Result<Object<'p>, PyError<'p>> {
        // SAFETY: live; wrong kind or index raises; tuples do not change, so the borrowed item is alive.
        self.py.borrowed(unsafe { ffi::PyTuple_GetItem(self.raw(), index as ffi::Py_ssize_t) })
    }

    /// `iter(self)`.
    pub fn iter(&self) -> Result<Iter<'p>, PyError<'p>> {
        // SAFETY: live.
        self.py.owned(unsafe { ffi::PyObject_GetIter(self.raw()) }).map(Iter)
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
        // SAFETY: a live str, as it has UTF-8.
        let characters = unsafe { ffi::PyUnicode_GetLength(self.raw()) };
        if text.len() == characters as usize {
            // As many bytes as characters: ASCII.
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        text.chars().map(|c| u8::try_from(c as u32).ok()).collect::<Option<Vec<u8>>>().map(Cow::Owned)
    }

    /// `str(self)` for messages; never fails.
    pub fn display(&self) -> String {
        // SAFETY: live.
        match self.py.owned(unsafe { ffi::PyObject_Str(self.raw()) }) {
            Ok(text) => match text.as_utf8() {
                Some(plain) => plain.to_owned(),
                // A lone surrogate, which a JSON body can bring in, must not hide the rest of a message.
                None => text.escaped().unwrap_or_else(|_| "?".to_owned()),
            },
            Err(_) => format!("<{} object>", self.type_name()),
        }
    }

    /// A `str` with everything that is not UTF-8 written as `\\udc80`.
    fn escaped(&self) -> Result<String, PyError<'p>> {
        let how = [&self.py.str("utf-8")?, &self.py.str("backslashreplace")?];
        let bytes = self.call_method("encode", &how)?;
        Ok(String::from_utf8_lossy(bytes.as_bytes().unwrap_or_default()).into_owned())
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
