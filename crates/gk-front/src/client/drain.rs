//! The orderly end: listeners close, requests under way complete within the timeout, the rest is cut off.

use gk_wire::log::Level;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

use crate::front::Front;

/// Time for the connections that are cut off at the end of a stop.
const CUT: Duration = Duration::from_secs(1);
/// Between two looks whether requests have begun since.
const LOOK: Duration = Duration::from_millis(200);

/// Closes the listeners, and tells the connections.
pub fn begin(front: &Rc<Front>) {
    front.stopping.set(true);
    // Health checks hear of it at once.
    front.tell_figures();
    front.stop.notify_waiters();
    let conns: Vec<_> = front.conns.borrow().values().map(Rc::clone).collect();
    for conn in conns {
        conn.nudge();
    }
}

/// Waits until no connection comes any more.
pub async fn closed(front: &Front) {
    while front.accepting.get() > 0 {
        front.conn_ended.notified().await;
    }
}

/// Waits at most `timeout` for the requests under way, and cuts off the rest. Where other processes serve on, nobody waits for this one:
/// then requests that wait for a thread have this time from when they get one, and `longer` is told how long it may still take.
pub async fn end(front: &Rc<Front>, timeout: Duration, longer: impl Fn(Duration)) {
    let mut due = Instant::now() + timeout;
    loop {
        let look = if front.is_patient.get() { due.min(Instant::now() + LOOK) } else { due };
        if tokio::time::timeout_at(look, all_closed(front)).await.is_ok() {
            return;
        }
        if front.is_patient.get() {
            // What has a thread since `begun` may use it until then.
            let begun = Instant::now() - since_last_given(front);
            if begun + timeout > due + LOOK {
                due = begun + timeout;
                longer(due.saturating_duration_since(Instant::now()));
            }
        }
        if due <= Instant::now() {
            break;
        }
    }
    let text = format!("{} connections were still open at the end of the wait", front.conns.borrow().len());
    crate::note(Level::Warn, None, &text);
    let conns: Vec<_> = front.conns.borrow().values().map(Rc::clone).collect();
    conns.iter().for_each(|conn| conn.cut());
    let _ = tokio::time::timeout(CUT, all_closed(front)).await;
}

/// The time since a worker got a request.
fn since_last_given(front: &Front) -> Duration {
    let last = front.pools.borrow().values().map(|pool| pool.last_given()).max().unwrap_or(0);
    Duration::from_millis(front.clock.coarse().saturating_sub(last))
}

/// Waits until no connection is open, and none can come.
async fn all_closed(front: &Front) {
    while !front.conns.borrow().is_empty() || front.accepting.get() > 0 {
        front.conn_ended.notified().await;
    }
}
