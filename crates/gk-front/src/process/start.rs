//! From descriptors to a running front and back to an exit code. [`run`] takes what the supervisor left open;
//! [`serve`] takes the same things as values, for tests.

use gk_config::site::Site;
use gk_wire::log::Level;
use gk_wire::setup::{
    AdminSetup, CONTROL_FD, FIRST_LISTENER_FD, FrontSetup, ListenerSetup, LogSetup, SETUP_FD,
};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use crate::client::server;
use crate::front::Front;
use crate::process::admin::{self, Admin};
use crate::process::control::Control;
use crate::process::descriptors;

/// How long the exports may take to say that the server ends.
const LAST_WORDS: Duration = Duration::from_millis(600);

/// What a front is started from.
pub struct Parts {
    /// The site.
    pub site: Site,
    /// Counts up with each reload.
    pub generation: u64,
    /// Listening sockets with their descriptions.
    pub listeners: Vec<(ListenerSetup, OwnedFd)>,
    /// The admin pages' listening socket.
    pub admin: Option<OwnedFd>,
    /// How the admin process is started, should there be something for it to do.
    pub admin_command: Vec<String>,
    /// Log threshold and form.
    pub log: LogSetup,
    /// The supervisor's socket.
    pub control: OwnedFd,
}

/// The front process's main function: takes the inherited descriptors, serves until it is told to stop. Returns the
/// exit code.
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
    let control = gk_sys::descriptors::taken(CONTROL_FD)?;
    let mut setup = read_setup(gk_sys::descriptors::taken(SETUP_FD)?)?;
    gk_sys::log::configure(setup.log.level, setup.log.json);
    descriptors::raise();
    let mut listeners = Vec::new();
    for (number, listener) in (FIRST_LISTENER_FD..).zip(std::mem::take(&mut setup.listeners)) {
        listeners.push((listener, gk_sys::descriptors::taken(number)?));
    }
    let admin = if setup.admin { listeners.pop().map(|(_, fd)| fd) } else { None };
    let FrontSetup { site, generation, admin_command, log, .. } = setup;
    let site = site_of(site)?;
    Ok(Parts { site, generation, listeners, admin, admin_command, log, control })
}

/// Reads a setup file.
pub(crate) fn read_setup(fd: OwnedFd) -> Result<FrontSetup, String> {
    let json = gk_sys::descriptors::read_memory_file(&mut File::from(fd))
        .map_err(|error| format!("the setup cannot be read: {error}"))?;
    serde_json::from_slice(&json).map_err(|error| format!("the setup is not understood: {error}"))
}

/// The site in a setup.
pub(crate) fn site_of(value: serde_json::Value) -> Result<Site, String> {
    serde_json::from_value(value).map_err(|error| format!("the site in the setup is not understood: {error}"))
}

/// Serves until told to stop, on the calling thread.
pub fn serve(parts: Parts) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(16)
        .on_thread_park(crate::worker::sleep::before)
        .on_thread_unpark(crate::worker::sleep::after)
        .build()
        .map_err(|error| format!("the event loop cannot be made: {error}"))?;
    let local = tokio::task::LocalSet::new();
    let result = runtime.block_on(local.run_until(serve_here(parts)));
    // A disk that does not answer must not hold the exit up.
    runtime.shutdown_background();
    result
}

async fn serve_here(parts: Parts) -> Result<(), String> {
    let Parts { site, generation, listeners, admin, admin_command, log, control } = parts;
    let (described, sockets): (Vec<_>, Vec<_>) = listeners.into_iter().unzip();
    let (server_root, measurements) = (site.server_root.clone(), site.measurements.clone());
    let front = Front::new(site, generation, described)?;
    let supervisor = control.try_clone().map_err(|error| format!("no descriptor is left: {error}"))?;
    let control =
        Control::new(control).map_err(|error| format!("the control socket is unusable: {error}"))?;
    server::listen(&front, sockets)?;
    if admin.is_some() || measurements.export.any() {
        let setup = AdminSetup {
            pages: admin.is_some(),
            server_root,
            measurements: serde_json::to_value(&measurements)
                .map_err(|error| format!("the measurements cannot be told: {error}"))?,
            log,
            front: std::process::id(),
            supervisor: std::os::unix::process::parent_id(),
        };
        let start = admin::Start { command: admin_command, setup, pages: admin, supervisor };
        let _ = front.admin.set(Admin::start(start).await?);
    }
    tokio::task::spawn_local(server::tick(Rc::clone(&front)));
    control.serve(&front).await;
    front.current().logs.flush();
    if let Some(admin) = front.admin.get() {
        admin.end(LAST_WORDS).await;
    }
    Ok(())
}
