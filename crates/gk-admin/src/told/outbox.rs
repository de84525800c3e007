//! Datagrams on their way to a socket of another process, which may be slow, absent, or started again. They wait here, at most
//! [`ROOM`] of them; what finds no room, and what nobody takes, is dropped and counted.

use crate::note;
use gk_wire::log::Level;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Datagrams that may wait.
const ROOM: usize = 2048;
/// After so long without room at the receiver it is looked at again in any case.
const LOOK: Duration = Duration::from_millis(250);

/// How many went and how many did not.
#[derive(Debug, Default)]
pub struct Counts {
    /// Taken by the receiver's socket.
    pub sent: AtomicU64,
    /// Lost.
    pub dropped: AtomicU64,
    waiting: AtomicU64,
    failing: AtomicBool,
}

impl Counts {
    /// One is lost. Why is said once, until the receiver has taken everything again.
    fn lost(&self, why: impl FnOnce() -> String) {
        self.dropped.fetch_add(1, Relaxed);
        if !self.failing.swap(true, Relaxed) {
            note(Level::Warn, &format!("{}; datagrams are dropped and counted", why()));
        }
    }
}

/// Where datagrams are put.
#[derive(Clone)]
pub struct Outbox {
    sender: Sender<Vec<u8>>,
    counts: Arc<Counts>,
    path: Arc<Path>,
}

impl Outbox {
    /// Sends to the socket of that path, by a task of the calling runtime.
    pub fn open(path: &Path) -> Self {
        let (sender, receiver) = channel(ROOM);
        let counts = Arc::new(Counts::default());
        tokio::spawn(carry(path.to_owned(), receiver, Arc::clone(&counts)));
        Self { sender, counts, path: path.into() }
    }

    /// Puts one in; never waits.
    pub fn put(&self, datagram: Vec<u8>) {
        self.counts.waiting.fetch_add(1, Relaxed);
        if self.sender.try_send(datagram).is_err() {
            self.counts.waiting.fetch_sub(1, Relaxed);
            let why = || format!("{} does not keep up with telemetry", self.path.display());
            self.counts.lost(why);
        }
    }

    /// How many went and how many did not.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Waits until all have gone, but not for long.
    pub async fn empty(&self, most: Duration) {
        let gone = async {
            while self.counts.waiting.load(Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let _ = tokio::time::timeout(most, gone).await;
    }
}

async fn carry(path: PathBuf, mut datagrams: Receiver<Vec<u8>>, counts: Arc<Counts>) {
    let mut socket = None;
    while let Some(datagram) = datagrams.recv().await {
        match deliver(&path, &mut socket, &datagram).await {
            Ok(()) => {
                counts.sent.fetch_add(1, Relaxed);
                // One that is only slow takes some now and then; it is well when nothing waits for it any more.
                if counts.waiting.load(Relaxed) <= 1 && counts.failing.swap(false, Relaxed) {
                    let lost = counts.dropped.load(Relaxed);
                    let text =
                        format!("{} receives telemetry again; {lost} datagrams were lost", path.display());
                    note(Level::Notice, &text);
                }
            }
            Err(why) => {
                counts.lost(|| format!("nobody receives telemetry at {} ({why})", path.display()));
            }
        }
        counts.waiting.fetch_sub(1, Relaxed);
    }
}

/// Sends one; waits for room at the receiver, since all others wait here.
async fn deliver(path: &Path, socket: &mut Option<UnixDatagram>, datagram: &[u8]) -> std::io::Result<()> {
    let mut renewed = false;
    loop {
        if socket.is_none() {
            let fresh = UnixDatagram::unbound()?;
            fresh.connect(path)?;
            (*socket, renewed) = (Some(fresh), true);
        }
        let Some(open) = socket.as_ref() else { continue };
        match open.try_send(datagram) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = tokio::time::timeout(LOOK, open.writable()).await;
            }
            // The receiver may have been started again on the same path.
            Err(error) => {
                *socket = None;
                if renewed {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_receiver_that_hangs_is_told_of_once_until_it_has_taken_everything() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("telemetry.sock");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let outbox = Outbox::open(&path);
        let counts = outbox.counts();
        let failing = || counts.failing.load(Relaxed);
        (0..ROOM).for_each(|_| outbox.put(vec![1]));
        assert!(!failing());
        (0..10).for_each(|_| outbox.put(vec![1]));
        assert_eq!((failing(), counts.dropped.load(Relaxed)), (true, 10));
        // It takes some, and is still behind.
        for taken in 0..ROOM {
            assert!(taken > ROOM - 512 || failing(), "{taken}");
            receiver.recv(&mut [0; 8]).await.unwrap();
        }
        outbox.empty(Duration::from_secs(10)).await;
        assert_eq!((failing(), counts.sent.load(Relaxed)), (false, ROOM as u64));
    }
}
