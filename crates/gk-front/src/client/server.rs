//! Listening sockets, connections' tasks, the ticker with every timeout, and the orderly end.

use bytes::Bytes;
use gk_config::site::HttpLimits;
use gk_wire::log::Level;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::spawn_local;

use crate::client::connection::{ClientIo, Conn, Ends, Phase, Stream};
use crate::front::Front;
use crate::process::descriptors::{self, Seldom};
use crate::service;

/// Time between two looks at the timeouts.
const TICK: Duration = Duration::from_millis(100);
/// Idle milliseconds after which a connection keeps its socket only. Making hyper's part anew costs a microsecond.
const SLEEP_AFTER: u64 = 200;
/// After a failed `accept` for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a client that was refused may be silent before it is left, while the rest of its request is read away.
const LINGER: Duration = Duration::from_secs(2);
/// How long that goes on at most.
const LINGER_IN_ALL: Duration = Duration::from_secs(30);
/// How long the connections that are cut off at the end of a stop may take for it.
const CUT: Duration = Duration::from_secs(1);

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Starts accepting on each socket.
pub fn listen(front: &Rc<Front>, sockets: Vec<OwnedFd>) -> Result<(), String> {
    for (number, socket) in sockets.into_iter().enumerate() {
        let address = front.listeners[number].address.clone();
        let unusable = |error: io::Error| format!("the listening socket {address} is unusable: {error}");
        rustix::io::ioctl_fionbio(&socket, true).map_err(|e| unusable(e.into()))?;
        let listener = if address.starts_with("unix:") {
            Listener::Unix(UnixListener::from_std(socket.into()).map_err(unusable)?)
        } else {
            Listener::Tcp(TcpListener::from_std(socket.into()).map_err(unusable)?)
        };
        spawn_local(accept(Rc::clone(front), listener, number));
    }
    Ok(())
}

async fn accept(front: Rc<Front>, listener: Listener, number: usize) {
    let https = front.listeners[number].tls;
    let unaccepted = Seldom::default();
    loop {
        let bound = front.current().compiled.site().http.max_connections;
        let full = || {
            let open = front.conns.borrow().len();
            (bound != 0 && open >= bound) || (front.short.get() && open > 0)
        };
        while full() && !front.stopping.get() {
            tokio::select! {
                () = front.conn_ended.notified() => {}
                () = front.stop.notified() => {}
            }
        }
        if front.stopping.get() {
            return;
        }
        let accepted = tokio::select! {
            biased;
            () = front.stop.notified() => return,
            accepted = next(&listener) => accepted,
        };
        match accepted {
            Ok((stream, mut ends)) => {
                ends.listener = number;
                ends.https = https;
                front.short.set(descriptors::is_of_reserve(&stream));
                open(&front, stream, ends);
                if front.short.get() {
                    tell_short(&front, "the last descriptors are kept for files and workers");
                }
            }
            // The client gave up before it was accepted.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Err(error) if descriptors::are_lacking(&error) => {
                tell_short(&front, &error.to_string());
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Err(error) => {
                if unaccepted.now() {
                    crate::note(Level::Error, None, &format!("a connection cannot be accepted: {error}"));
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Says that new connections have to wait for the end of others.
fn tell_short(front: &Front, why: &str) {
    if !front.told_short.now() {
        return;
    }
    let text = format!(
        "new connections have to wait until one of {} closes, with a limit of {} descriptors: {why}; raise the limit \
         (LimitNOFILE= of the systemd unit, ulimit -Hn), or bound the connections with GilkeeperMaxConnections",
        front.conns.borrow().len(),
        descriptors::limit()
    );
    crate::note_code(Level::Error, "GK0014", None, &text);
}

async fn next(listener: &Listener) -> io::Result<(Stream, Ends)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            let _ = stream.set_nodelay(true);
            let local = stream.local_addr()?;
            Ok((Stream::Tcp(stream), ends(peer, local)))
        }
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            Ok((Stream::Unix(stream), Ends { client: "unix".into(), ..Ends::default() }))
        }
    }
}

fn ends(peer: SocketAddr, local: SocketAddr) -> Ends {
    let (peer_ip, local_ip) = (peer.ip().to_canonical(), local.ip().to_canonical());
    Ends {
        client: SocketAddr::new(peer_ip, peer.port()).to_string(),
        peer: peer_ip.to_string(),
        peer_port: peer.port(),
        local: local_ip.to_string(),
        local_port: local.port(),
        listener: 0,
        https: false,
    }
}

fn open(front: &Rc<Front>, stream: Stream, ends: Ends) {
    // The ticker sleeps while there is no connection, and the clock with it.
    if front.conns.borrow().is_empty() {
        front.clock.advance();
    }
    let id = front.last_connection.get() + 1;
    front.last_connection.set(id);
    let conn = Conn::new(id, ends, stream, front.clock.coarse_cell());
    front.conns.borrow_mut().insert(id, Rc::clone(&conn));
    front.conn_began.notify_one();
    spawn_local(tend(Rc::clone(front), conn));
}

/// One connection from its first byte to its last.
async fn tend(front: Rc<Front>, conn: Rc<Conn>) {
    let present = Present { front: &front, conn: &conn };
    let mut before = Bytes::new();
    // Boxed, so that a sleeping connection does not keep the room for it.
    while let Some(rest) = Box::pin(speak(&front, &conn, before)).await {
        before = rest;
        if before.is_empty() && !sleep(&front, &conn).await {
            break;
        }
    }
    conn.finish_entry();
    if conn.linger.get() {
        conn.enter(Phase::Ending);
        drain(&front, &conn).await;
    }
    drop(present);
}

/// A connection that counts. However its task ends, it counts no longer then, and its last response is logged.
struct Present<'t> {
    front: &'t Front,
    conn: &'t Conn,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.conn.finish_entry();
        self.front.conns.borrow_mut().remove(&self.conn.id);
        self.front.short.set(false);
        self.front.conn_ended.notify_waiters();
    }
}

