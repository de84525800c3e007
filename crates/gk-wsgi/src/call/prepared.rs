//! The script that answers a request, before it is called: whether it is loaded, and whether it is still the right one.

use crate::call::Call;
use crate::forked::{Called, stop_child};
use crate::interpreter::application::{Application, Target};
use crate::interpreter::script::LoadedScript;
use crate::log::{CurrentRequest, log};
use gk_python::{Attached, PyError};
use gk_wire::log::Level;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Nanoseconds after a load in which a script's `reload_required` is not heeded before the script has answered a request. One
/// that is always true would otherwise reload for ever, with the same request waiting.
const FRESH: u64 = 10_000_000_000;

/// The target of one request.
pub struct Prepared(pub(super) Option<Arc<Target>>);

impl Prepared {
    /// Looks up the target; a script that was never asked for is loaded later.
    #[inline]
    pub fn find(app: &Application, call: &Call<'_>) -> Self {
        Self(app.target(call.profile, call.thread_id))
    }

    /// Whether the script has to be loaded again before this request is answered: its file has changed, or its
    /// `reload_required` says so. `false` without reloading.
    #[inline]
    pub fn outdated(&self, py: Attached<'_>, app: &Application, call: &Call<'_>) -> bool {
        if !call.profile.profile.script_reloading {
            return false;
        }
        match &self.0 {
            Some(target) => is_outdated(py, app, call, &target.script),
            None => first(py, app, call),
        }
    }
}

#[inline]
fn is_outdated(py: Attached<'_>, app: &Application, call: &Call<'_>, script: &LoadedScript) -> bool {
    let Some(file) = &script.file else { return false };
    file.outdated(call.taken, call.in_a_row) || (script.has_hook && asks(py, app, call, script))
}

/// For the first request of a profile: its script may have been loaded at the start, or by another profile.
#[cold]
fn first(py: Attached<'_>, app: &Application, call: &Call<'_>) -> bool {
    let loaded = app.scripts.loaded(&call.profile.profile.script);
    loaded.is_some_and(|script| is_outdated(py, app, call, &script))
}

/// Asks the script itself. As with mod_wsgi, an exception is logged and means no.
#[cold]
fn asks(py: Attached<'_>, app: &Application, call: &Call<'_>, script: &LoadedScript) -> bool {
    let texts = &call.request.texts;
    let log = call.profile.profile.error_log.as_deref();
    let _client = CurrentRequest::enter(texts.remote_addr, call.request.numbers.remote_port, texts.id, log);
    // A script that handles files is asked about the file.
    let path = match call.request.get(b"SCRIPT_FILENAME") {
        Some(file) => String::from_utf8_lossy(file),
        None => call.profile.profile.script.as_str().into(),
    };
    let asked = script.asks_for_reload(py, &path);
    stop_child(py, &app.runtime, Called::Function, asked.as_ref().err());
    match asked {
        Ok(true) => {
            let heeded = script.used.load(Ordering::Relaxed) || script.loaded.elapsed() > FRESH;
            if heeded && let Some(file) = &script.file {
                file.ask();
            }
            heeded
        }
        Ok(false) => false,
        Err(error) => {
            report(&error);
            false
        }
    }
}

fn report(error: &PyError<'_>) {
    let code = if error.is_system_exit() { "WSGI0175" } else { "WSGI0174" };
    log(Level::Error, Some(code), &format!("reload_required() failed\n{}", error.traceback()));
}
