//! The PROXY protocol, versions 1 and 2: the header before all other bytes of a connection, in which a proxy says who its client is. The
//! parser is pure. [`receive`] takes the header off the socket and not a byte more, so that what follows, TLS or HTTP, begins there.
//! What it says of the server's own end is not used: hosts are chosen by the address that was connected to.

use gk_wire::log::Level;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::client::connection::Conn;
use crate::client::http1::heads::{hurries, is_readable};
use crate::front::Front;

/// The first bytes of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The first bytes of version 1.
const WORD: &[u8] = b"PROXY ";
/// Longest header of version 1, with its line end.
const LONGEST_LINE: usize = 107;
/// Bytes of version 2 before its addresses.
const FIXED: usize = 16;
/// Longest header of version 2. Proxies put certificates and identifiers behind the addresses, some hundred bytes.
const LONGEST: usize = 4096;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The client of the proxy.
    Client(SocketAddr),
    /// Nobody: the proxy itself asks, or does not know, or its client has no address. The other end of the connection counts.
    Nobody,
}

/// Reads a header at the start of some bytes, and returns its length. `Ok(None)`: more bytes are needed. `Err`: there is none, or it is
/// malformed; the text completes "the connection".
pub fn parse(bytes: &[u8]) -> Result<Option<(Told, usize)>, &'static str> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, wanted)| byte == wanted);
    if begins(SIGNATURE) {
        parse_second(bytes)
    } else if begins(WORD) {
        parse_first(bytes)
    } else {
        Err(OTHER)
    }
}

const OTHER: &str = "begins with something else";
const LINE: &str = "begins with a line of version 1 that is malformed";
const LONG_LINE: &str = "begins with a line of version 1 that has no end within 107 bytes";
const VERSION: &str = "has a header of another version than 1 and 2";
const COMMAND: &str = "has a header of version 2 with an unknown command";
const FAMILY: &str = "has a header of version 2 with an unknown kind of addresses";
const SHORT: &str = "has a header of version 2 that is too short for its addresses";
const LONG: &str = "has a header of version 2 that is longer than 4096 bytes";

/// `PROXY TCP4 203.0.113.9 192.0.2.1 4711 443`. One blank between the words, as the protocol demands.
fn parse_first(bytes: &[u8]) -> Result<Option<(Told, usize)>, &'static str> {
    let Some(end) = bytes.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
        return if bytes.len() < LONGEST_LINE { Ok(None) } else { Err(LONG_LINE) };
    };
    // Behind UNKNOWN anything may stand.
    let line = String::from_utf8_lossy(bytes[..end].strip_suffix(b"\r").ok_or(LINE)?);
    let words: Vec<&str> = line.split(' ').collect();
    let told = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Told::Nobody,
        ["PROXY", family @ ("TCP4" | "TCP6"), client, server, from, to] => {
            let address = |text: &str| match *family {
                "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
                _ => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
            };
            let (client, _) = address(client).zip(address(server)).ok_or(LINE)?;
            let (from, _) = port(from).zip(port(to)).ok_or(LINE)?;
            Told::Client(SocketAddr::new(client, from))
        }
        _ => return Err(LINE),
    };
    Ok(Some((told, end + 1)))
}

/// A port without needless zeros.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| digits)
}

/// Signature, version and command, kind of addresses, length, addresses, and further fields, which are not read.
fn parse_second(bytes: &[u8]) -> Result<Option<(Told, usize)>, &'static str> {
    let Some(&[version_command, family]) = bytes.get(12..14) else { return Ok(None) };
    if version_command >> 4 != 2 {
        return Err(VERSION);
    }
    let Some(end) = end(bytes) else { return Ok(None) };
    if end > LONGEST {
        return Err(LONG);
    }
    let Some(rest) = bytes.get(FIXED..end) else { return Ok(None) };
    let told = match (version_command & 0x0f, family) {
        (0, _) => Told::Nobody,
        (1, 0x11 | 0x12) => Told::Client(first_of::<4>(rest, 12)?),
        (1, 0x21 | 0x22) => Told::Client(first_of::<16>(rest, 36)?),
        (1, 0x31 | 0x32) if rest.len() < 216 => return Err(SHORT),
        (1, 0x00 | 0x31 | 0x32) => Told::Nobody,
        (1, _) => return Err(FAMILY),
        _ => return Err(COMMAND),
    };
    Ok(Some((told, end)))
}

