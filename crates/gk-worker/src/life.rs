//! The life of a worker process, from the setup it is given to its exit status.
//!
//! * [`worker`]: the main thread while requests are served.
//! * [`start`]: what comes before; [`stop`]: what comes after.
//! * [`signals`]: what a signal sent to the worker asks for.
//! * [`service`]: the other kind of worker, which runs a service script.

pub(crate) mod service;
pub(crate) mod signals;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod worker;
