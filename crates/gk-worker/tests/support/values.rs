//! What a worker and its link start from.

use gk_wire::log::Level;
use gk_wire::request::Profile;
use gk_wire::setup::{Import, LogSetup, ProcessGroup, WorkerSetup};
use std::path::Path;

pub fn setup(threads: u32, script: &Path) -> WorkerSetup {
    WorkerSetup {
        worker: 1,
        // Only the timers that a test sets run.
        group: ProcessGroup {
            threads,
            shutdown_timeout: 5.0,
            graceful_timeout: Some(0.0),
            deadlock_timeout: 0.0,
            ..ProcessGroup::named("app")
        },
        log: LogSetup { level: Level::Warn, ..LogSetup::default() },
        python_path: vec![],
        switch_interval: None,
        without_gil: false,
        gil_refused: false,
        imports: vec![Import {
            script: script.display().to_string(),
            module: false,
            application_group: String::new(),
            callable: Some("application".to_owned()),
            lone_app: false,
            reloading: true,
        }],
        interpreters: vec![],
        destroy_interpreter: true,
        slow_requests: 0.0,
        holders: None,
        log_config: None,
        scoreboard: false,
        unread: false,
        embedded: None,
        several_fronts: false,
    }
}

pub fn profile(script: &Path, group: &str) -> Profile {
    Profile {
        script: script.display().to_string(),
        module: false,
        callable: "application".to_owned(),
        application_group: group.to_owned(),
        script_reloading: true,
        ignore_activity: false,
        environ: vec![("SERVER_SOFTWARE".to_owned(), "Gilkeeper".to_owned())],
        error_log: None,
        hook: false,
    }
}
