//! Where the server listens, and whether every virtual host is reached there.

use crate::diagnostic::{Complaint, Journal};
use crate::directives::raw::{Raw, RawHost};
use crate::site::{HostAddress, Listen, Site};
use std::net::IpAddr;

/// The port when neither a `Listen` nor a virtual host names one.
const PORT: u16 = 8000;

/// Without a `Listen`, the virtual hosts' own ports are listened on: distributions keep the line in another file. With one, each
/// host must be reached.
pub fn resolve(raw: &mut Raw, journal: &mut Journal) {
    let given = !raw.listen.is_empty();
    if !given {
        raw.listen = implied(&raw.hosts);
    }
    part_families(&mut raw.listen);
    for host in raw.hosts.iter().skip(1).filter(|host| !is_reached(&host.addresses, &raw.listen)) {
        journal.say(unreached(host, &raw.listen, given));
    }
}

/// The addresses that virtual hosts name with a port; every interface where one of them says so.
fn implied(hosts: &[RawHost]) -> Vec<Listen> {
    let named: Vec<(Option<&str>, u16)> = hosts
        .iter()
        .flat_map(|host| &host.addresses)
        .filter_map(|address| Some((address.host.as_deref(), address.port?)))
        .collect();
    let mut listen = Vec::new();
    for &(host, port) in &named {
        let host = if named.contains(&(None, port)) { None } else { host.map(str::to_owned) };
        let one = Listen::Tcp { host, port, ipv6_only: false };
        if !listen.contains(&one) {
            listen.push(one);
        }
    }
    if listen.is_empty() {
        listen.push(Listen::Tcp { host: None, port: PORT, ipv6_only: false });
    }
    listen
}

/// A port that is listened on for all addresses of IPv4 and for all of IPv6 has two sockets: that of IPv6 leaves the clients of
/// IPv4 to the other. Apache takes such lines, too, with one socket for both.
fn part_families(listen: &mut [Listen]) {
    let ipv4 = |listen: &Listen| match listen {
        Listen::Tcp { host: Some(host), port, .. } if host == "0.0.0.0" => Some(*port),
        _ => None,
    };
    let of_ipv4: Vec<u16> = listen.iter().filter_map(ipv4).collect();
    for listen in listen {
        if let Listen::Tcp { host, port, ipv6_only } = listen
            && host.as_deref().is_none_or(|host| host == "::")
        {
            *ipv6_only |= *port != 0 && of_ipv4.contains(port);
        }
    }
}

/// Whether requests of one of these listeners may come to a host of these addresses.
pub(super) fn is_reached(addresses: &[HostAddress], listen: &[Listen]) -> bool {
    addresses.iter().any(|address| listen.iter().any(|listen| reaches(listen, address)))
}

fn reaches(listen: &Listen, address: &HostAddress) -> bool {
    match listen {
        Listen::Tcp { host, port, .. } => {
            let by_port = address.port.is_none_or(|wanted| wanted == *port);
            let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<IpAddr>().ok());
            let by_host = match (number(host), number(&address.host)) {
                (Some(ours), Some(wanted)) => {
                    ours.is_unspecified() || ours.to_canonical() == wanted.to_canonical()
                }
                _ => true,
            };
            by_port && by_host
        }
        Listen::Unix { .. } => address.port.is_none() && address.host.is_none(),
        // Its address is known when the server starts.
        Listen::Given { .. } => true,
    }
}

fn unreached(host: &RawHost, listen: &[Listen], given: bool) -> Complaint {
    let wanted =
        host.addresses.iter().find_map(|address| Some(place(address.host.as_deref(), address.port?)));
    let wanted = wanted.unwrap_or_else(|| host.word.text.clone());
    let ours: Vec<String> = listen.iter().map(spelt).collect();
    let origin = match ours.as_slice() {
        _ if given => "",
        [one] if *one == place(None, PORT) => ", the default without a `Listen`",
        _ => ", which the virtual hosts name: there is no `Listen`",
    };
    let message = format!(
        "nobody listens on {wanted}, so no request reaches this virtual host (listened on: {}{origin})",
        ours.join(", ")
    );
    let port = wanted.trim_start_matches("port ");
    let hint = format!("add `Listen {port}`, or give the virtual host a port that is listened on");
    Complaint::error(message).at(&host.word).hint(hint)
}

fn place(host: Option<&str>, port: u16) -> String {
    match host {
        None => format!("port {port}"),
        Some(host) if host.contains(':') => format!("[{host}]:{port}"),
        Some(host) => format!("{host}:{port}"),
    }
}

fn spelt(listen: &Listen) -> String {
    match listen {
        Listen::Tcp { host, port, .. } => place(host.as_deref(), *port),
        Listen::Given { name } => format!("systemd:{name}"),
        Listen::Unix { path, .. } => format!("unix:{}", path.display()),
    }
}

impl Site {
    /// The first virtual host, as its address is written, that no request reaches over sockets with these addresses, which were
    /// given in place of `Listen`.
    pub fn unreached(&self, sockets: &[Listen]) -> Option<String> {
        let host = self.hosts.iter().skip(1).find(|host| !is_reached(&host.addresses, sockets))?;
        host.addresses.iter().find_map(|address| Some(place(address.host.as_deref(), address.port?)))
    }

    /// Whether nothing is mounted: no script, no file, no service.
    pub fn mounts_nothing(&self) -> bool {
        let empty = |host: &crate::site::Host| {
            host.mounts.is_empty() && host.statics.is_empty() && host.document_root.is_none()
        };
        self.imports.is_empty() && self.hosts.iter().all(empty)
    }
}
