//! Idle connections that give way to new ones when descriptors run short, the one that has been idle longest first. Nothing is
//! kept for this while there are enough: one look over all connections, in the moment of need, serves many new ones.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::rc::Rc;

use crate::client::connection::{Conn, Phase};

/// Share of the connections that one look finds, as a divisor: so a new connection costs a look at so many others.
const SHARE: usize = 16;
/// Milliseconds for which a new connection may be silent before it gives way: its request may be on its way.
const GRACE: u64 = 1_000;

/// The open connections by id.
type Connections = HashMap<u64, Rc<Conn>>;

/// Connections found idle by the last look.
#[derive(Default)]
pub struct IdleQueue {
    /// Their ids, the longest idle last. Ids, because who holds a connection keeps its descriptor open.
    found: RefCell<Vec<u64>>,
    /// Coarse time of the last look that found none, in milliseconds.
    in_vain: Cell<Option<u64>>,
}

impl IdleQueue {
    /// Closes the connection that has been idle longest. `now`: coarse time in milliseconds. `false`: none is idle.
    pub fn give_way(&self, conns: &Connections, now: u64) -> bool {
        // One look is enough: those it finds may all have bytes that they read at their next turn, which comes after this call.
        let mut looked = false;
        loop {
            let oldest = self.found.borrow_mut().pop();
            match oldest.map(|id| conns.get(&id)) {
                Some(Some(conn)) if may_go(conn) && !conn.has_bytes() => {
                    conn.kill();
                    return true;
                }
                Some(_) => {}
                None if !std::mem::replace(&mut looked, true) && self.look(conns, now) => {}
                None => {
                    self.in_vain.set(Some(now));
                    return false;
                }
            }
        }
    }

    /// Looks for idle connections; in vain at most once per tick.
    fn look(&self, conns: &Connections, now: u64) -> bool {
        if self.in_vain.get() == Some(now) {
            return false;
        }
        let idle = conns.values().filter(|conn| may_go(conn)).map(|conn| (conn.waiting().2, conn.id));
        let found = longest(idle.collect(), (conns.len() / SHARE).max(1));
        self.in_vain.set(found.is_empty().then_some(now));
        let any = !found.is_empty();
        *self.found.borrow_mut() = found;
        any
    }
}

/// The ids of those that have waited longest, the longest last.
fn longest(mut idle: Vec<(u64, u64)>, most: usize) -> Vec<u64> {
    if idle.len() > most {
        idle.select_nth_unstable_by_key(most, |(waited, id)| (Reverse(*waited), *id));
        idle.truncate(most);
    }
    idle.sort_unstable_by_key(|(waited, id)| (*waited, Reverse(*id)));
    idle.into_iter().map(|(_, id)| id).collect()
}

/// Whether a connection waits for its next request, or has been silent from its start for a while.
fn may_go(conn: &Conn) -> bool {
    let (phase, stalled, waited) = conn.waiting();
    let waits = matches!(phase, Phase::Idle | Phase::Handshake) && !stalled && !conn.is_killed();
    waits && (conn.requests.get() > 0 || waited >= GRACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::endpoints::Endpoints;
    use crate::client::stream::Stream;
    use crate::client::stream::socket::Socket;
    use tokio::net::UnixStream;

    /// Reported: the front stood still when new connections had to wait while every idle one was just getting its next request.
    /// Met at the bound of connections or descriptors, under load on kept-alive connections.
    #[test]
    fn a_connection_with_unread_bytes_stays_and_one_without_goes() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let clock = Rc::new(Cell::new(0));
            let pair = || UnixStream::pair().unwrap();
            let ((first, _first), (second, theirs)) = (pair(), pair());
            let plain = |socket| Stream::Plain(Socket::Unix(socket));
            let conn = |id, socket| Conn::new(id, Endpoints::unix(), plain(socket), Rc::clone(&clock));
            let (silent, asks) = (conn(1, first), conn(2, second));
            theirs.writable().await.unwrap();
            theirs.try_write(b"GET").unwrap();
            clock.set(GRACE);
            let (queue, mut conns) = (IdleQueue::default(), HashMap::from([(2, Rc::clone(&asks))]));
            assert!(!queue.give_way(&conns, GRACE) && !asks.is_killed());
            conns.insert(1, Rc::clone(&silent));
            assert!(!queue.give_way(&conns, GRACE), "one look in vain is enough for a tick");
            assert!(queue.give_way(&conns, GRACE + 100) && silent.is_killed() && !asks.is_killed());
        });
    }

    #[test]
    fn the_longest_idle_come_first_and_of_equals_the_first_that_came() {
        let idle = || vec![(5, 1), (9, 2), (0, 3), (9, 4), (7, 5)];
        assert_eq!(longest(idle(), 3), [5, 4, 2]);
        assert_eq!(longest(idle(), 5), [3, 1, 5, 4, 2]);
        assert!(longest(Vec::new(), 5).is_empty());
    }
}
