//! The listening sockets: bound here, given by the service manager, or left by the server that this one replaces. They are kept
//! over restarts of the front.

mod address;
mod file;
pub mod given;
pub mod matching;
pub mod passing;
mod tcp;

use crate::StartError;
use address::Address;
pub use file::{SocketOwner, bind_unix};
use gk_config::site::{Listen, Site};
use gk_wire::setup::ListenerSetup;
use matching::{Offer, Origin, Purpose, Wanted};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Any free port, for admin pages that nobody has an address for.
const ANY_PORT: &str = "127.0.0.1:0";

/// The sockets in the front's order; that of the admin pages is the last.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<Listener>,
    /// Socket files of the server before, for which there is no use any more.
    abandoned: Vec<PathBuf>,
    /// Why the admin pages are not where they are by default.
    moved: Option<String>,
}

#[derive(Debug)]
struct Listener {
    /// `None`: closed, as the server stops.
    socket: Option<OwnedFd>,
    setup: ListenerSetup,
    purpose: Purpose,
    file: Option<PathBuf>,
    /// The file is removed at the end: it was made here, or the server before has handed it over.
    owns_file: bool,
}

/// A socket that somebody else has opened.
#[derive(Debug)]
pub struct Offered {
    /// The socket.
    pub socket: OwnedFd,
    /// Who has opened it, and for what.
    pub origin: Origin,
    /// Its file, where its last owner removes that.
    pub file: Option<PathBuf>,
}

impl Listeners {
    /// Takes those of the `offered` sockets that the site has a use for, and binds what else it listens on.
    pub fn bind(site: &Site, offered: Vec<Offered>) -> Result<Self, StartError> {
        let mut listeners = Self { sockets: Vec::new(), abandoned: Vec::new(), moved: None };
        let backlog = i32::try_from(site.http.listen_backlog).unwrap_or(i32::MAX).max(1);
        let (clients, admin) = listeners.take(site, offered)?;
        let were_given = !clients.is_empty();
        let used = |listen: &Listen| clients.iter().any(|one| matching::is_for(&one.purpose, listen));
        let replaced = clients.iter().any(|one| one.purpose == Purpose::Clients(None));
        let mut any_ports = 0;
        for listen in site.listen.iter().filter(|_| !replaced) {
            if matches!(listen, Listen::Tcp { port: 0, .. }) {
                // Each of them has a socket of its own.
                any_ports += 1;
                let there = clients.iter().filter(|one| matching::is_for(&one.purpose, listen)).count();
                if any_ports <= there {
                    continue;
                }
            } else if used(listen) {
                continue;
            }
            listeners.bind_one(listen, backlog)?;
        }
        listeners.sockets.extend(clients);
        // The order of the `Listen` lines, whoever opened the sockets.
        listeners.sockets.sort_by_key(|one| {
            site.listen.iter().position(|listen| matching::is_for(&one.purpose, listen)).unwrap_or(usize::MAX)
        });
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
        match (admin, &site.admin) {
            (Some(admin), _) => listeners.sockets.push(admin),
            (None, Some(text)) => listeners.bind_admin(site, text, backlog)?,
            (None, None) => {}
        }
        Ok(listeners)
    }

    /// The address that nobody has named gives way to a free one, so that a second server on a machine starts like the first.
    fn bind_admin(&mut self, site: &Site, text: &str, backlog: i32) -> Result<(), StartError> {
        let bound = tcp::bind_text(text, backlog);
        let is_moved = bound.is_err() && site.admin_implied;
        let bound = bound.or_else(|taken| match site.admin_implied {
            true => tcp::bind_text(ANY_PORT, backlog).map_err(|_| taken),
            false => Err(taken),
        });
        let socket = bound.map_err(|e| {
            StartError(format!(
                "{} (the admin pages; --admin HOST:PORT moves them, --admin off does without)",
                e.0
            ))
        })?;
        let tls = site.measurements.admin_tls.is_some();
        self.add(socket, Purpose::Admin(text.to_owned()), tls, None)?;
        if is_moved {
            let url = self.admin().unwrap_or_default();
            self.moved = Some(format!(
                "the admin pages are at {url}, since another program uses {text}; --admin HOST:PORT (GilkeeperAdmin) names an address"
            ));
        }
        Ok(())
    }

    /// What is to be said at the start.
    pub fn remark(&self) -> Option<&String> {
        self.moved.as_ref()
    }

    /// Sockets for clients and one for the admin pages, of those that are offered.
    fn take(
        &mut self,
        site: &Site,
        offered: Vec<Offered>,
    ) -> Result<(Vec<Listener>, Option<Listener>), StartError> {
        let offers = offered
            .iter()
            .map(|one| Ok(Offer { origin: one.origin.clone(), address: Address::of(&one.socket)? }))
            .collect::<Result<Vec<Offer>, StartError>>()?;
        let wanted =
            Wanted { listen: &site.listen, implied: site.listen_implied, admin: site.admin.as_deref() };
        let uses = matching::assign(wanted, &offers).map_err(StartError)?;
        let (mut clients, mut admin) = (Vec::new(), None);
        for ((one, offer), used) in offered.into_iter().zip(offers).zip(uses) {
            let Some(purpose) = used else {
                self.abandoned.extend(one.file);
                continue;
            };
            let address = offer.address.to_string();
            let is_admin = matches!(purpose, Purpose::Admin(_));
            let tls = is_admin && site.measurements.admin_tls.is_some();
            let setup = ListenerSetup { address: address.clone(), tls };
            let listener =
                Listener { socket: Some(one.socket), setup, purpose, file: one.file, owns_file: false };
            match is_admin {
                true if admin.is_some() => {
                    return Err(StartError(format!(
                        "the socket {address} was given for the admin pages, which have one already; take it out of its .socket unit"
                    )));
                }
                true => admin = Some(listener),
                false => clients.push(listener),
            }
        }
        Ok((clients, admin))
    }

