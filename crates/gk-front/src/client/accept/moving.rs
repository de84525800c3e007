//! Which connection goes to another process of embedded mode, and when one takes it.

use gk_sys::fork;
use gk_wire::passing::Passed;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use crate::client::accept::courtesy::{self, Courtesy};
use crate::client::connection::Conn;
use crate::client::stream::socket::Socket;
use crate::front::Front;
use crate::worker::pool::Pool;

/// After a look at the queue that has brought nothing.
const PAUSE: Duration = Duration::from_millis(1);

/// Whether a connection is to go to another process now: its next request would wait, or this process leaves.
pub fn wants(front: &Rc<Front>, conn: &Conn) -> bool {
    let Some(passing) = front.passing.get().filter(|_| conn.may_be_passed_on()) else { return false };
    let leaves = front.stopping.get();
    let goes = if leaves { front.is_patient.get() } else { courtesy::is_behind(front) };
    goes && passing.others_have_room(leaves) && conn.stream().socket().has_request()
}

/// Passes a connection on, if the queue has a place. The caller's end is to be closed then.
pub fn pass(front: &Front, conn: &Conn) -> bool {
    let listener = front.listeners.get(conn.endpoints.listener).map_or("", |one| &one.address);
    front.passing.get().is_some_and(|passing| passing.pass(listener, conn))
}

/// Takes connections out of the queue until the front stops, and then those that are left.
pub async fn take(front: Rc<Front>) -> io::Result<()> {
    let Some(passing) = front.passing.get() else { return Ok(()) };
    let Some(courtesy) = Courtesy::of(&front, passing.queue(), Pool::is_behind)? else { return Ok(()) };
    while !front.stopping.get() {
        tokio::select! {
            biased;
            () = front.stop.notified() => break,
            turn = courtesy.turn(&front) => turn?,
        }
        match passing.next() {
            Some((passed, socket)) => open(&front, &passed, socket),
            // Another process was quicker, or descriptors are short.
            None => tokio::time::sleep(PAUSE).await,
        }
        // Its request takes a thread, maybe the last one.
        tokio::task::yield_now().await;
    }
    passing.tell(false);
    while let Some((passed, socket)) = passing.next() {
        open(&front, &passed, socket);
    }
    Ok(())
}

/// Serves a connection from its next request on. It was admitted once, and the server has no more connections than before: so no bound
/// refuses it here, nor does another one give way.
fn open(front: &Rc<Front>, passed: &Passed, socket: OwnedFd) {
    // A client may have gone meanwhile.
    let Ok((socket, mut endpoints)) = Socket::of(fork::withhold(socket)) else { return };
    // A listener that a reload has taken away spoke what the first speaks: plain HTTP.
    let listener = front.listeners.iter().position(|one| one.address == passed.listener);
    endpoints.listener = listener.unwrap_or_default();
    let current = front.current();
    let place = front.addresses.readmit(current.compiled.site(), endpoints.address);
    super::open(front, socket, endpoints, place, Some(passed.requests));
}
