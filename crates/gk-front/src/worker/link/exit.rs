//! How the process behind a link ended, as the supervisor reports it.

use std::time::Duration;

use crate::worker::info::WorkerExit;
use crate::worker::link::Link;

/// Longest wait for the supervisor's report of a process's end, which comes within milliseconds of the link's.
const REPORT: Duration = Duration::from_secs(1);

impl Link {
    /// The supervisor reports how the process ended.
    pub fn set_exit(&self, exit: WorkerExit) {
        *self.exit.borrow_mut() = Some(exit);
        self.exit_known.notify_waiters();
    }

    /// Whether the supervisor has reported how the process ended.
    pub(crate) fn is_exit_known(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// How the process ended; waits a moment for the supervisor's report.
    pub async fn exit(&self) -> Option<WorkerExit> {
        if self.exit.borrow().is_none() {
            let _ = tokio::time::timeout(REPORT, self.exit_known.notified()).await;
        }
        self.exit.borrow().clone()
    }
}
