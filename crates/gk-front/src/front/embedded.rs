//! Figures of the workers that speak HTTP themselves (embedded mode). The front serves no client then, and tells of all of them as if it
//! had served theirs.

use gk_wire::control::EmbeddedFigures;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What they have told.
#[derive(Default)]
pub struct EmbeddedFronts {
    /// Their last figures, by worker.
    living: RefCell<BTreeMap<u64, EmbeddedFigures>>,
    /// The counts of those that have ended.
    ended: RefCell<EmbeddedFigures>,
}

impl EmbeddedFronts {
    /// A worker tells its figures.
    pub fn told(&self, worker: u64, figures: EmbeddedFigures) {
        self.living.borrow_mut().insert(worker, figures);
    }

    /// A worker has ended: its counts stay.
    pub fn ended(&self, worker: u64) {
        if let Some(last) = self.living.borrow_mut().remove(&worker) {
            self.ended.borrow_mut().add_counts(&last);
        }
    }

    /// All together; `None`: none has told anything.
    pub fn all(&self) -> Option<EmbeddedFigures> {
        let (living, ended) = (self.living.borrow(), self.ended.borrow());
        if living.is_empty() && *ended == EmbeddedFigures::default() {
            return None;
        }
        let mut all = ended.clone();
        living.values().for_each(|figures| all.add(figures));
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_worker_has_no_connections_but_its_requests_count() {
        let fronts = EmbeddedFronts::default();
        assert!(fronts.all().is_none());
        let figures = |connections, requests| EmbeddedFigures {
            connections,
            requests,
            in_flight: BTreeMap::from([(connections, 1)]),
            ..Default::default()
        };
        fronts.told(1, figures(5, 10));
        fronts.told(2, figures(1, 1));
        fronts.told(2, figures(2, 3));
        fronts.ended(1);
        fronts.ended(7);
        let all = fronts.all().unwrap();
        assert_eq!((all.connections, all.requests, all.in_flight), (2, 13, BTreeMap::from([(2, 1)])));
    }
}
