//! What is known of a worker apart from its link.

/// What the supervisor said of the worker behind a link.
#[derive(Debug, Clone)]
pub struct WorkerFacts {
    /// Its number.
    pub worker: u64,
    /// Its process group.
    pub process_group: String,
    /// Its process id.
    pub pid: u32,
    /// Its request threads.
    pub threads: u32,
}

impl From<&WorkerFacts> for gk_wire::feed::LinkFigures {
    fn from(facts: &WorkerFacts) -> Self {
        Self {
            worker: facts.worker,
            pid: facts.pid,
            process_group: facts.process_group.clone(),
            threads: facts.threads,
        }
    }
}
