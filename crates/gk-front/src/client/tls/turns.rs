//! Answers to clients' hellos, a few in each turn of the event loop. They are what a handshake costs (with an RSA key half a millisecond and
//! more), and are made on the thread that serves requests: a storm of handshakes delays requests by those of one turn, and not by all.

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;

/// Answers in one turn.
const IN_A_TURN: usize = 2;

/// The places of a turn, given in the order of the hellos.
pub struct HelloTurns(Semaphore);

/// A place in a turn.
pub struct HelloPlace<'t>(SemaphorePermit<'t>);

impl Default for HelloTurns {
    fn default() -> Self {
        Self(Semaphore::new(IN_A_TURN))
    }
}

impl HelloTurns {
    /// Waits for a place.
    pub async fn place(&self) -> HelloPlace<'_> {
        HelloPlace(self.0.acquire().await.expect("it is never closed"))
    }
}

impl HelloPlace<'_> {
    /// Gives the place to the next turn, which begins when the event loop has looked what else there is to do.
    pub async fn leave(self) {
        yield_now().await;
        drop(self.0);
    }
}
