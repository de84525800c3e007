//! Exports: the metric families and their forms for Prometheus, OTLP and statsd, and mod_wsgi's datagrams.

pub mod emitter;
pub mod families;
pub mod otlp;
pub mod outbox;
pub mod prometheus;
pub mod statsd;
