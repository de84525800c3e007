//! The step that the end of a worker waits for, and the log message when that takes too long. `stop` has the order of the
//! steps and the clock.

use crate::serve::groups::GroupInterpreter;
use gk_python::ThreadStates;
use gk_sys::log::plain;
use gk_wire::log::Level;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The current step, if the worker ends.
#[derive(Default)]
pub(crate) struct Ending {
    step: Mutex<Option<EndStep>>,
}

/// A step in which Python code of the application runs.
#[derive(Clone)]
pub(crate) enum EndStep {
    /// Functions given to `subscribe_shutdown` and `subscribe_events` in this application group.
    Subscribers(String),
    /// Joining the threads of this application group.
    Threads(String, Arc<GroupInterpreter>),
}

impl Ending {
    fn step(&self) -> MutexGuard<'_, Option<EndStep>> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a step.
    pub(crate) fn enter(&self, step: EndStep) {
        *self.step() = Some(step);
    }

    /// Ends the last step.
    pub(crate) fn leave(&self) {
        *self.step() = None;
    }

    /// Logs the step that the end waits for.
    pub(crate) fn report(&self, states: &mut ThreadStates) {
        let step = self.step().clone();
        match step {
            Some(EndStep::Subscribers(name)) => {
                let text = format!(
                    "{}: a function given to subscribe_shutdown or subscribe_events has not returned; the worker's \
                     end waits for it, at most until shutdown-timeout is over",
                    describe(&name)
                );
                plain(Level::Warn, "wsgi", Some("GK0003"), &text);
            }
            Some(EndStep::Threads(name, group)) => {
                let held = states.visit(&group.interpreter, |py| group.application.held_up(py));
                if let Some(held) = held {
                    let text = format!(
                        "{}: the worker's end waits for non-daemon threads: {held}. Functions registered with atexit run \
                         only after such threads have ended, so they cannot end them: use gilkeeper.subscribe_shutdown \
                         for that",
                        describe(&name)
                    );
                    plain(Level::Warn, "wsgi", Some("GK0002"), &text);
                }
            }
            None => {}
        }
    }

    /// Calls the functions registered with `atexit`: the last chance before the process is ended.
    pub(crate) fn end_functions(&self, states: &mut ThreadStates) {
        let step = self.step().clone();
        if let Some(EndStep::Threads(_, group)) = step {
            states.visit(&group.interpreter, |py| group.application.end_functions(py));
        }
    }
}

/// Name of an application group, to start a sentence with.
pub(crate) fn describe(name: &str) -> String {
    if name.is_empty() { "The main interpreter".to_owned() } else { format!("Application group '{name}'") }
}