/// Speaks HTTP on a connection until its end (`None`) or until it has been idle for a while: then hyper and its buffers
/// go, what it had read already is returned.
async fn speak(front: &Rc<Front>, conn: &Rc<Conn>, before: Bytes) -> Option<Bytes> {
    let builder = builder(&front.current().compiled.site().http);
    let service = {
        let (front, conn) = (Rc::clone(front), Rc::clone(conn));
        service_fn(move |request| service::serve(Rc::clone(&front), Rc::clone(&conn), request))
    };
    let mut http = builder.serve_connection(TokioIo::new(ClientIo::new(conn, before)), service);
    let mut ending = false;
    let sleeps = poll_fn(|cx| {
        if conn.poll_killed(cx) {
            return Poll::Ready(false);
        }
        if front.stopping.get() && !std::mem::replace(&mut ending, true) {
            Pin::new(&mut http).graceful_shutdown();
        }
        match Pin::new(&mut http).poll(cx) {
            Poll::Pending if !ending && conn.may_sleep() => Poll::Ready(true),
            other => other.map(|_| false),
        }
    })
    .await;
    sleeps.then(|| http.into_parts().read_buf)
}

/// Waits for the next byte of an idle connection, holding next to nothing. `false`: there will be none.
async fn sleep(front: &Front, conn: &Conn) -> bool {
    let woken = poll_fn(|cx| {
        if conn.poll_killed(cx) || front.stopping.get() {
            return Poll::Ready(false);
        }
        conn.poll_readable(cx).map(|()| true)
    })
    .await;
    conn.wake_up();
    woken
}

/// Reads away what a refused client is still sending, so that it gets to read the answer (RFC 9112, 9.6).
async fn drain(front: &Front, conn: &Rc<Conn>) {
    let mut io = ClientIo::new(conn, Bytes::new());
    let mut sink = vec![0; 16 * 1024];
    let began = Instant::now();
    while matches!(tokio::time::timeout(LINGER, io.read(&mut sink)).await, Ok(Ok(n)) if n > 0) {
        let bound = if front.stopping.get() { LINGER } else { LINGER_IN_ALL };
        if began.elapsed() > bound {
            return;
        }
    }
}

