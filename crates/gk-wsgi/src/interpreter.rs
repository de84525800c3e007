//! Objects of one interpreter that live longer than a request.
//!
//! * [`application`]: its types, names, functions and loaded scripts.
//! * `runtime`: the part that is written in Python.
//! * [`script`]: loading scripts and modules; [`watched_file`]: changes of their files; `service`: running a service script.
//! * `host`: the object through which Python calls the server.
//! * `imported_files`: source files that were imported.
//! * [`gil`]: the return of the GIL in a free-threaded Python.
//! * `active_requests`: `request_data()` and its relatives; `connection_templates`: environ entries that requests share.

pub(crate) mod active_requests;
pub mod application;
pub(crate) mod connection_templates;
pub mod gil;
pub(crate) mod host;
mod imported_files;
pub(crate) mod runtime;
pub mod script;
mod service;
pub mod watched_file;
