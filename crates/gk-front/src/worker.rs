//! The workers: a pool with its queue per process group, a link to each worker, and the requests on the links.

pub mod balance;
pub mod exchange;
pub mod facts;
pub mod head;
pub mod link;
pub mod link_reader;
pub(crate) mod link_writer;
pub mod pool;
pub mod profiles;
pub(crate) mod sleep;
pub mod slots;
