//! What a new admin process is told first: counters that the one before handed on, the workers, events that nobody heard, certificates.

use super::Message;
use gk_messages::encode;
use gk_wire::certificates::CertificateFacts;
use gk_wire::feed::{LinkFigures, ToAdmin};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;

/// Workers that have ended, and events, which are kept.
const KEPT: usize = 64;

/// A worker and its scoreboard.
type Worker = (LinkFigures, Option<OwnedFd>);

/// What is kept for the next process.
#[derive(Default)]
pub(super) struct Inheritance {
    /// The present workers.
    workers: BTreeMap<u64, Worker>,
    /// Workers that have ended, and are not in what the process handed on.
    ended: VecDeque<Worker>,
    /// What the last process handed on.
    handed_on: Option<OwnedFd>,
    /// Events while no process runs.
    missed: VecDeque<Vec<u8>>,
    certificates: Vec<CertificateFacts>,
}

impl Inheritance {
    /// A worker has come.
    pub(super) fn add(&mut self, link: LinkFigures, scoreboard: Option<OwnedFd>) {
        self.workers.insert(link.worker, (link, scoreboard));
    }

    /// Takes note of a message. `heard`: a process gets it.
    pub(super) fn note(&mut self, message: &ToAdmin, heard: bool) {
        match message {
            ToAdmin::Exited { worker } => {
                if let Some(worker) = self.workers.remove(worker) {
                    push(&mut self.ended, worker);
                }
            }
            ToAdmin::Happened(_) if !heard => push(&mut self.missed, encode(message)),
            _ => {}
        }
    }

    /// The process hands counters on; those of `workers`, which have ended, are in the file.
    pub(super) fn hand_on(&mut self, file: OwnedFd, workers: &[u64]) {
        self.handed_on = Some(file);
        self.ended.retain(|(link, _)| !workers.contains(&link.worker));
    }

    /// The present certificates. Whether they are others than before.
    pub(super) fn set_certificates(&mut self, facts: &[CertificateFacts]) -> bool {
        let other = self.certificates != facts;
        self.certificates = facts.to_vec();
        other
    }

    /// All of it, in the order in which it is told.
    pub(super) fn messages(&mut self) -> VecDeque<Message> {
        let handed_on = self.handed_on.iter().map(|file| (encode(&ToAdmin::Kept), file.try_clone().ok()));
        let living = self.workers.values().map(introduction);
        let ended = self.ended.iter().flat_map(|worker| {
            let exited = ToAdmin::Exited { worker: worker.0.worker };
            [introduction(worker), (encode(&exited), None)]
        });
        let missed = std::mem::take(&mut self.missed).into_iter().map(|packet| (packet, None));
        let facts = self.certificates.clone();
        let certificates = (!facts.is_empty()).then(|| (encode(&ToAdmin::Certificates { facts }), None));
        handed_on.chain(living).chain(ended).chain(missed).chain(certificates).collect()
    }
}

fn push<T>(list: &mut VecDeque<T>, one: T) {
    list.push_back(one);
    if list.len() > KEPT {
        list.pop_front();
    }
}

/// The message that announces a worker.
pub(super) fn introduction((link, scoreboard): &Worker) -> Message {
    // If the descriptor cannot be copied, the worker is shown without its scoreboard.
    let scoreboard = scoreboard.as_ref().and_then(|scoreboard| scoreboard.try_clone().ok());
    (encode(&ToAdmin::Worker(link.clone())), scoreboard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_messages::decode;
    use gk_sys::descriptors::memory_file;
    use gk_wire::control::Happened;

    fn told(inheritance: &mut Inheritance) -> Vec<ToAdmin> {
        inheritance.messages().iter().map(|(packet, _)| decode(packet).unwrap()).collect()
    }

    fn link(worker: u64) -> LinkFigures {
        LinkFigures { worker, ..LinkFigures::default() }
    }

    /// Reported: the counters of workers that had ended were lost with the admin process, so rates over its restart were wrong.
    #[test]
    fn ended_workers_are_kept_until_their_counters_are() {
        let mut kept = Inheritance::default();
        for worker in 1..=3 {
            kept.add(link(worker), None);
        }
        for worker in [1, 2] {
            kept.note(&ToAdmin::Exited { worker }, true);
        }
        let (of, gone) = (|worker| ToAdmin::Worker(link(worker)), |worker| ToAdmin::Exited { worker });
        assert_eq!(told(&mut kept), [of(3), of(1), gone(1), of(2), gone(2)]);
        kept.hand_on(memory_file("test", b"").unwrap().into(), &[1]);
        assert_eq!(told(&mut kept), [ToAdmin::Kept, of(3), of(2), gone(2)]);
        for worker in 10..1_000 {
            kept.add(link(worker), None);
            kept.note(&gone(worker), true);
        }
        assert_eq!(told(&mut kept).len(), 2 + 2 * KEPT, "they are bounded");
    }

    #[test]
    fn events_that_nobody_heard_are_told_once() {
        let mut kept = Inheritance::default();
        let event = ToAdmin::Happened(Happened::default());
        kept.note(&event, true);
        kept.note(&event, false);
        assert_eq!(told(&mut kept), [event]);
        assert_eq!(told(&mut kept), []);
    }
}
