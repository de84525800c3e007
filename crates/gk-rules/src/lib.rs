//! The rules of Apache's modules that sites use beside mod_wsgi. Each family (headers, variables, redirects, access …) is one
//! module: it reads a directive's words, holds the rule as plain data, and applies it to a request. A rule sees a request
//! only through [`Facts`]; the variables that rules set for each other are in [`Env`]. Nothing here opens a file or a socket.
//!
//! gk-config reads the directives and keeps the [`Rules`] of each place; gk-front applies them, in the order of Apache's phases.
#![forbid(unsafe_code)]

pub mod access;
#[cfg(test)]
mod asked;
mod env;
pub mod expr;
mod facts;
mod mistake;
pub mod redirects;
pub mod remote;
mod response;
pub mod rewrite;
mod rules;
mod server_variables;
mod text;
pub mod variables;

pub use env::Env;
pub use facts::{Facts, Kind};
pub use mistake::Mistake;
pub use response::{answers, content, headers};
pub use rules::Rules;
pub use text::regexp::{Groups, Regexp, TooLong};
pub(crate) use text::{escape, glob, network, regexp};
