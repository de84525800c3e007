//! A worker whose GIL comes back on although it is to run without: marked, told to the front, and where the configuration
//! refuses it, not ready any more. It goes on serving: with the GIL it is slower, not wrong.

use super::Plan;
use super::action::Action;
use super::worker::State;
use gk_wire::control::{ToFront, What};
use std::time::Duration;

impl Plan {
    /// The worker has written the log line already.
    pub(super) fn gil_returned(&mut self, worker: u64, module: String, refused: bool, now: Duration) {
        let Some(handle) = self.workers.get_mut(&worker) else { return };
        let text = format!("{} has a GIL again: {module} turned it on", handle.name());
        handle.gil_returned = Some((module, refused));
        if let Some(about) = &mut handle.about {
            about.gil_mode = "shared".to_owned();
        }
        let was_ready = handle.state == State::Ready;
        if refused && was_ready {
            handle.state = State::Failed;
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

    /// Tells the front what it must know of a worker's GIL, once it knows the worker.
    pub(super) fn tell_front_of_gil(&mut self, worker: u64) {
        let known = self.workers.get(&worker).and_then(|handle| handle.gil_returned.clone());
        if let Some((module, refused)) = known {
            self.out.push(Action::ToFront(ToFront::GilReturned { worker, module, refused }));
        }
    }
}
