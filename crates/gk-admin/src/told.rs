//! Exports: metric families in the forms of Prometheus, OTLP and statsd, and mod_wsgi's datagrams. They read the hub.

pub mod emitter;
pub(crate) mod exports;
pub mod families;
pub mod otlp;
pub mod outbox;
pub mod prometheus;
pub mod statsd;
