//! What the end of a worker waits for at this moment, and what is said about it when it waits too long. The order of
//! the end is `stop`'s; the clock is its reaper.

use crate::serve::groups::Group;
use gk_python::ThreadStates;
use gk_sys::log::plain;
use gk_wire::log::Level;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The step of the end that runs.
#[derive(Default)]
pub(crate) struct Ending {
    step: Mutex<Option<Step>>,
}

/// Where Python code of the application runs while the worker ends.
#[derive(Clone)]
pub(crate) enum Step {
    /// The functions given to `subscribe_shutdown` and `subscribe_events`, of this application group.
    Subscribers(String),
    /// The threads of this application group are joined.
    Threads(String, Arc<Group>),
}

impl Ending {
    fn step(&self) -> MutexGuard<'_, Option<Step>> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on that is waited for.
    pub(crate) fn enter(&self, step: Step) {
        *self.step() = Some(step);
    }

    /// Nothing is waited for any more.
    pub(crate) fn leave(&self) {
        *self.step() = None;
    }

    /// Says in the log what the end waits for.
    pub(crate) fn report(&self, states: &mut ThreadStates) {
        let step = self.step().clone();
        match step {
            Some(Step::Subscribers(name)) => {
                let text = format!(
                    "{}: a function given to subscribe_shutdown or subscribe_events has not returned; the worker's \
                     end waits for it, at most until shutdown-timeout is over",
                    describe(&name)
                );
                plain(Level::Warn, "wsgi", Some("GK0003"), &text);
            }
            Some(Step::Threads(name, group)) => {
                let held = states.attach(&group.interpreter, |py| group.application.held_up(py));
                if let Some(held) = held {
                    let text = format!(
                        "{}: the worker's end waits for threads that are no daemons: {held}. Functions registered with \
                         atexit run only after such threads have ended, and so cannot end them: use \
                         gilkeeper.subscribe_shutdown for that",
                        describe(&name)
                    );
                    plain(Level::Warn, "wsgi", Some("GK0002"), &text);
                }
            }
            None => {}
        }
    }

    /// Calls what the application registered with `atexit`, for it is now or never: the process is about to be ended.
    pub(crate) fn end_functions(&self, states: &mut ThreadStates) {
        let step = self.step().clone();
        if let Some(Step::Threads(_, group)) = step {
            states.attach(&group.interpreter, |py| group.application.end_functions(py));
        }
    }
}

/// An application group in a sentence's beginning.
pub(crate) fn describe(name: &str) -> String {
    if name.is_empty() { "The main interpreter".to_owned() } else { format!("Application group '{name}'") }
}
