//! Workers whose GIL comes back although they should run without: marked, reported to the front, and no longer ready where the
//! configuration refuses that. They go on serving: with the GIL they are slower, not wrong.

use crate::plan::Plan;
use crate::plan::action::Action;
use crate::plan::worker::WorkerState;
use gk_wire::control::{ToFront, What};
use std::time::Duration;

impl Plan {
    /// The worker has already logged it.
    pub(in crate::plan) fn gil_returned(
        &mut self,
        worker: u64,
        module: String,
        refused: bool,
        now: Duration,
    ) {
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        // It comes back once, whatever else the worker says.
        if handle.gil_returned.is_some() {
            return;
        }
        let text = format!("{} has a GIL again: {module} turned it on", handle.name());
        handle.gil_returned = Some((module, refused));
        if let Some(about) = &mut handle.about {
            about.gil_mode = "shared".to_owned();
        }
        let was_ready = handle.state == WorkerState::Ready;
        if refused && was_ready {
            handle.state = WorkerState::Failed;
        }
        let (handle, linked) = (handle.clone(), handle.linked);
        self.note_worker(What::GilReturned, &handle, text.clone());
        if linked {
            self.tell_front_of_gil(worker);
        }
        if refused && was_ready && self.is_new_in_reload(worker) {
            self.refuse_reload(&text, &[], now);
        }
    }

    /// Tells the front about a returned GIL, once it knows the worker.
    pub(in crate::plan) fn tell_front_of_gil(&mut self, worker: u64) {
        let known = self.workers.get(&worker).and_then(|handle| handle.gil_returned.clone());
        if let Some((module, refused)) = known {
            self.out.push(Action::ToFront(ToFront::GilReturned { worker, module, refused }));
        }
    }
}
