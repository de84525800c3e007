//! The listening sockets: TCP, socket files, and sockets from systemd. Created once and kept over restarts of the front.

use crate::StartError;
use gk_config::site::{Listen, Site};
use gk_sys::child::identity;
use gk_wire::setup::ListenerSetup;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, openat};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The sockets in the front's order; that of the admin pages is the last.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<(OwnedFd, ListenerSetup)>,
    admin: bool,
    /// Socket files to remove at the end.
    files: Vec<PathBuf>,
}

impl Listeners {
    /// Binds the addresses of the site. Sockets from systemd (`given`) replace the site's `Listen` addresses.
    pub fn bind(site: &Site, given: Vec<OwnedFd>) -> Result<Self, StartError> {
        let mut listeners = Self { sockets: Vec::new(), admin: false, files: Vec::new() };
        let backlog = i32::try_from(site.http.listen_backlog).unwrap_or(i32::MAX).max(1);
        let were_given = !given.is_empty();
        if !were_given {
            for listen in &site.listen {
                listeners.bind_one(listen, backlog)?;
            }
        }
        for socket in given {
            let address = address_of(&socket)?;
            if address.parse().is_ok_and(|address: SocketAddr| site.asks_for_tls(address.port())) {
                return Err(StartError(format!(
                    "the socket {address} was given for a host with SSLEngine On, but TLS for applications is not built yet; end \
                     TLS in a proxy in front and take SSLEngine out"
                )));
            }
            listeners.sockets.push((socket, ListenerSetup { address, tls: false }));
        }
        if let Some(host) = listeners.unreached(site).filter(|_| were_given) {
            return Err(StartError(format!(
                "no socket that was given is for {host}, so no request reaches that virtual host; give one, or take the host out"
            )));
        }
        if listeners.sockets.is_empty() {
            return Err(StartError::new(
                "there is nothing to listen on; give --port, --socket or a Listen directive",
            ));
        }
        if let Some(admin) = &site.admin {
            let socket = bind_tcp_text(admin, backlog).map_err(|e| {
                StartError(format!(
                    "{} (the admin pages; --admin HOST:PORT moves them, --admin off does without)",
                    e.0
                ))
            })?;
            listeners.add(socket, site.measurements.admin_tls.is_some())?;
            listeners.admin = true;
        }
        Ok(listeners)
    }

    /// The address of a virtual host that no request reaches over the sockets so far.
    fn unreached(&self, site: &Site) -> Option<String> {
        let listen = |(_, setup): &(OwnedFd, ListenerSetup)| match setup.address.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_unspecified() => Listen::Tcp { host: None, port: address.port() },
            Ok(address) => Listen::Tcp { host: Some(address.ip().to_string()), port: address.port() },
            Err(_) => {
                let path = PathBuf::from(setup.address.trim_start_matches("unix:"));
                Listen::Unix { path, mode: None, owner: None, group: None }
            }
        };
        let given: Vec<Listen> = self.sockets.iter().map(listen).collect();
        site.unreached(&given)
    }

    fn bind_one(&mut self, listen: &Listen, backlog: i32) -> Result<(), StartError> {
        match listen {
            Listen::Tcp { host, port } => {
                let socket = bind_tcp(host.as_deref(), *port, backlog)?;
                self.add(socket, false)
            }
            Listen::Unix { path, mode, owner, group } => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let owner = SocketOwner::find(&path, owner.as_deref(), group.as_deref())?;
                let socket = bind_unix(&path, backlog, mode.unwrap_or(0o666), owner)?;
                self.files.push(path);
                self.add(socket, false)
            }
        }
    }

    fn add(&mut self, socket: OwnedFd, tls: bool) -> Result<(), StartError> {
        let address = address_of(&socket)?;
        self.sockets.push((socket, ListenerSetup { address, tls }));
        Ok(())
    }

    /// Descriptors in order.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(|(socket, _)| socket.as_fd())
    }

    /// Descriptions in the same order.
    pub fn setups(&self) -> Vec<ListenerSetup> {
        self.sockets.iter().map(|(_, setup)| setup.clone()).collect()
    }

    /// URLs for clients.
    pub fn urls(&self) -> Vec<String> {
        let count = self.sockets.len() - usize::from(self.admin);
        self.sockets[..count].iter().map(|(_, setup)| url(setup)).collect()
    }

    /// URL of the admin pages.
    pub fn admin(&self) -> Option<String> {
        self.sockets.last().filter(|_| self.admin).map(|(_, setup)| url(setup))
    }

    /// Removes the socket files.
    pub fn remove_files(&self) {
        for path in &self.files {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// `http://127.0.0.1:8000/` (also for a socket on all interfaces), `https://…` or `unix:/path`.
fn url(setup: &ListenerSetup) -> String {
    if setup.address.starts_with("unix:") {
        return setup.address.clone();
    }
    let scheme = if setup.tls { "https" } else { "http" };
    match setup.address.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => format!("{scheme}://127.0.0.1:{}/", address.port()),
        _ => format!("{scheme}://{}/", setup.address),
    }
}

fn bind_tcp_text(text: &str, backlog: i32) -> Result<OwnedFd, StartError> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let Ok(port) = port.parse() else {
        return Err(StartError(format!("'{text}' is no address to listen on; expected HOST:PORT")));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    bind_tcp(Some(host).filter(|h| !h.is_empty()), port, backlog)
}

/// Without a host: all interfaces, on one socket for IPv6 and IPv4 if the machine has IPv6.
fn bind_tcp(host: Option<&str>, port: u16, backlog: i32) -> Result<OwnedFd, StartError> {
    let shown = |why: &str| StartError(format!("cannot listen on {}:{port}: {why}", host.unwrap_or("*")));
    let told = |error: Errno| {
        shown(match error {
            Errno::ADDRINUSE => "another program uses that port; stop it or choose another port",
            Errno::ACCESS | Errno::PERM => "this user may not; choose a port from 1024 on",
            Errno::ADDRNOTAVAIL => "this machine has no such address",
            other => return shown(&std::io::Error::from(other).to_string()),
        })
    };
    let Some(host) = host else {
        return match bind_address(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port), backlog) {
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {
                bind_address(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), backlog).map_err(told)
            }
            other => other.map_err(told),
        };
    };
    let address = match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port),
        Err(_) => {
            let found = (host, port).to_socket_addrs().ok().and_then(|mut all| all.next());
            found.ok_or_else(|| shown("that is neither an address nor a known name of this machine"))?
        }
    };
    bind_address(address, backlog).map_err(told)
}

