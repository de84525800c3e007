//! The client's side: listening sockets, connections, HTTP on them, and every timeout of a client. Knows bytes and
//! protocols; which application answers is decided in [`crate::request`].

pub mod accept;
pub mod addresses;
pub mod connection;
pub mod drain;
pub mod endpoints;
pub mod http1;
pub mod http2;
pub mod idle;
pub mod incoming;
pub mod outgoing;
pub mod proxied;
pub mod requester;
pub mod stream;
pub mod timeouts;
pub mod tls;
