//! The hub as the tasks of one thread share it.

use super::Hub;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The hub, shared by the tasks of one thread.
#[derive(Clone)]
pub struct SharedHub(Arc<Mutex<Hub>>);

impl SharedHub {
    /// Shares a hub.
    pub fn new(hub: Hub) -> Self {
        Self(Arc::new(Mutex::new(hub)))
    }

    /// Access to the hub. No task keeps it across an `await`.
    pub fn lock(&self) -> MutexGuard<'_, Hub> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
