//! The addresses at both ends of a connection.

use std::net::{IpAddr, SocketAddr};

/// Addresses as texts, made once per connection.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// Client's address without port; empty on a Unix socket.
    pub peer: String,
    /// The same as a number; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// Client's port, 0 on a Unix socket.
    pub peer_port: u16,
    /// Our address without port; empty on a Unix socket.
    pub local: String,
    /// Our port, 0 on a Unix socket.
    pub local_port: u16,
    /// `peer:port` for log lines.
    pub client: String,
    /// Index of the listener.
    pub listener: usize,
    /// TLS.
    pub https: bool,
}

impl Endpoints {
    /// Both ends of a TCP connection. An IPv4 address that came over IPv6 is shown as IPv4.
    pub fn tcp(peer: SocketAddr, local: SocketAddr) -> Self {
        let (peer_ip, local_ip) = (peer.ip().to_canonical(), local.ip().to_canonical());
        Self {
            client: SocketAddr::new(peer_ip, peer.port()).to_string(),
            peer: peer_ip.to_string(),
            address: Some(peer_ip),
            peer_port: peer.port(),
            local: local_ip.to_string(),
            local_port: local.port(),
            ..Self::default()
        }
    }

    /// Our address with port; `None` on a Unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local.parse::<IpAddr>().ok().map(|ip| (ip, self.local_port).into())
    }

    /// A Unix socket, which has no addresses.
    pub fn unix() -> Self {
        Self { client: "unix".into(), ..Self::default() }
    }
}
