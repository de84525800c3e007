//! A front between clients that read slowly, or nothing, and fake workers.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use gk_config::site::Site;
use gk_wire::frame::{CHUNK, ToFrontFrame};
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Instant;
use support::{Client, FakeWorker, Frame, PATIENCE, Running};

/// More than the kernel keeps for a client that reads nothing.
const SIZE: usize = 16 << 20;

/// A front, its worker with two request threads, and a client that has asked and reads nothing.
fn asked(change: impl FnOnce(&mut Site)) -> (Running, FakeWorker, Client, u32) {
    asked_of(2, change)
}

/// The same with so many request threads.
fn asked_of(threads: u32, change: impl FnOnce(&mut Site)) -> (Running, FakeWorker, Client, u32) {
    let mut front = Running::start(change);
    let mut worker = front.worker(threads);
    worker.welcome();
    let mut client = front.client();
    rustix::net::sockopt::set_socket_recv_buffer_size(&client.stream, 64 * 1024).unwrap();
    client.get("/");
    let id = worker.request().id();
    (front, worker, client, id)
}

fn body() -> Vec<u8> {
    (0..SIZE).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Sends a body within the credit, in a thread. Returns the worker, and whether it came to the end; not if it was cancelled.
fn send(worker: FakeWorker, id: u32) -> JoinHandle<(FakeWorker, bool)> {
    send_in(CHUNK, worker, id)
}

/// The same in pieces of so many bytes: blocks, if they are longer than a piece in the ring may be.
fn send_in(piece: usize, mut worker: FakeWorker, id: u32) -> JoinHandle<(FakeWorker, bool)> {
    std::thread::spawn(move || {
        let body = body();
        worker.respond(id, 200, &[("Content-Length", &SIZE.to_string())], b"", false);
        let (mut sent, mut credit) = (0, worker.window(id));
        while sent < SIZE {
            let len = piece.min(credit).min(SIZE - sent);
            if len > 0 {
                let (data, end) = (&body[sent..sent + len], sent + len == SIZE);
                match len > CHUNK {
                    true => assert!(worker.send_block(id, end, data)),
                    false => worker.send(&ToFrontFrame::Data { id, end, data }),
                }
                (sent, credit) = (sent + len, credit - len);
                continue;
            }
            match worker.next() {
                Some(Frame::Credit { bytes, .. }) => credit += bytes as usize,
                Some(Frame::Cancel { .. }) => {
                    worker.send(&ToFrontFrame::Abort { id, reason: "cancelled" });
                    return (worker, false);
                }
                other => panic!("{other:?}"),
            }
        }
        (worker, true)
    })
}

/// Reported: sixteen clients that asked for 4 MB and read nothing stopped a site of two processes with four threads.
/// Met with slow links and with clients that stop reading on purpose.
#[test]
fn a_client_that_reads_nothing_holds_no_request_thread() {
    let (front, worker, mut client, id) = asked(|_| {});
    let (mut worker, whole) = send(worker, id).join().unwrap();
    assert!(whole, "the worker has sent everything while the client read nothing");
    front.until(|status| status.in_flight.values().sum::<u64>() == 0);
    let names: Vec<_> =
        std::fs::read_dir(front.root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name.to_string_lossy().starts_with("gilkeeper.db")), "{names:?}");
    // Requests behind it on the same connection wait for their turn, on others they do not.
    client.get("/behind");
    let mut other = front.client();
    other.get("/");
    let next = worker.request();
    worker.hello(next.id());
    assert_eq!(other.answer().text(), "hello");
    assert!(client.answer().body == body(), "every byte, in order");
    let behind = worker.request();
    worker.hello(behind.id());
    assert_eq!(client.answer().text(), "hello");
}

#[test]
fn beyond_the_bounds_the_worker_is_paced_and_nothing_is_lost() {
    type Change = fn(&mut Site);
    let cases: [(&str, Change); 5] = [
        ("a small file", |site| {
            site.groups[0].response_buffer_size = 512 * 1024;
            site.groups[0].response_spool_size = 1 << 20;
        }),
        ("least of all", |site| {
            site.groups[0].response_buffer_size = 64 * 1024;
            site.groups[0].response_spool_size = 64 * 1024;
        }),
        ("no file", |site| site.groups[0].response_spool_size = 0),
        ("no memory", |site| site.http.response_memory = 0),
        ("no folder for the file", |site| site.server_root = site.server_root.join("gone")),
    ];
    for (what, change) in cases {
        let (_front, worker, mut client, id) = asked(change);
        let sending = send(worker, id);
        assert!(client.answer().body == body(), "{what}: every byte, in order");
        assert!(sending.join().unwrap().1, "{what}");
    }
}

/// A client with an address of its own.
fn from(address: [u8; 4], front: &Running) -> Client {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((address, 0))).unwrap();
    connect(&socket, &front.address).unwrap();
    Client::of(socket.into())
}

