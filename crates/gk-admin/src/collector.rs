//! `gilkeeper telemetry serve`: the pages without a server behind them, for what other servers tell.

use crate::door::guard::{Guard, TOKEN_FILE};
use crate::heard::feed::Feed;
use crate::kept::history::History;
use crate::kept::hub::Hub;
use crate::note;
use crate::once_a_second::{Exports, turn};
use crate::pages::server::{Shared, serve};
use gk_config::measurements::AdminTls;
use gk_sys::datagram_sender;
use gk_sys::signal::Signals;
use gk_wire::feed::FrontFigures;
use gk_wire::log::Level;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Longest datagram.
const LONGEST: usize = 65_536;
/// Datagrams taken before others may do something.
const BATCH: usize = 128;
/// Bytes of datagrams that may wait in the kernel.
const WAITING: usize = 2 << 20;

/// What is to be listened on.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Socket file for mod_wsgi's datagrams.
    pub datagrams: Option<PathBuf>,
    /// Its mode.
    pub mode: u32,
    /// `HOST:PORT` of the pages.
    pub pages: String,
    /// `HOST:PORT` for OTLP over HTTP.
    pub otlp: Option<String>,
    /// Files of the pages' TLS.
    pub tls: Option<AdminTls>,
    /// Directory of the history and the token.
    pub directory: PathBuf,
}

/// Serves until SIGTERM or SIGINT. `ready` is told where the pages and OTLP are.
pub fn gather(options: &Options, ready: impl FnOnce(&str, Option<&str>)) -> Result<(), String> {
    let mut signals = Signals::new(&[gk_sys::signal::SIGTERM, gk_sys::signal::SIGINT])
        .map_err(|why| format!("signals cannot be waited for: {why}"))?;
    std::fs::create_dir_all(&options.directory)
        .map_err(|why| format!("{} cannot be made: {why}", options.directory.display()))?;
    let tls = options.tls.as_ref().map(crate::door::tls::configuration).transpose()?;
    let (pages, guard, shown) = listener(&options.pages, &options.directory, tls.is_some())?;
    let otlp =
        options.otlp.as_ref().map(|address| listener(address, &options.directory, false)).transpose()?;
    let socket = options.datagrams.as_ref().map(|path| bind(path, options.mode)).transpose()?;
    let (feed, news) = Feed::new();
    feed.put(FrontFigures { ready: true, ..FrontFigures::default() });
    let history =
        History::start(&options.directory).map_err(|why| format!("the history cannot be kept: {why}"))?;
    let mut hub = Hub::new(feed.clone(), news);
    hub.listens = true;
    let shared = Arc::new(Shared {
        hub: Mutex::new(hub),
        history: Some(history),
        guard,
        readers: Mutex::default(),
        want_stack: None,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|why| format!("the event loop cannot be made: {why}"))?;
    runtime.block_on(async {
        let failed = |why: std::io::Error| format!("a socket cannot be watched: {why}");
        tokio::spawn(serve(pages, tls, Arc::clone(&shared)));
        if let Some(socket) = socket {
            let socket = tokio::net::UnixDatagram::from_std(socket).map_err(failed)?;
            tokio::spawn(receive(socket, Arc::clone(&shared)));
        }
        let otlp_shown = otlp.as_ref().map(|(_, _, shown)| shown.clone());
        if let Some((listener, guard, _)) = otlp {
            tokio::spawn(crate::heard::otlp_intake::serve(listener, guard, Arc::clone(&shared)));
        }
        ready(&shown, otlp_shown.as_deref());
        let arrived = signals.as_fd().try_clone_to_owned().and_then(watched).map_err(failed)?;
        tokio::select! {
            () = turn(shared, feed, Exports::default()) => {}
            _ = arrived.readable() => {}
        }
        Ok::<(), String>(())
    })?;
    let _ = signals.take();
    if let Some(path) = &options.datagrams {
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

/// A listening socket with who may use it, and its address.
fn listener(
    address: &str,
    directory: &Path,
    tls: bool,
) -> Result<(std::net::TcpListener, Guard, String), String> {
    let failed = |why: std::io::Error| format!("cannot listen on {address}: {why}");
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let shown = listener.local_addr().map_err(failed)?.to_string();
    let guard = Guard::new(&shown, directory, tls).map_err(failed)?;
    if matches!(guard, Guard::Token { .. }) {
        let text = format!("{shown} asks for the token in {}", directory.join(TOKEN_FILE).display());
        note(Level::Notice, &text);
    }
    Ok((listener, guard, shown))
}

/// The datagrams' socket. One that nobody listens on any more is replaced, nothing else is.
fn bind(path: &Path, mode: u32) -> Result<UnixDatagram, String> {
    let shown = path.display();
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(format!("{shown} is there and is no socket; name another path"));
        }
        let probe = UnixDatagram::unbound().map_err(|why| format!("no socket can be made: {why}"))?;
        if probe.connect(path).is_ok() {
            return Err(format!(
                "somebody listens on {shown} already; end that process or name another path"
            ));
        }
        std::fs::remove_file(path)
            .map_err(|why| format!("the stale socket {shown} cannot be removed: {why}"))?;
    }
    let failed = |why: std::io::Error| format!("cannot listen on {shown}: {why}");
    let socket = UnixDatagram::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    // What the kernel says of the sender cannot be made up, and tells containers apart whose processes are seen from here.
    datagram_sender::want_senders(&socket).map_err(failed)?;
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, WAITING);
    Ok(socket)
}

/// Takes datagrams in.
async fn receive(socket: tokio::net::UnixDatagram, shared: Arc<Shared>) {
    let mut bytes = vec![0; LONGEST];
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        {
            let now = gk_sys::clock::epoch_seconds();
            let mut hub = shared.hub();
            for _ in 0..BATCH {
                match socket.try_io(Interest::READABLE, || one(&socket, &mut bytes)) {
                    Ok((length, sender)) => hub.datagram(&bytes[..length], sender, now),
                    Err(_) => break,
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

/// One datagram: its length, and the process that sent it.
fn one(socket: &impl AsFd, bytes: &mut [u8]) -> std::io::Result<(usize, Option<u32>)> {
    let told = datagram_sender::receive(socket, bytes)?;
    // A datagram that was cut short ends in the middle of a field, or decodes; that one had room.
    Ok((if told.cut { 0 } else { told.bytes }, told.sender))
}
