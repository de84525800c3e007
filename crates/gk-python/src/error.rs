//! A raised Python exception as a value, and raising one from Rust. Texts for the log are made here; what is logged, and
//! under which code, is decided above.

use crate::attached::Attached;
use crate::object::Object;
use pyo3_ffi as ffi;

/// A raised, normalised exception.
pub struct PyError<'p> {
    value: Object<'p>,
}

/// The traceback, so that a test that unwraps says what happened.
impl std::fmt::Debug for PyError<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.traceback())
    }
}

/// Which built-in exception to raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Python's")]
pub enum Builtin {
    TypeError,
    ValueError,
    RuntimeError,
    OSError,
    SystemError,
}

impl Builtin {
    fn class(self) -> *mut ffi::PyObject {
        match self {
            // SAFETY: a static of CPython, set before any code runs.
            Self::TypeError => unsafe { ffi::PyExc_TypeError },
            // SAFETY: as above.
            Self::ValueError => unsafe { ffi::PyExc_ValueError },
            // SAFETY: as above.
            Self::RuntimeError => unsafe { ffi::PyExc_RuntimeError },
            // SAFETY: as above.
            Self::OSError => unsafe { ffi::PyExc_OSError },
            // SAFETY: as above.
            Self::SystemError => unsafe { ffi::PyExc_SystemError },
        }
    }
}

impl<'p> PyError<'p> {
    /// The pending exception; there must be one (if CPython broke its word, a `SystemError` stands in).
    pub(crate) fn take(py: Attached<'p>) -> Self {
        Self::pending(py)
            .unwrap_or_else(|| Self::new(py, Builtin::SystemError, "an error without an exception"))
    }

    /// The pending exception, if there is one. It is cleared.
    pub(crate) fn pending(py: Attached<'p>) -> Option<Self> {
        #[cfg(Py_3_12)]
        {
            // SAFETY: attached; gives an owned reference or null.
            let raw = unsafe { ffi::PyErr_GetRaisedException() };
            if raw.is_null() { None } else { py.owned(raw).ok().map(|value| Self { value }) }
        }
        #[cfg(not(Py_3_12))]
        {
            let (mut kind, mut value, mut trace) =
                (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
            // SAFETY: attached; three out-pointers to live locals.
            unsafe { ffi::PyErr_Fetch(&mut kind, &mut value, &mut trace) };
            if kind.is_null() {
                return None;
            }
            // SAFETY: the three references just fetched; they may be replaced.
            unsafe { ffi::PyErr_NormalizeException(&mut kind, &mut value, &mut trace) };
            if !trace.is_null() {
                // SAFETY: both live.
                unsafe { ffi::PyException_SetTraceback(value, trace) };
            }
            // SAFETY: this function owns the reference.
            unsafe { ffi::Py_XDECREF(kind) };
            // SAFETY: this function owns the reference.
            unsafe { ffi::Py_XDECREF(trace) };
            py.owned(value).ok().map(|value| Self { value })
        }
    }

    /// A new exception of a built-in kind.
    pub fn new(py: Attached<'p>, kind: Builtin, message: &str) -> Self {
        let class = kind.class();
        let made = py.borrowed(class).and_then(|class| class.call(&[&py.str(message)?]));
        match made {
            Ok(value) => Self { value },
            Err(other) => other,
        }
    }

    /// From an exception object, as in `raise value`; what is none becomes a `TypeError`, as it does there.
    pub fn from_value(value: Object<'p>) -> Self {
        // SAFETY: a live object; only its type's flags are read.
        if unsafe { ffi::PyExceptionInstance_Check(value.raw()) } != 0 {
            return Self { value };
        }
        let text = format!("exceptions must derive from BaseException, not {}", value.type_name());
        Self::new(value.py(), Builtin::TypeError, &text)
    }

    /// Makes it the pending exception again, for returning null to CPython.
    pub(crate) fn restore(self) {
        #[cfg(Py_3_12)]
        {
            let raw = self.value.into_raw();
            // SAFETY: takes over the reference.
            unsafe { ffi::PyErr_SetRaisedException(raw) };
        }
        #[cfg(not(Py_3_12))]
        {
            let raw = self.value.into_raw();
            // SAFETY: a live exception object.
            let trace = unsafe { ffi::PyException_GetTraceback(raw) };
            // SAFETY: a live object's type.
            let kind = unsafe { ffi::Py_TYPE(raw) }.cast::<ffi::PyObject>();
            // SAFETY: PyErr_Restore takes a reference of its own.
            unsafe { ffi::Py_INCREF(kind) };
            // SAFETY: takes over the three references.
            unsafe { ffi::PyErr_Restore(kind, raw, trace) };
        }
    }

    /// The exception object.
    pub fn value(&self) -> &Object<'p> {
        &self.value
    }

    /// `isinstance(exception, AttributeError)`.
    pub fn is_attribute_error(&self) -> bool {
        // SAFETY: a static class.
        self.is_instance(unsafe { ffi::PyExc_AttributeError })
    }

    /// `isinstance(exception, SystemExit)`.
    pub fn is_system_exit(&self) -> bool {
        // SAFETY: a static class.
        self.is_instance(unsafe { ffi::PyExc_SystemExit })
    }

    /// `isinstance(exception, class)`.
    pub fn is_a(&self, class: &Object<'p>) -> bool {
        self.is_instance(class.raw())
    }

    fn is_instance(&self, class: *mut ffi::PyObject) -> bool {
        // SAFETY: both live.
        unsafe { ffi::PyErr_GivenExceptionMatches(self.value.raw(), class) != 0 }
    }

    /// The type with its module, as a traceback names it: `ValueError`, `shop.errors.Missing`. A class may answer anything when asked
    /// for its module, or nothing; then it is the type's own name.
    pub fn type_in_full(&self) -> String {
        let short = self.value.type_name();
        let text = |name: &str| {
            let text = self.value.attr("__class__").and_then(|class| class.attr(name));
            text.ok().filter(Object::is_str).map(|text| text.display())
        };
        match (text("__module__"), text("__qualname__")) {
            (Some(module), Some(name)) if module == "builtins" || module == "__main__" => name,
            (Some(module), Some(name)) => format!("{module}.{name}"),
            _ => short,
        }
    }

    /// One line: `ValueError: the message`.
    pub fn summary(&self) -> String {
        let text = self.value.display();
        if text.is_empty() { self.value.type_name() } else { format!("{}: {text}", self.value.type_name()) }
    }

    /// Python's own traceback text; the summary where even that cannot be made.
    pub fn traceback(&self) -> String {
        let py = self.value.py();
        let made = py.import("traceback").and_then(|module| {
            let lines = module.call_method("format_exception", &[&self.value])?;
            let empty = py.str("")?;
            empty.call_method("join", &[&lines])
        });
        match made {
            Ok(text) => text.display(),
            Err(_) => self.summary(),
        }
    }
}
