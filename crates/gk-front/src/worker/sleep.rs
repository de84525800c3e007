//! The event loop's sleep. While the loop is awake, workers need not wake it. Before it sleeps it checks each link's ring, sets
//! the word that says it sleeps, and checks again.

use crate::worker::link::Link;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

thread_local! {
    static LINKS: RefCell<Vec<Weak<Link>>> = const { RefCell::new(Vec::new()) };
}

/// Adds a link whose ring is checked before each sleep.
pub fn watch(link: &Rc<Link>) {
    LINKS.with_borrow_mut(|links| {
        links.retain(|link| link.strong_count() > 0);
        links.push(Rc::downgrade(link));
    });
}

/// Runs over the living links.
fn each(f: impl Fn(&Link)) {
    LINKS.with_borrow(|links| links.iter().filter_map(Weak::upgrade).for_each(|link| f(&link)));
}

/// The thread has nothing left to do.
pub fn before() {
    each(|link| {
        if link.watch.has_bytes() || !link.watch.sleep() {
            link.wake_reader();
        }
    });
}

/// The thread is awake.
pub fn after() {
    each(|link| link.watch.awake());
}
