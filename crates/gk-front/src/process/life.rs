//! Signs of life of other processes, as the front knows them: the supervisor asks once a second and says which workers are silent;
//! the admin process answers each message with figures. Silence is counted in seconds in which this process ran itself, so that a
//! front that was stopped blames nobody.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// The signs of the supervisor and of the workers.
#[derive(Default)]
pub struct Life {
    supervisor: Cell<u32>,
    /// Seconds without a sign of life, by worker.
    workers: RefCell<BTreeMap<u64, f64>>,
}

impl Life {
    /// The supervisor has asked, and has said which workers are silent.
    pub fn heard(&self, workers: BTreeMap<u64, f64>) {
        self.supervisor.set(0);
        *self.workers.borrow_mut() = workers;
    }

    /// Seconds since the supervisor has asked.
    pub fn supervisor_silent(&self) -> u32 {
        self.supervisor.get()
    }

    /// Whether a worker gives no sign of life.
    pub fn is_silent(&self, worker: u64) -> bool {
        self.workers.borrow().contains_key(&worker)
    }

    /// A line for each silent worker. `name`: of a worker by its number.
    pub fn lines(&self, name: impl Fn(u64) -> String) -> Vec<String> {
        let line = |(worker, seconds): (&u64, &f64)| {
            format!("{} gives no sign of life for {seconds:.0} s", name(*worker))
        };
        self.workers.borrow().iter().map(line).collect()
    }

    /// Counts the seconds, for ever.
    pub async fn count(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.supervisor.set(self.supervisor.get().saturating_add(1));
        }
    }
}
