//! The event loop's sleep. While the loop is awake, workers need not wake it. Before it sleeps it checks each link's ring, sets
//! the word that says it sleeps, and checks again.

use crate::worker::link::Link;
use gk_sys::event_loop::Nudge;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// The links that are checked before each sleep.
pub struct Sleep {
    links: RefCell<Vec<Weak<Link>>>,
    /// In embedded mode: wakes request threads of this process, which wait for the loop.
    pub nudge: Option<Nudge>,
}

impl Sleep {
    /// Without links yet.
    pub fn new(nudge: Option<Nudge>) -> Rc<Self> {
        Rc::new(Self { links: RefCell::default(), nudge })
    }

    /// Adds a link.
    pub fn watch(&self, link: &Rc<Link>) {
        let mut links = self.links.borrow_mut();
        links.retain(|link| link.strong_count() > 0);
        links.push(Rc::downgrade(link));
    }

    /// Runs over the living links.
    fn each(&self, f: impl Fn(&Link)) {
        self.links.borrow().iter().filter_map(Weak::upgrade).for_each(|link| f(&link));
    }

    /// The thread has nothing left to do.
    pub fn before(&self) {
        self.each(|link| {
            if link.watch.has_bytes() || !link.watch.sleep() {
                link.wake_reader();
            }
        });
    }

    /// The thread is awake.
    pub fn after(&self) {
        self.each(|link| link.watch.awake());
    }
}
