//! The directive language: text in, one immutable `Site` out, with diagnostics that point at the place.
#![forbid(unsafe_code)]

pub mod site;
