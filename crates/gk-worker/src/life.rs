//! The life of a worker process, from the setup it is given to its exit status: start, serve, stop. The main thread does
//! all of it and is detached but for imports, shutdown callbacks and ending interpreters.
//!
//! * [`start`]: imports and threads, until `Ready`.
//! * [`worker`]: the main thread while requests are served.
//! * [`stop`]: callbacks, request threads, interpreters.
//! * [`signals`]: what a signal sent to the worker asks for.
//! * [`service`]: the other kind of worker, which runs a service script.
//! * [`embedded`]: the front within a worker that speaks HTTP itself.

mod embedded;
mod service;
mod signals;
mod start;
mod stop;
mod worker;

use crate::measure;
use crate::serve::engine::Engine;
use crate::serve::groups::Groups;
pub use embedded::front::{EmbeddedStart, FrontDoor};
use gk_python::{Attached, Interpreter, ThreadStates};
use gk_sys::log::plain;
use gk_sys::{descriptors, fork};
use gk_wire::log::{Area, Level};
use gk_wire::setup::{CONTROL_FD, SCOREBOARD_FD, SETUP_FD, WorkerSetup};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use worker::Worker;

/// Runs a worker to its end, with the descriptors that the supervisor left open; returns the exit status. Called on Python's
/// main thread. `door`: to the front, for embedded mode.
pub fn run(py: Attached<'_>, door: FrontDoor) -> i32 {
    match take_over(door) {
        Ok(Inherited { control, setup, scoreboard, embedded }) => {
            run_embedded(py, control, setup, scoreboard, embedded)
        }
        Err(why) => {
            eprintln!("gilkeeper.worker: {why}");
            2
        }
    }
}

/// [`run`] with the control socket and setup given, without measurements.
pub fn run_with(py: Attached<'_>, control: OwnedFd, setup: WorkerSetup) -> i32 {
    run_measured(py, control, setup, None)
}

/// [`run`] with everything given. `scoreboard`: memory file that measurements are written to.
pub fn run_measured(
    py: Attached<'_>,
    control: OwnedFd,
    setup: WorkerSetup,
    scoreboard: Option<OwnedFd>,
) -> i32 {
    run_embedded(py, control, setup, scoreboard, None)
}

/// The same in embedded mode, if there is a start for that.
fn run_embedded(
    py: Attached<'_>,
    control: OwnedFd,
    setup: WorkerSetup,
    scoreboard: Option<OwnedFd>,
    embedded: Option<EmbeddedStart>,
) -> i32 {
    gk_sys::clock::keep_zone();
    gk_sys::log::configure(&setup.log, Area::Worker);
    if let Err(why) = fork::watch() {
        let text = format!("Children that the application forks may disturb this worker: {why}");
        plain(Level::Warn, "wsgi", None, &text);
    }
    let python = gk_python::version::text(py);
    if let Some(file) = scoreboard
        && let Err(why) = measure::begin(file, &setup, &python)
    {
        plain(Level::Warn, "wsgi", None, &format!("Nothing is measured: the scoreboard: {why}"));
    }
    let main = Interpreter::main(py);
    let groups = Groups::new(&main, &setup, gk_wsgi::gil::enabled(py));
    ThreadStates::lead(py, move |states| {
        let engine = match Engine::new(setup, groups, embedded.is_some()) {
            Ok(engine) => Arc::new(engine),
            Err(why) => {
                let text = format!("The links to the fronts cannot be waited for: {why}");
                plain(Level::Crit, "wsgi", Some("WSGI0022"), &text);
                return 1;
            }
        };
        let ended = match engine.setup.group.threads {
            0 => service::run(&engine, control, python, states),
            _ => Worker::start(Arc::clone(&engine), control, python, embedded, states).map(|mut worker| {
                let reason = worker.serve_framed(states);
                worker.stop(states, &reason)
            }),
        };
        // Python ends the main interpreter next: no owner may be left.
        drop(engine.groups.take_all());
        ended.unwrap_or_else(|why| {
            plain(Level::Crit, "wsgi", Some("WSGI0022"), &why);
            1
        })
    })
}

/// Everything that the supervisor left open.
struct Inherited {
    control: OwnedFd,
    setup: WorkerSetup,
    scoreboard: Option<OwnedFd>,
    embedded: Option<EmbeddedStart>,
}

fn take_over(door: FrontDoor) -> Result<Inherited, String> {
    let started = "this program is started by `gilkeeper serve`, not by hand";
    let control = descriptors::inherited(CONTROL_FD).map_err(|_| started.to_owned())?;
    let setup = descriptors::inherited(SETUP_FD).map_err(|_| started.to_owned())?;
    let setup = descriptors::read_memory_file(&mut setup.into())
        .map_err(|e| format!("the setup cannot be read: {e}"))?;
    let mut setup: WorkerSetup =
        gk_messages::decode(&setup).map_err(|e| format!("the setup is malformed: {e}"))?;
    let scoreboard = setup.scoreboard.then(|| descriptors::inherited(SCOREBOARD_FD));
    let scoreboard = scoreboard.transpose().map_err(|e| format!("the scoreboard is missing: {e}"))?;
    let first = SCOREBOARD_FD + i32::from(setup.scoreboard);
    let embedded = setup.embedded.take().map(|setup| {
        let numbers = (first..).take(setup.descriptors as usize);
        let descriptors = numbers.map(descriptors::taken).collect::<Result<_, _>>()?;
        Ok::<_, String>(EmbeddedStart { door, setup, descriptors })
    });
    Ok(Inherited { control, setup, scoreboard, embedded: embedded.transpose()? })
}
