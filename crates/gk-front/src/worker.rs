//! The worker processes, which are the front's engine: a pool with its queue per process group, a link to each worker, and the
//! requests on the links.
//!
//! A request passes through [`pool::Pool::try_acquire`] or [`pool::Pool::acquire`], [`pool::Permit::begin`],
//! [`exchange::Exchange::upload`] and [`exchange::Exchange::head`]; from then on [`crate::answer`] takes the response through
//! [`crate::engine::Exchange`]. `service` and `front` call nothing else here for a request.

pub mod balance;
pub mod dispatcher;
pub mod exchange;
pub mod head;
pub mod held;
pub mod info;
pub mod link;
pub mod pool;
pub mod profiles;
pub mod share;
pub mod sleep;
pub mod suspects;
pub mod tally;
pub mod upload;
