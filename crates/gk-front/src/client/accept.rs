//! Listening sockets: accepts connections within the bounds on connections and descriptors, and starts a task for each.

mod courtesy;
pub mod moving;
pub mod passing;

use courtesy::Courtesy;
use gk_sys::event_loop::spawn;
use gk_wire::log::Level;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};

use crate::client::addresses::AddressPlace;
use crate::client::connection::Conn;
use crate::client::endpoints::Endpoints;
use crate::client::http1;
use crate::client::stream::Stream;
use crate::client::stream::socket::Socket;
use crate::front::Front;
use crate::log::host_log;
use crate::log::rate_limited::RateLimited;
use crate::process::descriptor_limit;

/// After a failed `accept` for lack of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Between two looks for a connection that has become idle, while a new one waits.
const LOOK: Duration = Duration::from_millis(100);
/// After so long a connection that was there has been taken by another process.
const TAKEN: Duration = Duration::from_millis(2);

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
        let courtesy = Courtesy::of(front, &socket, |pool| !pool.has_room()).map_err(unusable)?;
        let listener = if address.starts_with("unix:") {
            Listener::Unix(UnixListener::from_std(socket.into()).map_err(unusable)?)
        } else {
            Listener::Tcp(TcpListener::from_std(socket.into()).map_err(unusable)?)
        };
        spawn(counted(front, accept(Rc::clone(front), listener, courtesy, number)));
    }
    let taken = moving::take(Rc::clone(front));
    spawn(counted(front, async { drop(taken.await) }));
    Ok(())
}

/// Runs a task that brings connections, and is counted as long as it does.
fn counted<T: Future<Output = ()>>(front: &Rc<Front>, task: T) -> impl Future<Output = ()> + use<T> {
    front.accepting.set(front.accepting.get() + 1);
    let front = Rc::clone(front);
    async move {
        task.await;
        front.accepting.set(front.accepting.get() - 1);
        front.conn_ended.notify_waiters();
    }
}

