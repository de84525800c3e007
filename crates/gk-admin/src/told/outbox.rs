//! A queue of datagrams for the socket of another process, which may be slow, absent or restarting. At most [`LENGTH`] datagrams
//! wait; further ones, and those that nobody receives, are dropped and counted.

use crate::kept::deliveries::Deliveries;
use crate::note;
use gk_wire::log::Level;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Datagrams that may wait.
const LENGTH: usize = 2048;
/// Longest wait for room at the receiver before the next attempt.
const RETRY: Duration = Duration::from_millis(250);

/// The queue.
#[derive(Clone)]
pub struct Outbox {
    sender: Sender<Vec<u8>>,
    waiting: Arc<AtomicU64>,
    deliveries: Arc<Deliveries>,
    path: Arc<Path>,
}

impl Outbox {
    /// Sends to the socket at `path`, by a task of the calling runtime.
    pub fn open(path: &Path) -> Self {
        let (sender, receiver) = channel(LENGTH);
        let (waiting, deliveries): (Arc<AtomicU64>, Arc<Deliveries>) = Default::default();
        tokio::spawn(carry(path.to_owned(), receiver, Arc::clone(&waiting), Arc::clone(&deliveries)));
        Self { sender, waiting, deliveries, path: path.into() }
    }

    /// Adds a datagram; never waits.
    pub fn put(&self, datagram: Vec<u8>) {
        self.waiting.fetch_add(1, Relaxed);
        if self.sender.try_send(datagram).is_err() {
            self.waiting.fetch_sub(1, Relaxed);
            lose(&self.deliveries, || format!("{} does not keep up with telemetry", self.path.display()));
        }
    }

    /// Counters of sent and dropped datagrams.
    pub fn deliveries(&self) -> Arc<Deliveries> {
        Arc::clone(&self.deliveries)
    }

    /// Waits until no datagram waits any more, at most `longest`.
    pub async fn empty(&self, longest: Duration) {
        let empty = async {
            while self.waiting.load(Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let _ = tokio::time::timeout(longest, empty).await;
    }
}

/// Counts a lost datagram. The reason is logged once, until the receiver has caught up.
fn lose(deliveries: &Deliveries, why: impl FnOnce() -> String) {
    deliveries.count_lost();
    if deliveries.begin_failing() {
        note(Level::Warn, &format!("{}; datagrams are dropped and counted", why()));
    }
}

/// Sends the datagrams of the queue one after the other.
async fn carry(
    path: PathBuf,
    mut datagrams: Receiver<Vec<u8>>,
    waiting: Arc<AtomicU64>,
    deliveries: Arc<Deliveries>,
) {
    let mut socket = None;
    while let Some(datagram) = datagrams.recv().await {
        match deliver(&path, &mut socket, &datagram).await {
            Ok(()) => {
                deliveries.count_sent();
                // A slow receiver takes a datagram now and then; it has caught up once no other one waits.
                if waiting.load(Relaxed) <= 1 && deliveries.end_failing() {
                    let lost = deliveries.lost();
                    let text =
                        format!("{} receives telemetry again; {lost} datagrams were lost", path.display());
                    note(Level::Notice, &text);
                }
            }
            Err(why) => {
                lose(&deliveries, || format!("nobody receives telemetry at {} ({why})", path.display()));
            }
        }
        waiting.fetch_sub(1, Relaxed);
    }
}

/// Sends one datagram, and waits for room at the receiver.
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
                let _ = tokio::time::timeout(RETRY, open.writable()).await;
            }
            // The receiver may have restarted on the same path.
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
    async fn a_slow_receiver_is_logged_once_until_it_has_caught_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("telemetry.sock");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let outbox = Outbox::open(&path);
        let deliveries = outbox.deliveries();
        let failing = || deliveries.is_failing();
        (0..LENGTH).for_each(|_| outbox.put(vec![1]));
        assert!(!failing());
        (0..10).for_each(|_| outbox.put(vec![1]));
        assert_eq!((failing(), deliveries.lost()), (true, 10));
        // It reads some, and is still behind.
        for taken in 0..LENGTH {
            assert!(taken > LENGTH - 512 || failing(), "{taken}");
            receiver.recv(&mut [0; 8]).await.unwrap();
        }
        outbox.empty(Duration::from_secs(10)).await;
        assert_eq!((failing(), deliveries.sent()), (false, LENGTH as u64));
    }
}
