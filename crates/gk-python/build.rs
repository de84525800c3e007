//! Makes the `Py_3_12`-style and `Py_GIL_DISABLED` cfgs of the linked CPython known to this crate.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    // Test binaries load libpython from where it was linked; the wheel's extension module resolves it in its host.
    pyo3_build_config::add_libpython_rpath_link_args();
}
