//! How many references this library holds, counted in builds with debug assertions: what tests look at to see that each
//! request gives back what it took. In other builds nothing is counted.

use std::sync::atomic::{AtomicI64, Ordering};

/// A kind of reference that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// An [`crate::Object`].
    Object,
    /// A [`crate::Kept`] that was not released.
    Kept,
    /// An instance of a [`crate::Class`] that Python has not freed.
    Instance,
}

static COUNTS: [AtomicI64; 3] = [const { AtomicI64::new(0) }; 3];

impl Held {
    #[inline]
    pub(crate) fn taken(self) {
        if cfg!(debug_assertions) {
            COUNTS[self as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn given_back(self) {
        if cfg!(debug_assertions) {
            COUNTS[self as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Objects, kept references and instances at this moment in the whole process; `None` where they are not counted.
pub fn held() -> Option<[i64; 3]> {
    cfg!(debug_assertions).then(|| COUNTS.each_ref().map(|count| count.load(Ordering::Relaxed)))
}
