//! The setup that a child gets when it starts, for a worker and for the front. Values in, values out.

use super::command;
use crate::configuration::Configuration;
use crate::configuration::python::PythonRuntime;
use crate::sockets::Listeners;
use crate::sockets::passing::Passing;
use gk_config::FreeThreading;
use gk_config::site::{InterpreterOptions, MountTarget, ProcessGroup, Site};
use gk_wire::certificates::Certificates;
use gk_wire::setup::{EmbeddedSetup, FrontSetup, Import, InterpreterSetup, ListenerSetup, WorkerSetup};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

/// For the front.
pub fn front(
    configuration: &Configuration,
    listeners: &Listeners,
    runtime: &PythonRuntime,
    generation: u64,
    folder: PathBuf,
    certificates: Certificates,
    secret: &[u8],
) -> FrontSetup {
    FrontSetup {
        site: configuration.site.to_json(),
        log: configuration.log(),
        listeners: listeners.setups(),
        admin: listeners.admin().is_some(),
        admin_command: command::admin(runtime),
        generation,
        folder,
        certificates,
        secret: secret.to_vec(),
    }
}

/// For the HTTP side of a worker in embedded mode. The bounds of the whole server are shared out among its processes.
pub fn embedded(
    configuration: &Configuration,
    listeners: Vec<ListenerSetup>,
    group: &ProcessGroup,
    generation: u64,
    folder: PathBuf,
    secret: &[u8],
) -> EmbeddedSetup {
    let mut site = configuration.site.clone();
    let processes = group.processes.max(1);
    site.http.max_connections = site.http.max_connections.div_ceil(processes as usize);
    site.http.response_memory = site.http.response_memory.div_ceil(u64::from(processes));
    site.http.response_spool = site.http.response_spool.div_ceil(u64::from(processes));
    let queue = if processes > 1 { Passing::DESCRIPTORS } else { 0 };
    let descriptors = listeners.len() + site.access_log_files().len() + 1 + queue;
    let front = FrontSetup {
        site: site.to_json(),
        log: configuration.log(),
        listeners,
        admin: false,
        admin_command: Vec::new(),
        generation,
        folder,
        certificates: Certificates::default(),
        secret: secret.to_vec(),
    };
    EmbeddedSetup { front, descriptors: descriptors as u32 }
}

/// For one worker.
pub fn worker(configuration: &Configuration, group: &ProcessGroup, worker: u64) -> WorkerSetup {
    let site = &configuration.site;
    let own = site.interpreters.iter().filter(|b| b.process_group.as_deref().is_none_or(|g| g == group.name));
    WorkerSetup {
        worker,
        group: ProcessGroup { maximum_requests: with_jitter(group), ..group.clone() },
        log: configuration.log(),
        python_path: python_path(site, group),
        switch_interval: site.switch_interval(&group.name),
        without_gil: !configuration.about(&group.name).gil,
        gil_refused: site.free_threading(&group.name) == FreeThreading::Required,
        imports: imports(site, group),
        interpreters: own.map(interpreter).collect(),
        destroy_interpreter: site.python.destroy_interpreter,
        slow_requests: site.measurements.slow_requests,
        holders: site.measurements.holders.seconds(),
        log_config: site.python.log_config.clone(),
        // One of several fronts calls no application.
        scoreboard: site.measurements.on && group.threads > 0 && !group.is_front(),
        unread: site.admin.is_none() && !site.measurements.export.any(),
        embedded: None,
        several_fronts: site.embedded && !group.embedded && group.threads > 0,
    }
}

/// The group's own path, else `WSGIPythonPath`.
fn python_path(site: &Site, group: &ProcessGroup) -> Vec<String> {
    let entries = if group.python_path.is_empty() { &site.python.path } else { &group.python_path };
    entries.iter().map(PathBuf::as_path).map(text).collect()
}

fn imports(site: &Site, group: &ProcessGroup) -> Vec<Import> {
    let own = site.imports.iter().filter(|i| i.process_group == group.name);
    own.filter_map(|import| {
        let (script, module) = match &import.target {
            MountTarget::File(path) => (text(path), false),
            MountTarget::Module(name) => (name.clone(), true),
            // Their scripts are known only with a request.
            MountTarget::Directory(_) | MountTarget::Pattern(_) => return None,
        };
        Some(Import {
            script,
            module,
            application_group: import.application_group.clone(),
            callable: import.callable_object.clone(),
            lone_app: import.lone_app,
            reloading: import.reloading,
        })
    })
    .collect()
}

fn interpreter(block: &InterpreterOptions) -> InterpreterSetup {
    InterpreterSetup {
        application_group: block.application_group.clone(),
        specificity: u8::from(block.process_group.is_some()) + u8::from(block.application_group.is_some()),
        per_interpreter_gil: block.per_interpreter_gil,
        switch_interval: block.switch_interval,
        python_path: block.python_path.iter().map(PathBuf::as_path).map(text).collect(),
        restrict_stdin: block.restrict_stdin,
        restrict_stdout: block.restrict_stdout,
        restrict_signal: block.restrict_signal,
    }
}

/// `maximum-requests=` of one worker.
fn with_jitter(group: &ProcessGroup) -> u64 {
    match group.maximum_requests {
        0 => 0,
        requests => requests + jitter(group.maximum_requests_jitter),
    }
}

/// A random number from 0 to `most`, so that processes do not leave together. The keys of a hasher are random enough.
fn jitter(most: u64) -> u64 {
    RandomState::new().build_hasher().finish() % most.saturating_add(1)
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_string_lossy().into_owned()
}
