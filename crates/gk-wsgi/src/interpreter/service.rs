//! Service scripts: a script that runs for as long as its process lives, told to end by a signal. What ends a run is turned
//! into the status that the process exits with. Loading a script for requests is `script`'s.

use crate::interpreter::application::Application;
use crate::interpreter::script::{self, Stage, no_file, report};
use crate::log::log;
use gk_python::{Attached, PyError};
use gk_wire::log::Level;
use std::path::Path;

/// Exit status after an exception.
const FAILED: i32 = 1;

impl Application {
    /// Makes SIGTERM and SIGINT raise `SystemExit` in the main thread. Works in the main interpreter only; a failure is
    /// logged, and these signals then end the process on the spot.
    pub fn heed_signals(&self, py: Attached<'_>) {
        if let Err(error) = self.runtime.heed_signals.bind(py).call(&[]) {
            let text =
                format!("A service script that is told to end ends on the spot\n{}", error.traceback());
            log(Level::Error, Some("WSGI0090"), &text);
        }
    }

    /// Runs a service script. The status to exit with where it was broken off, by an exception (which has been logged) or by
    /// `SystemExit`; `None` where it came to its last line.
    pub fn serve(&self, py: Attached<'_>, script: &str, is_module: bool) -> Option<i32> {
        if !is_module && no_file(Path::new(script), false).is_some() {
            return Some(FAILED);
        }
        let runtime = &self.runtime;
        let ran = if is_module {
            script::import(py, runtime, script)
        } else {
            script::run_file(py, runtime, script)
        };
        match ran {
            Ok(_) => None,
            Err((error, _)) if error.is_system_exit() => Some(status(&error)),
            Err((error, Stage::Read)) => {
                report(&error, Stage::Read, script, false);
                Some(FAILED)
            }
            Err((error, Stage::Run)) => {
                log(
                    Level::Error,
                    Some("WSGI0110"),
                    &format!("Service script '{script}' raised an exception"),
                );
                log(Level::Error, Some("WSGI0174"), &error.traceback());
                Some(FAILED)
            }
        }
    }

    /// What a Python does behind the end of its program: joins threads that are no daemons, calls what was registered with
    /// `atexit`. A signal that tells the script to end ends the wait for the threads.
    pub fn end_service(&self, py: Attached<'_>) {
        for step in [&self.runtime.end_threads, &self.runtime.end_functions] {
            match step.bind(py).call(&[]) {
                Err(error) if !error.is_system_exit() => {
                    log(Level::Error, Some("WSGI0098"), &error.traceback());
                }
                _ => {}
            }
        }
    }
}

/// The status that Python gives a process that ends with this `SystemExit`.
fn status(error: &PyError<'_>) -> i32 {
    let Ok(code) = error.value().attr("code") else { return FAILED };
    if code.is_none() {
        return 0;
    }
    match code.index() {
        // The kernel keeps as much of it.
        Ok(number) => (number & 0xff) as i32,
        Err(_) => {
            log(Level::Error, None, &code.display());
            FAILED
        }
    }
}
