//! The writing task of a link. A frame put down by any task wakes this one, which then stands behind every task that is ready
//! in this turn of the event loop: so a sleeping worker is woken once for all of them, and for a lone request at once.

use crate::worker::link::Link;
use std::rc::Rc;

/// Writes until the link dies.
pub async fn write(link: Rc<Link>) {
    while std::future::poll_fn(|cx| link.poll_unseen(cx)).await {
        loop {
            if link.push().is_err() {
                // The reader sees the same and ends the link.
                link.wake_reader();
                return;
            }
            link.wake_worker();
            if !link.is_cramped() {
                break;
            }
            if !link.room.want() {
                link.room_came.notified().await;
            }
        }
        // Responses that came during a long turn are not kept waiting for its end.
        if link.watch.has_bytes() {
            link.wake_reader();
        }
    }
}
