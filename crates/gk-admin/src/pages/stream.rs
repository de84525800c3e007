//! The readers of `/api/v1/stream`: server-sent events to browsers.

use crate::door::body::PageBody;
use bytes::Bytes;
use serde_json::Value;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{Sender, channel};

/// Messages that may wait for a slow reader.
const BEHIND: usize = 16;
/// Most readers.
const READERS: usize = 64;

/// The readers.
#[derive(Default)]
pub(crate) struct Stream {
    readers: Mutex<Vec<Sender<Bytes>>>,
}

fn message(kind: &str, value: &Value) -> String {
    format!("event: {kind}\ndata: {value}\n\n")
}

impl Stream {
    fn readers(&self) -> MutexGuard<'_, Vec<Sender<Bytes>>> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| !reader.is_closed());
        readers
    }

    /// Somebody reads the stream.
    pub(crate) fn has_readers(&self) -> bool {
        !self.readers().is_empty()
    }

    /// Sends a message to all readers. A slow reader skips it; each `tick` is a full snapshot.
    pub(crate) fn publish(&self, kind: &str, value: &Value) {
        let readers = self.readers();
        if readers.is_empty() {
            return;
        }
        let message = Bytes::from(message(kind, value));
        readers.iter().for_each(|reader| drop(reader.try_send(message.clone())));
    }

    /// Adds a reader, whose first message is `now`; `None` if there are too many.
    pub(crate) fn open(&self, now: &Value) -> Option<PageBody> {
        let (sender, receiver) = channel(BEHIND);
        let _ = sender.try_send(Bytes::from(format!("retry: 1000\n{}", message("tick", now))));
        let mut readers = self.readers();
        if readers.len() >= READERS {
            return None;
        }
        readers.push(sender);
        Some(PageBody::Stream(receiver))
    }
}
