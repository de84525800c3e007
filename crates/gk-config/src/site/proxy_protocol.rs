//! `RemoteIPProxyProtocol`: the connections that begin with a header of the PROXY protocol.

use crate::site::HostAddress;
use gk_rules::remote::Peers;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The addresses of the server at which the header is expected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyProtocol {
    /// Where it is `On`; an address without host and port stands for all, Unix sockets too.
    pub on: Vec<HostAddress>,
    /// Where it is `Off`, which counts more, as with Apache.
    pub off: Vec<HostAddress>,
    /// `RemoteIPProxyProtocolExceptions`: peers that send none.
    pub exceptions: Vec<Peers>,
}

impl ProxyProtocol {
    /// Sets it for an address; true: another line about the same address said otherwise.
    pub fn set(&mut self, address: &HostAddress, on: bool) -> bool {
        let (to, from) = match on {
            true => (&mut self.on, &mut self.off),
            false => (&mut self.off, &mut self.on),
        };
        let before = from.len();
        from.retain(|other| other != address);
        if !to.contains(address) {
            to.push(address.clone());
        }
        from.len() < before
    }

    /// Whether a connection of this peer to `local` begins with the header; `None`: a Unix socket.
    pub fn is_expected(&self, local: Option<SocketAddr>, peer: Option<IpAddr>) -> bool {
        let named = |list: &[HostAddress]| list.iter().any(|address| fits(address, local));
        named(&self.on) && !named(&self.off) && !self.exceptions.iter().any(|peers| peers.contain(peer))
    }
}

fn fits(address: &HostAddress, local: Option<SocketAddr>) -> bool {
    let Some(local) = local else { return address.host.is_none() && address.port.is_none() };
    let host = address.host.as_ref().is_none_or(|host| {
        host.parse::<IpAddr>().is_ok_and(|host| host.to_canonical() == local.ip().to_canonical())
    });
    host && address.port.is_none_or(|port| port == local.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: Option<&str>, port: Option<u16>) -> HostAddress {
        HostAddress { host: host.map(str::to_owned), port }
    }

    /// As Apache 2.4.71 has it.
    #[test]
    fn off_counts_more_than_on() {
        let mut protocol = ProxyProtocol::default();
        let expected = |protocol: &ProxyProtocol, local: &str| protocol.is_expected(local.parse().ok(), None);
        assert!(!expected(&protocol, "127.0.0.1:80") && !expected(&protocol, ""));
        assert!(!protocol.set(&address(None, None), true));
        protocol.set(&address(Some("127.0.0.1"), Some(81)), false);
        protocol.set(&address(None, Some(82)), false);
        for (local, wanted) in [
            ("127.0.0.1:80", true),
            ("127.0.0.1:81", false),
            ("[::ffff:127.0.0.1]:81", false),
            ("127.0.0.2:81", true),
            ("127.0.0.2:82", false),
            ("", true),
        ] {
            assert_eq!(expected(&protocol, local), wanted, "{local}");
        }
        assert!(protocol.set(&address(None, Some(82)), true), "the last line about an address counts");
        assert!(expected(&protocol, "127.0.0.2:82"));
        assert!(protocol.set(&address(None, None), false));
        assert!(!expected(&protocol, "127.0.0.2:82") && !expected(&protocol, ""));
    }

    #[test]
    fn exceptions_send_no_header() {
        let mut protocol = ProxyProtocol::default();
        protocol.set(&address(None, None), true);
        protocol.exceptions = ["10.0.0.0/8", "unix:"].map(|word| Peers::parse(word).unwrap()).to_vec();
        let local = "192.0.2.1:80".parse().ok();
        assert!(protocol.is_expected(local, "192.0.2.9".parse().ok()));
        assert!(!protocol.is_expected(local, "10.1.1.1".parse().ok()));
        assert!(!protocol.is_expected(None, None));
    }
}
