//! What the process was told and nobody has looked at yet: the front's figures and news of workers.

use gk_wire::control::{Happened, RequestStack};
use gk_wire::feed::{FrontFigures, LinkFigures};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, oneshot};

/// Something that the hub should know.
#[derive(Debug)]
pub enum News {
    /// There is a worker.
    Worker {
        /// Who.
        link: LinkFigures,
        /// Its scoreboard.
        scoreboard: Option<OwnedFd>,
    },
    /// A worker's process has ended.
    Exited {
        /// Its number.
        worker: u64,
    },
    /// A worker takes no more requests.
    Leaving {
        /// Its number.
        worker: u64,
        /// Why, in one word.
        reason: String,
    },
    /// Something happened.
    Happened(Happened),
    /// The stack of a running request that was asked for.
    Stack {
        /// Its worker.
        worker: u64,
        /// What it does.
        stack: RequestStack,
    },
    /// The server ends; told when everything has been said.
    End(oneshot::Sender<()>),
}

/// The end of who is told.
#[derive(Clone)]
pub struct Feed {
    figures: Arc<Mutex<FrontFigures>>,
    news: Sender<News>,
    /// Wakes before the next turn is due.
    wake: Arc<Notify>,
}

impl Feed {
    /// Both ends.
    pub fn new() -> (Self, Receiver<News>) {
        let (sender, receiver) = channel();
        (Self { figures: Arc::default(), news: sender, wake: Arc::default() }, receiver)
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
    pub fn tell(&self, news: News) {
        // A hub that is gone needs no news.
        let _ = self.news.send(news);
    }

    /// The server ends: waits until everything has been said.
    pub(crate) async fn end(&self) {
        let (said, done) = oneshot::channel();
        self.tell(News::End(said));
        self.wake.notify_one();
        // An error means that nobody is there to say anything.
        let _ = done.await;
    }

    /// Waits for [`Feed::end`].
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}
