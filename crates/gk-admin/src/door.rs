//! What every HTTP listener of the admin process shares: the connection limit, the access rule, TLS and response bodies.

pub mod body;
pub mod connections;
pub mod guard;
pub mod tls;
