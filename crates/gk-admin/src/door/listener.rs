//! A listening socket with a limit on its open connections, each of which holds a file descriptor. Beyond the limit there are a few
//! places for health checks, which no client can occupy: there the newest connection displaces the oldest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Pause after a failed `accept`, which mostly means that there is no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// A listening socket with a limit on its open connections.
pub(crate) struct LimitedListener {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    /// Places for health checks.
    reserve: usize,
    /// Connections in these places, oldest first; those that have ended as well.
    reserved: VecDeque<oneshot::Sender<()>>,
}

/// The place of a connection.
pub(crate) enum Place {
    /// One of the limited ones; its drop makes room for another connection.
    Whole { _permit: OwnedSemaphorePermit },
    /// One of those for health checks. [`Place::displaced`] ends when a newer connection needs it.
    Health(oneshot::Receiver<()>),
}

impl Place {
    /// Health checks only.
    pub(crate) fn is_reserved(&self) -> bool {
        matches!(self, Self::Health(_))
    }

    /// Waits until a newer connection takes the place, which may be for ever.
    pub(crate) async fn displaced(&mut self) {
        match self {
            Self::Whole { .. } => std::future::pending().await,
            Self::Health(receiver) => drop(receiver.await),
        }
    }
}

impl LimitedListener {
    /// Takes over a listening socket. `limit`: most connections at a time; `reserve`: those for health checks beyond it.
    pub(crate) fn new(
        listener: std::net::TcpListener,
        limit: usize,
        reserve: usize,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::from_std(listener)?;
        Ok(Self { listener, permits: Arc::new(Semaphore::new(limit)), reserve, reserved: VecDeque::new() })
    }

    /// The next connection with its place. One that gets none is closed at once: if it waited, it would hold a descriptor as well.
    pub(crate) async fn accept(&mut self) -> (TcpStream, Place) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return (stream, Place::Whole { _permit: permit });
            }
            if self.reserve > 0 {
                return (stream, self.reserved_place());
            }
        }
    }

    fn reserved_place(&mut self) -> Place {
        self.reserved.retain(|place| !place.is_closed());
        if self.reserved.len() >= self.reserve {
            // The drop of the sender is the message.
            self.reserved.pop_front();
        }
        let (sender, receiver) = oneshot::channel();
        self.reserved.push_back(sender);
        Place::Health(receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    async fn listener(limit: usize, reserve: usize) -> (LimitedListener, std::net::SocketAddr) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        (LimitedListener::new(listener, limit, reserve).unwrap(), address)
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed() {
        let (mut listener, address) = listener(2, 0).await;
        let mut inside = Vec::new();
        for _ in 0..2 {
            let client = TcpStream::connect(address).await.unwrap();
            inside.push((client, listener.accept().await));
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        let mut byte = [0];
        tokio::select! {
            _ = listener.accept() => panic!("a third connection is accepted"),
            end = late.read(&mut byte) => assert!(matches!(end, Ok(0) | Err(_)), "{end:?}"),
        }
        // Once a connection ends, another one is accepted.
        inside.pop();
        let _client = TcpStream::connect(address).await.unwrap();
        let _third = listener.accept().await;
    }

    #[tokio::test]
    async fn the_newest_displaces_the_oldest_in_the_places_for_health_checks() {
        let (mut listener, address) = listener(1, 2).await;
        let mut clients = Vec::new();
        let mut accept = async || {
            clients.push(TcpStream::connect(address).await.unwrap());
            listener.accept().await.1
        };
        let whole = accept().await;
        assert!(!whole.is_reserved());
        let (mut first, mut second) = (accept().await, accept().await);
        assert!(first.is_reserved() && second.is_reserved());
        let mut third = accept().await;
        first.displaced().await;
        tokio::select! {
            biased;
            () = second.displaced() => panic!("the second is displaced"),
            () = third.displaced() => panic!("the newest is displaced"),
            () = std::future::ready(()) => {}
        }
        // A connection that has ended needs no place.
        drop(third);
        let mut fourth = accept().await;
        tokio::select! {
            biased;
            () = second.displaced() => panic!("the second is displaced, although there is a place"),
            () = fourth.displaced() => panic!("the newest is displaced"),
            () = std::future::ready(()) => {}
        }
    }
}