fn builder(http: &HttpLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Every timeout is the ticker's.
    // Without writev a head and its small body leave in one plain send; large bodies are copied once more.
    builder.header_read_timeout(None).keep_alive(http.keep_alive).half_close(true).writev(false);
    // Up to 100 hyper counts without allocating; our own count comes after it.
    if http.limit_request_fields == 0 || http.limit_request_fields > 100 {
        // The map that takes them panics above some twenty thousand.
        let most = if http.limit_request_fields == 0 { 10_000 } else { http.limit_request_fields };
        builder.max_headers(most.min(20_000));
    }
    let head = http.limit_request_line + 8 * http.limit_request_field_size;
    builder.max_buf_size(head.clamp(64 * 1024, 1 << 20));
    builder
}

/// Looks at every timeout a few times a second, while there is anything to look at.
pub async fn tick(front: Rc<Front>) {
    let mut count = 0u64;
    loop {
        if front.conns.borrow().is_empty() {
            front.current().logs.flush();
            front.tell_figures();
            // A second, so that the admin page does not show the past for ever.
            let _ = tokio::time::timeout(Duration::from_secs(1), front.conn_began.notified()).await;
        }
        tokio::time::sleep(TICK).await;
        count += 1;
        front.clock.advance();
        let current = front.current();
        current.logs.flush();
        let pools = front.each_pool();
        for pool in &pools {
            pool.tick();
            let bound = pool.limits().socket_timeout;
            if bound != 0 {
                pool.each_link(|link| link.expire(bound));
            }
        }
        let http = &current.compiled.site().http;
        let conns: Vec<_> = front.conns.borrow().values().map(Rc::clone).collect();
        for conn in conns {
            watch(&conn, http, count.is_multiple_of(5));
        }
        if count.is_multiple_of(10) || front.became_ready_or_not() {
            front.tell_figures();
        }
    }
}

/// Applies the timeouts to one connection.
fn watch(conn: &Conn, http: &HttpLimits, look_for_client: bool) {
    if conn.is_killed() {
        // It was told, and so was the log.
        return;
    }
    let (phase, stalled, waited) = conn.waiting();
    let over = |seconds: f64| seconds > 0.0 && waited as f64 > seconds * 1_000.0;
    if stalled {
        let limit = conn.write_limit.get();
        if (limit != 0 && waited > limit) || (limit == 0 && over(http.timeout)) {
            let text = "the client did not take the response in time; it was cut off";
            crate::note_code(Level::Error, "WSGI0118", Some(&conn.ends.client), text);
            conn.reset_on_close();
            conn.kill();
        }
        return;
    }
    match phase {
        Phase::Idle => {
            let first = conn.requests.get() == 0;
            let late = over(http.header_timeout) || over(http.timeout);
            if if first { late } else { over(http.keep_alive_timeout) } {
                conn.kill();
            } else if waited >= SLEEP_AFTER {
                conn.send_to_sleep();
            }
        }
        // Nothing was asked yet, so there is nothing to say about it in the log either.
        Phase::Head if over(http.header_timeout) => conn.time_out(),
        Phase::Body if over(http.body_timeout) => {
            let text = "the client did not send the request body in time";
            crate::note_code(Level::Error, "WSGI0126", Some(&conn.ends.client), text);
            conn.time_out();
        }
        // A reset client does not wait for its answer any more. Nobody reads from it meanwhile, so this is asked.
        Phase::Serving if look_for_client && conn.client_gone() => conn.kill(),
        _ => {}
    }
}

/// Closes the listeners, lets what runs come to its end, at most for `timeout`, and cuts off the rest.
pub async fn stop(front: &Rc<Front>, timeout: Duration) {
    front.stopping.set(true);
    front.stop.notify_waiters();
    let conns: Vec<_> = front.conns.borrow().values().map(Rc::clone).collect();
    for conn in conns {
        conn.nudge();
    }
    if tokio::time::timeout(timeout, nobody_left(front)).await.is_err() {
        let text =
            format!("{} connections were still open at the end of the wait", front.conns.borrow().len());
        crate::note(Level::Warn, None, &text);
        let conns: Vec<_> = front.conns.borrow().values().map(Rc::clone).collect();
        conns.iter().for_each(|conn| conn.cut());
        let _ = tokio::time::timeout(CUT, nobody_left(front)).await;
    }
}

async fn nobody_left(front: &Front) {
    while !front.conns.borrow().is_empty() {
        front.conn_ended.notified().await;
    }
}