/// Accepts on one listener until the front stops.
async fn accept(front: Rc<Front>, listener: Listener, courtesy: Option<Courtesy>, number: usize) {
    let unaccepted = RateLimited::default();
    while !front.stopping.get() {
        let accepted = tokio::select! {
            biased;
            () = front.stop.notified() => break,
            accepted = next_in_turn(&front, &listener, courtesy.as_ref()) => accepted,
        };
        match accepted {
            Ok((stream, endpoints)) => {
                admit(&front, stream, endpoints, number).await;
                if courtesy.is_some() {
                    // Its request takes a thread, maybe the last one.
                    tokio::task::yield_now().await;
                }
            }
            // The client gave up before it was accepted.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Err(error) if descriptor_limit::are_exhausted(&error) => {
                note_shortage(&front, &error.to_string());
                give_way(&front);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Err(error) => {
                if unaccepted.is_due() {
                    crate::note(Level::Error, None, &format!("a connection cannot be accepted: {error}"));
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whom the kernel has let connect meanwhile would meet a reset when the socket closes. Where other processes go on, they take them.
    if !front.is_patient.get() {
        tokio::task::yield_now().await;
        while let Some((stream, endpoints)) = next_now(&listener).await {
            admit(&front, stream, endpoints, number).await;
        }
    }
}

/// A connection that is there already.
async fn next_now(listener: &Listener) -> Option<(Socket, Endpoints)> {
    tokio::select! {
        biased;
        accepted = next(listener) => accepted.ok(),
        () = std::future::ready(()) => None,
    }
}

/// Serves a new connection, when there is a place for it.
async fn admit(front: &Rc<Front>, stream: Socket, mut endpoints: Endpoints, listener: usize) {
    endpoints.listener = listener;
    endpoints.https = speaks_tls(front, &endpoints);
    endpoints.proxied = is_proxied(front, &endpoints);
    // The client of a proxy gets its place when it is known.
    let peer = endpoints.address.filter(|_| !endpoints.proxied);
    let current = front.current();
    let Ok(place) = front.addresses.admit(current.compiled.site(), peer) else { return };
    let stream = match keep(front, stream) {
        Ok(stream) => stream,
        Err(error) => {
            give_way(front);
            return note_shortage(front, &error.to_string());
        }
    };
    if descriptor_limit::is_reserved(&stream) {
        front.room.note_shortage(front.conns.borrow().len(), front.clock.coarse());
        note_shortage(front, "the last descriptors are kept for files and workers");
    }
    // It is accepted, because otherwise nobody would know that an idle one has to give way. No other one is meanwhile.
    while is_full(front, &stream) {
        give_way(front);
        tokio::select! {
            () = front.conn_ended.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
            // It can be the last one only, and no other process can accept it any more.
            () = front.stop.notified() => break,
        }
    }
    open(front, stream, endpoints, place, None);
}

/// In embedded mode: keeps a connection from the children that the application forks.
fn keep(front: &Front, stream: Socket) -> io::Result<Socket> {
    if front.embedded.get() { stream.withheld() } else { Ok(stream) }
}

/// Whether a connection begins with the header of the PROXY protocol.
fn is_proxied(front: &Front, endpoints: &Endpoints) -> bool {
    let current = front.current();
    let protocol = current.compiled.site().proxy_protocol.as_ref();
    protocol.is_some_and(|protocol| protocol.is_expected(endpoints.local_address(), endpoints.address))
}

/// Whether TLS is spoken on a connection. A site without TLS is not asked further.
fn speaks_tls(front: &Front, endpoints: &Endpoints) -> bool {
    let current = front.current();
    current.has_tls() && current.compiled.site().speaks_tls(endpoints.local_address())
}

/// Ends the connection that has been idle longest, at its next turn.
fn give_way(front: &Front) {
    front.idle.give_way(&front.conns.borrow(), front.clock.coarse());
}

/// Whether a new connection has to wait until another one ends.
fn is_full(front: &Front, stream: &Socket) -> bool {
    let bound = front.current().compiled.site().http.max_connections;
    let open = front.conns.borrow().len();
    let free = || descriptor_limit::is_free(stream);
    (bound != 0 && open >= bound) || front.room.is_full(open, front.clock.coarse(), free)
}

/// Logs that new connections have to wait until others close.
fn note_shortage(front: &Front, why: &str) {
    if !front.descriptors_noted.is_due() {
        return;
    }
    let text = format!(
        "new connections take the place of idle ones, or have to wait until one of {} closes, with a limit of {} descriptors: {why}; raise the limit \
         (LimitNOFILE= of the systemd unit, ulimit -Hn), or bound the connections with GilkeeperMaxConnections",
        front.conns.borrow().len(),
        descriptor_limit::limit()
    );
    crate::note_code(Level::Error, "GK0014", None, &text);
}

/// The next connection, which another process may have taken first if all threads of this one are in use.
async fn next_in_turn(
    front: &Rc<Front>,
    listener: &Listener,
    courtesy: Option<&Courtesy>,
) -> io::Result<(Socket, Endpoints)> {
    let Some(courtesy) = courtesy else { return next(listener).await };
    loop {
        courtesy.turn(front).await?;
        if let Ok(accepted) = tokio::time::timeout(TAKEN, next(listener)).await {
            return accepted;
        }
    }
}

/// The next connection.
async fn next(listener: &Listener) -> io::Result<(Socket, Endpoints)> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            let _ = stream.set_nodelay(true);
            let local = stream.local_addr()?;
            Ok((Socket::Tcp(stream), Endpoints::tcp(peer, local)))
        }
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            Ok((Socket::Unix(stream), Endpoints::unix()))
        }
    }
}

/// Starts the task of a connection. `passed`: the number of its requests in the process that it comes from.
fn open(
    front: &Rc<Front>,
    socket: Socket,
    endpoints: Endpoints,
    place: Option<AddressPlace>,
    passed: Option<u64>,
) {
    // Without connections the ticker sleeps, and the coarse clock stands still.
    if front.conns.borrow().is_empty() {
        front.clock.advance();
    }
    let id = front.last_connection.get() + 1;
    front.last_connection.set(id);
    let stream = if endpoints.https { Stream::tls(socket) } else { Stream::Plain(socket) };
    let conn = Conn::new(id, endpoints, stream, front.clock.coarse_cell());
    passed.into_iter().for_each(|requests| conn.arrive(requests));
    front.conns.borrow_mut().insert(id, Rc::clone(&conn));
    front.conn_began.notify_one();
    spawn(host_log::serving(&front.names_requests, http1::tend(Rc::clone(front), conn, place)));
}
