//! The PEP 3333 conversation with one application: environ, `start_response`, `wsgi.input`, the iterable, `close()`.
//!
//! * [`call`]: one request, top to bottom.
//! * `conversation`: the state of one response, and the objects that the application uses for its request.
//! * `forked`: the end of a child that the application forked.
//! * [`interpreter`]: objects of one interpreter that live longer than a request.
//! * [`exchange`]: the seam towards the link; [`metrics`]: the seam towards the measurements.
//!
//! Knows no sockets, frames or threads.
#![forbid(unsafe_code)]

pub mod call;
mod conversation;
pub mod exchange;
mod forked;
pub mod interpreter;
mod log;
pub mod metrics;

pub use conversation::outcome::Outcome;
pub use exchange::{Body, Exchange, Head, Sent};
pub use interpreter::application::{Application, InterpreterSettings};
pub use interpreter::{application, gil, script, watched_file};
pub use log::CurrentRequest;