    /// The address of a virtual host that no request reaches over the sockets so far.
    fn unreached(&self, site: &Site) -> Option<String> {
        let listen = |one: &Listener| match Address::parse(&one.setup.address) {
            Address::Tcp(address) => {
                let host = Some(address.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
                Listen::Tcp { host, port: address.port(), ipv6_only: false }
            }
            Address::File(path) => Listen::Unix { path, mode: None, owner: None, group: None },
            Address::Abstract(name) => {
                Listen::Unix { path: name.into(), mode: None, owner: None, group: None }
            }
        };
        let given: Vec<Listen> = self.sockets.iter().map(listen).collect();
        site.unreached(&given)
    }

    fn bind_one(&mut self, listen: &Listen, backlog: i32) -> Result<(), StartError> {
        let purpose = Purpose::Clients(Some(listen.clone()));
        match listen {
            Listen::Tcp { host, port, ipv6_only } => {
                let socket = tcp::bind(host.as_deref(), *port, *ipv6_only, backlog)?;
                self.add(socket, purpose, false, None)
            }
            Listen::Unix { path, mode, owner, group } => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let owner = SocketOwner::find(&path, owner.as_deref(), group.as_deref())?;
                let socket = bind_unix(&path, backlog, mode.unwrap_or(0o666), owner)?;
                self.add(socket, purpose, false, Some(path))
            }
            // Its sockets are there, or the start has failed.
            Listen::Given { .. } => Ok(()),
        }
    }

    fn add(
        &mut self,
        socket: OwnedFd,
        purpose: Purpose,
        tls: bool,
        file: Option<PathBuf>,
    ) -> Result<(), StartError> {
        let address = Address::of(&socket)?.to_string();
        let setup = ListenerSetup { address, tls };
        self.sockets.push(Listener { socket: Some(socket), setup, purpose, file, owns_file: true });
        Ok(())
    }

    /// Descriptors in order.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().filter_map(|one| Some(one.socket.as_ref()?.as_fd()))
    }

    /// Descriptions in the same order.
    pub fn setups(&self) -> Vec<ListenerSetup> {
        self.sockets.iter().map(|one| one.setup.clone()).collect()
    }

    /// Those for clients, with their descriptions.
    pub fn of_clients(&self) -> impl Iterator<Item = (&ListenerSetup, BorrowedFd<'_>)> {
        let clients = self.sockets.iter().filter(|one| matches!(one.purpose, Purpose::Clients(_)));
        clients.filter_map(|one| Some((&one.setup, one.socket.as_ref()?.as_fd())))
    }

    /// URLs for clients; the site says where TLS is spoken.
    pub fn urls(&self, site: &Site) -> Vec<String> {
        let clients = self.sockets.iter().filter(|one| matches!(one.purpose, Purpose::Clients(_)));
        let tls = |setup: &ListenerSetup| site.speaks_tls(setup.address.parse().ok());
        clients.map(|one| url(&one.setup, tls(&one.setup))).collect()
    }

    /// URL of the admin pages.
    pub fn admin(&self) -> Option<String> {
        let admin = self.sockets.iter().find(|one| matches!(one.purpose, Purpose::Admin(_)));
        admin.map(|one| url(&one.setup, one.setup.tls))
    }

    /// Each socket with its purpose and the file that its last owner removes, for the server that replaces this one.
    pub fn estate(&self) -> impl Iterator<Item = (BorrowedFd<'_>, &Purpose, Option<&PathBuf>)> {
        let open = self.sockets.iter().filter_map(|one| Some((one, one.socket.as_ref()?.as_fd())));
        open.map(|(one, socket)| (socket, &one.purpose, one.file.as_ref()))
    }

    /// Closes the sockets for clients: the server stops, and clients are refused as soon as its processes have closed them, too. While
    /// one copy is open, the kernel would let clients connect whom nobody serves.
    pub fn close(&mut self) {
        let clients = self.sockets.iter_mut().filter(|one| matches!(one.purpose, Purpose::Clients(_)));
        clients.for_each(|one| one.socket = None);
    }

    /// The server before is replaced: its socket files are this one's.
    pub fn take_files(&mut self) {
        self.sockets.iter_mut().for_each(|one| one.owns_file = true);
        self.abandoned.drain(..).for_each(|path| drop(std::fs::remove_file(path)));
    }

    /// Another server owns the socket files now.
    pub fn leave_files(&mut self) {
        self.sockets.iter_mut().for_each(|one| one.owns_file = false);
    }

    /// Removes the socket files.
    pub fn remove_files(&self) {
        let own = self.sockets.iter().filter(|one| one.owns_file);
        for path in own.filter_map(|one| one.file.as_ref()) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// `http://127.0.0.1:8000/` (also for a socket on all interfaces), `https://…` or `unix:/path`.
fn url(setup: &ListenerSetup, tls: bool) -> String {
    if setup.address.starts_with("unix:") {
        return setup.address.clone();
    }
    let scheme = if tls { "https" } else { "http" };
    match setup.address.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => format!("{scheme}://127.0.0.1:{}/", address.port()),
        _ => format!("{scheme}://{}/", setup.address),
    }
}

#[cfg(test)]
mod tests;
