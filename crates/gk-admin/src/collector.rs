//! `gilkeeper telemetry serve`: the pages for the reports of other servers, without a server of its own.

use crate::door::guard::{Guard, TOKEN_FILE};
use crate::door::tls;
use crate::heard::datagram_socket;
use crate::heard::otlp_intake::{self, Pushed};
use crate::kept::history::History;
use crate::kept::hub::{Hub, SharedHub};
use crate::note;
use crate::once_a_second::{self, Receivers};
use crate::pages::server::{self, Pages};
use crate::told::exports::Exports;
use gk_config::measurements::AdminTls;
use gk_sys::clock::epoch_seconds;
use gk_sys::signal::Signals;
use gk_wire::log::Level;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// Addresses and files.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Socket file for mod_wsgi's datagrams.
    pub datagrams: Option<PathBuf>,
    /// Mode of the socket file.
    pub mode: u32,
    /// `HOST:PORT` of the pages.
    pub pages: String,
    /// `HOST:PORT` for OTLP over HTTP.
    pub otlp: Option<String>,
    /// Certificate files of the pages.
    pub tls: Option<AdminTls>,
    /// Directory of the history and the token.
    pub directory: PathBuf,
}

/// Serves until SIGTERM or SIGINT. `ready` gets the addresses of the pages and of OTLP.
pub fn serve(options: &Options, ready: impl FnOnce(&str, Option<&str>)) -> Result<(), String> {
    let mut signals = Signals::new(&[gk_sys::signal::SIGTERM, gk_sys::signal::SIGINT])
        .map_err(|why| format!("signals cannot be waited for: {why}"))?;
    std::fs::create_dir_all(&options.directory)
        .map_err(|why| format!("{} cannot be created: {why}", options.directory.display()))?;
    let tls = options.tls.as_ref().map(tls::configuration).transpose()?;
    let (pages_listener, guard, pages_address) = listener(&options.pages, &options.directory, tls.is_some())?;
    let otlp =
        options.otlp.as_ref().map(|address| listener(address, &options.directory, false)).transpose()?;
    let datagrams = options.datagrams.as_ref();
    let socket = datagrams.map(|path| datagram_socket::bind(path, options.mode)).transpose()?;
    let history =
        History::start(&options.directory).map_err(|why| format!("the history cannot be kept: {why}"))?;
    let hub = SharedHub::new(Hub::of_other_servers());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|why| format!("the event loop cannot be made: {why}"))?;
    runtime.block_on(async {
        let failed = |why: std::io::Error| format!("a socket cannot be watched: {why}");
        let stream = Arc::default();
        let pages = Pages {
            hub: hub.clone(),
            history: history.clone(),
            guard,
            stream: Arc::clone(&stream),
            last_profile: Default::default(),
            request_stack: None,
        };
        tokio::spawn(server::serve(pages_listener, tls, pages));
        if let Some(socket) = socket {
            let socket = tokio::net::UnixDatagram::from_std(socket).map_err(failed)?;
            let hub = hub.clone();
            let take = move |bytes: &[u8], sender| hub.lock().datagram(bytes, sender, epoch_seconds());
            tokio::spawn(datagram_socket::receive(socket, take));
        }
        let otlp_address = otlp.as_ref().map(|(_, _, address)| address.clone());
        if let Some((listener, guard, _)) = otlp {
            let hub = hub.clone();
            let take = move |pushed| match pushed {
                Pushed::Groups(groups) => hub.lock().push(groups, epoch_seconds()),
                Pushed::Unreadable => hub.lock().refuse_push(),
            };
            tokio::spawn(otlp_intake::serve(listener, guard, Box::new(take)));
        }
        ready(&pages_address, otlp_address.as_deref());
        let arrived = signals.as_fd().try_clone_to_owned().and_then(watched).map_err(failed)?;
        let receivers =
            Receivers { stream, history: Some(history), exports: Exports::default(), front: None };
        // No ending is ever sent: a signal drops the loop.
        let (_, endings) = mpsc::channel(1);
        tokio::select! {
            () = once_a_second::run(hub, receivers, endings) => {}
            _ = arrived.readable() => {}
        }
        Ok::<(), String>(())
    })?;
    let _ = signals.take();
    if let Some(path) = datagrams {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe; nobody closes an OwnedFd behind the registration's back"
)]
fn watched(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// A listening socket with its access rule and its address.
fn listener(
    address: &str,
    directory: &Path,
    tls: bool,
) -> Result<(std::net::TcpListener, Guard, String), String> {
    let failed = |why: std::io::Error| format!("cannot listen on {address}: {why}");
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let shown = listener.local_addr().map_err(failed)?.to_string();
    let guard = Guard::new(&shown, directory, tls, false).map_err(failed)?;
    if matches!(guard, Guard::Token { .. }) {
        let text = format!("{shown} asks for the token in {}", directory.join(TOKEN_FILE).display());
        note(Level::Notice, &text);
    }
    Ok((listener, guard, shown))
}
