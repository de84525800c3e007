//! mod_remoteip: the client of a request, where a proxy in front names it in a header field. The field is read from its end on, as long
//! as who has said the rest is a proxy that is believed.

use crate::Mistake;
use crate::access::Network;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The word for peers on Unix sockets, which have no address.
const UNIX: &str = "unix:";

/// `RemoteIPHeader` and its relatives, of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoteIp {
    /// `RemoteIPHeader`, in lower case.
    pub header: Option<String>,
    /// `RemoteIPProxiesHeader`, in lower case.
    pub proxies_header: Option<String>,
    /// The proxies that are believed; `None`: every peer, as an external one.
    pub proxies: Option<Vec<Proxy>>,
}

/// A proxy that is believed, or a network of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// Its addresses.
    pub peers: Peers,
    /// It is one of the site's own network: it may name private addresses, and is not told among the proxies.
    pub internal: bool,
}

/// Other ends of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peers {
    /// Those on Unix sockets.
    Unix,
    /// Those of a network.
    Network(Network),
}

/// The client that a field names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedClient {
    /// Its address.
    pub address: IpAddr,
    /// The part of the field that was not used; `None`: nothing is left.
    pub left: Option<Vec<u8>>,
    /// The external proxies on the way, the nearest first.
    pub passed: Vec<IpAddr>,
}

impl Peers {
    /// Reads an address, a network or `unix:`.
    pub fn parse(word: &str) -> Result<Self, Mistake> {
        if word == UNIX {
            return Ok(Self::Unix);
        }
        Network::parse(word).map(Self::Network).map_err(|why| {
            let mistake = Mistake::new(format!("`{word}`: {why}"));
            let named = !word.contains('/') && word.bytes().any(|byte| byte.is_ascii_alphabetic());
            mistake.hint(match named {
                true => {
                    "names are not looked up here: write the addresses, such as 192.0.2.1 or 2001:db8::/32"
                }
                false => "such as 192.0.2.1, 192.0.2.0/24, 2001:db8::/32, or unix: for Unix sockets",
            })
        })
    }

    /// Whether a peer is one of them; `None`: one on a Unix socket.
    pub fn contain(self, peer: Option<IpAddr>) -> bool {
        match (self, peer) {
            (Self::Unix, None) => true,
            (Self::Network(network), Some(peer)) => network.contains(peer),
            _ => false,
        }
    }
}

impl RemoteIp {
    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a virtual host has of these, where it says nothing itself.
    pub fn under(&self, main: &Self) -> Self {
        Self {
            header: self.header.clone().or_else(|| main.header.clone()),
            proxies_header: self.proxies_header.clone().or_else(|| main.proxies_header.clone()),
            proxies: self.proxies.clone().or_else(|| main.proxies.clone()),
        }
    }

    /// Whether a list names this peer as a proxy.
    pub fn lists(&self, peer: IpAddr) -> bool {
        self.proxies.iter().flatten().any(|proxy| proxy.peers.contain(Some(peer)))
    }

    /// Whether the word of this peer counts, and whether it is an internal proxy.
    fn trust(&self, peer: Option<IpAddr>) -> Option<bool> {
        match &self.proxies {
            None => Some(false),
            Some(proxies) => {
                proxies.iter().find(|proxy| proxy.peers.contain(peer)).map(|proxy| proxy.internal)
            }
        }
    }

    /// The client that a field's value names, where the peer may name one. Names and short forms of addresses, which Apache gives to
    /// the resolver, are none.
    pub fn client(&self, peer: Option<IpAddr>, value: &[u8]) -> Option<NamedClient> {
        let (mut at, mut passed, mut rest) = (peer, Vec::new(), Some(value));
        let mut named = None;
        while let (Some(whole), Some(internal)) = (rest, self.trust(at)) {
            let comma = whole.iter().rposition(|byte| *byte == b',');
            let last = comma.map_or(whole, |comma| &whole[comma + 1..]);
            let Some(address) = address(last).filter(|next| internal || is_public(*next)) else { break };
            if !internal {
                passed.extend(at);
            }
            rest = comma.map(|comma| &whole[..comma]);
            (named, at) = (Some(address), Some(address));
        }
        let left = rest.map(|rest| rest.trim_ascii_end().to_vec());
        named.map(|address| NamedClient { address, left, passed })
    }
}

