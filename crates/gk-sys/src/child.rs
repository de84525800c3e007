//! Child processes: under which [`identity`] they run, how they are started ([`spawn`](mod@spawn)), and how they ended
//! ([`reap`]).

pub mod identity;
pub mod reap;
pub mod spawn;
