//! The PEP 3333 conversation with one application: environ, `start_response`, `wsgi.input`, the iterable, `close()`.
//!
//! * [`call`]: one request, top to bottom.
//! * [`application`]: what one interpreter keeps between requests.
//! * [`script`]: loading scripts and modules.
//! * [`imported`]: which source files were imported.
//! * [`metrics`]: the seam towards the measurements.
//! * [`exchange`]: the seam towards the link.
//! * [`gil`]: the GIL that comes back.
//!
//! Knows no sockets, frames or threads.
#![forbid(unsafe_code)]

mod active;
pub mod application;
pub mod call;
mod connections;
mod conversation;
mod environ;
mod events;
pub mod exchange;
pub mod gil;
pub mod hash;
mod host;
pub mod imported;
mod input;
pub mod metrics;
pub mod script;
mod service;
mod start_response;

pub use application::{Application, Facts};
pub use exchange::{Body, Exchange, Head, Sent};
pub use host::CurrentRequest;
