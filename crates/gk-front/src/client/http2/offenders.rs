//! Clients whose connections of HTTP/2 were ended because they asked for too much: the next ones may take back fewer requests. An
//! attacker who comes back at once would otherwise have a whole budget each time. Nobody is shut out: who takes its responses does not
//! notice.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;

use crate::client::addresses::Network;

/// Milliseconds after which one offence is forgotten.
const FORGOTTEN: u64 = 10_000;
/// Offences that are counted of one client: it is on good terms again a minute after the last one.
const MOST: u32 = 6;
/// Clients that are remembered.
const CLIENTS: usize = 4_096;

/// What is remembered of a client.
#[derive(Debug, Clone, Copy)]
struct Record {
    offences: u32,
    /// Coarse time of the last one, in milliseconds.
    at: u64,
}

impl Record {
    fn left(self, now: u64) -> u32 {
        let forgotten = now.saturating_sub(self.at) / FORGOTTEN;
        self.offences.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }
}

/// The clients. One thread only.
#[derive(Debug, Default)]
pub struct Offenders {
    known: RefCell<HashMap<Network, Record>>,
}

impl Offenders {
    /// A connection of this client was ended.
    pub fn note(&self, client: IpAddr, now: u64) {
        let mut known = self.known.borrow_mut();
        if known.len() >= CLIENTS {
            known.retain(|_, record| record.left(now) > 0);
        }
        let key = Network::of(client);
        let before = known.get(&key).map_or(0, |record| record.left(now));
        // Of more clients than that, those that came first are remembered.
        if before > 0 || known.len() < CLIENTS {
            known.insert(key, Record { offences: (before + 1).min(MOST), at: now });
        }
    }

    /// The offences of a client that are not forgotten.
    pub fn of(&self, client: IpAddr, now: u64) -> u32 {
        self.known.borrow().get(&Network::of(client)).map_or(0, |record| record.left(now))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offences_add_up_and_are_forgotten_one_by_one() {
        let offenders = Offenders::default();
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        (0..20).for_each(|_| offenders.note(a, 1_000));
        let steps = [(1_000, 6), (10_999, 6), (11_000, 5), (60_999, 1), (61_000, 0), (999_000, 0)];
        for (now, offences) in steps {
            assert_eq!((offenders.of(a, now), offenders.of(b, now)), (offences, 0), "{now}");
        }
        offenders.note(a, 61_000);
        assert_eq!(offenders.of(a, 61_000), 1);
    }

    #[test]
    fn the_number_of_clients_is_bounded() {
        let offenders = Offenders::default();
        let client = |number: u32| IpAddr::from(number.to_be_bytes());
        (0..10_000).for_each(|number| offenders.note(client(number), 0));
        assert_eq!(offenders.known.borrow().len(), CLIENTS);
        offenders.note(client(10_000), FORGOTTEN);
        assert_eq!(offenders.known.borrow().len(), 1, "those that are on good terms again make room");
    }
}
