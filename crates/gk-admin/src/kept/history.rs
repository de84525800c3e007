//! The history on disk, written and queried by a thread of its own. [`store`] holds its tables, [`file`](mod@file) opens and
//! repairs the database file. A process that is killed loses the present second.

mod file;
mod query;
mod store;

pub use query::{HistoryQuery, Past};

use crate::heard::event::Event;
use crate::kept::tick::Tick;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use store::{Order, Store};
use tokio::sync::oneshot;

/// File in the folder of the front.
pub const FILE: &str = "gilkeeper.db";
/// Orders that may wait; further ones are dropped and counted.
const WAITING: usize = 256;

/// Longest wait for an answer: the file may be locked by another process, or its disk be slow.
const PATIENCE: Duration = Duration::from_secs(5);

/// Access to the thread.
#[derive(Clone)]
pub struct History {
    orders: SyncSender<Order>,
}

impl History {
    /// Starts the thread with the database in this folder.
    pub fn start(folder: &Path) -> std::io::Result<Self> {
        let (orders, receiver) = sync_channel(WAITING);
        let path = folder.join(FILE);
        let body = move || Store::open(&path).run(&receiver);
        std::thread::Builder::new().name("history".into()).spawn(body)?;
        Ok(Self { orders })
    }

    /// Adds a second. Returns false if the disk does not keep up and the second was dropped.
    pub fn push(&self, tick: Arc<Tick>) -> bool {
        !matches!(self.orders.try_send(Order::Tick(tick)), Err(TrySendError::Full(_)))
    }

    /// Adds an event.
    pub fn event(&self, event: Event) {
        let _ = self.orders.try_send(Order::Event(Box::new(event)));
    }

    /// Answers a query. `None`: the thread is overloaded or gone, or its file does not answer in time.
    pub async fn query(&self, query: HistoryQuery) -> Option<Past> {
        let (sender, receiver) = oneshot::channel();
        self.orders.try_send(Order::Query(query, sender)).ok()?;
        tokio::time::timeout(PATIENCE, receiver).await.ok()?.ok()
    }

    /// Writes the unfinished rows before the server ends.
    pub async fn write(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.orders.try_send(Order::Write(sender)).is_ok() {
            let _ = receiver.await;
        }
    }
}

#[cfg(test)]
mod tests;
