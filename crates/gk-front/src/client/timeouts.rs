//! The ticker: looks at every timeout of clients and workers a few times a second.

use gk_config::place::Compiled;
use gk_config::site::ReadTimeout;
use gk_wire::log::Level;
use std::rc::Rc;
use std::time::Duration;

use crate::client::connection::{Conn, Phase};
use crate::client::http2::streams::Streams;
use crate::engine::Client;
use crate::front::{CurrentSite, Front};

/// Between two looks at the timeouts.
const TICK: Duration = Duration::from_millis(100);
/// Milliseconds without a byte after which a connection keeps only its socket, and what there is of a head. Making hyper's part again
/// costs a microsecond.
const SLEEP_AFTER: u64 = 200;

/// Looks at every timeout a few times a second, while there is a connection.
pub async fn tick(front: Rc<Front>) {
    let mut count = 0u64;
    loop {
        if front.conns.borrow().is_empty() {
            front.current().logs.flush();
            front.tell_figures();
            front.leftovers.tick(front.finished.get());
            // A second, so that the admin page stays current.
            let _ = tokio::time::timeout(Duration::from_secs(1), front.conn_began.notified()).await;
        }
        tokio::time::sleep(TICK).await;
        count += 1;
        front.clock.advance();
        let current = front.current();
        current.logs.flush();
        let pools = front.each_pool();
        for pool in &pools {
            if let Some(origin) = pool.tick() {
                front.give_up(&origin);
            }
            pool.expire();
        }
        let conns: Vec<_> = front.conns.borrow().values().map(Rc::clone).collect();
        for conn in conns {
            apply(&conn, &current, count.is_multiple_of(5));
        }
        let http2: Vec<_> = front.http2.open.borrow().values().map(Rc::clone).collect();
        let leaves = |streams: &Streams| front.draining.get() || streams.generation != current.generation;
        http2.iter().for_each(|streams| streams.tick(&current.compiled, leaves, &current.host_logs));
        front.leftovers.tick(front.finished.get());
        if count.is_multiple_of(10) || front.readiness_changed() {
            front.tell_figures();
        }
    }
}

/// Applies the timeouts to one connection.
fn apply(conn: &Conn, current: &CurrentSite, check_client: bool) {
    if conn.is_killed() {
        // Its task and the log know already.
        return;
    }
    let compiled = &current.compiled;
    let http = &compiled.site().http;
    let (phase, stalled, waited) = conn.waiting();
    let over = |seconds: f64| seconds > 0.0 && waited as f64 > seconds * 1_000.0;
    if stalled {
        let limit = conn.write_limit.get();
        if (limit != 0 && waited > limit) || (limit == 0 && over(http.timeout)) {
            let text = "the client did not take the response in time; it was cut off";
            crate::note_code(Level::Error, "WSGI0118", Some(&conn.endpoints.client), text);
            conn.reset_on_close();
            conn.kill();
        }
        return;
    }
    match phase {
        // Without a time of its own a handshake has that of a standstill, in all.
        Phase::Handshake if is_late(conn, handshake_timeout(conn, compiled)) => {
            let text = "the client did not complete the TLS handshake in time";
            crate::note_code(Level::Info, "AH01382", Some(&conn.endpoints.client), text);
            conn.kill();
        }
        Phase::Idle if conn.requests.get() == 0 => {
            if is_late(conn, header_timeout(conn, compiled)) || over(http.timeout) {
                conn.kill();
            } else if waited >= SLEEP_AFTER {
                conn.send_to_sleep();
            }
        }
        Phase::Idle if over(http.keep_alive_timeout) => conn.kill(),
        Phase::Idle if waited >= SLEEP_AFTER => conn.send_to_sleep(),
        // There is no request yet; the access log gets a line of its own.
        Phase::Head if is_late(conn, header_timeout(conn, compiled)) || over(http.timeout) => conn.time_out(),
        Phase::Head if waited >= SLEEP_AFTER => conn.send_to_sleep(),
        Phase::Body if is_late(conn, body_timeout(conn, compiled)) || over(http.timeout) => {
            let text = "the client did not send the request body in time";
            current.host_logs.about(conn.body_host.get() as usize, || {
                crate::note_code(Level::Error, "WSGI0126", Some(&conn.endpoints.client), text);
            });
            conn.time_out();
        }
        // While a request is served nobody reads from the socket, so a reset is found by this check.
        Phase::Serving if check_client && conn.is_gone() => conn.kill(),
        _ => {}
    }
}

/// Whether a head or a body has taken longer than it may.
fn is_late(conn: &Conn, timeout: ReadTimeout) -> bool {
    let (took, bytes) = conn.stage();
    timeout.allowed(bytes).is_some_and(|seconds| took as f64 > seconds * 1_000.0)
}

/// The time for a head: that of the first host of the address, because no host is named yet.
fn header_timeout(conn: &Conn, compiled: &Compiled) -> ReadTimeout {
    let hosts = &compiled.site().hosts;
    let host = if hosts.len() > 1 { compiled.first_host(conn.endpoints.local_address()) } else { 0 };
    hosts[host].read_timeouts.header
}

/// The time for a handshake: that of the first host of the address, because no host is named yet.
fn handshake_timeout(conn: &Conn, compiled: &Compiled) -> ReadTimeout {
    let hosts = &compiled.site().hosts;
    let own = hosts[compiled.first_host(conn.endpoints.local_address())].read_timeouts.handshake;
    if own.seconds > 0.0 { own } else { ReadTimeout::fixed(compiled.site().http.timeout) }
}

/// The time for a body: that of the request's host. A reload may have changed their number.
fn body_timeout(conn: &Conn, compiled: &Compiled) -> ReadTimeout {
    let hosts = &compiled.site().hosts;
    hosts.get(conn.body_host.get() as usize).unwrap_or(&hosts[0]).read_timeouts.body
}
