//! The start of a server, from a loader to a running loop, and its end: sockets, server root and logs are made here, or taken over from
//! the server that this one replaces.

use super::Supervisor;
use super::relay;
use super::starting::StartingWorkers;
use crate::StartError;
use crate::clients::Clients;
use crate::configuration::python::{PythonRuntime, Pythons};
use crate::configuration::{Configuration, Loader};
use crate::handover::{Estate, Handover};
use crate::logs::Logs;
use crate::logs::frames::Frames;
use crate::memory::MemoryWatch;
use crate::perform::{World, log};
use crate::plan::Plan;
use crate::plan::event::{Event, Succession};
use crate::plan::imports;
use crate::root::{self, Root};
use crate::service_manager::ServiceManager;
use crate::sockets::{self, Listeners};
use gk_sys::signal::{self, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGUSR1, SIGUSR2, Signals};
use gk_wire::control::MAX_PACKET;
use gk_wire::log::{Area, Level};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::OsString;
use std::time::Instant;

/// Runs a server until it has stopped and returns its exit code. `arguments`: those after `serve`, for a server that replaces this
/// one. The error: why it did not start at all.
pub fn run(loader: Loader, runtime: PythonRuntime, arguments: Vec<OsString>) -> Result<i32, StartError> {
    let start = Instant::now();
    // First: a signal that arrives while sockets are being made must not leave their files behind.
    let signals = Signals::new(&[SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD]);
    let signals = signals.map_err(|e| StartError(format!("signals cannot be received: {e}")))?;
    signal::ignore(SIGPIPE);
    let Some(estate) = Estate::receive()? else {
        return serve(loader, runtime, arguments, None, signals, start);
    };
    let predecessor = estate.predecessor();
    let served = serve(loader, runtime, arguments, Some(estate), signals, start);
    served.inspect_err(|why| predecessor.refuse(&why.0))
}

/// `estate`: of the server that this one replaces.
fn serve(
    loader: Loader,
    runtime: PythonRuntime,
    arguments: Vec<OsString>,
    estate: Option<Estate>,
    signals: Signals,
    start: Instant,
) -> Result<i32, StartError> {
    let loaded = loader().map_err(StartError)?;
    let mut pythons = Pythons::new(&runtime);
    let mut first = Configuration::new(1, loaded, &runtime, &mut pythons)?;
    gk_sys::log::configure(&first.log(), Area::Supervisor);
    let shared = first.has_other_users();
    let (server_root, pid_file) = (&first.site.server_root, first.site.pid_file.as_deref());
    let is_heir = estate.is_some();
    let (root, control, offered, mut handover) = match estate {
        Some(Estate { lock, control, sockets, handover }) => {
            (Root::inherit(server_root, pid_file, lock)?, control, sockets, handover)
        }
        None => {
            let root = Root::take(server_root, pid_file, shared)?;
            // The control socket first: whoever can connect to the site can ask for its status.
            let control = root.control()?;
            (root, control, sockets::given::sockets()?, Handover::default())
        }
    };
    first.settle(root.path());
    let site = &first.site;
    let mut clients = Clients::new(control);
    if is_heir {
        clients.close_door();
    }
    let listeners = Listeners::bind(site, offered)?;
    let log_file = site.error_log.path.clone();
    let mut outline = first.outline();
    outline.remarks.extend(first.as_root());
    outline.remarks.extend(listeners.remark().cloned());
    outline.remarks.extend(root::unreachable(&site.server_root, first.front_identity.as_ref()));
    // From here on our own lines go where the children's go.
    let logs = Logs::start(site)?;
    let manager = ServiceManager::find(is_heir).unwrap_or_else(|why| {
        outline.remarks.push(why);
        None
    });
    handover.begin(root, arguments, manager.is_some());
    let mut world = World::new(runtime, loader, pythons, first, listeners, clients, logs)?;
    world.certificates.inherit(std::mem::take(&mut handover.ticket_keys));
    world.inherit_secret(std::mem::take(&mut handover.secret));
    for remark in &outline.remarks {
        log(Level::Warn, None, remark);
    }
    let mut plan = Plan::new(outline);
    if let Some(manager) = &manager {
        plan = plan.with_service_manager(manager.watchdog);
    }
    if handover.stays {
        plan = plan.that_stays();
    }
    if handover.draining {
        plan = plan.that_drains();
    }
    (world.manager, world.handover) = (manager, handover);
    let mut supervisor = Supervisor {
        start,
        signals,
        plan,
        world,
        gathers: Vec::new(),
        tokens: 0,
        memory: MemoryWatch::begin(),
        starting: StartingWorkers::default(),
        buffer: vec![0; MAX_PACKET],
    };
    let (code, why) =
        supervisor.run(if is_heir { Event::Succession(Succession::Inherit) } else { Event::Start });
    let Supervisor { plan, world, mut signals, .. } = supervisor;
    let mut handover = close(world);
    let is_refused = is_heir && !plan.has_taken_over();
    if is_refused {
        handover.refuse(why.as_deref().unwrap_or("the new server was told to stop"));
    }
    if let Some(why) = why {
        let ends = if is_refused { "the new server of the upgrade ends" } else { "the server ends" };
        let told = match log_file {
            Some(path) => {
                let log = path.display();
                format!("gilkeeper: {ends} (the error log {log} says more): {why}\n")
            }
            // The traceback stands above, as the worker logged it.
            None => format!("gilkeeper: {ends}: {}\n", imports::in_short(&why)),
        };
        // The traceback is the application's own text.
        say(&gk_wire::printable::page(&Frames::default().without_own(&told)));
    }
    handover.follow();
    let Handover { root, successor, stays, .. } = handover;
    drop(root);
    match successor.filter(|_| stays && plan.has_handed_over()) {
        // Everything else of this server has ended.
        Some(successor) => Ok(relay::stay(&mut signals, successor)),
        None => Ok(code),
    }
}

/// Closes everything but the other side of an upgrade: a process that stays must not keep a socket open on which nobody accepts.
fn close(world: World) -> Handover {
    world.logs.finish();
    world.listeners.remove_files();
    world.handover
}

/// Writes to the terminal, unless it takes nothing.
fn say(text: &str) {
    let terminal = std::io::stderr();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // As much as a pipe surely takes at once.
    for piece in text.as_bytes().chunks(4096) {
        if poll(&mut [PollFd::new(&terminal, PollFlags::OUT)], Some(&now)) == Ok(1) {
            let _ = rustix::io::write(&terminal, piece);
        }
    }
}
