//! Slow readers that hold a group's request threads while others wait: those of this front's own queue, and those of other fronts.

use gk_wire::log::Level;
use std::net::IpAddr;
use std::rc::Rc;

use super::Pool;
use crate::client::addresses::Network;
use crate::worker::dispatcher::Candidate;
use crate::worker::held::{HeldResponse, HeldThreads, PATIENCE, Waits};
use crate::worker::link::Link;

/// Who is held off from a group's request threads, or comes last.
pub(super) struct Bar<'p> {
    held: &'p HeldThreads,
    /// This front's share of the threads: with several, each sees only the slow readers among its own clients.
    share: u32,
    /// At most one thread is free.
    is_scarce: bool,
    /// The marks of a client who waits at another front, and of one who holds threads there.
    waits_elsewhere: Option<u64>,
    holds_elsewhere: Option<u64>,
}

impl Bar<'_> {
    /// Whether a client's requests wait although a worker may have room: its network holds almost all of the share and threads are scarce,
    /// or a response of its was cut off for somebody who still waits at another front.
    pub(super) fn holds_off(&self, client: Option<IpAddr>) -> bool {
        let is_other = |waiting: u64| client.is_some() && mark(client) != waiting;
        (self.is_scarce && self.held.is_barred(client, self.share))
            || (self.waits_elsewhere.is_some_and(is_other) && self.held.is_penitent(client))
    }

    /// Whether a client's requests come after those of all others.
    pub(super) fn puts_last(&self, client: Option<IpAddr>) -> bool {
        self.held.is_penitent(client) || self.holds_elsewhere.is_some_and(|holding| mark(client) == holding)
    }
}

/// The mark of a client's network. A client without an address has no network, and so one that nobody holds a thread from.
fn mark(client: Option<IpAddr>) -> u64 {
    client.map_or(u64::MAX, |client| Network::of(client).mark())
}

impl Pool {
    /// Who is held off now.
    pub(super) fn bar(&self) -> Bar<'_> {
        let dispatcher = self.dispatcher.borrow();
        let (held, workers, fronts) = (&*self.share.held, dispatcher.workers(), dispatcher.limits().fronts);
        let share = (dispatcher.threads() / fronts.max(1)).max(1);
        if fronts < 2 {
            return Bar { held, share, is_scarce: true, waits_elsewhere: None, holds_elsewhere: None };
        }
        let open = workers.iter().filter(|link| link.is_open());
        let free: u32 = open.map(|link| link.info.threads.saturating_sub(link.load())).sum();
        let marks: Vec<(u64, u64)> = workers.iter().map(|link| link.marks_elsewhere()).collect();
        let waits_elsewhere = marks.iter().map(|(waits, _)| *waits).find(|mark| *mark != 0);
        let holds_elsewhere = marks.iter().map(|(_, holds)| *holds).find(|mark| *mark != 0);
        Bar { held, share, is_scarce: free < 2, waits_elsewhere, holds_elsewhere }
    }

    /// Tells the other fronts, by the workers, who waits here long enough for a slow reader of theirs to give way, and who holds threads.
    pub(super) fn tell_marks(&self) {
        if self.limits().fronts < 2 {
            return;
        }
        let (now, bar) = (self.now(), self.bar());
        let mut dispatcher = self.dispatcher.borrow_mut();
        let first = dispatcher.first(|client| bar.holds_off(client) || bar.puts_last(client));
        let arrival = first.and_then(|request| dispatcher.arrival_of(request));
        let waits = arrival.filter(|arrival| now.saturating_sub(arrival.since) >= PATIENCE);
        let (waits, holds) =
            (waits.map_or(0, |arrival| mark(arrival.client)), bar.held.mark(bar.share).unwrap_or(0));
        dispatcher.workers().iter().for_each(|link| link.tell_marks(waits, holds));
    }

    /// A response that is to be cut off, because those that hold request threads for their clients leave none to requests that wait.
    pub(super) fn relieve(&self) -> Option<HeldResponse> {
        let (held, now) = (&self.share.held, self.now());
        held.forgive(now);
        let bar = self.bar();
        let mut dispatcher = self.dispatcher.borrow_mut();
        if dispatcher.is_empty() && bar.waits_elsewhere.is_none() {
            return None;
        }
        let other = dispatcher.first(|client| bar.holds_off(client));
        let other = other.and_then(|request| dispatcher.arrival_of(request));
        let others = other.map(|arrival| now.saturating_sub(arrival.since));
        let any = (!dispatcher.is_empty()).then(|| dispatcher.longest_wait(now));
        let waits = Waits { others, any, elsewhere: bar.waits_elsewhere };
        // The end of one at a worker that takes no more requests frees no thread for them.
        let open = |link: &&Rc<Link>, held: &HeldResponse| link.info.worker == held.worker && link.is_open();
        let idle = |held: &HeldResponse| {
            let link = dispatcher.workers().iter().find(|link| open(link, held))?;
            link.stands_still(held)
        };
        let response = held.victim(bar.share, waits, idle)?;
        held.punish(&response, now);
        Some(response)
    }

    /// Counts and logs a response that is cut off.
    pub(super) fn note_given_up(&self, response: &HeldResponse) {
        let Some(count) = self.given_up.note() else { return };
        let address = response.origin.address.map(|address| address.to_string());
        let text = format!(
            "a response was cut off: it is above response-spool-size= or what one client address may have of GilkeeperResponseSpool, \
             its client held a request thread of process group '{}' for {:.1} s and does not read on, no thread was left, and \
             requests of others waited (request {}, worker {}; {count} were so far)",
            self.name,
            self.now().saturating_sub(response.since) as f64 / 1_000.0,
            response.origin.request,
            response.worker,
        );
        crate::note_code(Level::Error, "GK0025", address.as_deref(), &text);
    }
}
