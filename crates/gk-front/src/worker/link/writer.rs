//! The writing task of a link. Any task that queues a frame wakes this one, which then runs after every task that is ready in
//! this turn of the event loop. So a sleeping worker is woken once for all of them, and for a lone request at once.

use crate::worker::link::Link;
use std::rc::Rc;

/// Writes until the link dies.
pub async fn write(link: Rc<Link>) {
    while std::future::poll_fn(|cx| link.poll_queued(cx)).await {
        loop {
            if link.push().is_err() {
                // The reader sees the same and ends the link.
                link.wake_reader();
                return;
            }
            link.wake_worker();
            if !link.wants_space() {
                break;
            }
            if !link.room.want() {
                link.room_came.notified().await;
            }
        }
        // Responses that came during a long turn are read before its end.
        if link.watch.has_bytes() {
            link.wake_reader();
        }
    }
}