/// The address in one entry of a field. Blanks around it are none of it.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches(' ');
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Whether an external proxy may name this address: those of private networks say nothing outside of them.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_private() || v4.is_link_local() || v4.is_loopback()),
        // Global unicast, 2000::/3 (RFC 4291).
        IpAddr::V6(v6) => v6.octets()[0] & 0xe0 == 0x20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(internal: &[&str], external: &[&str]) -> RemoteIp {
        let proxy = |internal| move |word: &&str| Proxy { peers: Peers::parse(word).unwrap(), internal };
        let proxies = internal.iter().map(proxy(true)).chain(external.iter().map(proxy(false)));
        RemoteIp { proxies: Some(proxies.collect()), ..RemoteIp::default() }
    }

    fn shown(rules: &RemoteIp, peer: &str, value: &str) -> Option<(String, Option<String>, String)> {
        let client = rules.client(peer.parse().ok(), value.as_bytes())?;
        let left = client.left.map(|left| String::from_utf8(left).unwrap());
        let passed: Vec<String> = client.passed.iter().map(IpAddr::to_string).collect();
        Some((client.address.to_string(), left, passed.join(", ")))
    }

    /// Value, client, what is left of the field, the proxies that were passed; as mod_remoteip of Apache 2.4.71 has them.
    type Row = (&'static str, &'static str, Option<&'static str>, &'static str);

    fn check(rules: &RemoteIp, peer: &str, table: &[Row], unchanged: &[&str]) {
        for (value, client, left, passed) in table {
            let wanted = Some((client.to_string(), left.map(str::to_owned), passed.to_string()));
            assert_eq!(shown(rules, peer, value), wanted, "{value:?}");
        }
        for value in unchanged {
            assert_eq!(shown(rules, peer, value), None, "{value:?}");
        }
    }

    #[test]
    fn internal_proxies_name_any_address() {
        let internal = rules(&["127.0.0.0/8", "10.0.0.0/8"], &[]);
        let table: &[Row] = &[
            ("203.0.113.9", "203.0.113.9", None, ""),
            ("203.0.113.9, 10.0.0.1", "203.0.113.9", None, ""),
            ("203.0.113.9 , 10.0.0.1 ", "203.0.113.9", None, ""),
            ("203.0.113.9, 198.51.100.1", "198.51.100.1", Some("203.0.113.9"), ""),
            ("10.0.0.2, 10.0.0.1", "10.0.0.2", None, ""),
            ("bogus, 198.51.100.1", "198.51.100.1", Some("bogus"), ""),
            ("2001:db8::1", "2001:db8::1", None, ""),
            ("fe80::1", "fe80::1", None, ""),
            ("203.0.113.9,,10.0.0.1", "10.0.0.1", Some("203.0.113.9,"), ""),
            ("203.0.113.9, ::ffff:10.0.0.1", "203.0.113.9", None, ""),
            ("172.31.0.1, 203.0.113.7", "203.0.113.7", Some("172.31.0.1"), ""),
        ];
        let unchanged =
            ["203.0.113.9:80", "203.0.113.9, bogus", "[2001:db8::1]", "", ",", "203.0.113.09", "unknown"];
        check(&internal, "127.0.0.1", table, &unchanged);
        check(&internal, "192.0.2.1", &[], &["203.0.113.9"]);
    }

    #[test]
    fn external_proxies_name_public_addresses_and_are_told() {
        let external = rules(&[], &["127.0.0.0/8", "198.51.100.0/24"]);
        let table: &[Row] = &[
            ("203.0.113.9", "203.0.113.9", None, "127.0.0.1"),
            ("203.0.113.9, 198.51.100.1", "203.0.113.9", None, "127.0.0.1, 198.51.100.1"),
            ("bogus, 198.51.100.1", "198.51.100.1", Some("bogus"), "127.0.0.1"),
            ("10.0.0.1, 198.51.100.1", "198.51.100.1", Some("10.0.0.1"), "127.0.0.1"),
            ("a, bogus , 198.51.100.1", "198.51.100.1", Some("a, bogus"), "127.0.0.1"),
            (", 198.51.100.1", "198.51.100.1", Some(""), "127.0.0.1"),
            (
                "203.0.113.1,198.51.100.2 ,,198.51.100.1",
                "198.51.100.1",
                Some("203.0.113.1,198.51.100.2 ,"),
                "127.0.0.1",
            ),
            ("0.0.0.0", "0.0.0.0", None, "127.0.0.1"),
        ];
        let private = [
            "10.0.0.2",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "127.0.0.2",
            "fe80::1",
            "::1",
            "fd00::1",
        ];
        check(&external, "127.0.0.1", table, &private);
        check(&external, "127.0.0.1", &[], &["203.0.113.9, 10.0.0.1", "203.0.113.9, ::ffff:10.0.0.1"]);
        // Without a list every peer is an external proxy.
        check(&RemoteIp::default(), "127.0.0.1", table, &private);
    }

    #[test]
    fn the_first_list_that_names_a_proxy_decides() {
        let mixed = rules(&["10.0.0.0/8"], &["10.0.0.0/8", "127.0.0.1", "203.0.113.0/24"]);
        let table: &[Row] = &[
            ("192.168.0.1, 10.0.0.1", "192.168.0.1", None, ""),
            ("192.168.0.1, 203.0.113.1, 10.0.0.1", "203.0.113.1", Some("192.168.0.1"), ""),
        ];
        check(&mixed, "10.1.1.1", table, &[]);
        check(&mixed, "127.0.0.1", &[], &["192.168.0.1, 10.0.0.1"]);
    }

    #[test]
    fn peers_on_unix_sockets_are_believed_where_they_are_listed() {
        assert_eq!(shown(&rules(&["unix:"], &[]), "", "10.0.0.1").unwrap().0, "10.0.0.1");
        assert_eq!(shown(&rules(&["10.0.0.0/8"], &[]), "", "10.0.0.1"), None);
        assert_eq!(shown(&rules(&["unix:"], &[]), "10.0.0.1", "1.1.1.1"), None, "the word names no address");
        assert_eq!(
            shown(&RemoteIp::default(), "", "1.1.1.1").unwrap(),
            ("1.1.1.1".into(), None, String::new())
        );
    }

    #[test]
    fn names_and_nonsense_are_no_peers() {
        for (word, hint) in
            [("proxy.example", "names are not looked up"), ("10.0.0.0/33", "such as"), ("", "such as")]
        {
            assert!(Peers::parse(word).unwrap_err().hint.unwrap().contains(hint), "{word}");
        }
    }

    proptest! {
        /// Whatever a client writes before it: where the last entry is one of a stranger, that is who asks.
        #[test]
        fn nothing_before_a_stranger_counts(before in "[ -~]{0,40}", peers in prop::collection::vec(0u8..4, 0..4)) {
            let rules = rules(&["127.0.0.1", "10.0.0.0/8"], &[]);
            let proxies: String = peers.iter().map(|last| format!(", 10.0.0.{last}")).collect();
            let value = format!("{before}, 203.0.113.9{proxies}");
            let client = rules.client(Some([127, 0, 0, 1].into()), value.as_bytes()).unwrap();
            prop_assert_eq!(client.address.to_string(), "203.0.113.9");
            prop_assert_eq!(client.left.unwrap(), before.trim_ascii_end().as_bytes());
        }
    }
}
