//! The bytes of a head before hyper gets them. hyper takes 16 KiB for its buffers with the first byte; a connection that has sent nothing,
//! or a head that comes byte by byte, holds what has come.

use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use crate::client::connection::Conn;
use crate::front::Front;

/// Most bytes per read.
const PIECE: usize = 8 * 1024;
/// Bytes of a head from which on hyper gets them as they come.
const MOST: usize = 8 * 1024;

/// Waits until hyper can do something with the bytes of the next head: it is whole, long, or none. `before`: what there is of it. `Err`: no
/// more will come.
pub async fn receive(front: &Front, conn: &Conn, before: Bytes) -> Result<Bytes, Bytes> {
    let mut head = Vec::from(before);
    conn.doze();
    let usable = loop {
        if !is_readable(front, conn).await {
            break false;
        }
        match read(conn, &mut head) {
            // A request that has begun is waited for, by hyper.
            _ if hurries(front) => break true,
            Ok(0) => break !head.is_empty(),
            Ok(_) if is_for_hyper(&head) => break true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break false,
        }
    };
    conn.wake_up();
    let head = Bytes::from(head);
    if usable { Ok(head) } else { Err(head) }
}

/// Waits for the next byte. `false`: the connection is to end.
pub(in crate::client) async fn is_readable(front: &Front, conn: &Conn) -> bool {
    poll_fn(|cx| {
        if conn.poll_killed(cx) {
            return Poll::Ready(false);
        }
        if hurries(front) {
            // What waits in the socket was sent before anybody could know.
            return Poll::Ready(conn.is_in_head() || conn.has_bytes());
        }
        conn.poll_readable(cx).map(|()| true)
    })
    .await
}

/// Whether connections without a request are to end now.
pub(in crate::client) fn hurries(front: &Front) -> bool {
    front.stopping.get() && !front.is_patient.get()
}

/// Reads without waiting; returns the number of bytes.
fn read(conn: &Conn, head: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = [0; PIECE];
    let got = conn.stream().try_read(&mut piece)?;
    let mut fresh = &piece[..got];
    if conn.is_idle() {
        // Empty lines between requests are none (RFC 9112, 2.2).
        let blank = fresh.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        conn.note_received(blank);
        fresh = &fresh[blank..];
    }
    if !fresh.is_empty() {
        conn.note_read(fresh.len());
        if head.is_empty() {
            head.reserve_exact(fresh.len());
        }
        head.extend_from_slice(fresh);
    }
    Ok(got)
}

/// Whether waiting for more bytes has no use.
fn is_for_hyper(head: &[u8]) -> bool {
    let Some(end) = memchr::memchr(b'\n', head) else {
        // Bytes that no request line has are refused at once.
        return head.len() >= MOST || head.iter().any(|byte| *byte < b' ' && *byte != b'\r');
    };
    let line = head[..end].trim_ascii_end();
    let ends = |at: usize| matches!(head[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]);
    head.len() >= MOST
        || !(line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0"))
        || memchr::memchr_iter(b'\n', head).any(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyper_gets_whole_heads_and_what_is_none() {
        let long = "x".repeat(MOST);
        let table: &[(&str, bool)] = &[
            ("", false),
            ("GET / HTTP/1.1", false),
            ("GET / HTTP/1.1\r", false),
            ("GET / HTTP/1.1\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r", false),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.0\n\n", true),
            ("POST / HTTP/1.1\r\nA: b\r\n\r\nbody", true),
            ("GET / HTTP/3.0\r\n", true),
            ("GET /\r\n", true),
            ("X0: 1\r\nX1: 1\r\n", true),
            ("\x16\x03\x01", true),
            (&long, true),
        ];
        for (head, wanted) in table {
            assert_eq!(is_for_hyper(head.as_bytes()), *wanted, "{head:?}");
        }
    }
}
