//! Which CPython this is. Both questions are answered by the running interpreter, not by the build.

use crate::object::Attached;

/// `major.minor.micro`, with `t` for a free-threaded build.
pub fn text(py: Attached<'_>) -> String {
    // SAFETY: no arguments.
    let raw = unsafe { pyo3_ffi::Py_GetVersion() };
    // SAFETY: a static C string.
    let raw = unsafe { std::ffi::CStr::from_ptr(raw) };
    let number = raw.to_string_lossy().split([' ', '+']).next().unwrap_or_default().to_owned();
    let _ = py;
    if FREE_THREADED_BUILD { format!("{number}t") } else { number }
}

/// Whether this library was built for a free-threaded CPython (the only kind that can load it then).
pub const FREE_THREADED_BUILD: bool = cfg!(Py_GIL_DISABLED);
