//! The load generator: what `gilkeeper load` and `gilkeeper compare` drive a server with.
//!
//! * [`target`]: a URL; [`request`]: requests as ready-made bytes; [`mix`]: their order; [`replay`]: an access log as a
//!   schedule.
//! * [`pace`]: when the next request is due. In a **closed loop** each connection sends as soon as it is answered. In an
//!   **open loop** requests are due by a schedule whether or not the server keeps up, and latency counts from the moment a
//!   request was due, so the wait for a stalled server is included (no coordinated omission).
//! * [`framing`]: where a response ends; [`connection`]: one connection; [`engine`]: one thread of them on epoll.
//! * [`cpus`], [`descriptors`]: cores and descriptors. [`run`]: threads, warm-up, the measured interval; [`report`]: the results.
//!
//! Nothing is allocated per request: requests are ready-made, buffers are kept. Knows nothing of Gilkeeper's own servers.
#![forbid(unsafe_code)]

pub mod connection;
pub mod cpus;
pub mod descriptors;
pub mod engine;
pub mod framing;
pub mod mix;
pub mod pace;
pub mod replay;
pub mod report;
pub mod request;
pub mod run;
pub mod target;
pub mod text;

pub use pace::Pace;
pub use report::{Failure, Report};
pub use request::Request;
pub use run::{Load, Moment, run};
pub use target::Target;
