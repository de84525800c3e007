//! Links: each worker has one to the front process. Workers that do not speak HTTP themselves have one to each worker that does, too, whose
//! front sends them requests.

use super::World;
use crate::child::Child;
use gk_sys::descriptors;
use gk_sys::memory::SharedPage;
use gk_wire::control::{ToFront, ToWorker};
use std::io;
use std::os::fd::OwnedFd;

impl World {
    /// Links a worker with the front process, and on its first link with the fronts within other workers.
    pub(super) fn link(
        &mut self,
        worker: u64,
        process_group: String,
        threads: u32,
        imported: bool,
    ) -> io::Result<()> {
        let (Some(front), Some(child)) = (&mut self.front, self.workers.get_mut(&worker)) else {
            return Ok(());
        };
        let (front_end, worker_end) = descriptors::stream_pair()?;
        let page = SharedPage::create()?;
        let mut given = vec![worker_end, page.try_clone()?];
        if child.embedded {
            // Those in force now, whatever they were when it was started.
            let certificates = gk_messages::encode(&self.certificates.message());
            given.push(descriptors::memory_file("gilkeeper-certificates", &certificates)?.into());
        }
        child.send(&ToWorker::Link { front: 0 }, given);
        let message = ToFront::Worker { worker, process_group, pid: child.pid, threads, imported };
        let board = child.scoreboard.as_ref().map(OwnedFd::try_clone).transpose()?;
        front.send(&message, [front_end, page].into_iter().chain(board).collect());
        if child.introduced.replace(message).is_some() {
            // The front process is a new one; the others are those that were there.
            return Ok(());
        }
        let (embedded, group) = (child.embedded, child.process_group.clone());
        // One that is embedded takes the place of workers that its group had before, and sends nothing to one that leaves. One that leaves
        // itself has clients yet.
        let others = |child: &Child| {
            child.embedded != embedded
                && child.introduced.is_some()
                && !(embedded && (child.leaves || child.process_group == group))
        };
        let others: Vec<u64> =
            self.workers.iter().filter(|(_, child)| others(child)).map(|(other, _)| *other).collect();
        others.into_iter().try_for_each(|other| match embedded {
            true => self.link_within(worker, other),
            false => self.link_within(other, worker),
        })
    }

    /// Links a worker with the front within the worker `host`.
    fn link_within(&mut self, host: u64, worker: u64) -> io::Result<()> {
        let (front_end, worker_end) = descriptors::stream_pair()?;
        let page = SharedPage::create()?;
        let Some(child) = self.workers.get_mut(&worker) else { return Ok(()) };
        let Some(message) = child.introduced.clone() else { return Ok(()) };
        child.send(&ToWorker::Link { front: host }, vec![worker_end, page.try_clone()?]);
        if let Some(host) = self.workers.get_mut(&host) {
            host.send(&ToWorker::ForFront { message }, vec![front_end, page]);
        }
        Ok(())
    }

    /// What the front process is told of a worker, the others with a link to it hear, too.
    pub(super) fn tell_fronts_within(&mut self, message: &ToFront) {
        let about = match message {
            ToFront::WorkerExited { worker, .. } | ToFront::GilReturned { worker, .. } => *worker,
            // They have no link to one that is embedded.
            ToFront::DrainWorker { worker, .. }
                if self.workers.get(worker).is_some_and(|child| !child.embedded) =>
            {
                *worker
            }
            _ => return,
        };
        for (worker, child) in &mut self.workers {
            if child.embedded && child.introduced.is_some() && *worker != about {
                child.send(&ToWorker::ForFront { message: message.clone() }, Vec::new());
            }
        }
    }
}
