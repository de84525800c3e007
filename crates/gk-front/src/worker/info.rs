//! The supervisor's description of a worker.

/// Number, group and size of a worker.
#[derive(Debug, Clone)]
pub struct WorkerInfo {
    /// Number of the worker.
    pub worker: u64,
    /// Process group.
    pub process_group: String,
    /// Process id.
    pub pid: u32,
    /// Request threads.
    pub threads: u32,
    /// It imported its applications.
    pub imported: bool,
}

impl From<&WorkerInfo> for gk_wire::feed::LinkFigures {
    fn from(info: &WorkerInfo) -> Self {
        Self {
            worker: info.worker,
            pid: info.pid,
            process_group: info.process_group.clone(),
            threads: info.threads,
        }
    }
}
