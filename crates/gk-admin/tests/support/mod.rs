//! A hub with one worker, whose scoreboard the test writes in the worker's place.

use gk_admin::Feed;
use gk_admin::kept::hub::Hub;
use gk_sys::memory::SharedWords;
use gk_telemetry::State;
use gk_telemetry::{Begin, Board, GilMode, Identity, Layout};
use gk_wire::feed::LinkFigures;
use std::os::fd::OwnedFd;

/// A scoreboard of that worker, started so many seconds ago; and the time in epoch seconds.
pub fn scoreboard(ago: f64, slow: u64) -> (OwnedFd, Board<SharedWords>, f64) {
    let fd = SharedWords::create("test", Layout::new(2).words()).unwrap();
    let now = gk_sys::clock::epoch_seconds();
    let identity = Identity {
        pid: std::process::id(),
        worker: 4,
        process_group: "site",
        threads: 2,
        python: "3.14.2",
        started: ((now - ago) * 1e9) as u64,
        slow,
        unread: false,
    };
    let board = Board::create(SharedWords::map(&fd).unwrap(), &identity).unwrap();
    board.set_gil(GilMode::Shared, Some(5_000_000));
    (fd, board, now)
}

/// The worker: number 4 of process group `site`, with two threads, as this process.
pub struct Worker {
    pub hub: Hub,
    pub feed: Feed,
    pub board: Board<SharedWords>,
    /// Epoch seconds.
    pub now: f64,
}

impl Worker {
    /// `slow`: nanoseconds from which a request is slow, 0: none is.
    pub fn new(slow: u64) -> Self {
        Self::since(0.0, slow)
    }

    /// One that started so many seconds ago.
    pub fn since(ago: f64, slow: u64) -> Self {
        let (feed, news) = Feed::new();
        let (fd, board, now) = scoreboard(ago, slow);
        let link =
            LinkFigures { worker: 4, pid: std::process::id(), process_group: "site".into(), threads: 2 };
        feed.introduce(link, Some(fd));
        Self { hub: Hub::new(feed.clone(), news), feed, board, now }
    }

    /// A request began `ago` seconds before now, as the front's number `request`, after `queue` ns in the queue.
    pub fn begin(&self, slot: usize, path: &str, request: u64, ago: f64, queue: u64) {
        let begin = Begin {
            request,
            start: ((self.now - ago) * 1e9) as u64,
            now: gk_sys::clock::monotonic_nanos() - (ago * 1e9) as u64,
            cpu: 0,
            queue,
            group: 0,
            method: b"GET",
            uri: path.as_bytes(),
            target: path.as_bytes(),
            state: State::Starting,
        };
        self.board.begin(slot, &begin);
    }
}
