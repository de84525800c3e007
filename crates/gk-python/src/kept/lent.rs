//! [`Lent`]: the contents of a `bytes` object for another thread, without a copy and without an attachment.

use crate::attached::Attached;
use crate::kept::Kept;
use crate::object::Object;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Longest object that is lent, in bytes: whoever holds the last few of them holds all.
const LONGEST: usize = 2 << 20;
/// Bytes that are lent, or have come back and are not released, at once.
const MOST: usize = 16 << 20;

/// The objects of one interpreter that are lent, or have come back: only an attached thread may release them.
#[derive(Default)]
pub struct Loans {
    back: Mutex<Vec<Kept>>,
    /// There are some in `back`.
    some: AtomicBool,
    /// Bytes of all of them.
    out: AtomicUsize,
}

/// A `bytes` object that is lent. Dropped, by whichever thread, it waits in its [`Loans`] to be released; when they are gone with
/// their interpreter, the object stays for ever.
pub struct Lent {
    kept: ManuallyDrop<Kept>,
    start: NonNull<u8>,
    len: usize,
    loans: Arc<Loans>,
}

// SAFETY: nothing in it belongs to a thread: `Kept` is Send, and the bytes behind `start` are only read.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

// === impl Loans ===

impl Loans {
    /// Lends an object, after what has come back is released. `None`: it is no `bytes`, or too much would be held by others.
    ///
    /// # Panics
    /// When the object is of another interpreter than those that have come back.
    pub fn lend(self: &Arc<Self>, object: &Object<'_>) -> Option<Lent> {
        self.release(object.py());
        let bytes = object.as_bytes().filter(|bytes| bytes.len() <= LONGEST)?;
        let (start, len) = (NonNull::from(bytes).cast(), bytes.len());
        if self.out.fetch_add(len, Ordering::Relaxed) + len > MOST {
            self.out.fetch_sub(len, Ordering::Relaxed);
            return None;
        }
        Some(Lent { kept: ManuallyDrop::new(object.clone().keep()), start, len, loans: Arc::clone(self) })
    }

    /// Releases what has come back.
    ///
    /// # Panics
    /// When attached to another interpreter than the objects'.
    pub fn release(&self, py: Attached<'_>) {
        if self.some.load(Ordering::Relaxed) {
            self.release_some(py);
        }
    }

    #[cold]
    fn release_some(&self, py: Attached<'_>) {
        // Whoever holds the lock puts something in; in a forked child nobody does any more.
        let Ok(mut back) = self.back.try_lock() else { return };
        self.some.store(false, Ordering::Relaxed);
        let all = std::mem::take(&mut *back);
        // A `bytes` may be of a subclass, whose end runs Python code.
        drop(back);
        for kept in all {
            let object = kept.bind(py);
            kept.release(py);
            self.out.fetch_sub(object.as_bytes().map_or(0, <[u8]>::len), Ordering::Relaxed);
        }
    }
}

// === impl Lent ===

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the contents of a `bytes`, which CPython never changes or moves, and this value owns a reference to it. Memory of
        // an object that is not released stays, even when its interpreter has ended.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: taken once, here.
        let kept = unsafe { ManuallyDrop::take(&mut self.kept) };
        self.loans.back.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(kept);
        self.loans.some.store(true, Ordering::Relaxed);
    }
}
