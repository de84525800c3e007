//! The Python part of an interpreter: the files of `runtime/`, and their functions and objects that Rust uses.

use gk_python::{Attached, Kept, Object, PyError};
use std::ffi::CStr;

/// The files joined into one source: they share a namespace, and tracebacks name them all `<gilkeeper>`. `callables.py` is the
/// package's, as the doctor runs it, too. `modules.py` is last, as it ends with the call that prepares the interpreter.
const SOURCE: &CStr = match CStr::from_bytes_with_nul(
    concat!(
        include_str!("runtime/laziness.py"),
        include_str!("runtime/streams.py"),
        include_str!("runtime/logs.py"),
        include_str!("runtime/imports.py"),
        include_str!("runtime/events.py"),
        include_str!("runtime/metrics.py"),
        include_str!("runtime/signals.py"),
        include_str!("runtime/hooks.py"),
        include_str!("runtime/threads.py"),
        include_str!("runtime/ending.py"),
        include_str!("../../../../python/gilkeeper/callables.py"),
        include_str!("runtime/modules.py"),
        "\0"
    )
    .as_bytes(),
) {
    Ok(source) => source,
    Err(_) => panic!("the files of runtime/ hold no NUL"),
};

macro_rules! runtime {
    ($($field:ident = $name:literal),* $(,)?) => {
        /// Functions and objects of `runtime/`, by their names there.
        pub(crate) struct Runtime { $(pub(crate) $field: Kept),* }

        impl Runtime {
            /// Runs the files in the interpreter that this thread is attached to. `host`, `facts`: the names they begin with.
            pub(crate) fn load<'p>(
                py: Attached<'p>,
                host: Object<'p>,
                facts: Object<'p>,
            ) -> Result<Self, PyError<'p>> {
                let namespace = py.run(SOURCE, c"<gilkeeper>", &[("host", host), ("facts", facts)])?;
                Ok(Self { $($field: namespace.item(&py.str($name)?)?.keep()),* })
            }
        }
    };
}

runtime! {
    errors = "errors", file_wrapper = "FileWrapper", regular_file = "regular_file",
    compile_script = "compile_script", run_script = "run_script", import_module = "import_module",
    find_callable = "find_callable", lone_app = "lone_app", usual_callables = "usual_callables",
    speaks_asgi = "speaks_asgi",
    add_paths = "add_paths", insert_home = "insert_home", set_locale = "set_locale",
    request_timeout = "RequestTimeout", event_callbacks = "event_callbacks", watched_request = "WatchedRequest",
    active_requests = "active_requests", stopping = "stopping", signalled = "signalled",
    watch_collections = "watch_collections", heed_signals = "heed_signals",
    living_threads = "living_threads", thread_names = "thread_names", stacks = "stacks", imports_under_way = "imports_under_way",
    end_threads = "end_threads", end_functions = "end_functions", held_up = "held_up",
    flush_streams = "flush_streams", set_request_id = "set_request_id", configure_logging = "configure_logging", hook_script = "HookScript",
}