fn bind_address(address: SocketAddr, backlog: i32) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    net::bind(&socket, &address)?;
    net::listen(&socket, backlog)?;
    Ok(socket)
}

/// Owner and group for a socket's file; `None`: those of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SocketOwner {
    user: Option<u32>,
    group: Option<u32>,
}

impl SocketOwner {
    /// Names or `#id`.
    fn find(path: &Path, user: Option<&str>, group: Option<&str>) -> Result<Self, StartError> {
        let unknown = |what, name: &str| refused(path, &format!("there is no {what} '{name}'"));
        // A user needs no entry in the user database.
        let number = |name: &str| name.strip_prefix('#').and_then(|number| number.parse().ok());
        let user = user.map(|name| {
            let found = number(name).or_else(|| identity::user(name).map(|user| user.uid));
            found.ok_or_else(|| unknown("user", name))
        });
        let group = group.map(|name| identity::group(name).ok_or_else(|| unknown("group", name)));
        Ok(Self { user: user.transpose()?, group: group.transpose()? })
    }

    /// Gives the file away. Not by its path, where somebody else's file may be by now.
    fn take(self, path: &Path) -> Result<(), StartError> {
        if self.user.is_none() && self.group.is_none() {
            return Ok(());
        }
        let told = |error: Errno| match error {
            Errno::PERM => refused(
                path,
                "its owner and group can be set by root only, and its group by a member; start as root, or leave owner= and group= out",
            ),
            error => refused(path, &std::io::Error::from(error).to_string()),
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(CWD, path, flags, Mode::empty()).map_err(told)?;
        if FileType::from_raw_mode(fstat(&file).map_err(told)?.st_mode) != FileType::Socket {
            return Err(refused(path, "somebody else has replaced the socket"));
        }
        chownat(&file, "", self.user.map(Uid::from_raw), self.group.map(Gid::from_raw), AtFlags::EMPTY_PATH)
            .map_err(told)
    }
}

fn refused(path: &Path, why: &str) -> StartError {
    StartError(format!("cannot listen on {}: {why}", path.display()))
}

/// A socket file. A stale one, on which nobody answers, is replaced.
pub fn bind_unix(path: &Path, backlog: i32, mode: u32, owner: SocketOwner) -> Result<OwnedFd, StartError> {
    let shown = |why: &str| refused(path, why);
    let error = |e: Errno| shown(&std::io::Error::from(e).to_string());
    let address =
        SocketAddrUnix::new(path).map_err(|_| shown("the path is too long for a socket (107 bytes)"))?;
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(shown("there is a file that is no socket; remove it or choose another path"));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(shown("another program answers there; stop it or choose another path"));
        }
        std::fs::remove_file(path)
            .map_err(|e| shown(&format!("the old socket file cannot be removed: {e}")))?;
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(error)?;
    // The umask gives the file its mode from the start. This process has one thread at this time.
    let before = rustix::process::umask(Mode::from_raw_mode(0o777 & !mode));
    let bound = net::bind(&socket, &address);
    rustix::process::umask(before);
    bound.map_err(error)?;
    // Before anybody can connect.
    owner.take(path)?;
    net::listen(&socket, backlog).map_err(error)?;
    Ok(socket)
}

fn address_of(socket: &OwnedFd) -> Result<String, StartError> {
    let refused = || StartError::new("a given descriptor is not a listening socket");
    let address = net::getsockname(socket).map_err(|_| refused())?;
    if let Ok(address) = SocketAddr::try_from(address.clone()) {
        return Ok(address.to_string());
    }
    let unix = SocketAddrUnix::try_from(address).map_err(|_| refused())?;
    let path = unix.path().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(format!("unix:{path}"))
}

/// The sockets from systemd (`LISTEN_PID`, `LISTEN_FDS`), if any.
pub fn given() -> Result<Vec<OwnedFd>, StartError> {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS").unwrap_or(0).min(64) as i32;
    let taken = (3..3 + count).map(gk_sys::descriptors::inherited).collect::<Result<Vec<_>, _>>();
    let taken = taken.map_err(|e| StartError(format!("LISTEN_FDS promises {count} sockets, but: {e}")))?;
    for socket in &taken {
        rustix::io::ioctl_fionbio(socket, true).map_err(|e| StartError(format!("a given socket: {e}")))?;
    }
    Ok(taken)
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
