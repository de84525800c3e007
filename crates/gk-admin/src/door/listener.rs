//! A listening socket with a limit on its open connections, each of which holds a file descriptor.

use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Pause after a failed `accept`, which mostly means that there is no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// A listening socket with a limit on its open connections.
pub(crate) struct LimitedListener {
    listener: TcpListener,
    permits: Arc<Semaphore>,
}

impl LimitedListener {
    /// Takes over a listening socket. `limit`: most connections at a time.
    pub(crate) fn new(listener: std::net::TcpListener, limit: usize) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::from_std(listener)?, permits: Arc::new(Semaphore::new(limit)) })
    }

    /// The next connection with its permit, whose drop makes room for another one. A connection beyond the limit is closed at
    /// once: if it waited, it would hold a descriptor as well.
    pub(crate) async fn accept(&self) -> (TcpStream, OwnedSemaphorePermit) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return (stream, permit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = LimitedListener::new(listener, 2).unwrap();
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
}
