//! Addresses and networks, as `Require ip` and `Allow from` write them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address or a network: `10.1.2.3`, `10.1.`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Halves", into = "Halves")]
pub struct Network {
    base: u128,
    mask: u128,
    v4: bool,
}

/// A network as it is written down: JSON has no numbers of 128 bits.
#[derive(Serialize, Deserialize)]
struct Halves {
    base: (u64, u64),
    mask: (u64, u64),
    v4: bool,
}

impl From<Network> for Halves {
    fn from(network: Network) -> Self {
        let halves = |number: u128| ((number >> 64) as u64, number as u64);
        Self { base: halves(network.base), mask: halves(network.mask), v4: network.v4 }
    }
}

impl From<Halves> for Network {
    fn from(halves: Halves) -> Self {
        let whole = |(high, low): (u64, u64)| u128::from(high) << 64 | u128::from(low);
        Self { base: whole(halves.base), mask: whole(halves.mask), v4: halves.v4 }
    }
}

impl Network {
    /// Reads an address or network. `Err` says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const ADDRESS: &str = "this is no IP address";
        let Some((address, mask)) = text.split_once('/') else {
            return match text.parse::<IpAddr>() {
                Ok(ip) => Ok(Self::of(ip)),
                Err(_) => Self::partial(text).ok_or(ADDRESS),
            };
        };
        let whole = Self::of(address.parse().map_err(|_| ADDRESS)?);
        let width: u32 = if whole.v4 { 32 } else { 128 };
        let mask = match (mask.parse::<u32>(), mask.parse::<Ipv4Addr>()) {
            (Ok(bits), _) if (1..=width).contains(&bits) => {
                (u128::MAX << (width - bits)) & (u128::MAX >> (128 - width))
            }
            (_, Ok(mask)) if whole.v4 => u128::from(u32::from(mask)),
            _ => return Err("this network mask is invalid"),
        };
        Ok(Self { base: whole.base & mask, mask, v4: whole.v4 })
    }

    fn of(ip: IpAddr) -> Self {
        let (base, v4) = number(ip);
        Self { base, mask: if v4 { u128::from(u32::MAX) } else { u128::MAX }, v4 }
    }

    /// The first one to three numbers of an IPv4 address, also with a dot after them.
    fn partial(text: &str) -> Option<Self> {
        let (mut base, mut mask, mut shift) = (0u32, 0u32, 32);
        for octet in text.strip_suffix('.').unwrap_or(text).split('.') {
            let digits = !octet.is_empty() && octet.bytes().all(|b| b.is_ascii_digit());
            let octet: u8 = octet.parse().ok().filter(|_| digits)?;
            shift = u32::checked_sub(shift, 8)?;
            base |= u32::from(octet) << shift;
            mask |= 0xff << shift;
        }
        Some(Self { base: base.into(), mask: mask.into(), v4: true })
    }

    /// Whether an address lies in it. An IPv4 address in IPv6 form counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (value, v4) = number(ip);
        self.v4 == v4 && value & self.mask == self.base
    }
}

impl fmt::Display for Network {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, width) = match self.v4 {
            true => (IpAddr::from(Ipv4Addr::from(self.base as u32)), 32),
            false => (IpAddr::from(Ipv6Addr::from(self.base)), 128),
        };
        let bits = self.mask.count_ones();
        let contiguous = self.mask.trailing_zeros() == width - bits;
        match (bits, contiguous) {
            (bits, _) if bits == width => write!(to, "{address}"),
            (bits, true) => write!(to, "{address}/{bits}"),
            _ => write!(to, "{address}/{}", Ipv4Addr::from(self.mask as u32)),
        }
    }
}

/// Whether a host's name is the one whose addresses need no look-up (RFC 6761, 6.3).
pub(super) fn is_localhost(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

/// The addresses of `localhost`.
pub(super) fn localhost() -> [Network; 2] {
    [Network::of(Ipv4Addr::LOCALHOST.into()), Network::of(Ipv6Addr::LOCALHOST.into())]
}

fn number(ip: IpAddr) -> (u128, bool) {
    match ip.to_canonical() {
        IpAddr::V4(v4) => (u32::from(v4).into(), true),
        IpAddr::V6(v6) => (v6.into(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: a site with a network of IPv6 could not be handed to the front.
    #[test]
    fn a_network_of_ipv6_is_written_down() {
        for text in ["::1", "2001:db8::/32", "10.0.0.0/8"] {
            let network = Network::parse(text).expect("valid");
            let value = serde_json::to_value(network).expect("plain data");
            assert_eq!(serde_json::from_value::<Network>(value).expect("its own form"), network);
        }
    }

    #[test]
    fn forms() {
        let table = [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10", "10.200.1.1", true),
            ("10.1", "10.1.9.9", true),
            ("10.1.", "10.1.9.9", true),
            ("10.1.2", "10.1.3.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("192.168.0.0/255.255.0.0", "192.168.77.1", true),
            ("192.168.0.0/16", "192.169.0.1", false),
            ("192.168.0.0/16", "::ffff:192.168.4.4", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
            ("::/1", "10.0.0.1", false),
        ];
        for (network, address, holds) in table {
            let network = Network::parse(network).expect("valid");
            assert_eq!(network.contains(address.parse().expect("valid")), holds, "{network:?} {address}");
        }
        for (network, shown) in [
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.", "10.1.0.0/16"),
            ("192.168.7.7/255.255.0.0", "192.168.0.0/16"),
            ("10.0.0.1/255.0.0.255", "10.0.0.1/255.0.0.255"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::1", "::1"),
        ] {
            assert_eq!(Network::parse(network).expect("valid").to_string(), shown);
        }
        for wrong in ["300.1", "a.b", "10.1/16", "10.0.0.1/33", "10.0.0.1/0", "::1/129", "", "10..1", "+1"] {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
    }
}
