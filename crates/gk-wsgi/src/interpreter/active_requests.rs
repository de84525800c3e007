//! Which requests run in an interpreter: `active_requests` and `request_data()` of the application. Nothing is written into
//! Python objects until the application asks for one of them; from then on each request has its dict.

use gk_python::class::MethodResult;
use gk_python::{Attached, Object, PyError};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether the application of one interpreter wants to know its running requests.
#[derive(Default)]
pub(crate) struct Tracking {
    on: AtomicBool,
}

/// What one request thread serves at this moment.
#[derive(Default)]
struct Place {
    /// Address of the [`Tracking`] of the interpreter, 0 between requests.
    interpreter: AtomicUsize,
    request: AtomicU64,
}

static PLACES: Mutex<Vec<Arc<Place>>> = Mutex::new(Vec::new());

thread_local! {
    static PLACE: Arc<Place> = {
        let place = Arc::new(Place::default());
        PLACES.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&place));
        place
    };
}

/// The id of the request this thread serves in that interpreter, `None` otherwise.
pub(crate) fn request_id<'p>(py: Attached<'p>, tracking: &Tracking) -> MethodResult<'p> {
    match PLACE.with(|place| place.serves(tracking)) {
        Some(request) => py.str(&request.to_string()),
        None => Ok(py.none()),
    }
}

/// One request runs in this thread. To be ended with [`Running::end`].
pub(crate) struct Running<'a> {
    tracking: &'a Tracking,
    request: u64,
}

impl<'a> Running<'a> {
    pub(crate) fn begin<'p>(
        tracking: &'a Tracking,
        request: u64,
        requests: impl FnOnce() -> Object<'p>,
    ) -> Self {
        PLACE.with(|place| {
            place.request.store(request, Ordering::Relaxed);
            // Before the look at `on`: whoever switches it on either is seen here or sees this request.
            place.interpreter.store(tracking.key(), Ordering::SeqCst);
        });
        if tracking.on.load(Ordering::SeqCst) {
            // Without memory for a dict the request goes on without one.
            let _ = put(&requests(), request);
        }
        Self { tracking, request }
    }

    pub(crate) fn end<'p>(self, requests: impl FnOnce() -> Object<'p>) {
        PLACE.with(|place| place.interpreter.store(0, Ordering::SeqCst));
        if self.tracking.on.load(Ordering::SeqCst) {
            take(&requests(), self.request);
        }
    }
}

impl Place {
    fn serves(&self, tracking: &Tracking) -> Option<u64> {
        let here = self.interpreter.load(Ordering::SeqCst) == tracking.key();
        here.then(|| self.request.load(Ordering::Relaxed))
    }
}

impl Tracking {
    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// From now on, requests have a dict in `requests`; those that run already get theirs.
    pub(crate) fn begin<'p>(&self, requests: &Object<'p>) -> Result<(), PyError<'p>> {
        if self.on.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let places = PLACES.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for place in places {
            let Some(request) = place.serves(self) else { continue };
            put(requests, request)?;
            if place.serves(self) != Some(request) {
                // It ended meanwhile and found nothing to take away.
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
