//! The client's side: listening sockets, connections, HTTP on them, and every timeout of a client. Knows bytes and
//! protocols; which application answers is decided in [`crate::request`].

pub mod connection;
pub mod framing;
pub mod server;
