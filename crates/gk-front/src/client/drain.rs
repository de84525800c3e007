//! The orderly end: listeners close, requests under way complete within the timeout, the rest is cut off.

use gk_wire::log::Level;
use std::rc::Rc;
use std::time::Duration;

use crate::front::Front;

/// Time for the connections that are cut off at the end of a stop.
const CUT: Duration = Duration::from_secs(1);

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

/// Waits at most `timeout` for the requests under way, and cuts off the rest.
pub async fn end(front: &Rc<Front>, timeout: Duration) {
    if tokio::time::timeout(timeout, all_closed(front)).await.is_err() {
        let text =
            format!("{} connections were still open at the end of the wait", front.conns.borrow().len());
        crate::note(Level::Warn, None, &text);
        let conns: Vec<_> = front.conns.borrow().values().map(Rc::clone).collect();
        conns.iter().for_each(|conn| conn.cut());
        let _ = tokio::time::timeout(CUT, all_closed(front)).await;
    }
}

/// Waits until no connection is open, and none can come.
async fn all_closed(front: &Front) {
    while !front.conns.borrow().is_empty() || front.accepting.get() > 0 {
        front.conn_ended.notified().await;
    }
}
