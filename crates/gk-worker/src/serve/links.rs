//! The links of a worker that several fronts send requests to. One thread waits for all of them and reads ([`Links::read_forever`]); request
//! threads take what it has read, from each link in turn. With one front they read for themselves, which saves a wake-up
//! ([`crate::serve::link`]).
//!
//! Locks, in the order they may be taken: `guarded`, then those of a link.

use crate::serve::link::{Job, Link};
use gk_wire::page;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

/// The links.
pub(crate) struct Links {
    guarded: Mutex<Guarded>,
    /// Wakes the reader, which has other links now.
    bell: OwnedFd,
}

#[derive(Default)]
struct Guarded {
    /// With the number of the front: that of its worker, 0 for the front process.
    links: Vec<(u64, Arc<Link>)>,
    /// Idle request threads, the most recent last.
    idle: Vec<Thread>,
    /// The link that is asked first, counted up.
    turn: usize,
    /// Requests that waited or ran when the fronts were last told.
    load: u64,
    stopping: bool,
}

impl Guarded {
    fn take(&mut self) -> Option<(Arc<Link>, Job)> {
        let count = self.links.len();
        self.turn = self.turn.wrapping_add(1);
        (0..count).find_map(|step| {
            let (_, link) = &self.links[self.turn.wrapping_add(step) % count];
            Some((Arc::clone(link), link.try_next(|_| true)?))
        })
    }

    fn wake(&mut self, most: usize) {
        let first = self.idle.len().saturating_sub(most);
        self.idle.drain(first..).for_each(|thread| thread.unpark());
    }

    /// Tells each front how busy the others keep this process and who waits there, and those that wait for it that there is less.
    fn tell_load(&mut self) {
        let all: u64 = self.links.iter().map(|(_, link)| link.held()).sum();
        for (word, elsewhere) in [(page::WAITS, page::WAITS_ELSEWHERE), (page::HOLDS, page::HOLDS_ELSEWHERE)]
        {
            let marks = self.links.iter().map(|(front, link)| (*front, link.word(word)));
            // Nobody waits for a process without requests, and no later look would take back what is told now.
            let marks: Vec<(u64, u64)> = marks.filter(|(_, mark)| *mark != 0 && all > 0).collect();
            for (front, link) in &self.links {
                let other = marks.iter().find(|(other, _)| other != front);
                link.set_word(elsewhere, other.map_or(0, |(_, mark)| *mark));
            }
        }
        self.links.iter().for_each(|(_, link)| link.tell_load(all.saturating_sub(link.held())));
        let less = all < std::mem::replace(&mut self.load, all);
        if less || all == 0 {
            self.links.iter().for_each(|(_, link)| link.tell_room());
        }
    }
}

impl Links {
    /// Without a link yet.
    pub(crate) fn new() -> std::io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { guarded: Mutex::default(), bell })
    }

    fn lock(&self) -> MutexGuard<'_, Guarded> {
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the link to a front, in the place of an older one.
    pub(crate) fn set(&self, front: u64, link: Arc<Link>) {
        link.occupy();
        let mut held = self.lock();
        let before = held.links.iter().position(|(of, _)| *of == front).map(|at| held.links.swap_remove(at));
        if held.stopping {
            link.stop();
        }
        held.links.push((front, link));
        drop(held);
        before.into_iter().for_each(|(_, link)| link.shut());
        self.ring();
    }

    /// The link to the front of that number.
    pub(crate) fn of(&self, front: u64) -> Option<Arc<Link>> {
        self.lock().links.iter().find(|(of, _)| *of == front).map(|(_, link)| Arc::clone(link))
    }

    /// Every link.
    pub(crate) fn all(&self) -> Vec<Arc<Link>> {
        self.lock().links.iter().map(|(_, link)| Arc::clone(link)).collect()
    }

    /// The next request of any front; `None`: the worker stops. Blocks: call it detached.
    pub(crate) fn next(&self) -> Option<(Arc<Link>, Job)> {
        let me = std::thread::current();
        loop {
            let mut held = self.lock();
            held.idle.retain(|thread| thread.id() != me.id());
            if let Some(found) = held.take() {
                return Some(found);
            }
            if held.stopping {
                return None;
            }
            held.idle.push(me.clone());
            drop(held);
            std::thread::park();
        }
    }

    /// A request has ended, or was given back.
    pub(crate) fn ended(&self) {
        self.lock().tell_load();
    }

    /// No request begins any more, and idle threads come back from [`Links::next`].
    pub(crate) fn stop(&self) {
        let mut held = self.lock();
        held.stopping = true;
        held.links.iter().for_each(|(_, link)| link.stop());
        held.wake(usize::MAX);
        drop(held);
        self.ring();
    }

    /// Whether [`Links::stop`] was called.
    pub(crate) fn stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Called each millisecond while requests run. Returns true if a request runs or waits.
    pub(crate) fn tick(&self) -> bool {
        let all = self.all();
        // Each of them, whatever the others say.
        let busy = all.iter().filter(|link| link.tick()).count() > 0;
        let still = all.iter().filter(|link| link.stands_still()).count();
        let mut held = self.lock();
        // Some may have been given back.
        held.tell_load();
        held.wake(still);
        drop(held);
        busy
    }

    fn ring(&self) {
        // A counter that is full wakes as well.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Reads all links, for ever: the body of the thread that does it.
    pub(crate) fn read_forever(&self) {
        loop {
            let links = self.all();
            links.iter().filter(|link| !link.is_closed()).for_each(|link| link.pump());
            let mut held = self.lock();
            // Of those that have ended, nothing more can come.
            held.links.retain(|(_, link)| !link.is_closed() || link.busy());
            held.tell_load();
            let wanted = held.links.iter().map(|(_, link)| link.wants()).sum();
            held.wake(wanted);
            drop(held);
            self.sleep(&links);
        }
    }

    /// Sleeps until one of them can be read, or there are others.
    fn sleep(&self, links: &[Arc<Link>]) {
        let open: Vec<&Arc<Link>> = links.iter().filter(|link| !link.is_closed()).collect();
        // Each of them, so that all fronts ring.
        if open.iter().filter(|link| !link.may_sleep()).count() == 0 {
            let polled = open.iter().map(|link| link.socket()).chain([std::os::fd::AsFd::as_fd(&self.bell)]);
            let mut polled: Vec<PollFd<'_>> =
                polled.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
            // Whatever ends the wait, the caller looks.
            let _ = poll(&mut polled, None);
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        }
        open.iter().for_each(|link| link.awake());
    }
}
