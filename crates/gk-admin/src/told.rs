//! Exports: metric families in the forms of Prometheus, OTLP and statsd, mod_wsgi's datagrams, spans of requests, profiles in the forms of
//! their viewers. They read the hub.

pub mod emitter;
pub(crate) mod exports;
pub mod exposition;
pub mod families;
pub mod otlp;
pub mod outbox;
pub mod profile;
pub mod prometheus;
pub mod protobuf;
pub mod spans;
pub mod statsd;
