//! The last word of a reload or an upgrade. It waits until nothing new reaches the old processes: those that accept connections have said
//! that they accept no more, and whoever sends requests to the others has said that it gives them no more. Until then a connection that is
//! made after the answer might get the old code. A process that says nothing, because it hangs or was stopped, is named instead.

use super::super::Plan;
use super::super::action::{Action, Notice};
use super::super::front::FrontState;
use super::super::worker::{FRONT, WorkerHandle};
use super::last_word::LastWord;
use gk_wire::control::What;
use gk_wire::log::Level;
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest wait.
const LONGEST: Duration = Duration::from_secs(5);

impl Plan {
    /// Whether a reload runs, or waits for the last word.
    pub(in crate::plan) fn is_reloading(&self) -> bool {
        self.reload.is_some() || self.last_word.is_some()
    }

    /// New processes serve: says so when nothing new reaches the old ones, which were told by now.
    pub(in crate::plan) fn say_last(&mut self, clients: Vec<u64>, text: String, now: Duration) {
        let old = self.workers.values().filter(|w| w.departs()).map(|w| w.worker).collect();
        let front = self.has_handed_over() && !self.embedded();
        self.last_word = Some(LastWord { clients, text, old, front, deadline: now + LONGEST });
        self.tick_last_word(now);
    }

    /// The server stops: nobody waits any more.
    pub(super) fn say_last_now(&mut self, now: Duration) {
        if let Some(word) = &mut self.last_word {
            word.old.clear();
            word.front = false;
        }
        self.tick_last_word(now);
    }

    pub(in crate::plan) fn tick_last_word(&mut self, now: Duration) {
        let Some(word) = &self.last_word else { return };
        let silent = self.silent_doors(word);
        if !silent.is_empty() && word.deadline > now {
            return;
        }
        let Some(LastWord { clients, mut text, .. }) = self.last_word.take() else { return };
        let mut level = Level::Notice;
        if !silent.is_empty() {
            level = Level::Warn;
            text.push_str(&format!(
                "; within {} s there was no word of {} that new connections get the new code: until it runs on or ends, one may get the old",
                LONGEST.as_secs(),
                silent.join(", ")
            ));
        }
        self.log(level, text.clone());
        self.note(What::ReloadDone, text.clone());
        self.notify_of_reload(Notice::Reloaded(text.clone()));
        self.out.push(Action::Answer { clients, ok: true, text });
        self.next_reload(now);
    }

    /// Names of the processes through which something new may still reach old ones.
    fn silent_doors(&self, word: &LastWord) -> Vec<String> {
        let old = word.old.iter().filter_map(|worker| self.workers.get(worker));
        let doors: BTreeSet<u64> = old.flat_map(|worker| self.doors_to(worker)).collect();
        let mut names: Vec<String> =
            doors.iter().filter_map(|door| self.workers.get(door)).map(WorkerHandle::name).collect();
        let leaves = word.front && self.front.state == FrontState::Stopping && !self.front.accepts_no_more;
        if leaves || doors.contains(&FRONT) {
            names.push(format!("the front (pid {})", self.front.pid.unwrap_or_default()));
        }
        names
    }

    /// Those who may still bring something new to an old worker. What a process that leaves itself sends is of connections that it had.
    fn doors_to(&self, worker: &WorkerHandle) -> Vec<u64> {
        let stays = |door: u64| match door {
            FRONT => self.front.accepts(),
            door => self.workers.get(&door).is_some_and(|other| !other.departs()),
        };
        let doors = worker.doors.iter().copied();
        doors.filter(|door| *door == worker.worker || stays(*door)).collect()
    }

    /// Notes who sends a worker requests and is to hear that it leaves. Returns whether anybody does.
    pub(in crate::plan) fn note_senders(&mut self, worker: u64) -> bool {
        let speaks = |other: &&WorkerHandle| other.embedded && !other.departs() && !other.doors.is_empty();
        let within: Vec<u64> = self.workers.values().filter(speaks).map(|other| other.worker).collect();
        let front = self.front.accepts() && !self.embedded();
        let Some(handle) = self.workers.get_mut(&worker).filter(|handle| !handle.embedded) else {
            return false;
        };
        handle.doors = (front && handle.linked).then_some(FRONT).into_iter().chain(within).collect();
        !handle.doors.is_empty()
    }

    /// A process has said that it gives a worker nothing more; about itself: that it accepts no more connections.
    pub(in crate::plan) fn door_shut(&mut self, door: u64, worker: u64) {
        if let Some(handle) = self.workers.get_mut(&worker) {
            handle.doors.remove(&door);
        }
    }
}
