//! Application group to interpreter: the main interpreter for "", a named sub-interpreter for every other group, created at
//! first use by the thread that needs it.

use gk_python::{Attached, Interpreter, ThreadStates};
use gk_sys::log::plain;
use gk_wire::log::Level;
use gk_wire::setup::{InterpreterSetup, WorkerSetup};
use gk_wsgi::{Application, Facts};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The interpreters of this process.
pub(crate) struct Groups {
    main: Interpreter,
    facts: Facts,
    interpreters: Vec<InterpreterSetup>,
    home: Option<String>,
    python_path: Vec<String>,
    table: Mutex<Table>,
    creation_ended: Condvar,
}

#[derive(Default)]
struct Table {
    groups: HashMap<String, Arc<Group>>,
    creating: bool,
}

/// One application group.
pub(crate) struct Group {
    pub(crate) interpreter: Interpreter,
    pub(crate) application: Application,
}

impl Groups {
    /// For a thread attached to the main interpreter.
    pub(crate) fn new(py: Attached<'_>, setup: &WorkerSetup, gil_mode: &'static str) -> Self {
        let facts = Facts {
            process_group: setup.process_group.clone(),
            application_group: String::new(),
            processes: setup.processes,
            threads: setup.threads,
            multiprocess: setup.multiprocess,
            run_once: setup.threads == 1 && setup.timers.maximum_requests == 1,
            gil_mode,
            restrict_stdin: false,
            restrict_stdout: false,
            restrict_signal: setup.threads != 0,
        };
        Self {
            main: Interpreter::current(py),
            facts,
            interpreters: setup.interpreters.clone(),
            home: setup.home.clone(),
            python_path: setup.python_path.clone(),
            table: Mutex::default(),
            creation_ended: Condvar::new(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn main(&self) -> Interpreter {
        self.main
    }

    /// All groups that have an interpreter.
    pub(crate) fn all(&self) -> Vec<(String, Arc<Group>)> {
        let mut all: Vec<_> = self.table().groups.iter().map(|(n, g)| (n.clone(), Arc::clone(g))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// The group of that name, created if need be. The thread must be detached. `None`: it could not be created (logged);
    /// the next request tries again.
    pub(crate) fn get(&self, states: &mut ThreadStates, name: &str) -> Option<Arc<Group>> {
        {
            let mut table = self.table();
            loop {
                if let Some(group) = table.groups.get(name) {
                    return Some(Arc::clone(group));
                }
                if !table.creating {
                    break;
                }
                table = self.creation_ended.wait(table).unwrap_or_else(PoisonError::into_inner);
            }
            table.creating = true;
        }
        let created = self.create(states, name);
        let mut table = self.table();
        table.creating = false;
        if let Some(group) = &created {
            table.groups.insert(name.to_owned(), Arc::clone(group));
        }
        self.creation_ended.notify_all();
        created
    }

    fn create(&self, states: &mut ThreadStates, name: &str) -> Option<Arc<Group>> {
        let interpreter = if name.is_empty() {
            self.main
        } else {
            match states.create(self.main) {
                Ok(interpreter) => interpreter,
                Err(why) => {
                    plain(
                        Level::Error,
                        "wsgi",
                        Some("WSGI0103"),
                        &format!("Application group '{name}': {why}"),
                    );
                    return None;
                }
            }
        };
        let options = Effective::of(&self.interpreters, name);
        let facts = Facts {
            application_group: name.to_owned(),
            restrict_stdin: options.restrict_stdin,
            restrict_stdout: options.restrict_stdout,
            restrict_signal: options.restrict_signal && self.facts.restrict_signal,
            ..self.facts.clone()
        };
        let application = states.attach(interpreter, |py| {
            let application = match Application::prepare(py, facts) {
                Ok(application) => application,
                Err(error) => {
                    let text =
                        format!("Application group '{name}' cannot be prepared\n{}", error.traceback());
                    plain(Level::Crit, "wsgi", Some("WSGI0035"), &text);
                    return None;
                }
            };
            let dirs: Vec<String> = self.python_path.iter().chain(&options.python_path).cloned().collect();
            if let Err(error) = application.paths(py, self.home.as_deref(), &dirs) {
                plain(Level::Error, "wsgi", Some("WSGI0091"), &error.traceback());
            }
            Some(application)
        })?;
        if !name.is_empty() {
            plain(Level::Info, "wsgi", None, &format!("Created interpreter of application group '{name}'"));
        }
        Some(Arc::new(Group { interpreter, application }))
    }
}

/// The interpreter options of one application group, each resolved on its own: the most specific block that sets it wins,
/// a later one among equals.
#[derive(Debug, PartialEq)]
struct Effective {
    restrict_stdin: bool,
    restrict_stdout: bool,
    restrict_signal: bool,
    python_path: Vec<String>,
}

impl Effective {
    fn of(blocks: &[InterpreterSetup], name: &str) -> Self {
        let mut matching: Vec<&InterpreterSetup> =
            blocks.iter().filter(|b| b.application_group.as_deref().is_none_or(|g| g == name)).collect();
        // Stable: file order stays among equals, so the last one that sets a value wins.
        matching.sort_by_key(|b| b.specificity);
        let last = |get: fn(&InterpreterSetup) -> Option<bool>, default: bool| {
            matching.iter().rev().find_map(|b| get(b)).unwrap_or(default)
        };
        Self {
            restrict_stdin: last(|b| b.restrict_stdin, false),
            restrict_stdout: last(|b| b.restrict_stdout, false),
            restrict_signal: last(|b| b.restrict_signal, true),
            python_path: matching.iter().flat_map(|b| b.python_path.iter().cloned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_block_that_sets_a_value_wins_and_later_beats_earlier() {
        let block = |group: Option<&str>, specificity, stdin, signal, path: &str| InterpreterSetup {
            application_group: group.map(str::to_owned),
            specificity,
            restrict_stdin: stdin,
            restrict_signal: signal,
            python_path: vec![path.to_owned()],
            ..InterpreterSetup::default()
        };
        let blocks = [
            block(Some("a"), 2, Some(true), None, "/2"),
            block(None, 0, Some(false), Some(false), "/0"),
            block(Some("a"), 1, Some(false), None, "/1"),
            block(Some("b"), 1, None, Some(true), "/b"),
        ];
        let a = Effective::of(&blocks, "a");
        assert_eq!((a.restrict_stdin, a.restrict_signal), (true, false));
        assert_eq!(a.python_path, ["/0", "/1", "/2"]);
        let b = Effective::of(&blocks, "b");
        assert_eq!((b.restrict_stdin, b.restrict_signal), (false, true));
    }
}
