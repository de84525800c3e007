//! The past, on a thread of its own: what it is told, and what it can be asked. How it is kept is in [`store`], and what
//! becomes of the file in [`file`](mod@file). A process that is killed loses the present second.

mod file;
mod store;

use crate::kept::events::Event;
use crate::kept::tick::Tick;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use store::Store;
use tokio::sync::oneshot;

/// File in the server root.
pub const FILE: &str = "gilkeeper.db";
/// Orders that may wait; what comes on top is dropped and counted.
const WAITING: usize = 256;

/// A question about the past. Epoch seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Beginning.
    pub from: f64,
    /// End.
    pub to: f64,
    /// Seconds of an answer's row.
    pub step: f64,
    /// One process group, or all.
    pub group: Option<String>,
    /// The present.
    pub now: f64,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// Rows, oldest first; `t` is the beginning of each.
    pub ticks: Vec<Tick>,
    /// Events, oldest first.
    pub events: Vec<Event>,
}

enum Order {
    Tick(Arc<Tick>),
    Event(Box<Event>),
    Ask(Question, oneshot::Sender<Past>),
    /// Writes what is under way.
    Write(oneshot::Sender<()>),
}

/// The thread's other end.
#[derive(Clone)]
pub struct History {
    orders: SyncSender<Order>,
}

impl History {
    /// Starts the thread with the database in the server root.
    pub fn start(server_root: &Path) -> std::io::Result<Self> {
        let (orders, receiver) = sync_channel(WAITING);
        let path = server_root.join(FILE);
        let body = move || Store::open(&path).run(&receiver);
        std::thread::Builder::new().name("history".into()).spawn(body)?;
        Ok(Self { orders })
    }

    /// Adds the present. A disk that does not keep up costs the past, never the present.
    pub fn push(&self, tick: Arc<Tick>) -> bool {
        !matches!(self.orders.try_send(Order::Tick(tick)), Err(TrySendError::Full(_)))
    }

    /// Adds an event.
    pub fn event(&self, event: Event) {
        let _ = self.orders.try_send(Order::Event(Box::new(event)));
    }

    /// Asks; empty when the thread is overloaded or gone.
    pub async fn ask(&self, question: Question) -> Past {
        let (sender, receiver) = oneshot::channel();
        if self.orders.try_send(Order::Ask(question, sender)).is_err() {
            return Past::default();
        }
        receiver.await.unwrap_or_default()
    }
    /// Writes what is under way: the server ends.
    pub async fn write(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.orders.try_send(Order::Write(sender)).is_ok() {
            let _ = receiver.await;
        }
    }
}

#[cfg(test)]
mod tests;
