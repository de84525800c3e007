//! Counters of what the exports sent, by export.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counters of one export: datagrams, pushes or packets.
#[derive(Debug, Default)]
pub struct Deliveries {
    sent: AtomicU64,
    lost: AtomicU64,
    failing: AtomicBool,
}

impl Deliveries {
    /// Number of those that the receiver's side accepted.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Number of those that were dropped or refused.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Counts one that was accepted.
    pub fn count_sent(&self) {
        self.add_sent(1);
    }

    /// Counts so many that were accepted.
    pub fn add_sent(&self, more: u64) {
        self.sent.fetch_add(more, Relaxed);
    }

    /// Counts one that was lost, without saying so in the log.
    pub fn count_lost(&self) {
        self.add_lost(1);
    }

    /// Counts so many that were lost.
    pub fn add_lost(&self, more: u64) {
        self.lost.fetch_add(more, Relaxed);
    }

    /// Marks the export as failing. Returns true for the first failure of a series, which belongs in the log.
    pub fn begin_failing(&self) -> bool {
        !self.failing.swap(true, Relaxed)
    }

    /// Marks the export as working. Returns true if it was failing before.
    pub fn end_failing(&self) -> bool {
        self.failing.swap(false, Relaxed)
    }

    /// The last attempt failed.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Relaxed)
    }
}

/// The exports in use.
#[derive(Debug, Clone, Default)]
pub struct ExportCounters {
    /// mod_wsgi's datagrams.
    pub datagrams: Option<Arc<Deliveries>>,
    /// OTLP pushes.
    pub otlp: Option<Arc<Deliveries>>,
    /// statsd packets.
    pub statsd: Option<Arc<Deliveries>>,
    /// Requests of traces.
    pub traces: Option<Arc<Deliveries>>,
}
