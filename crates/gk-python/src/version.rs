//! Which CPython this is. Both questions are answered by the running interpreter, not by the build.

use crate::attached::Attached;

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

/// The minor version of Python 3 that this library was built for (the only one that can load it).
pub fn minor() -> u8 {
    const MINORS: [bool; 5] = [cfg!(Py_3_11), cfg!(Py_3_12), cfg!(Py_3_13), cfg!(Py_3_14), cfg!(Py_3_15)];
    10 + MINORS.iter().filter(|at_least| **at_least).count() as u8
}
