//! The worker's measurements on its scoreboard.
//!
//! * [`measurements`]: the scoreboard, its exactness, and waits for a GIL as they happen.
//! * [`request`]: the time of one request, split into CPU, GIL, run queue and the rest.
//! * [`metrics`]: the same for the application, under mod_wsgi's names.
//! * [`threads`]: the application's own threads, as causes of waits.

mod measurements;
mod metrics;
mod request;
mod threads;

pub(crate) use measurements::{begin, get};
pub(crate) use request::{MeasuredRequest, ThreadMeasure};
