//! A listening socket that lets in so many connections at a time. The admin pages share the front's process, and its file
//! descriptors, with the clients' connections.

use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of the admin pages at a time.
pub(crate) const CONNECTIONS: usize = 256;

/// The socket.
pub(crate) struct Door {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl Door {
    /// Takes over a listening socket, for at most so many connections at a time.
    pub(crate) fn new(listener: std::net::TcpListener, most: usize) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::from_std(listener)?, room: Arc::new(Semaphore::new(most)) })
    }

    /// The next connection, with its place, which is free again when that is dropped. A connection for which there is no
    /// place is closed at once: one that waited would hold a descriptor as well.
    pub(crate) async fn next(&self) -> (TcpStream, OwnedSemaphorePermit) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            if let Ok(place) = Arc::clone(&self.room).try_acquire_owned() {
                return (stream, place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn who_finds_no_place_is_sent_away() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let door = Door::new(listener, 2).unwrap();
        let mut inside = Vec::new();
        for _ in 0..2 {
            let client = TcpStream::connect(address).await.unwrap();
            inside.push((client, door.next().await));
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        let mut byte = [0];
        tokio::select! {
            _ = door.next() => panic!("a third one is let in"),
            end = late.read(&mut byte) => assert!(matches!(end, Ok(0) | Err(_)), "{end:?}"),
        }
        // Somebody leaves, somebody else comes.
        inside.pop();
        let _client = TcpStream::connect(address).await.unwrap();
        let _third = door.next().await;
    }
}
