//! Request threads of a process group that wait for clients: the responses above their bounds, by client, and the one that ends when
//! others wait for a thread. A value: times are coarse milliseconds that come with the calls.
//!
//! Clients count by network, as in `GilkeeperMaxConnectionsPerAddress`. A network that holds all threads but one is barred from
//! the last one. One that holds all of them, the only one of a group among them, loses a response as soon as a request of another
//! client waits. A response that its client does not read at all gives way to whoever waits.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use crate::client::addresses::Network;

/// Milliseconds for which a request of another client waits before a response ends for it.
pub const PATIENCE: u64 = 250;
/// Milliseconds without a byte taken after which a response gives way to requests of any client.
const STANDSTILL: u64 = 15_000;
/// Milliseconds for which a network comes last after a response of its was cut off.
const PENANCE: u64 = 10_000;

/// Where a request came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// Address of the client, if it has one.
    pub address: Option<IpAddr>,
    /// Number of the connection.
    pub connection: u64,
    /// Number of the stream on it; 0 with HTTP/1.
    pub stream: u32,
    /// The front's number of the request.
    pub request: u64,
}

/// A response that holds a request thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldResponse {
    /// Where its request came from.
    pub origin: Origin,
    /// Number of the worker.
    pub worker: u64,
    /// Id of the request on the worker's link.
    pub id: u32,
    /// Time since when the thread waits.
    pub since: u64,
}

/// Milliseconds that requests have waited for a thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waits {
    /// The first one of a client that is not barred.
    pub others: Option<u64>,
    /// The first one of all.
    pub any: Option<u64>,
    /// The mark of a client who has waited long enough at another front.
    pub elsewhere: Option<u64>,
}

/// The request threads of a process group that wait for clients.
#[derive(Debug, Default)]
pub struct HeldThreads {
    all: RefCell<BTreeMap<u64, HeldResponse>>,
    by_network: RefCell<BTreeMap<Network, u32>>,
    last: Cell<u64>,
    /// Networks of which a response was cut off, and the time until which they come last.
    penitents: RefCell<BTreeMap<Network, u64>>,
}

impl HeldThreads {
    /// A thread waits for a client, until the value is dropped.
    pub fn hold(self: &Rc<Self>, response: HeldResponse) -> HeldThread {
        let number = self.last.get() + 1;
        self.last.set(number);
        self.all.borrow_mut().insert(number, response);
        let network = response.origin.address.map(Network::of);
        if let Some(network) = network {
            *self.by_network.borrow_mut().entry(network).or_default() += 1;
        }
        HeldThread { threads: Rc::clone(self), number, network }
    }

    /// Whether no thread waits for a client, and no network does penance.
    pub fn is_empty(&self) -> bool {
        self.all.borrow().is_empty() && self.penitents.borrow().is_empty()
    }

    /// Whether clients of this network hold all of a group's `threads` but one, or the only one.
    pub fn is_barred(&self, client: Option<IpAddr>, threads: u32) -> bool {
        let most = threads.saturating_sub(1).max(1);
        let held = self.by_network.borrow();
        client.is_some_and(|client| held.get(&Network::of(client)).is_some_and(|held| *held >= most))
    }

    /// Whether a response of this network was cut off a moment ago: its requests come last.
    pub fn is_penitent(&self, client: Option<IpAddr>) -> bool {
        let penitents = self.penitents.borrow();
        !penitents.is_empty() && client.is_some_and(|client| penitents.contains_key(&Network::of(client)))
    }

    /// Ends the penance of those whose time is over.
    pub fn forgive(&self, now: u64) {
        self.penitents.borrow_mut().retain(|_, until| *until > now);
    }

