//! The front's start, from inherited descriptors to an exit code. [`run`] takes the descriptors that the supervisor left open;
//! [`embedded`] those of a worker that speaks HTTP itself; [`serve`] takes them as values, for tests.

use gk_config::site::Site;
use gk_sys::descriptors;
use gk_sys::event_loop::{Beginning, EventLoop, Nudge};
use gk_wire::certificates::Certificates;
use gk_wire::log::{Area, Level};
use gk_wire::setup::{
    AdminSetup, CONTROL_FD, FIRST_LISTENER_FD, FrontSetup, ListenerSetup, LogSetup, SETUP_FD,
};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::access::digest::Nonces;
use crate::client::accept::passing::Passing;
use crate::client::{accept, timeouts};
use crate::front::{Front, Logs};
use crate::process::admin::{Admin, AdminStart};
use crate::process::control::Control;
use crate::process::descriptor_limit;
use crate::process::setup;
use crate::worker::sleep::Sleep;

/// Time for the exports to report that the server ends.
const LAST_EXPORT: Duration = Duration::from_millis(600);
/// Longest time that the admin process has until it answers; the front has one minute itself.
const ADMIN_START: Duration = Duration::from_secs(20);

/// Everything that a front starts from.
pub struct Parts {
    /// The site.
    pub site: Site,
    /// Counts up with each reload.
    pub generation: u64,
    /// Listening sockets with their descriptions.
    pub listeners: Vec<(ListenerSetup, OwnedFd)>,
    /// The admin pages' listening socket.
    pub admin: Option<OwnedFd>,
    /// Command of the admin process; started if there are pages or exports.
    pub admin_command: Vec<String>,
    /// Threshold and form of the error log.
    pub log: LogSetup,
    /// The supervisor's socket.
    pub control: OwnedFd,
    /// The logs.
    pub logs: Logs,
    /// Folder that this user may write in: bodies of requests, history, token.
    pub folder: PathBuf,
    /// Of the hosts that speak TLS.
    pub certificates: Certificates,
    /// Of the nonces of `AuthType Digest`, 32 bytes; anything else: it makes its own.
    pub secret: Vec<u8>,
    /// With several of them, the queue in which they pass connections on.
    pub passing: Option<Passing>,
    /// It is the HTTP side of a worker, on a thread of that, and the worker's main thread has the other end of `control`.
    pub embedded: bool,
}

/// The front process's main function: takes the inherited descriptors and serves until told to stop. Returns the exit
/// code.
pub fn run() -> i32 {
    let outcome = inherit().and_then(serve);
    match outcome {
        Ok(()) => 0,
        Err(text) => {
            crate::note(Level::Crit, None, &format!("the front cannot serve: {text}"));
            1
        }
    }
}

fn inherit() -> Result<Parts, String> {
    let control = descriptors::taken(CONTROL_FD)?;
    let mut setup = setup::read(descriptors::taken(SETUP_FD)?)?;
    gk_sys::log::configure(&setup.log, Area::Front);
    descriptor_limit::raise();
    let mut listeners = Vec::new();
    let mut numbers = FIRST_LISTENER_FD..;
    let mut next =
        || numbers.next().ok_or_else(|| "no descriptor is left".to_owned()).and_then(descriptors::taken);
    for listener in std::mem::take(&mut setup.listeners) {
        listeners.push((listener, next()?));
    }
    let admin = if setup.admin { listeners.pop().map(|(_, fd)| fd) } else { None };
    let FrontSetup { site, generation, admin_command, log, folder, certificates, secret, .. } = setup;
    let site = setup::site(site)?;
    let access = site.access_log_files().iter().map(|_| next()).collect::<Result<_, _>>()?;
    let logs = Logs { access, lost: Some(next()?) };
    let embedded = false;
    Ok(Parts {
        site,
        generation,
        listeners,
        admin,
        admin_command,
        log,
        control,
        folder,
        logs,
        certificates,
        secret,
        passing: None,
        embedded,
    })
}

