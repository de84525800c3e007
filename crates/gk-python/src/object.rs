//! [`Object`]: a reference that borrows the proof of attachment ([`Attached`]) and so cannot outlive it. Operations
//! on objects are in `operations`.

use crate::attached::Attached;
use crate::balance::Held;
use pyo3_ffi as ffi;
use std::ptr::NonNull;

/// An owned reference, released when dropped, always under the attachment it was made in.
pub struct Object<'p> {
    pub(crate) raw: NonNull<ffi::PyObject>,
    pub(crate) py: Attached<'p>,
}

// === impl Object ===

impl Drop for Object<'_> {
    fn drop(&mut self) {
        Held::Object.given_back();
        // SAFETY: an owned reference, and `py` says the thread is attached.
        unsafe { ffi::Py_DECREF(self.raw.as_ptr()) }
    }
}

impl Clone for Object<'_> {
    fn clone(&self) -> Self {
        // SAFETY: a live reference under attachment.
        unsafe { ffi::Py_INCREF(self.raw.as_ptr()) };
        Self::new(self.raw, self.py)
    }
}

impl<'p> Object<'p> {
    pub(crate) fn raw(&self) -> *mut ffi::PyObject {
        self.raw.as_ptr()
    }

    /// Takes a reference over.
    pub(crate) fn new(raw: NonNull<ffi::PyObject>, py: Attached<'p>) -> Self {
        Held::Object.taken();
        Self { raw, py }
    }

    pub(crate) fn into_raw(self) -> *mut ffi::PyObject {
        Held::Object.given_back();
        let raw = self.raw.as_ptr();
        std::mem::forget(self);
        raw
    }

    /// The attachment it was made in.
    pub fn py(&self) -> Attached<'p> {
        self.py
    }

    /// Whether both are the same object.
    pub fn is(&self, other: &Object<'_>) -> bool {
        self.raw == other.raw
    }
}
