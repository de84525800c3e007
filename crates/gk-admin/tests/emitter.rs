//! A worker's scoreboard as mod_wsgi's datagrams: their order and content, a receiver that stands still, one that is absent.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

mod support;

use gk_admin::told::emitter::Emitter;
use gk_admin::told::outbox::Outbox;
use gk_config::measurements::Datagrams;
use gk_telemetry::Record;
use gk_telemetry::datagram::{Datagram, Kind, fields};
use gk_telemetry::sample::Collection;
use gk_wire::control::{Happened, What};
use gk_wire::feed::ToAdmin;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;
use support::Worker;

/// A worker and its emitter.
struct World {
    worker: Worker,
    emitter: Emitter,
    outbox: Outbox,
}

/// A worker that is reported to `socket`.
fn world(socket: &Path) -> World {
    let worker = Worker::new(500_000_000);
    worker.board.group("");
    let outbox = Outbox::open(socket);
    let export = Datagrams { socket: socket.into(), interval: 1.0 };
    let emitter = Emitter::new(&export, 0.5, (std::process::id(), std::process::id()), outbox.clone());
    World { worker, emitter, outbox }
}

impl World {
    fn begin(&self, slot: usize, path: &str, ago: f64) {
        self.worker.begin(slot, path, 77, ago, 1_000_000);
    }

    fn report(&mut self) {
        self.emitter.report(&self.worker.hub, self.worker.now);
    }

    fn second(&mut self) {
        let second = self.worker.second();
        self.emitter.follow(&self.worker.hub, &second, self.worker.now);
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

fn received(socket: &UnixDatagram) -> Vec<Datagram> {
    socket.set_nonblocking(true).unwrap();
    let mut bytes = [0; 65_536];
    std::iter::from_fn(|| {
        socket.recv(&mut bytes).ok().map(|length| Datagram::decode(&bytes[..length]).unwrap())
    })
    .collect()
}

#[test]
fn a_workers_life_is_reported_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    block_on(async {
        let mut world = world(&path);
        world.second();
        for n in 0..5u64 {
            world.begin(0, "/quick", 0.0);
            world
                .worker
                .board
                .finish(0, &Record { status: 200, application: n * 1_000_000, ..Record::default() });
        }
        world.begin(0, "/slow", 1.0);
        let slow = Record {
            status: 503,
            application: 900_000_000,
            daemon: 2_000_000,
            cpu: 300_000_000,
            ..Record::default()
        };
        world.worker.board.finish(0, &slow);
        world.begin(1, "/running", 3.0);
        let collection =
            Collection { start: 5, pause: 7_000_000, generation: 2, collected: 9, uncollectable: 0 };
        world.worker.board.collected(0, &collection);
        world.second();
        world.report();
        world.worker.receive(ToAdmin::Leaving { worker: 4, reason: "reload".into() });
        world.second();
        world.worker.receive(ToAdmin::Happened(Happened {
            what: What::WorkerLeft,
            worker: Some(4),
            reason: Some("reload".into()),
            ..Happened::default()
        }));
        world.second();
        world.outbox.empty(Duration::from_secs(5)).await;
        let sent = received(&socket);
        let kinds: Vec<Kind> = sent.iter().map(|one| one.kind).collect();
        use Kind::*;
        let expected = [
            ProcessStarted,
            RequestMetrics,
            SlowRequest,
            SlowRequest,
            GcSnapshot,
            GcEvent,
            ProcessStopping,
            RequestMetrics,
            SlowRequest,
            GcSnapshot,
            ProcessStopped,
        ];
        assert_eq!(kinds, expected);
        assert!(sent.iter().map(|one| one.seq).eq(1..=sent.len() as u32));
        assert!(sent.iter().all(|one| one.get(fields::INTERPRETER_NAME).is_none()));
        let number = |index: usize, field| sent[index].get_number(field).unwrap();
        assert_eq!((number(1, fields::REQUEST_COUNT), number(1, fields::STATUS_5XX)), (6.0, 1.0));
        assert_eq!(sent[1].get_row(fields::THREADS_COMPLETED), Some(vec![6.0, 0.0]));
        assert!(sent[1].get_row(fields::THREADS_MAX_DURATION).unwrap()[0] > 0.9);
        assert!(sent[1].get_row(fields::THREADS_CURRENT_ELAPSED).unwrap()[1] >= 3.0);
        assert_eq!(
            sent[1].get_row(fields::DAEMON_TIME_BUCKETS).map(|row| (row[0], row[4])),
            Some((5.0, 1.0))
        );
        assert_eq!((number(2, fields::SLOW_RECORD_STATE), number(2, fields::SLOW_STATUS)), (1.0, 503.0));
        assert_eq!(sent[2].get_text(fields::SLOW_PATH_INFO).as_deref(), Some("/slow"));
        assert_eq!(number(2, fields::SLOW_CPU_USER_TIME), 0.3);
        assert_eq!((number(3, fields::SLOW_RECORD_STATE), number(3, fields::SLOW_THREAD_ID)), (0.0, 2.0));
        assert_eq!(
            (number(5, fields::GC_EVENT_GENERATION), number(5, fields::GC_EVENT_DURATION)),
            (2.0, 0.007)
        );
        assert_eq!(sent[6].get_text(fields::SHUTDOWN_REASON).as_deref(), Some("script_reload"));
        assert_eq!(
            (number(6, fields::ACTIVE_AT_DECISION), number(10, fields::LIFETIME_REQUEST_COUNT)),
            (1.0, 6.0)
        );
        assert_eq!(number(7, fields::REQUEST_COUNT), 0.0);
    });
}

#[test]
fn a_receiver_that_stands_still_costs_datagrams_and_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    block_on(async {
        let outbox = Outbox::open(&path);
        let deliveries = outbox.deliveries();
        for _ in 0..3_000 {
            outbox.put(vec![0; 100]);
        }
        // The queue of the outbox is full; nothing has waited.
        assert_eq!(deliveries.lost(), 3_000 - 2_048);
        outbox.empty(Duration::from_millis(50)).await;
        let held = deliveries.sent();
        assert!(held > 0 && held < 2_048, "{held}");
        // Once the receiver reads, the rest follows.
        let mut read = 0;
        socket.set_nonblocking(true).unwrap();
        while read < 2_048 {
            match socket.recv(&mut [0; 200]) {
                Ok(_) => read += 1,
                Err(_) => tokio::task::yield_now().await,
            }
        }
        outbox.empty(Duration::from_secs(5)).await;
        assert_eq!((deliveries.sent(), deliveries.lost()), (2_048, 952));
    });
}

#[test]
fn an_absent_receiver_is_counted() {
    block_on(async {
        let outbox = Outbox::open(Path::new("/nowhere/socket"));
        outbox.put(vec![1]);
        outbox.empty(Duration::from_secs(5)).await;
        assert_eq!(outbox.deliveries().lost(), 1);
    });
}
