//! Searches for the configuration that serves an application best: [`space`] says what there is to try, [`verdicts`] what the
//! application bears, [`search`] in which order and for how long (pure but for the trials it asks for), [`trials`] runs them on
//! real servers, [`paste`] writes configurations as directives, [`advice`] prints what came of it.

pub mod advice;
pub mod paste;
pub mod search;
pub mod space;
pub mod trials;
pub mod verdicts;

use crate::table::row::Row;

/// What is to be best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Most requests per minute.
    Throughput,
    /// Least 99th percentile of the response time.
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
