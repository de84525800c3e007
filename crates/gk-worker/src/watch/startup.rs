//! The import that runs at a worker's start, and the thread that logs its stack before startup-timeout ends the process. The main
//! thread is inside the import and could not say so itself.

use crate::serve::engine::Engine;
use crate::serve::groups::GroupInterpreter;
use gk_python::{Attached, ThreadStates};
use gk_sys::log::plain;
use gk_wire::log::Level;
use gk_wire::setup::duration;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Seconds of startup-timeout that are left when the stack is logged: a busy machine needs them to write it before the process ends.
const LEFT: f64 = 2.0;

/// The start of a worker, until this is dropped.
pub(crate) struct Startup {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<StartState>,
    changed: Condvar,
}

#[derive(Default)]
struct StartState {
    import: Option<RunningImport>,
    over: bool,
}

#[derive(Clone)]
struct RunningImport {
    script: String,
    group: Arc<GroupInterpreter>,
    /// `threading.get_ident()` and number of the thread state.
    thread: (u64, u64),
}

impl Startup {
    /// Begins to watch, if there is a startup-timeout.
    pub(crate) fn watch(engine: &Arc<Engine>) -> Self {
        let shared = Arc::<Shared>::default();
        let timeout = engine.setup.group.startup_timeout;
        let thread = (timeout > 0.0).then(|| {
            let (engine, shared) = (Arc::clone(engine), Arc::clone(&shared));
            let builder = std::thread::Builder::new().name("gk-startup".to_owned());
            ThreadStates::spawn(builder, move |states| run(states, &engine, &shared, timeout))
        });
        // Without the thread only the explanation is missing.
        Self { shared, thread: thread.and_then(Result::ok) }
    }

    /// Runs an import in an interpreter of that group.
    pub(crate) fn import<R>(
        &self,
        py: Attached<'_>,
        group: &Arc<GroupInterpreter>,
        script: &str,
        import: impl FnOnce() -> R,
    ) -> R {
        let thread = (py.thread_ident(), py.state_id());
        let running = RunningImport { script: script.to_owned(), group: Arc::clone(group), thread };
        self.shared.lock().import = Some(running);
        let done = import();
        self.shared.lock().import = None;
        done
    }
}

impl Drop for Startup {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // Detached here, so it gets the GIL that it may wait for.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, StartState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds from the start of the process, as the supervisor counts, until the stack is logged.
fn logged_at(timeout: f64) -> f64 {
    timeout - (timeout * 0.2).max(LEFT).min(timeout * 0.5)
}

fn run(states: &mut ThreadStates, engine: &Engine, shared: &Shared, timeout: f64) {
    let age = || gk_sys::usage::own_age().unwrap_or_default();
    let wait = duration(logged_at(timeout) - age());
    let waited = shared.changed.wait_timeout_while(shared.lock(), wait, |state| !state.over);
    let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
    if state.over {
        return;
    }
    let import = state.import.clone();
    drop(state);
    let what = import
        .as_ref()
        .map_or("it prepares Python".to_owned(), |import| format!("it imports {}", import.script));
    let text = format!(
        "This process is not ready {:.1} s after its start, and is stopped when it is not after {timeout} s (startup-timeout): {what}",
        age()
    );
    // Before the stack: code that never gives the GIL back has none to show.
    plain(Level::Warn, "wsgi", None, &text);
    let Some(import) = import else { return };
    let several_gils = engine.groups.gil_mode() == "own";
    let group = &import.group;
    let stacks =
        states.attach(&group.interpreter, |py| group.application.stacks(py, &[import.thread], several_gils));
    for (_, stack) in stacks {
        let text = format!("The stack of the import of {}:\n{}", import.script, stack.trim_end());
        plain(Level::Warn, "wsgi", None, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::logged_at;

    #[test]
    fn the_stack_is_logged_while_there_is_time_to_write_it() {
        let cases = [(1.0, 0.5), (2.0, 1.0), (6.0, 4.0), (10.0, 8.0), (20.0, 16.0)];
        for (timeout, at) in cases {
            assert!(
                (logged_at(timeout) - at).abs() < 1e-9,
                "startup-timeout={timeout}: at {}",
                logged_at(timeout)
            );
        }
    }
}
