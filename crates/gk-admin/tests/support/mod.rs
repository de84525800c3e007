//! A hub with one worker, whose scoreboard the test writes in the worker's place.

use gk_admin::kept::hub::{Front, Hub, Second};
use gk_sys::memory::SharedWords;
use gk_telemetry::ThreadStage;
use gk_telemetry::{Begin, Board, GilMode, Identity, Layout};
use gk_wire::feed::{LinkFigures, ToAdmin};
use std::os::fd::OwnedFd;

/// A scoreboard of the worker, which started `ago` seconds before; and the time in epoch seconds.
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
    pub board: Board<SharedWords>,
    /// Epoch seconds.
    pub now: f64,
}

impl Worker {
    /// `slow`: duration in nanoseconds from which a request counts as slow on the scoreboard; 0: none does.
    pub fn new(slow: u64) -> Self {
        Self::in_hub(Hub::of_this_server(Front::default(), 0.0), 0.0, slow)
    }

    /// In that hub, `ago` seconds after the worker's start.
    pub fn in_hub(mut hub: Hub, ago: f64, slow: u64) -> Self {
        let (fd, board, now) = scoreboard(ago, slow);
        let link =
            LinkFigures { worker: 4, pid: std::process::id(), process_group: "site".into(), threads: 2 };
        hub.receive(ToAdmin::Worker(link), Some(fd), now);
        Self { hub, board, now }
    }

    /// Gives the hub a message of the front.
    pub fn receive(&mut self, message: ToAdmin) {
        self.hub.receive(message, None, self.now);
    }

    /// The next second.
    pub fn second(&mut self) -> Second {
        self.now += 1.0;
        self.hub.advance(self.now)
    }

    /// Begins a request `ago` seconds before now, with the front's number `request`, after `queue` ns in the queue.
    pub fn begin(&self, slot: usize, path: &str, request: u64, ago: f64, queue: u64) {
        begin(&self.board, (self.now - ago, ago), slot, path, request, queue);
    }
}

/// Begins a request with its start in epoch seconds, how many seconds ago that is, the front's number `request`, and `queue` ns in the
/// queue.
pub fn begin(
    board: &Board<SharedWords>,
    (start, ago): (f64, f64),
    slot: usize,
    path: &str,
    request: u64,
    queue: u64,
) {
    let begin = Begin {
        request,
        start: (start * 1e9) as u64,
        now: gk_sys::clock::monotonic_nanos() - (ago * 1e9) as u64,
        cpu: 0,
        queue,
        group: 0,
        method: b"GET",
        uri: path.as_bytes(),
        target: path.as_bytes(),
        state: ThreadStage::Starting,
        id: b"",
        traced: false,
    };
    board.begin(slot, &begin);
}
