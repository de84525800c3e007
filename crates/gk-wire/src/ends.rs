//! Why workers end.

/// Reasons for which workers end, as events and `gilkeeper_worker_restarts_total` name them.
pub const ENDS: [&str; 16] = [
    "cpu_time_limit",
    "crash",
    "deadlock_timeout",
    "eviction_signal",
    "graceful_signal",
    "graceful_timeout",
    "import_failed",
    "inactivity_timeout",
    "killed",
    "link_lost",
    "maximum_requests",
    "reload",
    "request_timeout",
    "restart_interval",
    "shutdown_signal",
    "startup_timeout",
];
