//! What every HTTP listener of the admin process needs: the connection limit, the access rule, TLS and response bodies.

pub mod body;
pub mod guard;
pub(crate) mod listener;
pub mod tls;
