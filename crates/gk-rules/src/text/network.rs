//! An address or a network of addresses, as `apr_ipsubnet_create` reads it: `10.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`,
//! `2001:db8::/32`.

use std::net::{IpAddr, Ipv4Addr};

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads a network; `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, mask) = match text.split_once('/') {
            Some((address, mask)) => (address, Some(mask)),
            None => (text, None),
        };
        let (address, own) = match address.parse::<IpAddr>() {
            Ok(address @ IpAddr::V4(_)) => (address, 32),
            Ok(address @ IpAddr::V6(_)) => (address, 128),
            Err(_) => partial(address)?,
        };
        let bits = match mask {
            None => own,
            Some(mask) => match mask.parse::<u32>() {
                Ok(bits) => bits,
                Err(_) => {
                    let mask = u32::from(mask.parse::<Ipv4Addr>().ok()?);
                    (mask.leading_ones() == mask.count_ones()).then_some(mask.leading_ones())?
                }
            },
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether an address is in it.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = u32::from(own) ^ u32::from(other);
                differing.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = u128::from(own) ^ u128::from(other);
                differing.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// `10.1`: the first numbers of an address, and the bits that they are.
fn partial(text: &str) -> Option<(IpAddr, u32)> {
    let mut numbers = [0u8; 4];
    let mut count = 0;
    for part in text.trim_end_matches('.').split('.') {
        *numbers.get_mut(count)? = part.parse().ok()?;
        count += 1;
    }
    Some((IpAddr::from(numbers), u32::try_from(count * 8).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let table: &[(&str, &str, bool)] = &[
            ("10.1", "10.1.2.3", true),
            ("10.1", "10.2.2.3", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/255.255.0.0", "10.0.9.9", true),
            ("10.0.0.0/255.255.0.0", "10.1.0.0", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("::/0", "::1", true),
            ("::1", "127.0.0.1", false),
        ];
        for (network, address, wanted) in table {
            assert_eq!(
                Network::parse(network).unwrap().contains(address.parse().unwrap()),
                *wanted,
                "{network} {address}"
            );
        }
        for bad in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/255.0.255.0", "1.2.3.4.5", "300"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
