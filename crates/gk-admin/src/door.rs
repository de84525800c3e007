//! The common parts of the admin process's HTTP listeners: the connection limit, the client's patience, the access
//! rule, TLS and response bodies.

pub mod body;
pub mod guard;
pub(crate) mod listener;
pub(crate) mod patience;
pub mod tls;
