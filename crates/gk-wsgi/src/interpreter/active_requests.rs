//! Running requests of an interpreter, for the application's `active_requests` and `request_data()`. No Python object is
//! written until the application asks for one of them; from then on each request has its dict.

use gk_python::class::MethodResult;
use gk_python::{Attached, Object, PyError};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// On if the application of one interpreter asked for its running requests.
#[derive(Default)]
pub(crate) struct Tracking {
    on: AtomicBool,
}

/// The request that one request thread serves now, in a cache line of its own: the thread writes it at both ends of each request.
#[derive(Default)]
#[repr(align(128))]
struct ThreadRequest {
    /// Address of the [`Tracking`] of the interpreter, 0 between requests.
    interpreter: AtomicUsize,
    request: AtomicU64,
}

static THREADS: Mutex<Vec<Arc<ThreadRequest>>> = Mutex::new(Vec::new());

thread_local! {
    static THREAD: Arc<ThreadRequest> = {
        let thread = Arc::new(ThreadRequest::default());
        THREADS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&thread));
        thread
    };
}

/// Id of the request that this thread serves in that interpreter, or `None`.
pub(crate) fn request_id<'p>(py: Attached<'p>, tracking: &Tracking) -> MethodResult<'p> {
    match THREAD.with(|thread| thread.serves(tracking)) {
        Some(request) => py.str(&request.to_string()),
        None => Ok(py.none()),
    }
}

/// A request that runs in this thread. Ended with [`ActiveRequest::end`].
pub(crate) struct ActiveRequest<'a> {
    tracking: &'a Tracking,
    request: u64,
}

impl<'a> ActiveRequest<'a> {
    pub(crate) fn begin<'p>(
        tracking: &'a Tracking,
        request: u64,
        requests: impl FnOnce() -> Object<'p>,
    ) -> Self {
        THREAD.with(|thread| {
            thread.request.store(request, Ordering::Relaxed);
            // Before the load of `on`: a thread that switches it on either is seen here or sees this request.
            thread.interpreter.store(tracking.key(), Ordering::SeqCst);
        });
        if tracking.on.load(Ordering::SeqCst) {
            // Out of memory: the request goes on without a dict.
            let _ = put(&requests(), request);
        }
        Self { tracking, request }
    }

    pub(crate) fn end<'p>(self, requests: impl FnOnce() -> Object<'p>) {
        THREAD.with(|thread| thread.interpreter.store(0, Ordering::SeqCst));
        if self.tracking.on.load(Ordering::SeqCst) {
            take(&requests(), self.request);
        }
    }
}

impl ThreadRequest {
    fn serves(&self, tracking: &Tracking) -> Option<u64> {
        let here = self.interpreter.load(Ordering::SeqCst) == tracking.key();
        here.then(|| self.request.load(Ordering::Relaxed))
    }
}

impl Tracking {
    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Gives each request a dict in `requests` from now on, running ones included.
    pub(crate) fn begin<'p>(&self, requests: &Object<'p>) -> Result<(), PyError<'p>> {
        // A forked child has one thread, and that one's request is there; the lock may be held for ever.
        if self.on.swap(true, Ordering::SeqCst) || gk_sys::fork::is_child() {
            return Ok(());
        }
        let threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for thread in threads {
            let Some(request) = thread.serves(self) else { continue };
            put(requests, request)?;
            if thread.serves(self) != Some(request) {
                // The request ended meanwhile and found no dict to remove.
                take(requests, request);
            }
        }
        Ok(())
    }
}

fn put<'p>(requests: &Object<'p>, request: u64) -> Result<(), PyError<'p>> {
    let py = requests.py();
    requests.call_method("setdefault", &[&py.str(&request.to_string())?, &py.dict()?]).map(drop)
}

fn take(requests: &Object<'_>, request: u64) {
    let py = requests.py();
    let _ = py.str(&request.to_string()).and_then(|key| requests.call_method("pop", &[&key, &py.none()]));
}
