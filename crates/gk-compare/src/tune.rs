//! Searches for the best configuration of an application. [`space`]: the configurations to try; [`verdicts`]: the GIL modes that
//! the application supports; [`search`]: order and duration of the trials (pure except for the trials); [`trials`]: trials on real
//! servers; [`paste`]: a configuration as directives; [`advice`]: the result as text and JSON.

pub mod advice;
pub mod paste;
pub mod search;
pub mod space;
pub mod trials;
pub mod verdicts;

use crate::table::row::Row;

/// The figure to optimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Most requests per minute.
    Throughput,
    /// Lowest 99th percentile of the response time.
    P99,
    /// Least memory, among those that keep up with the load.
    Memory,
}

impl Target {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Throughput => "requests per minute",
            Self::P99 => "99th percentile of the response time",
            Self::Memory => "memory",
        }
    }

    /// The column that decides, and whether less is better.
    pub fn column(self) -> (&'static str, bool) {
        match self {
            Self::Throughput => ("requests_per_minute", false),
            Self::P99 => ("response_p99_ms", true),
            Self::Memory => ("resident_mb", true),
        }
    }
}

/// One configuration's trials in a stage of the search.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Which.
    pub config: space::Config,
    /// What its trials gave; an `Err` says why there are none.
    pub row: Result<Row, String>,
}
