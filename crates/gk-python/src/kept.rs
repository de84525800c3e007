//! [`Kept`]: a reference without an attachment, turned back into an object under a new one.

pub mod lent;

use crate::attached::Attached;
use crate::balance::Held;
use crate::error::PyError;
use crate::object::Object;
use pyo3_ffi as ffi;
use std::ptr::NonNull;

/// An owned reference that lives without an attachment. It must be given back with [`Kept::release`] in its own
/// interpreter; one that is merely dropped leaks its object (safe, and counted nowhere: use it for long-lived things).
pub struct Kept {
    pub(crate) raw: NonNull<ffi::PyObject>,
    /// CPython's number of the interpreter it belongs to. Addresses come back, numbers do not.
    pub(crate) interpreter: i64,
}

// SAFETY: without an attachment nothing can be done with the pointer; `bind` checks the interpreter.
unsafe impl Send for Kept {}
// SAFETY: as above; CPython's reference counts are only touched under an attachment.
unsafe impl Sync for Kept {}

// === impl Kept ===

impl Kept {
    /// # Panics
    /// When attached to another interpreter.
    pub(crate) fn belongs(&self, py: Attached<'_>) {
        assert!(
            py.interpreter_id() == self.interpreter,
            "an object was used in another interpreter: this is a bug"
        );
    }

    /// The object under an attachment to its own interpreter.
    ///
    /// # Panics
    /// When attached to another interpreter: a bug of the caller that must not reach CPython.
    pub fn bind<'p>(&self, py: Attached<'p>) -> Object<'p> {
        self.belongs(py);
        // SAFETY: a live reference of this interpreter, and the thread is attached to it.
        unsafe { ffi::Py_INCREF(self.raw.as_ptr()) };
        Object::new(self.raw, py)
    }

    /// An attribute, without touching the reference counts of the object and of the name: several threads may ask at once. One that a
    /// module has in its `dict` is found there, past the look for a descriptor of its type.
    ///
    /// # Panics
    /// When attached to another interpreter.
    pub fn attr<'p>(&self, py: Attached<'p>, name: &Kept) -> Result<Object<'p>, PyError<'p>> {
        self.belongs(py);
        name.belongs(py);
        // SAFETY: a live object.
        if unsafe { ffi::PyModule_CheckExact(self.raw.as_ptr()) } != 0 {
            // SAFETY: a module, whose dict lives as long as it.
            let dict = unsafe { ffi::PyModule_GetDict(self.raw.as_ptr()) };
            let mut found = std::ptr::null_mut();
            // SAFETY: a live dict and a live name; an owned reference is put into `found`.
            let status = unsafe { ffi::compat::PyDict_GetItemRef(dict, name.raw.as_ptr(), &mut found) };
            if status != 0 {
                return py.owned(found);
            }
        }
        // SAFETY: both live, by the references that these values own.
        py.owned(unsafe { ffi::PyObject_GetAttr(self.raw.as_ptr(), name.raw.as_ptr()) })
    }

    /// The length of a `list`, 0 for anything else, without touching its reference count: several threads may ask at once
    /// for the same list.
    pub fn list_len(&self, py: Attached<'_>) -> usize {
        self.belongs(py);
        // SAFETY: a live object.
        if unsafe { ffi::PyList_Check(self.raw.as_ptr()) } == 0 {
            return 0;
        }
        // SAFETY: a live list.
        usize::try_from(unsafe { ffi::PyList_Size(self.raw.as_ptr()) }).unwrap_or(0)
    }

    /// Gives the reference back.
    pub fn release(self, py: Attached<'_>) {
        self.belongs(py);
        Held::Kept.given_back();
        // SAFETY: this value owned one reference; it is not used again.
        unsafe { ffi::Py_DECREF(self.raw.as_ptr()) };
    }
}

impl<'p> Object<'p> {
    /// A reference that may outlive the attachment.
    pub fn keep(self) -> Kept {
        Held::Object.given_back();
        Held::Kept.taken();
        let interpreter = self.py.interpreter_id();
        let raw = self.raw;
        std::mem::forget(self);
        Kept { raw, interpreter }
    }

    /// Whether its type is exactly the one that is kept, without touching that type's reference count.
    pub fn is_exactly_kept(&self, class: &Kept) -> bool {
        // SAFETY: a live object; only the address of its type is read.
        std::ptr::eq(unsafe { ffi::Py_TYPE(self.raw()) }.cast(), class.raw.as_ptr())
    }

    /// The interned `str` of the same text, where it is a `str`.
    pub fn interned(self) -> Self {
        let py = self.py;
        let mut raw = self.into_raw();
        // SAFETY: a live reference that CPython may replace by one to the interned `str`; it leaves what is no exact `str` as it is.
        unsafe { ffi::PyUnicode_InternInPlace(&mut raw) };
        match NonNull::new(raw) {
            Some(raw) => Self::new(raw, py),
            None => py.none(),
        }
    }

    /// `self[key] = value` of a `dict`, with a key that is kept for this purpose.
    ///
    /// # Panics
    /// When attached to another interpreter than the key's.
    pub fn set_kept(&self, key: &Kept, value: &Object<'p>) -> Result<(), PyError<'p>> {
        key.belongs(self.py);
        // SAFETY: all live, the key by its own reference; on something that is no dict it raises SystemError.
        self.py.check(unsafe { ffi::PyDict_SetItem(self.raw(), key.raw.as_ptr(), value.raw()) })
    }
}
