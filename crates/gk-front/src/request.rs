//! A request until an application is found for it and its body is there: limits, path, route, trusted proxies, spooling.
//! Knows neither sockets nor workers.

pub mod hash;
pub mod limits;
pub mod owner;
pub mod path;
pub mod proxy_trust;
pub mod route;
pub mod route_cache;
pub mod spool;