    /// The response that ends so that a request which waits gets its thread, of a group with so many `threads`. `idle`: milliseconds
    /// since the client of a response last took bytes; `None`: it has ended meanwhile, or its end frees no thread.
    pub fn victim(
        &self,
        threads: u32,
        waits: Waits,
        idle: impl Fn(&HeldResponse) -> Option<u64>,
    ) -> Option<HeldResponse> {
        let longest = |of: &dyn Fn(&HeldResponse, u64) -> bool| {
            let all = self.all.borrow();
            let found = all.values().filter_map(|held| Some((held, idle(held)?)));
            let found = found.filter(|(held, idle)| of(held, *idle));
            // In seconds: of those that stand still for about as long the oldest.
            found.max_by_key(|(held, idle)| (idle / 1_000, u64::MAX - held.since)).map(|(held, _)| *held)
        };
        if let Some(full) = self.full(threads) {
            let patience = if self.penitents.borrow().contains_key(&full) { 0 } else { PATIENCE };
            let elsewhere = waits.elsewhere.is_some_and(|mark| mark != full.mark());
            if elsewhere || waits.others.is_some_and(|waited| waited >= patience) {
                return longest(&|held, _| held.origin.address.map(Network::of) == Some(full));
            }
        }
        let scarce = self.all.borrow().len() as u64 >= u64::from(threads.saturating_sub(1).max(1));
        let waited = waits.elsewhere.is_some() || waits.any.is_some_and(|waited| waited >= PATIENCE);
        let awaited = scarce && waited;
        awaited.then(|| longest(&|_, idle| idle >= STANDSTILL)).flatten()
    }

    /// The mark of a network that holds all of so many `threads`, or that does penance.
    pub fn mark(&self, threads: u32) -> Option<u64> {
        let penitent = || self.penitents.borrow().keys().next().copied();
        self.full(threads).or_else(penitent).map(Network::mark)
    }

    /// A network that holds all threads.
    fn full(&self, threads: u32) -> Option<Network> {
        let held = self.by_network.borrow();
        held.iter().find(|(_, held)| **held >= threads.max(1)).map(|(network, _)| *network)
    }

    /// A response was cut off: its network comes last for a while.
    pub fn punish(&self, response: &HeldResponse, now: u64) {
        if let Some(address) = response.origin.address {
            self.penitents.borrow_mut().insert(Network::of(address), now + PENANCE);
        }
    }
}

/// A request thread that waits for a client.
#[derive(Debug)]
pub struct HeldThread {
    threads: Rc<HeldThreads>,
    number: u64,
    network: Option<Network>,
}

