//! TCP sockets: one address, or all of them in both families.

use crate::StartError;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

/// Binds `HOST:PORT`.
pub(super) fn bind_text(text: &str, backlog: i32) -> Result<OwnedFd, StartError> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let Ok(port) = port.parse() else {
        return Err(StartError(format!("'{text}' is no address to listen on; expected HOST:PORT")));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    bind(Some(host).filter(|h| !h.is_empty()), port, false, backlog)
}

/// Without a host: all interfaces, on one socket for IPv6 and IPv4 if the machine has IPv6. `ipv6_only`: it takes no client of
/// IPv4.
pub(super) fn bind(
    host: Option<&str>,
    port: u16,
    ipv6_only: bool,
    backlog: i32,
) -> Result<OwnedFd, StartError> {
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
        return match bind_address(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port), ipv6_only, backlog) {
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if !ipv6_only => {
                bind_address(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), false, backlog)
                    .map_err(told)
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
    bind_address(address, ipv6_only, backlog).map_err(told)
}

fn bind_address(address: SocketAddr, ipv6_only: bool, backlog: i32) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, ipv6_only || !address.ip().is_unspecified())?;
    }
    net::bind(&socket, &address)?;
    net::listen(&socket, backlog)?;
    Ok(socket)
}
