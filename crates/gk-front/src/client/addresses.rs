//! The number of connections of each client address, for `GilkeeperMaxConnectionsPerAddress`. Nothing is counted while that is
//! off; a connection that came before it was switched on is not counted.

use gk_config::site::Site;
use gk_wire::log::Level;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use crate::log::rate_limited::Repeated;
use crate::request::proxy_trust;

/// Connections by address. One thread only.
#[derive(Debug, Default)]
pub struct Addresses {
    open: RefCell<HashMap<Network, usize>>,
    /// Connections that were refused.
    pub refused: Repeated,
}

/// An address has as many connections as it may.
#[derive(Debug)]
pub struct Crowded;

/// The place of one connection; dropped when it closes.
#[derive(Debug)]
pub struct AddressPlace {
    addresses: Rc<Addresses>,
    key: Network,
}

impl Addresses {
    /// The place of a connection among those of its address; `Ok(None)`: it needs none. A refused one is counted and logged.
    pub fn admit(
        self: &Rc<Self>,
        site: &Site,
        peer: Option<IpAddr>,
    ) -> Result<Option<AddressPlace>, Crowded> {
        let most = site.http.max_connections_per_address;
        let Some(peer) = bounded(site, peer) else { return Ok(None) };
        let place = self.place(peer, most);
        if place.is_none()
            && let Some(count) = self.refused.note()
        {
            let text = format!(
                "{peer} has as many connections as GilkeeperMaxConnectionsPerAddress allows, {most}: a further one was closed; \
                 {count} were so far"
            );
            crate::note_code(Level::Warn, "GK0033", None, &text);
        }
        place.map(Some).ok_or(Crowded)
    }

    /// The place of a connection that was admitted before, elsewhere; `None`: it needs none.
    pub fn readmit(self: &Rc<Self>, site: &Site, peer: Option<IpAddr>) -> Option<AddressPlace> {
        self.place(bounded(site, peer)?, usize::MAX)
    }

    /// A place for one more connection of this address, unless it has as many as `most`.
    fn place(self: &Rc<Self>, peer: IpAddr, most: usize) -> Option<AddressPlace> {
        let key = Network::of(peer);
        let mut open = self.open.borrow_mut();
        let count = open.entry(key).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(AddressPlace { addresses: Rc::clone(self), key })
    }
}

/// The address, if its connections are counted.
fn bounded(site: &Site, peer: Option<IpAddr>) -> Option<IpAddr> {
    let most = site.http.max_connections_per_address;
    peer.filter(|peer| most != 0 && !proxy_trust::is_proxy(site, *peer))
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut open = self.addresses.open.borrow_mut();
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

/// Clients that count as one: an address of IPv4, or the network of an address of IPv6, as who has one of a /64 mostly has all of
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(u128);

impl Network {
    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => u128::from(u32::from(v4)),
            // No network of IPv6 in use has the number of an IPv4 address.
            IpAddr::V6(v6) => u128::from(v6) & (u128::MAX << 64) | 1 << 63,
        })
    }

    /// A number for it that another process may have, never 0. Different networks may share one, though hardly two that matter at once.
    pub fn mark(self) -> u64 {
        ((self.0 >> 64) as u64 ^ self.0 as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv6_counts_with_its_network() {
        let addresses = Rc::new(Addresses::default());
        let place = |text: &str| addresses.place(text.parse().unwrap(), 2);
        let held =
            [place("10.0.0.1"), place("::ffff:10.0.0.1"), place("2001:db8::1"), place("2001:db8::ffff")];
        assert!(held.iter().all(Option::is_some));
        assert!(place("10.0.0.1").is_none() && place("2001:db8::2").is_none());
        assert!(place("10.0.0.2").is_some() && place("2001:db8:0:1::1").is_some());
        drop(held);
        assert!(place("10.0.0.1").is_some());
        assert!(addresses.open.borrow().is_empty());
    }
}
