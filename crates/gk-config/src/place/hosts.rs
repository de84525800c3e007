//! Which virtual host: first by address, then by name. And which addresses speak TLS.

use crate::parse::glob;
use crate::site::{Host, HostAddress, Site};
use std::net::SocketAddr;

/// Index of the host. Among the hosts whose addresses fit best, the first whose name or alias is asked for, else the
/// first; the main server if no address fits.
pub fn select(hosts: &[Host], local: Option<SocketAddr>, header: Option<&[u8]>) -> usize {
    if hosts.len() < 2 {
        return 0;
    }
    let name = header.map(bare_name).unwrap_or_default();
    let named = candidates(hosts, local).find(|(_, host)| {
        host.server_name.as_deref() == Some(name.as_str())
            || host.aliases.iter().any(|alias| glob::matches(alias.as_bytes(), name.as_bytes()))
    });
    named.map_or_else(|| first(hosts, local), |(index, _)| index)
}

/// Index of the first host whose addresses fit best; the main server if no address fits.
pub fn first(hosts: &[Host], local: Option<SocketAddr>) -> usize {
    candidates(hosts, local).next().map_or(0, |(index, _)| index)
}

/// The virtual hosts whose addresses fit best.
fn candidates(hosts: &[Host], local: Option<SocketAddr>) -> impl Iterator<Item = (usize, &Host)> {
    let fits = move |host: &Host| host.addresses.iter().filter_map(|address| fit(address, local)).max();
    let best = hosts.iter().skip(1).filter_map(fits).max();
    hosts.iter().enumerate().skip(1).filter(move |(_, host)| best.is_some() && fits(host) == best)
}

/// How well an address fits a connection: a numeric address counts more than a port.
fn fit(address: &HostAddress, local: Option<SocketAddr>) -> Option<u8> {
    let by_host = match (&address.host, local) {
        (None, _) => 0,
        (Some(_), None) => return None,
        (Some(host), Some(local)) => {
            let wanted: std::net::IpAddr = host.parse().ok()?;
            if wanted.to_canonical() != local.ip().to_canonical() {
                return None;
            }
            2
        }
    };
    let by_port = match (address.port, local) {
        (None, _) => 0,
        (Some(port), Some(local)) if port == local.port() => 1,
        _ => return None,
    };
    Some(by_host + by_port)
}

/// The name in a Host header: lower case, without port and without the dot at the end.
pub fn bare_name(header: &[u8]) -> String {
    let text = String::from_utf8_lossy(header);
    let name = match text.rfind(']') {
        Some(end) => &text[..=end],
        None => text.split(':').next().unwrap_or(""),
    };
    name.trim().trim_end_matches('.').to_ascii_lowercase()
}

impl Site {
    /// Whether some host speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.hosts.iter().any(|host| host.tls.is_some())
    }

    /// Whether connections to this address speak TLS (`None`: a Unix socket). Of the address of every interface: whether those to
    /// some address of its port do.
    pub fn speaks_tls(&self, local: Option<SocketAddr>) -> bool {
        if !self.has_tls() {
            return false;
        }
        let Some(every) = local.filter(|address| address.ip().is_unspecified()) else {
            return self.hosts[first(&self.hosts, local)].tls.is_some();
        };
        let of_port = |address: &HostAddress| address.port.is_none_or(|port| port == every.port());
        let own = || self.hosts.iter().skip(1).filter(|host| host.addresses.iter().any(of_port));
        match own().next() {
            Some(_) => own().any(|host| host.tls.is_some()),
            None => self.hosts[0].tls.is_some(),
        }
    }
}
