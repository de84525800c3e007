//! Bodies through hyper to a client that reads slowly, on one connection: all bytes come in order, the next request is answered, and what is
//! large was not copied by hyper.

use super::*;
use http::header::{CONTENT_LENGTH, HeaderMap};
use http::{Response, Version};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{IoSlice, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::UnixStream;

use crate::answer::body::Body;
use crate::client::endpoints::Endpoints;
use crate::client::http1::io::ClientIo;
use crate::client::outgoing::{self, Ending, OutgoingBody};
use crate::client::requester::Requester;
use crate::client::stream::Stream;
use crate::client::stream::socket::Socket;
use crate::engine::{BodyStart, Exchange, Failure, Piece, ResponseHead};
use crate::log::answers::{AnswerTally, Answering};
use crate::process::clock::Clock;

/// An engine's pieces. Each second look finds none yet.
struct Pieces {
    left: RefCell<VecDeque<Bytes>>,
    ready: Cell<bool>,
}

impl Exchange for Pieces {
    fn poll_head(&self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn take_head(&self, _: &mut HeaderMap) -> (ResponseHead, BodyStart) {
        unreachable!("the test makes heads itself")
    }

    fn poll_piece(&self, cx: &mut Context<'_>, _: usize) -> Poll<Option<Result<Piece, Failure>>> {
        if !self.ready.replace(!self.ready.get()) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.borrow_mut().pop_front().map(|bytes| Ok(Piece::Data(bytes))))
    }

    fn is_finished(&self) -> bool {
        self.left.borrow().is_empty()
    }
}

/// What hyper reads and writes, and how many bytes it has written.
struct Counted {
    io: ClientIo,
    written: Rc<Cell<usize>>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.written.set(self.written.get() + count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        unreachable!("a small response is one plain write")
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Framing {
    Length,
    Chunked,
    /// HTTP/1.0 without a length.
    Close,
    /// One piece, of which hyper writes the length.
    Whole,
}

fn piece(len: usize, at: usize) -> Bytes {
    (0..len).map(|n| (n * 7 + at * 31 + n / 251) as u8).collect()
}

fn response(framing: Framing, pieces: &[usize]) -> Response<Body<Pieces>> {
    let all: VecDeque<Bytes> = pieces.iter().enumerate().map(|(at, len)| piece(*len, at)).collect();
    if framing == Framing::Whole {
        return Response::new(Body::whole(all[0].clone(), true));
    }
    let body = Body::streamed(Pieces { left: RefCell::new(all), ready: Cell::new(true) });
    let mut response = Response::new(body);
    if framing == Framing::Length {
        response.headers_mut().insert(CONTENT_LENGTH, pieces.iter().sum::<usize>().into());
    }
    response
}

/// What the client gets behind the head.
fn on_the_wire(framing: Framing, pieces: &[usize]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (at, len) in pieces.iter().enumerate() {
        match framing {
            Framing::Chunked => {
                wire.extend(format!("{len:X}\r\n").bytes().chain(piece(*len, at)).chain(*b"\r\n"));
            }
            _ => wire.extend(piece(*len, at)),
        }
    }
    if framing == Framing::Chunked {
        wire.extend(b"0\r\n\r\n");
    }
    wire
}

/// Serves a connection to its end. Returns the bytes that hyper wrote.
async fn serve(socket: UnixStream, framing: Framing, pieces: Vec<usize>) -> usize {
    let conn = Conn::new(1, Endpoints::unix(), Stream::Plain(Socket::Unix(socket)), Rc::default());
    let tally = AnswerTally::new(&Clock::default(), "");
    let written = Rc::new(Cell::new(0));
    let io = Counted { io: ClientIo::new(&conn, Bytes::new()), written: Rc::clone(&written) };
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let requester = Requester::Http1(Rc::clone(&conn));
        requester.begin(false);
        let response = response(framing, &pieces);
        let delimited = request.version() == Version::HTTP_10 && framing == Framing::Close;
        let promised = outgoing::promised(&requester, &response, delimited);
        requester.begin_response();
        let ending = Ending { entry: None, answering: Answering::new(&tally, 0) };
        let response = response.map(|body| OutgoingBody::new(&requester, body, ending, delimited, promised));
        async { Ok::<_, Infallible>(response) }
    });
    let _ = http1::Builder::new()
        .half_close(true)
        .writev(false)
        .serve_connection(TokioIo::new(io), service)
        .await;
    written.get()
}

/// Reads up to the end of a head.
async fn head(client: &mut UnixStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(client.read_u8().await.unwrap());
    }
    assert!(seen.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&seen));
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), work).await.unwrap() })
}

