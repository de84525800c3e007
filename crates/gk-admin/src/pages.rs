//! The admin pages over HTTP: the dashboard's files, the JSON API and the metrics.

pub mod api;
pub mod assets;
pub mod query;
pub mod server;
