//! What the event loop does before and after it sleeps. While it is awake, workers need not wake it: before it sleeps it looks
//! into each link's ring, says that it sleeps, and looks once more.

use crate::worker::link::Link;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

thread_local! {
    static LINKS: RefCell<Vec<Weak<Link>>> = const { RefCell::new(Vec::new()) };
}

/// From now on, sleep heeds this link.
pub(crate) fn heed(link: &Rc<Link>) {
    LINKS.with_borrow_mut(|links| {
        links.retain(|link| link.strong_count() > 0);
        links.push(Rc::downgrade(link));
    });
}

fn each(f: impl Fn(&Link)) {
    LINKS.with_borrow(|links| links.iter().filter_map(Weak::upgrade).for_each(|link| f(&link)));
}

/// The thread has nothing left to do.
pub(crate) fn before() {
    each(|link| {
        if link.watch.has_bytes() || !link.watch.sleep() {
            link.wake_reader();
        }
    });
}

/// The thread is awake.
pub(crate) fn after() {
    each(|link| link.watch.awake());
}