/// The front within a worker: lets its loop serve until told to stop, while a thread runs it. `given`: listening sockets, pipes to the access
/// logs, counts of lost lines, as many as the setup says.
pub fn embedded(
    event_loop: &EventLoop,
    mut setup: FrontSetup,
    given: Vec<OwnedFd>,
    control: OwnedFd,
) -> Result<(), String> {
    descriptor_limit::raise();
    let mut given = given.into_iter();
    let mut next = || given.next().ok_or_else(|| "a descriptor is missing".to_owned());
    let listeners = std::mem::take(&mut setup.listeners).into_iter();
    let listeners = listeners.map(|listener| Ok((listener, next()?))).collect::<Result<_, String>>()?;
    let FrontSetup { site, generation, log, folder, certificates, secret, .. } = setup;
    let site = setup::site(site)?;
    let access = site.access_log_files().iter().map(|_| next()).collect::<Result<_, _>>()?;
    let logs = Logs { access, lost: Some(next()?) };
    let passing = match next() {
        Ok(give) => Some(
            Passing::new(give, next()?, next()?, generation)
                .map_err(|e| format!("the queue of connections is unusable: {e}"))?,
        ),
        Err(_) => None,
    };
    let parts = Parts {
        site,
        generation,
        listeners,
        admin: None,
        admin_command: Vec::new(),
        log,
        control,
        folder,
        logs,
        certificates,
        secret,
        passing,
        embedded: true,
    };
    begin(event_loop, parts);
    Ok(())
}

/// Serves until told to stop, on the calling thread.
pub fn serve(parts: Parts) -> Result<(), String> {
    let event_loop =
        EventLoop::new(|| ()).map_err(|error| format!("the event loop cannot be made: {error}"))?;
    begin(&event_loop, parts);
    event_loop.run()
}

/// Lets a loop serve while a thread runs it.
fn begin(event_loop: &EventLoop, parts: Parts) {
    event_loop.begin(|nudge: &Nudge| {
        let sleep = Sleep::new(parts.embedded.then(|| nudge.clone()));
        let (before, after) = (Rc::clone(&sleep), Rc::clone(&sleep));
        Beginning {
            before_sleep: Box::new(move || before.before()),
            after_sleep: Box::new(move || after.after()),
            first: Box::pin(serve_here(parts, sleep)),
        }
    });
}

async fn serve_here(parts: Parts, sleep: Rc<Sleep>) -> Result<(), String> {
    let Parts { site, generation, listeners, admin, admin_command, log, control, folder, logs, .. } = parts;
    let Parts { certificates, secret, passing, embedded, .. } = parts;
    let (described, sockets): (Vec<_>, Vec<_>) = listeners.into_iter().unzip();
    let (server_root, measurements) = (site.server_root.clone(), site.measurements.clone());
    let longest_silence = site.supervision.front_timeout.ceil() as u32;
    let accepts = embedded || !site.embedded;
    let exports = measurements.export.any() && !embedded;
    let front = Front::new(site, generation, described, folder.clone(), logs, &certificates, sleep)?;
    front.embedded.set(embedded);
    secret.try_into().into_iter().for_each(|secret| drop(front.access.nonces.set(Nonces::new(secret))));
    passing.into_iter().for_each(|passing| drop(front.passing.set(passing)));
    let supervisor = (admin.is_some() || exports).then(|| control.try_clone()).transpose();
    let supervisor = supervisor.map_err(|error| format!("no descriptor is left: {error}"))?;
    let control = Control::new(control, embedded)
        .map_err(|error| format!("the control socket is unusable: {error}"))?;
    if accepts {
        accept::listen(&front, sockets)?;
    } else {
        // While it had them, the kernel would let clients connect whom nobody serves when those who accept have stopped.
        drop(sockets);
    }
    if let Some(supervisor) = supervisor {
        let setup = AdminSetup {
            pages: admin.is_some(),
            server_root,
            folder,
            measurements: measurements
                .to_json()
                .map_err(|error| format!("the measurements cannot be passed on: {error}"))?,
            log,
            front: std::process::id(),
            front_started: gk_sys::clock::epoch_seconds(),
            supervisor: std::os::unix::process::parent_id(),
        };
        let (command, longest_start) = (admin_command, ADMIN_START);
        let start = AdminStart { command, setup, pages: admin, supervisor, longest_silence, longest_start };
        let started = Admin::start(start).await?;
        started.tell_certificates(certificates.facts);
        let _ = front.admin.set(started);
    }
    gk_sys::event_loop::spawn(timeouts::tick(Rc::clone(&front)));
    control.serve(&front).await;
    control.tell_rest(&front);
    front.current().logs.finish();
    if let Some(admin) = front.admin.get() {
        admin.end(LAST_EXPORT).await;
    }
    Ok(())
}
