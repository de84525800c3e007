//! The imports a worker makes before it is ready, and what failed of them.

use crate::engine::Engine;
use gk_python::ThreadStates;
use gk_wire::control::ImportFailure;

/// Longest traceback sent to the supervisor, in bytes.
const MOST_TRACEBACK: usize = 16 * 1024;

/// Imports what the setup asks for, each in its application group.
pub(crate) fn import_all(engine: &Engine, states: &mut ThreadStates) -> Vec<ImportFailure> {
    let mut failed = Vec::new();
    for import in &engine.setup.imports {
        let traceback = match engine.groups.get(states, &import.application_group) {
            None => Some("the interpreter could not be created; see the error log".to_owned()),
            Some(group) => states.attach(group.interpreter, |py| {
                let callable = import.callable.as_deref();
                group
                    .application
                    .preload(py, &import.script, import.module, callable)
                    .err()
                    .map(|f| f.traceback)
            }),
        };
        if let Some(mut traceback) = traceback {
            if traceback.len() > MOST_TRACEBACK {
                let cut = traceback.ceil_char_boundary(traceback.len() - MOST_TRACEBACK);
                traceback = traceback.split_off(cut);
            }
            failed.push(ImportFailure {
                script: import.script.clone(),
                application_group: import.application_group.clone(),
                traceback,
            });
        }
    }
    failed
}
