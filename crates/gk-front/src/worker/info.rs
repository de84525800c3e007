//! The supervisor's description of a worker and of its end.

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

impl WorkerInfo {
    /// Whether this front is the HTTP side of that worker.
    pub fn is_this_process(&self) -> bool {
        self.pid == std::process::id()
    }
}

/// The end of a worker's process.
#[derive(Debug, Clone)]
pub struct WorkerExit {
    /// `signal 9 (KILL)` …, for the log.
    pub how: String,
    /// Nobody had decided on it.
    pub died: bool,
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
