//! The admin pages over HTTP: the dashboard's files, the JSON API and the metrics. They read the hub and the history.

pub mod api;
pub mod assets;
pub mod holders;
mod profile;
pub mod query;
pub(crate) mod server;
pub(crate) mod shapes;
pub(crate) mod stream;
