//! The return of the GIL: in a process without one, CPython turns it on for good when an extension module is imported that
//! does not declare support for free threading. This file notices that and names the module; the worker decides what
//! follows.
//!
//! CPython turns the GIL on during *every* import of an extension module, so its state means nothing while another thread
//! imports one. So imports are counted, and the state counts when the last one ends.

use crate::log::log;
use gk_python::Attached;
use gk_wire::log::Level;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

static RETURNED: OnceLock<String> = OnceLock::new();
static IMPORTS: Mutex<RunningImports> = Mutex::new(RunningImports { running: 0, suspects: Vec::new() });

/// Extension modules that are being imported in this process, in any interpreter.
struct RunningImports {
    running: u32,
    /// Imports that ended with the GIL on while others were running.
    suspects: Vec<String>,
}

/// Module that turned the GIL back on in this process, if any.
pub fn returned() -> Option<&'static str> {
    RETURNED.get().map(String::as_str)
}

/// Returns true if there is a GIL at this moment.
pub fn enabled(py: Attached<'_>) -> bool {
    if !gk_python::version::FREE_THREADED_BUILD {
        return true;
    }
    let enabled = py.import("sys").and_then(|sys| sys.call_method("_is_gil_enabled", &[])?.truth());
    enabled.unwrap_or(true)
}

/// Records and logs that this module turned the GIL back on; the first one counts.
pub fn came_back(module: &str) {
    if RETURNED.set(module.to_owned()).is_ok() {
        let text = format!(
            "The GIL is back on in this process, which should run without it: {module} does not declare that it \
             supports free threading"
        );
        log(Level::Error, Some("GK0011"), &text);
    }
}

fn imports() -> MutexGuard<'static, RunningImports> {
    IMPORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn import_began() {
    // In a forked child another thread's lock may be held for ever, and nobody asks.
    if !gk_sys::fork::is_child() {
        imports().running += 1;
    }
}

pub(crate) fn import_ended(py: Attached<'_>, module: &str) {
    if gk_sys::fork::is_child() {
        return;
    }
    // Not under the lock, as a call of Python may detach this thread.
    let enabled = enabled(py);
    let last = {
        let mut imports = imports();
        imports.running = imports.running.saturating_sub(1);
        if enabled {
            imports.suspects.push(format!("the module '{module}'"));
        } else {
            imports.suspects.clear();
        }
        imports.running == 0
    };
    if !last {
        return;
    }
    // Checked again, as the first check may have seen another thread's import.
    let stayed = self::enabled(py);
    let suspects = std::mem::take(&mut imports().suspects).join(" or ");
    if stayed {
        came_back(if suspects.is_empty() { "a module" } else { &suspects });
    }
}
