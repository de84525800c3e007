//! Compares configurations of a server.
#![forbid(unsafe_code)]
