//! Slow readers that hold a group's request threads while others wait: those of this front's own queue, and those of other fronts.

use gk_wire::log::Level;
use std::rc::Rc;

use super::Pool;
use crate::client::addresses::Network;
use crate::worker::dispatcher::Candidate;
use crate::worker::held::{HeldResponse, PATIENCE, Waits};
use crate::worker::link::Link;

impl Pool {
    /// This front's share of the group's request threads: with several, each sees only the slow readers among its own clients.
    pub(super) fn share_of_threads(&self) -> u32 {
        let dispatcher = self.dispatcher.borrow();
        (dispatcher.threads() / dispatcher.limits().fronts.max(1)).max(1)
    }

    /// Tells the other fronts, by the workers, who waits here long enough for a slow reader of theirs to give way.
    pub(super) fn tell_waits(&self) {
        if self.limits().fronts < 2 {
            return;
        }
        let (held, now, threads) = (&self.share.held, self.now(), self.share_of_threads());
        let mut dispatcher = self.dispatcher.borrow_mut();
        let first = dispatcher.first(|client| held.is_barred(client, threads));
        let arrival = first.and_then(|request| dispatcher.arrival_of(request));
        let mark =
            arrival.filter(|arrival| now.saturating_sub(arrival.since) >= PATIENCE).map_or(0, |arrival| {
                // A client without an address is nobody's network.
                arrival.client.map_or(u64::MAX, |client| Network::of(client).mark())
            });
        dispatcher.workers().iter().for_each(|link| link.tell_waits(mark));
    }

    /// A response that is to be cut off, because those that hold request threads for their clients leave none to requests that wait.
    pub(super) fn relieve(&self) -> Option<HeldResponse> {
        let (held, now, threads) = (&self.share.held, self.now(), self.share_of_threads());
        held.forgive(now);
        let mut dispatcher = self.dispatcher.borrow_mut();
        let elsewhere = dispatcher.workers().iter().map(|link| link.elsewhere()).find(|mark| *mark != 0);
        if dispatcher.is_empty() && elsewhere.is_none() {
            return None;
        }
        let other = dispatcher.first(|client| held.is_barred(client, threads));
        let other = other.and_then(|request| dispatcher.arrival_of(request));
        let others = other.map(|arrival| now.saturating_sub(arrival.since));
        let any = (!dispatcher.is_empty()).then(|| dispatcher.longest_wait(now));
        let waits = Waits { others, any, elsewhere };
        // The end of one at a worker that takes no more requests frees no thread for them.
        let open = |link: &&Rc<Link>, held: &HeldResponse| link.info.worker == held.worker && link.is_open();
        let idle = |held: &HeldResponse| {
            let link = dispatcher.workers().iter().find(|link| open(link, held))?;
            link.stands_still(held)
        };
        let response = held.victim(threads, waits, idle)?;
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
