//! The worker's measurements on its scoreboard.
//!
//! * [`measurements`]: the scoreboard, its exactness, and waits for a GIL as they happen.
//! * [`request`]: the time of one request, split into CPU, GIL, run queue and the rest.
//! * [`holders`]: places in the application that held a GIL while others waited.
//! * [`profiler`]: the request threads' use of the processor, down to the line, when somebody wants it.
//! * [`metrics`]: the same for the application, under mod_wsgi's names.
//! * [`threads`]: the application's own threads, as causes of waits.

mod holders;
mod measurements;
mod metrics;
mod profiler;
mod request;
mod threads;

pub(crate) use measurements::{begin, get, importing};
pub(crate) use profiler::Profiler;
pub(crate) use request::{MeasuredRequest, ThreadMeasure};