impl Drop for HeldThread {
    fn drop(&mut self) {
        self.threads.all.borrow_mut().remove(&self.number);
        let mut by_network = self.threads.by_network.borrow_mut();
        if let Some(network) = self.network
            && let Some(held) = by_network.get_mut(&network)
        {
            *held -= 1;
            if *held == 0 {
                by_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response to the client 10.0.0.`last`, held since a time.
    fn response(last: u8, id: u32, since: u64) -> HeldResponse {
        let origin = Origin { address: Some([10, 0, 0, last].into()), ..Origin::default() };
        HeldResponse { origin, worker: 1, id, since }
    }

    fn others(waited: u64) -> Waits {
        Waits { others: Some(waited), any: Some(waited), elsewhere: None }
    }

    #[test]
    fn a_network_that_holds_all_threads_but_one_is_barred() {
        let threads = Rc::new(HeldThreads::default());
        let client = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        assert!(threads.is_empty() && !threads.is_barred(client("10.0.0.1"), 4));
        let hold = |text: &str| {
            let origin = Origin { address: client(text), ..Origin::default() };
            threads.hold(HeldResponse { origin, ..response(1, 1, 0) })
        };
        let mut held = vec![hold("10.0.0.1"), hold("10.0.0.1"), hold("2001:db8::1")];
        assert!(!threads.is_empty() && !threads.is_barred(client("10.0.0.1"), 4));
        held.extend([hold("10.0.0.1"), hold("2001:db8::2"), hold("2001:db8::3")]);
        let cases = [
            (client("10.0.0.1"), 4, true),
            (client("10.0.0.2"), 4, false),
            (None, 4, false),
            (client("10.0.0.1"), 5, false),
            (client("10.0.0.1"), 1, true),
            // Who has one address of a network mostly has all of them.
            (client("2001:db8::ffff"), 4, true),
            (client("2001:db8:0:1::1"), 4, false),
        ];
        for (client, of, wanted) in cases {
            assert_eq!(threads.is_barred(client, of), wanted, "{client:?} of {of}");
        }
        drop(held);
        assert!(threads.is_empty());
    }

    #[test]
    fn the_last_thread_is_given_up_when_others_wait() {
        for of in [1, 2, 8] {
            let threads = Rc::new(HeldThreads::default());
            let mut held: Vec<_> =
                (1..of).map(|id| threads.hold(response(1, id, 100 + u64::from(id)))).collect();
            let victim = |waits| threads.victim(of, waits, |_| Some(0)).map(|held| held.id);
            assert_eq!(victim(others(9_999)), None, "{of}: a thread is left");
            held.push(threads.hold(response(1, 77, 50)));
            assert_eq!(victim(others(PATIENCE - 1)), None, "{of}: they have hardly waited");
            assert_eq!(
                victim(Waits { any: Some(14_000), ..Waits::default() }),
                None,
                "{of}: nobody else waits"
            );
            assert_eq!(victim(others(PATIENCE)), Some(77), "{of}: the oldest");
            // Its client moves, those of the others do not.
            let idle = |held: &HeldResponse| (of == 1 || held.id != 77).then_some(0);
            let wanted = if of == 1 { 77 } else { 1 };
            assert_eq!(threads.victim(of, others(PATIENCE), idle).map(|held| held.id), Some(wanted));
        }
    }

    #[test]
    fn of_a_network_the_response_that_stands_still_longest_ends() {
        let threads = Rc::new(HeldThreads::default());
        let _held: Vec<_> = (1..=3).map(|id| threads.hold(response(1, id, u64::from(id)))).collect();
        let idle = |held: &HeldResponse| match held.id {
            1 => Some(400),
            2 => Some(7_300),
            // It has ended meanwhile.
            _ => None,
        };
        assert_eq!(threads.victim(3, others(PATIENCE), idle).map(|held| held.id), Some(2));
    }

    /// Clients behind one address of a company or a proxy, and clients of several addresses.
    #[test]
    fn a_response_that_nobody_reads_gives_way_to_whoever_waits() {
        let cases: [(&str, &[u8], u32, Waits); 3] = [
            (
                "one address, and only its own requests wait",
                &[1, 1, 1],
                4,
                Waits { any: Some(300), ..Waits::default() },
            ),
            ("two addresses hold all threads", &[1, 1, 2, 2], 4, others(300)),
            ("two addresses hold all but one", &[1, 1, 2], 4, others(300)),
        ];
        for (what, clients, of, waits) in cases {
            let threads = Rc::new(HeldThreads::default());
            let hold = |(id, client): (u32, &u8)| threads.hold(response(*client, id, 0));
            let _held: Vec<_> = (0..).zip(clients).map(hold).collect();
            let victim = |idle| threads.victim(of, waits, |held| Some(idle + u64::from(held.id) * 1_000));
            assert_eq!(victim(1_000), None, "{what}");
            assert_eq!(victim(14_000).map(|held| held.id), Some(clients.len() as u32 - 1), "{what}");
        }
        let threads = Rc::new(HeldThreads::default());
        let _held = threads.hold(HeldResponse { origin: Origin::default(), ..response(1, 5, 0) });
        assert_eq!(
            threads.victim(1, others(300), |_| Some(15_000)).map(|held| held.id),
            Some(5),
            "no address"
        );
        assert_eq!(threads.victim(9, others(300), |_| Some(99_000)), None, "threads are left");
    }

    #[test]
    fn a_client_who_waits_at_another_front_counts_unless_it_is_the_one_that_holds_the_thread() {
        let threads = Rc::new(HeldThreads::default());
        let _held = threads.hold(response(1, 1, 0));
        let mark = |last: u8| Network::of([10, 0, 0, last].into()).mark();
        let victim = |from: u8, idle| {
            let waits = Waits { elsewhere: Some(mark(from)), ..Waits::default() };
            threads.victim(1, waits, |_| Some(idle)).map(|held| held.id)
        };
        assert_eq!((victim(2, 0), victim(1, 0)), (Some(1), None));
        // It does not read at all.
        assert_eq!(victim(1, STANDSTILL), Some(1));
    }

    #[test]
    fn who_was_cut_off_comes_last_for_a_while_and_is_cut_off_sooner() {
        let threads = Rc::new(HeldThreads::default());
        let _held = threads.hold(response(1, 1, 0));
        let client = Some([10, 0, 0, 1].into());
        assert!(!threads.is_penitent(client));
        threads.punish(&response(1, 1, 0), 1_000);
        assert!(threads.is_penitent(client) && !threads.is_penitent(None));
        assert_eq!(threads.victim(1, others(0), |_| Some(0)).map(|held| held.id), Some(1));
        threads.forgive(1_000 + PENANCE - 1);
        assert!(threads.is_penitent(client));
        threads.forgive(1_000 + PENANCE);
        assert!(!threads.is_penitent(client));
    }
}
