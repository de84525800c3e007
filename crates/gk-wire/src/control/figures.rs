//! Figures of the processes, as answers to `Status`.

use crate::queue::QueueFigures;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The front's own figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FrontStatus {
    /// Open client connections.
    pub connections: u64,
    /// Requests finished since the front started.
    pub requests: u64,
    /// Requests that wait in process groups' queues, by group.
    pub queued: BTreeMap<String, u64>,
    /// Requests in flight by worker number.
    #[serde(deserialize_with = "numbered")]
    pub in_flight: BTreeMap<u64, u64>,
    /// More about the queues, by group.
    #[serde(default)]
    pub queues: BTreeMap<String, QueueFigures>,
    /// The admin process, if there is one.
    #[serde(default)]
    pub admin: Option<AdminProcess>,
}

/// The admin process of a front.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AdminProcess {
    /// Process id.
    pub pid: u32,
    /// Seconds without a sign of life.
    pub silent: u32,
}

/// Reads a map whose keys are numbers: as JSON they are strings, and inside a tagged message serde leaves them so.
pub(super) fn numbered<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<u64, u64>, D::Error> {
    let texts = BTreeMap::<String, u64>::deserialize(from)?;
    let number = |text: String| text.parse().map_err(serde::de::Error::custom);
    texts.into_iter().map(|(key, value)| Ok((number(key)?, value))).collect()
}

/// A worker's own figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerFigures {
    /// Requests finished.
    pub requests: u64,
    /// Busy request threads.
    pub busy: u32,
    /// Application groups that have an interpreter here.
    pub application_groups: Vec<String>,
    /// `shared`, `own` (an interpreter has its own GIL) or `free-threading`.
    pub gil_mode: String,
    /// Its interpreters, by application group.
    pub interpreters: Vec<InterpreterFigures>,
    /// `eager` or `application`; "" before CPython 3.15, which has no lazy imports.
    #[serde(default)]
    pub lazy_imports: String,
    /// Requests that import a module or wait for the import lock just now, each in words.
    #[serde(default)]
    pub importing: Vec<String>,
}

/// One interpreter of a worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InterpreterFigures {
    /// The application group it serves; "" is the main interpreter.
    pub application_group: String,
    /// `shared`, `own` or `free-threading`.
    pub gil_mode: String,
    /// Its last reading, in seconds; `None` without a GIL.
    pub switch_interval: Option<f64>,
    /// Request threads busy in it.
    pub busy: u32,
    /// Bytes of resident memory that its creation and its imports at start added to the process.
    pub memory: u64,
}
