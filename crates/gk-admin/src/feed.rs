//! What the data thread gives the admin thread: its own figures now and then, and news of workers. Never waits.

use gk_wire::control::{FrontStatus, Happened, RequestStack};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The front's own figures.
#[derive(Debug, Clone, Default)]
pub struct FrontFigures {
    /// Every process group has a worker that takes requests.
    pub ready: bool,
    /// Counts up with each reload.
    pub generation: u64,
    /// Connections, requests, queues.
    pub status: FrontStatus,
    /// Access-log lines that were lost.
    pub lost_log_lines: u64,
    /// A line for each worker that has a GIL although it is to run without.
    pub remarks: Vec<String>,
}

/// A link to a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkFigures {
    /// Its number.
    pub worker: u64,
    /// Its process id.
    pub pid: u32,
    /// Its process group.
    pub process_group: String,
    /// Its request threads.
    pub threads: u32,
}

/// Something the admin thread should know.
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
    End(Sender<()>),
}

/// The data thread's end. Without an admin thread nobody listens, and nothing is kept.
#[derive(Clone, Default)]
pub struct Feed {
    figures: Arc<Mutex<FrontFigures>>,
    news: Option<Sender<News>>,
    /// Wakes the admin thread before its next turn is due.
    wake: Arc<Notify>,
}

impl Feed {
    /// Both ends.
    pub fn new() -> (Self, Receiver<News>) {
        let (sender, receiver) = channel();
        (Self { figures: Arc::default(), news: Some(sender), wake: Arc::default() }, receiver)
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
        if let Some(sender) = &self.news {
            // An admin thread that is gone needs no news.
            let _ = sender.send(news);
        }
    }

    /// The server ends: waits until the admin thread has said its last, at most so long.
    pub fn end(&self, most: Duration) {
        let (said, done) = channel();
        self.tell(News::End(said));
        self.wake.notify_one();
        // An error means that nobody is there to say anything, or that it took too long.
        let _ = done.recv_timeout(most);
    }

    /// Waits for [`Feed::end`].
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}
