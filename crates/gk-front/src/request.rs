//! A request until its application is found and its body is there: limits, path, route, trusted proxies, spooling. Knows
//! neither sockets nor workers.

pub mod fields;
pub mod identity;
pub mod limits;
pub mod memory;
pub mod owner;
pub mod path;
pub mod proxy_trust;
pub mod refusal;
pub mod resource;
pub mod route;
pub mod route_cache;
pub mod rules;
pub mod spool;
pub mod target;