/// Where a header of version 2 ends, as soon as it says so.
fn end(header: &[u8]) -> Option<usize> {
    let &[high, low] = header.get(14..FIXED)? else { return None };
    Some(FIXED + usize::from(u16::from_be_bytes([high, low])))
}

/// The first of two addresses of `N` bytes and its port; both take `all` bytes.
fn first_of<const N: usize>(rest: &[u8], all: usize) -> Result<SocketAddr, &'static str>
where
    IpAddr: From<[u8; N]>,
{
    let both = rest.get(..all).ok_or(SHORT)?;
    let (address, from) = both.first_chunk::<N>().zip(both[2 * N..].first_chunk::<2>()).ok_or(SHORT)?;
    Ok(SocketAddr::new(IpAddr::from(*address), u16::from_be_bytes(*from)))
}

/// How many of the bytes behind the start of a header surely are of it, at least one.
fn share(header: &[u8], fresh: &[u8]) -> usize {
    let most = if header.len() < SIGNATURE.len() {
        // Neither version has a shorter one.
        SIGNATURE.len() - header.len()
    } else if header.starts_with(SIGNATURE) {
        end(header).unwrap_or(FIXED).saturating_sub(header.len())
    } else {
        fresh.iter().position(|byte| *byte == b'\n').map_or(LONGEST_LINE, |at| at + 1)
    };
    most.clamp(1, fresh.len().max(1))
}

/// Takes the header off a connection and puts what it says in force. `Err`: there is none, and the connection is to end; that was counted and
/// logged.
pub async fn receive(front: &Front, conn: &Conn) -> Result<(), Unproxied> {
    let mut header = Vec::new();
    conn.doze();
    let told = loop {
        if !is_readable(front, conn).await {
            // A client is late, or the server stops.
            return Err(if front.stopping.get() {
                Unproxied
            } else {
                refuse(front, conn, "sent no whole header in time")
            });
        }
        match take(conn, &mut header) {
            // Who only looks whether the port is open says nothing.
            Ok(0) if header.is_empty() => return Err(Unproxied),
            Ok(0) => return Err(refuse(front, conn, "ended within its header")),
            Ok(_) => {}
            // Half a header is none, and the server does not wait for the rest.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => match hurries(front) {
                true => return Err(Unproxied),
                false => continue,
            },
            Err(_) => return Err(Unproxied),
        }
        match parse(&header) {
            Ok(None) => {}
            Ok(Some((told, _))) => break told,
            Err(why) => return Err(refuse(front, conn, why)),
        }
    };
    conn.wake_up();
    if let Told::Client(client) = told {
        conn.endpoints.tell(client);
    }
    Ok(())
}

/// A connection ends without a header.
#[derive(Debug)]
pub struct Unproxied;

/// Reads what there is of the header.
fn take(conn: &Conn, header: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = [0; 256];
    let stream = conn.stream();
    let seen = match rustix::net::recv(&*stream, &mut piece[..], rustix::net::RecvFlags::PEEK) {
        Ok((seen, _)) => seen,
        // The read below is told so, too; only then the event loop waits again.
        Err(_) => 0,
    };
    let most = share(header, &piece[..seen]);
    let got = stream.socket().try_read(&mut piece[..most])?;
    header.extend_from_slice(&piece[..got]);
    conn.note_received(got);
    Ok(got)
}

/// Counts and logs a connection that ends here.
fn refuse(front: &Front, conn: &Conn, why: &str) -> Unproxied {
    if let Some(count) = front.unproxied.note() {
        let text = format!(
            "a connection {why}, where RemoteIPProxyProtocol expects a header of the PROXY protocol: it was closed; {count} were so far"
        );
        crate::note_code(Level::Warn, "GK0035", Some(&conn.endpoints.client), &text);
    }
    Unproxied
}

#[cfg(test)]
#[path = "proxied_tests.rs"]
mod tests;
