//! The end of a child that the application forked and that came out of the code which the server had called. It has a copy of
//! the server and must not go on as a second one: it ends here, without the server's endings and without functions that the
//! parent registered with `atexit`.

use crate::interpreter::runtime::Runtime;
use crate::log::log;
use gk_python::{Attached, PyError};
use gk_wire::log::Level;

/// Exit status after an exception.
pub(crate) const FAILED: i32 = 1;

/// The code that the server had called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Called<'a> {
    /// A WSGI application, by its script.
    Application(&'a str),
    /// A script while it was loaded, or a service script.
    Script(&'a str),
    /// A function that the application had given to the server or to `atexit`.
    Function,
}

/// Ends the process if it is a forked child. `error`: what came out of the code instead of a result.
#[inline]
pub(crate) fn stop_child<'p>(
    py: Attached<'p>,
    runtime: &Runtime,
    called: Called<'_>,
    error: Option<&PyError<'p>>,
) {
    if gk_sys::fork::is_child() {
        end(py, runtime, called, error);
    }
}

#[cold]
fn end<'p>(py: Attached<'p>, runtime: &Runtime, called: Called<'_>, error: Option<&PyError<'p>>) -> ! {
    let (parent, place) = match called {
        Called::Application(script) => (format!("application '{script}'"), "the WSGI call"),
        Called::Script(script) => (format!("script '{script}'"), "the script"),
        Called::Function => ("the application".to_owned(), "a function that the server called"),
    };
    // Text without a line's end that the application has printed.
    let _ = runtime.flush_streams.bind(py).call(&[]);
    let status = match error {
        None => {
            let text = format!(
                "{parent} forked and its child returned from {place}; the child ends here with status 0, and nothing of its \
                 response is sent: end a forked child with os._exit()"
            );
            log(Level::Warn, Some("GK0040"), &text);
            0
        }
        Some(error) if error.is_system_exit() => {
            let status = exit_status(error);
            let text =
                format!("{parent} forked and its child left {place} by SystemExit with status {status}");
            log(Level::Info, Some("GK0040"), &text);
            status
        }
        Some(error) => {
            let text = format!(
                "{parent} forked and an exception ended {place} in its child; the child ends here with status 1\n{}",
                error.traceback()
            );
            log(Level::Error, Some("GK0040"), &text);
            FAILED
        }
    };
    gk_sys::own_process::exit_now(status)
}

/// Exit status that Python gives a process for this `SystemExit`.
pub(crate) fn exit_status(error: &PyError<'_>) -> i32 {
    let Ok(code) = error.value().attr("code") else { return FAILED };
    if code.is_none() {
        return 0;
    }
    match code.index() {
        // The kernel keeps the lowest eight bits.
        Ok(number) => (number & 0xff) as i32,
        Err(_) => {
            log(Level::Error, None, &code.display());
            FAILED
        }
    }
}
