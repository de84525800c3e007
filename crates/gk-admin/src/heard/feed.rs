//! What the process was told and nobody has looked at yet: the front's figures and news of workers.

use gk_wire::feed::{FrontFigures, LinkFigures, ToAdmin};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Something that the hub should know.
#[derive(Debug)]
pub struct News {
    /// What the front said.
    pub message: ToAdmin,
    /// The scoreboard that came with it.
    pub scoreboard: Option<OwnedFd>,
}

/// The end of who is told.
#[derive(Clone)]
pub struct Feed {
    figures: Arc<Mutex<FrontFigures>>,
    news: Sender<News>,
    /// Wakes before the next turn is due.
    wake: Arc<Notify>,
    /// Everything has been said.
    said: Arc<Notify>,
}

impl Feed {
    /// Both ends.
    pub fn new() -> (Self, Receiver<News>) {
        let (sender, receiver) = channel();
        let feed = Self { figures: Arc::default(), news: sender, wake: Arc::default(), said: Arc::default() };
        (feed, receiver)
    }

    /// Puts the present down.
    pub fn put(&self, figures: FrontFigures) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// What was put down last.
    pub fn figures(&self) -> FrontFigures {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells something.
    pub fn tell(&self, message: ToAdmin) {
        self.tell_with(message, None);
    }

    /// Tells of a worker.
    pub fn introduce(&self, link: LinkFigures, scoreboard: Option<OwnedFd>) {
        self.tell_with(ToAdmin::Worker(link), scoreboard);
    }

    /// Tells something with the descriptor that came with it.
    pub(crate) fn tell_with(&self, message: ToAdmin, scoreboard: Option<OwnedFd>) {
        // A hub that is gone needs no news.
        let _ = self.news.send(News { message, scoreboard });
    }

    /// The server ends: waits until everything has been said.
    pub(crate) async fn end(&self) {
        self.tell(ToAdmin::End);
        self.wake.notify_one();
        self.said.notified().await;
    }

    /// Waits for [`Feed::end`].
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Everything has been said.
    pub(crate) fn said(&self) {
        self.said.notify_one();
    }
}
