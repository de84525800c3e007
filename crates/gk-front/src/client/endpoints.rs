//! The addresses at both ends of a connection.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::rc::Rc;

use crate::client::tls::facts::TlsFacts;

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
    /// TLS is spoken, or will be after its handshake.
    pub https: bool,
    /// What the handshake has brought.
    tls: OnceCell<Rc<TlsFacts>>,
    /// The connection begins with a header of the PROXY protocol.
    pub proxied: bool,
    /// The other end of the socket, where that header or a field of a request names another client: text and number, as `peer` and `address`.
    pub socket_peer: Option<(String, Option<IpAddr>)>,
}

/// The endpoints of a connection: those of its socket, until a proxy tells of its client.
#[derive(Debug)]
pub struct ToldEndpoints {
    socket: Endpoints,
    told: OnceCell<Endpoints>,
}

impl ToldEndpoints {
    /// Those of a socket.
    pub fn new(socket: Endpoints) -> Self {
        Self { socket, told: OnceCell::new() }
    }

    /// The proxy at the other end says who its client is.
    pub fn tell(&self, client: SocketAddr) {
        let socket = &self.socket;
        let ip = client.ip().to_canonical();
        let _ = self.told.set(Endpoints {
            client: SocketAddr::new(ip, client.port()).to_string(),
            peer: ip.to_string(),
            address: Some(ip),
            peer_port: client.port(),
            socket_peer: Some((socket.peer.clone(), socket.address)),
            ..socket.clone()
        });
    }
}

impl Deref for ToldEndpoints {
    type Target = Endpoints;

    fn deref(&self) -> &Endpoints {
        self.told.get().unwrap_or(&self.socket)
    }
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

    /// What is known of TLS; `None`: it is not spoken, or hands are being shaken.
    pub fn tls(&self) -> Option<&Rc<TlsFacts>> {
        self.tls.get()
    }

    /// The handshake is done.
    pub fn set_tls(&self, facts: Rc<TlsFacts>) {
        let _ = self.tls.set(facts);
    }

    /// Our address with port; `None` on a Unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local.parse::<IpAddr>().ok().map(|ip| (ip, self.local_port).into())
    }

    /// The endpoints of a request whose client a header field names, which says nothing of a port.
    pub fn of_client(&self, client: IpAddr) -> Self {
        Self {
            client: client.to_string(),
            peer: client.to_string(),
            address: Some(client),
            socket_peer: Some((self.socket_text().to_owned(), self.socket_address())),
            ..self.clone()
        }
    }

    /// The other end of the socket, as text.
    pub fn socket_text(&self) -> &str {
        self.socket_peer.as_ref().map_or(&self.peer, |(text, _)| text)
    }

    /// The other end of the socket; `None`: a Unix socket.
    pub fn socket_address(&self) -> Option<IpAddr> {
        self.socket_peer.as_ref().map_or(self.address, |(_, address)| *address)
    }

    /// A Unix socket, which has no addresses.
    pub fn unix() -> Self {
        Self { client: "unix".into(), ..Self::default() }
    }
}
