//! Service scripts: a script that runs as long as its process and is ended by a signal. The end of the script decides the
//! exit status of the process. `script` loads scripts for requests.

use crate::forked::{Called, FAILED, exit_status, stop_child};
use crate::interpreter::application::Application;
use crate::interpreter::script::{self, LoadStage, no_file, report};
use crate::log::log;
use gk_python::Attached;
use gk_wire::log::Level;
use std::path::Path;

impl Application {
    /// Makes SIGTERM and SIGINT raise `SystemExit` in the main thread. Works in the main interpreter only; a failure is
    /// logged, and the signals then end the process at once.
    pub fn heed_signals(&self, py: Attached<'_>) {
        if let Err(error) = self.runtime.heed_signals.bind(py).call(&[]) {
            let text = format!(
                "SIGTERM and SIGINT end this service script at once: their handlers cannot be set\n{}",
                error.traceback()
            );
            log(Level::Error, Some("WSGI0090"), &text);
        }
    }

    /// Runs a service script. Returns the exit status if an exception (logged) or `SystemExit` ended it, `None` if it
    /// reached its last line.
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
            Err((error, _)) if error.is_system_exit() => Some(exit_status(&error)),
            Err((error, LoadStage::Read)) => {
                report(&error, LoadStage::Read, script, false);
                Some(FAILED)
            }
            Err((error, LoadStage::Run)) => {
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

    /// Ends the script as Python ends a program: joins non-daemon threads, calls functions registered with `atexit`. A
    /// signal that ends the script also ends the wait for the threads.
    pub fn end_service(&self, py: Attached<'_>) {
        for step in [&self.runtime.end_threads, &self.runtime.end_functions] {
            let ended = step.bind(py).call(&[]);
            stop_child(py, &self.runtime, Called::Function, ended.as_ref().err());
            match ended {
                Err(error) if !error.is_system_exit() => {
                    log(Level::Error, Some("WSGI0098"), &error.traceback());
                }
                _ => {}
            }
        }
    }
}