#[test]
fn bodies_come_whole_and_in_order_and_hyper_copies_only_what_is_small() {
    const K: usize = 1024;
    // The pieces, and whether the large ones of them pass hyper by.
    let table: [(Framing, &[usize], bool); 12] = [
        (Framing::Length, &[14], false),
        (Framing::Length, &[LEAST - 1, 5], false),
        (Framing::Length, &[LEAST], true),
        (Framing::Length, &[1000 * K], true),
        (Framing::Length, &[128 * K; 8], true),
        (Framing::Length, &[10, 128 * K, 10, 300 * K, 128 * K, 1], true),
        (Framing::Whole, &[100_000], true),
        (Framing::Whole, &[14], false),
        (Framing::Close, &[500 * K, 3, 200 * K], true),
        (Framing::Close, &[14], false),
        (Framing::Chunked, &[500 * K, 3, 200 * K], false),
        (Framing::Chunked, &[14], false),
    ];
    for (framing, pieces, passes) in table {
        let wire = on_the_wire(framing, pieces);
        let requests = if framing == Framing::Close { 1 } else { 3 };
        let ask = async |mut client: UnixStream| {
            for _ in 0..requests {
                let line: &[u8] = match framing {
                    Framing::Close => b"GET / HTTP/1.0\r\n\r\n",
                    _ => b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                };
                client.write_all(line).await.unwrap();
                head(&mut client).await;
                let (mut got, mut part) = (Vec::new(), vec![0; 10_000]);
                while got.len() < wire.len() {
                    let count = client.read(&mut part).await.unwrap();
                    assert!(count > 0, "cut off at {} of {}", got.len(), wire.len());
                    got.extend_from_slice(&part[..count]);
                    tokio::task::yield_now().await;
                }
                assert!(got == wire, "{pieces:?}");
            }
        };
        let written = run(async {
            let (ours, client) = UnixStream::pair().unwrap();
            tokio::join!(serve(ours, framing, pieces.to_vec()), ask(client)).0
        });
        let small: usize = pieces.iter().filter(|len| !passes || **len < LEAST).sum();
        let (least, most) = (requests * small, requests * (small + WITH_HEAD + 300));
        assert!((least..=most).contains(&written), "{pieces:?}: {written} is not in {least}..={most}");
    }
}

/// hyper cuts a body that is longer than its head promises, so nothing of that may go past it.
#[test]
fn a_piece_beyond_the_promised_length_stays_with_hyper() {
    run(async {
        let socket = Socket::Unix(UnixStream::pair().unwrap().0);
        let conn = Conn::new(1, Endpoints::unix(), Stream::Plain(socket), Rc::default());
        let mut straight = Straight::new(2 * LEAST as u64 - 1);
        assert!(straight.pass(piece(LEAST, 0), &conn).is_none() && !straight.is_empty());
        straight.piece.clear();
        assert_eq!(straight.pass(piece(LEAST, 0), &conn).map(|bytes| bytes.len()), Some(LEAST));
        assert!(straight.is_empty());
    });
}

#[test]
fn a_client_that_goes_in_the_middle_ends_the_connection() {
    for framing in [Framing::Length, Framing::Close] {
        run(async {
            let (ours, mut client) = UnixStream::pair().unwrap();
            let ask = async {
                client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
                head(&mut client).await;
                drop(client);
            };
            tokio::join!(serve(ours, framing, vec![128 * 1024; 64]), ask)
        });
    }
}

#[test]
fn a_head_that_the_socket_does_not_take_is_waited_for_in_sleep() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut filler = 0;
    while let Ok(count) = (&ours).write(&[0; 1024]) {
        filler += count;
    }
    let polls = Rc::new(Cell::new(0));
    let seen = Rc::clone(&polls);
    let work = async move {
        let ours = UnixStream::from_std(ours).unwrap();
        let mut client = UnixStream::from_std(theirs).unwrap();
        let mut serving = Box::pin(serve(ours, Framing::Length, vec![2 * LEAST]));
        let counted = poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            serving.as_mut().poll(cx)
        });
        let task = tokio::task::spawn_local(counted);
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert!((1..20).contains(&seen.get()), "{} polls", seen.get());
        client.read_exact(&mut vec![0; filler]).await.unwrap();
        head(&mut client).await;
        let mut body = vec![0; 2 * LEAST];
        client.read_exact(&mut body).await.unwrap();
        assert!(body == piece(2 * LEAST, 0));
        drop(client);
        task.await.unwrap();
    };
    run(async { tokio::task::LocalSet::new().run_until(work).await });
}
