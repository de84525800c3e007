//! Advice: what to change, one short paragraph for each kind of finding. Names only remedies that are known to help.

use super::report::{Mode, ModuleReport};
use super::study::{InterpreterKind, ModuleOutcome};

/// The choice that always works.
pub const GLOBAL: &str = "Serve it in the main interpreter: WSGIApplicationGroup %{GLOBAL}. Give each of several \
    applications a process group of its own.";
/// For daemon threads under a GIL of their own.
pub const DAEMON: &str = "Start the thread with daemon=False and end it in a function given to \
    gilkeeper.subscribe_shutdown(), which is called while the interpreter is alive; or serve the application in the main \
    interpreter (WSGIApplicationGroup %{GLOBAL}).";
/// For an interpreter that does not end.
pub const END: &str = "End the threads in a function given to gilkeeper.subscribe_shutdown(). Functions registered with \
    atexit run only after non-daemon threads were joined, so a thread that waits for one of them waits for ever, and the \
    worker is killed when shutdown-timeout is over.";
/// For code that needs the GIL.
pub const KEEP_GIL: &str = "Leave WSGIFreeThreading Off for this process group, or put the applications that use it into \
    a process group of their own that keeps the GIL.";
/// For atexit.
pub const ATEXIT: &str = "They run when the interpreter ends, after non-daemon threads were joined, and not at all when \
    shutdown-timeout is over or WSGIDestroyInterpreter is Off. Put work that must be done into a function given to \
    gilkeeper.subscribe_shutdown().";
/// For imports inside functions.
pub const LATER: &str = "They were tried after the application, as the first request that calls such a function would. Findings about \
    them count.";
/// For threads and context variables.
pub const CONTEXT: &str = "Where a thread needs them, start it with contextvars.copy_context().run as its target; PYTHON_THREAD_INHERIT_CONTEXT=0 or 1 \
    in the server's environment makes it the same in each Python from 3.14 on.";
/// For signals.
pub const SIGNAL: &str = "A worker's signals belong to the server: the call is logged and nothing is installed, unless \
    WSGIRestrictSignal is Off. Use gilkeeper.subscribe_shutdown() to learn that the process ends.";

/// Distributions with wheels for free-threaded CPython 3.14, and popular ones without, as of November 2026.
const FREE_WHEELS: [&str; 23] = [
    "aiohttp",
    "asyncpg",
    "bcrypt",
    "cffi",
    "cryptography",
    "greenlet",
    "hiredis",
    "jiter",
    "lxml",
    "markupsafe",
    "msgpack",
    "numpy",
    "pandas",
    "pillow",
    "psutil",
    "pydantic-core",
    "pymongo",
    "pyyaml",
    "regex",
    "rpds-py",
    "sqlalchemy",
    "ujson",
    "uvloop",
];
const NO_FREE_WHEELS: [&str; 6] =
    ["gevent", "grpcio", "orjson", "psycopg-binary", "psycopg2-binary", "zstandard"];

/// For the outcome of an extension module.
pub fn of_module(
    mode: Mode,
    place: InterpreterKind,
    outcome: &ModuleOutcome,
    module: &ModuleReport,
) -> String {
    let what = module.distribution.as_deref().unwrap_or(&module.name);
    match (mode, outcome) {
        (_, ModuleOutcome::NotReached) => {
            "Name the module with --import, so that it is tried by itself, or fix the failure before it."
                .to_owned()
        }
        (Mode::SubInterpreter, _) if place == InterpreterKind::SecondSubInterpreter => format!(
            "One interpreter of a process can have {what}. Give each application that uses it a process group of its own, \
             with WSGIApplicationGroup %{{GLOBAL}}."
        ),
        (Mode::SubInterpreter, _) => GLOBAL.to_owned(),
        (Mode::OwnGil, ModuleOutcome::Lost { .. }) => format!(
            "The application works there on Python code in place of {what}'s C code: slower, and not what was tested. \
             WSGIApplicationGroup %{{GLOBAL}} keeps the C part; a GIL of its own is for applications without it."
        ),
        (Mode::OwnGil, _) => format!(
            "Serve applications that use {what} in the main interpreter, which never has a GIL of its own: WSGIApplicationGroup \
             %{{GLOBAL}}, more processes in place of more interpreters. Leave WSGIPerInterpreterGIL to applications \
             without it."
        ),
        (Mode::FreeThreading, ModuleOutcome::GilBack { .. }) => {
            format!(
                "{KEEP_GIL}{} A module that loads anyway is not thereby safe without a GIL: its author has not said so.",
                wheels(what)
            )
        }
        (Mode::FreeThreading, _) => KEEP_GIL.to_owned(),
    }
}

/// For an import that fails by itself.
pub fn import_fails(mode: Mode, error: &str) -> String {
    let about = error.to_lowercase();
    match mode {
        Mode::OwnGil if about.contains("fork") || about.contains("exec") => format!(
            "An interpreter with a GIL of its own may not start processes. Do it later from a process group in the main \
             interpreter. {GLOBAL}"
        ),
        Mode::FreeThreading => KEEP_GIL.to_owned(),
        Mode::OwnGil | Mode::SubInterpreter => GLOBAL.to_owned(),
    }
}

/// For a script without the callable that is asked for.
pub fn no_application(others: &[String]) -> String {
    match others.first() {
        Some(module) if module.starts_with('.') => format!("Its module SCRIPT{module} is probably meant."),
        Some(other) => format!(
            "It has `{other}`: write SCRIPT:{other}, or --callable-object {other}, and WSGICallableObject {other} in a configuration."
        ),
        None => "Name the file or package.module that makes the WSGI application, or its callable with --callable-object."
            .to_owned(),
    }
}

/// For modules that could not be tried without a GIL.
pub fn undeclared(owners: &[&str]) -> String {
    let known: String = owners.iter().map(|owner| wheels(owner)).collect();
    format!(
        "Many packages declare it only when they are built for a free-threaded Python, so this says little: run \
         `gilkeeper doctor` again with --python naming a free-threaded build.{known}"
    )
}

/// A sentence on a distribution's wheels for free-threaded Python, if it is in the lists.
fn wheels(distribution: &str) -> String {
    let name = distribution.to_lowercase().replace('_', "-");
    if FREE_WHEELS.contains(&name.as_str()) {
        return format!(" {distribution} has wheels for free-threaded CPython 3.14.");
    }
    if NO_FREE_WHEELS.contains(&name.as_str()) {
        let source = if name == "psycopg-binary" { "; psycopg builds from source" } else { "" };
        return format!(
            " {distribution} has no wheel for free-threaded CPython 3.14 (November 2026){source}."
        );
    }
    String::new()
}
