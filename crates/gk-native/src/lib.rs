//! The extension module `gilkeeper._native`: the doors to the command line, the front, the admin process and the worker, and the one exported
//! symbol. No behaviour lives here.

use gk_python::entry::{Entry, Function, entry};
use gk_python::error::Builtin;
use gk_python::{Attached, Object, PyError};
use gk_supervisor::{PythonBuild, PythonRuntime};
use std::ffi::{CStr, OsString, c_void};

/// Called by CPython when the module is imported.
// SAFETY: the name is this library's own: CPython looks for it, nothing else defines it.
#[unsafe(no_mangle)]
pub extern "C" fn PyInit__native() -> *mut c_void {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version holds no NUL"),
        };
    let functions: Vec<Entry> = vec![entry::<Main>(), entry::<Front>(), entry::<Admin>(), entry::<Worker>()];
    gk_python::entry::init(c"gilkeeper._native", VERSION, functions)
}

/// `main(argv, executable, package_dir) -> int`
struct Main;

impl Function for Main {
    const NAME: &'static CStr = c"main";
    const DOC: &'static CStr =
        c"main(argv, executable, package_dir, /)\n--\n\nThe command line; gives the exit code.";

    fn call<'p>(py: Attached<'p>, args: &[Object<'p>]) -> Result<i64, PyError<'p>> {
        let wrong = || PyError::new(py, Builtin::TypeError, "main() takes a list of str and two str");
        let [argv, executable, package_dir] = args else { return Err(wrong()) };
        let argv = argv.to_tuple()?;
        let argv = (0..argv.size()?).map(|i| text(&argv.tuple_item(i)?)).collect::<Result<Vec<_>, _>>()?;
        let build = PythonBuild {
            minor: gk_python::version::minor(),
            free_threaded: gk_python::version::FREE_THREADED_BUILD,
        };
        let python = PythonRuntime::new(text(executable)?, text(package_dir)?).with_build(build);
        Ok(i64::from(py.detach(|| gk_cli::main(argv, python))))
    }
}

/// A `str` as the operating system knows it: Python's surrogates are the bytes that are no UTF-8.
fn text<'p>(object: &Object<'p>) -> Result<OsString, PyError<'p>> {
    use std::os::unix::ffi::OsStringExt;
    let py = object.py();
    let bytes = py.import("os")?.call_method("fsencode", &[object])?;
    Ok(OsString::from_vec(bytes.as_bytes().unwrap_or_default().to_vec()))
}

/// `front() -> int`
struct Front;

impl Function for Front {
    const NAME: &'static CStr = c"front";
    const DOC: &'static CStr =
        c"front()\n--\n\nThe front process, started by the supervisor; gives the exit code.";

    fn call<'p>(py: Attached<'p>, _: &[Object<'p>]) -> Result<i64, PyError<'p>> {
        Ok(i64::from(py.detach(gk_cli::front_main)))
    }
}

/// `admin() -> int`
struct Admin;

impl Function for Admin {
    const NAME: &'static CStr = c"admin";
    const DOC: &'static CStr =
        c"admin()\n--\n\nThe admin process, started by the front; gives the exit code.";

    fn call<'p>(py: Attached<'p>, _: &[Object<'p>]) -> Result<i64, PyError<'p>> {
        Ok(i64::from(py.detach(gk_cli::admin_main)))
    }
}

/// `worker() -> int`
struct Worker;

impl Function for Worker {
    const NAME: &'static CStr = c"worker";
    const DOC: &'static CStr =
        c"worker()\n--\n\nA worker process, started by the supervisor; gives the exit code.";

    fn call<'p>(py: Attached<'p>, _: &[Object<'p>]) -> Result<i64, PyError<'p>> {
        Ok(i64::from(gk_worker::run(py, gk_cli::embedded_front)))
    }
}
