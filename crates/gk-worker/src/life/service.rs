//! A worker without request threads: its main thread runs the group's service script, and the process ends with the script.
//! It has no link, no timers and no measurements; a thread that needs no Python answers the supervisor.

use crate::life::start;
use crate::life::stop::alone;
use crate::serve::engine::Engine;
use crate::serve::groups::GroupInterpreter;
use gk_python::ThreadStates;
use gk_sys::descriptors;
use gk_sys::fork::Withheld;
use gk_sys::log::plain;
use gk_sys::signal::SIGTERM;
use gk_wire::control::{self, FromWorker, ToWorker, WorkerFigures};
use gk_wire::log::Level;
use gk_wire::setup::{Import, duration};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Runs the group's service scripts, one after the other, until one fails or the last one ends. Returns the exit status.
pub(crate) fn run(
    engine: &Arc<Engine>,
    control: OwnedFd,
    python: String,
    states: &mut ThreadStates,
) -> Result<i32, String> {
    let withheld = Withheld::descriptor(&control);
    let setup = &engine.setup;
    let main = start::main_group(engine, states)?;
    start::set_title(setup);
    let ready = FromWorker::Ready {
        python,
        gil_mode: engine.groups.gil_mode().to_owned(),
        switch_interval: main.switch_interval(),
        failed: Vec::new(),
        imported: 0,
    };
    // The script is not expected to return, so `Ready` means that it is about to start.
    tell(&control, &ready);
    let answers = Arc::clone(engine);
    std::thread::Builder::new()
        .name("gk-control".to_owned())
        .stack_size(256 << 10)
        .spawn(move || {
            // Dropped before the socket.
            let _withheld = withheld;
            answer(&answers, &control);
        })
        .map_err(|e| format!("A thread cannot be started: {e}"))?;
    for import in &setup.imports {
        if let Some(status) = serve(engine, states, &main, import)? {
            end(engine, states, status);
            return Ok(status);
        }
    }
    end(engine, states, 0);
    Ok(0)
}

/// Runs one script in the first interpreter of its application group. Returns `None` if it reached its last line.
fn serve(
    engine: &Engine,
    states: &mut ThreadStates,
    main: &Arc<GroupInterpreter>,
    import: &Import,
) -> Result<Option<i32>, String> {
    let group = match &*import.application_group {
        "" => Arc::clone(main),
        name => {
            let each = engine.groups.each(states, name);
            Arc::clone(&each.ok_or_else(|| format!("Application group '{name}' could not be created"))?[0])
        }
    };
    Ok(states.attach(&group.interpreter, |py| {
        group.application.heed_signals(py);
        group.application.serve(py, &import.script, import.module)
    }))
}

/// Returns if Python itself can finalise the one interpreter. If threads or other interpreters are left, the process ends
/// here.
fn end(engine: &Engine, states: &mut ThreadStates, status: i32) {
    let mut all = engine.groups.all();
    // The main interpreter last.
    all.sort_by_key(|(name, _)| name.is_empty());
    for (_, group) in &all {
        states.attach(&group.interpreter, |py| group.application.end_service(py));
    }
    let whole = matches!(&all[..], [(_, only)] if alone(states, only));
    if !whole || !engine.setup.destroy_interpreter {
        gk_sys::own_process::exit_now(status);
    }
}

/// Answers the supervisor until the process ends. Tells the script to end when the supervisor is gone.
fn answer(engine: &Engine, control: &OwnedFd) {
    let mut packet = vec![0; control::MAX_PACKET];
    loop {
        match descriptors::receive(control, &mut packet, true) {
            Ok(received) if received.bytes > 0 => {
                if let Ok(ToWorker::Status { token }) = gk_messages::decode(&packet[..received.bytes]) {
                    tell(control, &FromWorker::Status { token, status: figures(engine) });
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    let timeout = engine.setup.group.shutdown_timeout;
    plain(Level::Info, "wsgi", None, "The supervisor has ended; the service script gets SIGTERM");
    let told = gk_sys::child::reap::signal(std::process::id(), SIGTERM);
    if timeout > 0.0 || told.is_err() {
        std::thread::sleep(duration(timeout));
        gk_sys::own_process::exit_now(1);
    }
}

fn figures(engine: &Engine) -> WorkerFigures {
    let interpreters = engine.groups.figures(&[]);
    WorkerFigures {
        application_groups: interpreters.iter().map(|i| i.application_group.clone()).collect(),
        gil_mode: engine.groups.gil_mode().to_owned(),
        interpreters,
        ..WorkerFigures::default()
    }
}

fn tell(control: &OwnedFd, message: &FromWorker) {
    // `answer` notices when the supervisor is gone.
    let _ = descriptors::send(control, &gk_messages::encode(message), &[]);
}