#[test]
fn responses_of_one_address_never_hold_the_last_thread() {
    let (front, worker, mut slow, id) = asked(|site| site.groups[0].response_spool_size = 1 << 20);
    let (told, served) = std::sync::mpsc::channel();
    let serving = std::thread::spawn(move || serve(worker, id, |path| told.send(path).unwrap()));
    let (mut again, mut other) = (front.client(), from([127, 0, 0, 2], &front));
    again.get("/again");
    // The first ones may find a front that does not know yet how slow the client is.
    let (mut passed, deadline) = (0, Instant::now() + PATIENCE);
    while passed < 20 {
        assert!(Instant::now() < deadline, "the request of the slow address does not wait");
        other.get("/other");
        assert_eq!(other.answer().text(), "hello");
        passed += 1;
        if served.try_iter().any(|path| path == "/again") {
            assert_eq!(again.answer().text(), "hello");
            again.get("/again");
            passed = 0;
        }
    }
    assert!(slow.answer().body == body());
    assert_eq!(again.answer().text(), "hello");
    drop(front);
    serving.join().unwrap();
}

/// A worker that sends a body within the credit, and meanwhile answers other requests, of which it tells the path.
fn serve(mut worker: FakeWorker, id: u32, tell: impl Fn(String)) {
    let body = body();
    worker.respond(id, 200, &[("Content-Length", &SIZE.to_string())], b"", false);
    let (mut sent, mut credit) = (0, worker.window(id));
    loop {
        while credit > 0 && sent < SIZE {
            let len = CHUNK.min(credit).min(SIZE - sent);
            let end = sent + len == SIZE;
            worker.send(&ToFrontFrame::Data { id, end, data: &body[sent..sent + len] });
            (sent, credit) = (sent + len, credit - len);
        }
        match worker.next() {
            Some(Frame::Credit { bytes, .. }) => credit += bytes as usize,
            Some(Frame::Request { id, path, .. }) => {
                worker.start();
                tell(path);
                worker.hello(id);
            }
            Some(Frame::Cancel { .. }) => {
                worker.send(&ToFrontFrame::Abort { id, reason: "cancelled" });
                sent = SIZE;
            }
            Some(_) => {}
            None => return,
        }
    }
}

/// Reported: a response without an end that its client did not read held the only request thread of a site until `Timeout`.
/// Met with a site of one process with one thread.
#[test]
fn the_only_thread_of_a_group_is_given_up_when_others_wait() {
    let (front, worker, mut slow, id) = asked_of(1, |site| site.groups[0].response_spool_size = 1 << 20);
    let serving = std::thread::spawn(move || serve(worker, id, |_| {}));
    // Requests of the same client wait behind it, those of others do not.
    let mut again = front.client();
    again.get("/again");
    for _ in 0..5 {
        let mut other = from([127, 0, 0, 2], &front);
        other.get("/other");
        assert_eq!(other.answer().text(), "hello");
    }
    assert_eq!(again.answer().text(), "hello");
    let (bytes, proper) = slow.rest();
    assert!(!proper && bytes.len() < SIZE, "the response was cut off");
    drop((front, again));
    serving.join().unwrap();
}

/// The same of a stream: its connection goes on.
#[test]
fn a_stream_that_holds_the_only_thread_is_reset() {
    let mut front = support::http2::front(|site| site.groups[0].response_spool_size = 1 << 20);
    let mut worker = front.worker(1);
    worker.welcome();
    let mut client = support::http2::Http2Client::connect(front.address);
    let endless = client.get("/endless");
    let id = worker.request().id();
    let serving = std::thread::spawn(move || serve(worker, id, |_| {}));
    let mut other = from([127, 0, 0, 2], &front);
    other.get("/other");
    assert_eq!(other.answer().text(), "hello");
    let response = client.wait(endless).unwrap();
    assert!(client.wait(whole(response.into_body())).is_err(), "the stream was reset");
    let next = client.get("/next");
    assert_eq!(client.answer(next).text(), "hello");
    drop((client, other, front));
    serving.join().unwrap();
}

/// Reads a body without giving its sender more room, to its end.
async fn whole(mut body: h2::RecvStream) -> Result<(), h2::Error> {
    while let Some(piece) = body.data().await {
        piece?;
    }
    Ok(())
}

#[test]
fn a_client_that_goes_away_frees_its_request_thread() {
    let (front, worker, client, id) = asked(|site| site.groups[0].response_spool_size = 1 << 20);
    let sending = send(worker, id);
    drop(client);
    let (_worker, whole) = sending.join().unwrap();
    assert!(!whole, "the request was cancelled");
    front.until(|status| status.in_flight.values().sum::<u64>() == 0 && status.connections == 0);
}

#[test]
fn response_socket_timeout_ends_a_client_that_reads_nothing() {
    let (front, worker, mut client, id) = asked(|site| site.groups[0].response_socket_timeout = 0.3);
    // Whether the worker has sent everything by then depends on the machine.
    let _worker = send(worker, id).join().unwrap();
    front.until(|status| status.connections == 0);
    let (bytes, proper) = client.rest();
    assert!(!proper && bytes.len() < SIZE, "the response was cut off");
}

/// Reported: a client that asked for a page of 8 MB and read nothing held the only request thread, while the same page in pieces of 64 KiB
/// went to a file. Met with applications that return a page as one `bytes`.
#[test]
fn a_response_in_one_piece_holds_no_request_thread() {
    for (piece, memory) in [(300_000, 1 << 20), (1 << 20, 1 << 20), (1 << 20, 4 << 20)] {
        let (_front, worker, mut client, id) = asked(|site| site.groups[0].response_buffer_size = memory);
        assert!(send_in(piece, worker, id).join().unwrap().1, "the worker has sent everything");
        assert!(client.answer().body == body(), "every byte, in order");
    }
}
