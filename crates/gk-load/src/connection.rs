//! One connection: connects, writes a ready-made request, reads until the response ends. Counting and deciding are
//! [`crate::engine`]'s.

use crate::framing::{Framing, Head, Step};
use crate::report::Failure;
use crate::request::Prepared;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with, sockopt};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;

/// State of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// No request.
    Idle,
    /// Connecting; the request is written afterwards.
    Connecting,
    /// The request is being written, or the response awaited.
    Busy,
    /// Failed to connect; tries again later.
    Resting,
}

/// Result of reading or writing.
#[derive(Debug, PartialEq, Eq)]
pub enum ResponseEvent {
    /// Nothing yet.
    Nothing,
    /// The response is complete.
    Response(Head),
    /// There will be no response.
    Failed(Failure),
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    index: u32,
    /// Number of the current socket; identifies late events of an earlier one.
    generation: u32,
    socket: Option<TcpStream>,
    framing: Framing,
    /// Its state.
    pub state: ConnectionState,
    /// Index of its request.
    pub request: u16,
    /// Start of the latency, nanoseconds.
    pub due: u64,
    /// Time at which it gives up, or tries again, nanoseconds.
    pub deadline: u64,
    /// Its place in the mix.
    pub place: usize,
    written: usize,
    /// Not all of the request is written, so nothing may follow it on this connection.
    unwritten: bool,
    wants_write: bool,
    /// Cookies the server set, and the request written with them.
    jar: Option<(BTreeMap<String, String>, Vec<u8>)>,
}

impl Connection {
    /// Not connected yet.
    pub fn new(index: usize, keep_cookies: bool) -> Self {
        Self {
            index: index as u32,
            generation: 0,
            socket: None,
            framing: Framing::new(keep_cookies),
            state: ConnectionState::Idle,
            request: 0,
            due: 0,
            deadline: 0,
            place: index,
            written: 0,
            unwritten: false,
            wants_write: false,
            jar: keep_cookies.then(Default::default),
        }
    }

    /// Number and generation from the data of an event.
    pub fn who(data: u64) -> (usize, u32) {
        (data as u32 as usize, (data >> 32) as u32)
    }

    /// Whether the socket is still the one of that generation.
    pub fn is(&self, generation: u32) -> bool {
        self.generation == generation && self.socket.is_some()
    }

    fn data(&self) -> EventData {
        EventData::new_u64(u64::from(self.generation) << 32 | u64::from(self.index))
    }

    /// Sends `self.request`, on a new socket if there is none.
    pub fn ask(
        &mut self,
        epoll: BorrowedFd<'_>,
        address: &SocketAddr,
        requests: &[Prepared],
    ) -> ResponseEvent {
        (self.written, self.unwritten) = (0, true);
        let prepared = &requests[usize::from(self.request)];
        if let Some((cookies, out)) = &mut self.jar {
            for (name, value) in &prepared.cookies {
                cookies.entry(name.clone()).or_insert_with(|| value.clone());
            }
            prepared.write(cookies, out);
        }
        if self.socket.is_some() {
            self.state = ConnectionState::Busy;
            return self.write(epoll, requests);
        }
        self.state = ConnectionState::Connecting;
        match self.open(epoll, address) {
            Ok(true) => {
                self.state = ConnectionState::Busy;
                self.write(epoll, requests)
            }
            Ok(false) => ResponseEvent::Nothing,
            Err(_) => ResponseEvent::Failed(Failure::Connect),
        }
    }

    /// Starts connecting; `true`: already connected.
    fn open(&mut self, epoll: BorrowedFd<'_>, address: &SocketAddr) -> rustix::io::Result<bool> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        let connected = match connect(&socket, address) {
            Ok(()) => true,
            Err(rustix::io::Errno::INPROGRESS) => false,
            Err(why) => return Err(why),
        };
        self.generation = self.generation.wrapping_add(1);
        self.wants_write = !connected;
        epoll::add(epoll, &socket, self.data(), self.interest())?;
        self.socket = Some(TcpStream::from(socket));
        self.framing.reset();
        Ok(connected)
    }

    fn interest(&self) -> EventFlags {
        if self.wants_write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN }
    }

    fn want_write(&mut self, epoll: BorrowedFd<'_>, wanted: bool) {
        if self.wants_write != wanted {
            self.wants_write = wanted;
            if let Some(socket) = &self.socket {
                // Only lack of memory can make this fail; the timeout ends the request then.
                let _ = epoll::modify(epoll, socket, self.data(), self.interest());
            }
        }
    }

    fn write(&mut self, epoll: BorrowedFd<'_>, requests: &[Prepared]) -> ResponseEvent {
        let bytes = match &self.jar {
            Some((_, out)) => out.as_slice(),
            None => &requests[usize::from(self.request)].bytes,
        };
        let Some(mut socket) = self.socket.as_ref() else { return ResponseEvent::Failed(Failure::Connect) };
        while self.written < bytes.len() {
            match socket.write(&bytes[self.written..]) {
                Ok(count) => self.written += count,
                Err(why) if why.kind() == ErrorKind::WouldBlock => {
                    self.want_write(epoll, true);
                    return ResponseEvent::Nothing;
                }
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                // An early response (413, say) is still read; reading also finds out when there is none.
                Err(_) => {
                    self.want_write(epoll, false);
                    return ResponseEvent::Nothing;
                }
            }
        }
        self.unwritten = false;
        self.want_write(epoll, false);
        ResponseEvent::Nothing
    }

    /// The socket is writable again, or connected.
    pub fn writable(&mut self, epoll: BorrowedFd<'_>, requests: &[Prepared]) -> ResponseEvent {
        match self.state {
            ConnectionState::Connecting => {
                let error = self.socket.as_ref().and_then(|socket| socket.take_error().ok()).flatten();
                if error.is_some() {
                    return ResponseEvent::Failed(Failure::Connect);
                }
                self.state = ConnectionState::Busy;
                self.write(epoll, requests)
            }
            ConnectionState::Busy => self.write(epoll, requests),
            ConnectionState::Idle | ConnectionState::Resting => {
                self.want_write(epoll, false);
                ResponseEvent::Nothing
            }
        }
    }

    /// The socket is readable, or has ended. `bytes`: counter of the bytes read.
    pub fn readable(&mut self, buffer: &mut [u8], head_only: bool, bytes: &mut u64) -> ResponseEvent {
        loop {
            let Some(mut socket) = self.socket.as_ref() else { return ResponseEvent::Nothing };
            let count = match socket.read(buffer) {
                Ok(0) => return self.ended(),
                Ok(count) => count,
                Err(why) if why.kind() == ErrorKind::WouldBlock => return ResponseEvent::Nothing,
                Err(why) if why.kind() == ErrorKind::Interrupted => continue,
                Err(_) if self.state == ConnectionState::Connecting => {
                    return ResponseEvent::Failed(Failure::Connect);
                }
                Err(_) => return self.ended(),
            };
            *bytes += count as u64;
            if self.state != ConnectionState::Busy {
                return ResponseEvent::Failed(Failure::Malformed);
            }
            match self.framing.feed(&buffer[..count], head_only) {
                // A short read: no more bytes for now.
                Step::More if count < buffer.len() => return ResponseEvent::Nothing,
                Step::More => {}
                Step::Done(head, used) if used == count => {
                    self.remember();
                    return ResponseEvent::Response(Head { close: head.close || self.unwritten, ..head });
                }
                Step::Done(..) | Step::Malformed => return ResponseEvent::Failed(Failure::Malformed),
            }
        }
    }

    fn ended(&mut self) -> ResponseEvent {
        let begun = self.framing.begun();
        let whole = self.framing.end();
        self.close();
        match (self.state, whole) {
            (ConnectionState::Busy, Some(head)) => {
                self.remember();
                ResponseEvent::Response(head)
            }
            (ConnectionState::Busy, None) => {
                ResponseEvent::Failed(if begun { Failure::Cut } else { Failure::Closed })
            }
            (ConnectionState::Connecting, _) => ResponseEvent::Failed(Failure::Connect),
            // No request under way: the server closed an idle connection.
            (ConnectionState::Idle | ConnectionState::Resting, _) => ResponseEvent::Nothing,
        }
    }

    /// Puts the cookies of the response into the jar.
    fn remember(&mut self) {
        let Some((jar, _)) = &mut self.jar else { return };
        for cookie in self.framing.cookies.iter_mut().flat_map(|cookies| cookies.drain(..)) {
            let mut parts = cookie.split(';');
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let gone = parts.any(|part| part.trim().eq_ignore_ascii_case("max-age=0"));
            match gone {
                true => drop(jar.remove(name.trim())),
                false => drop(jar.insert(name.trim().to_owned(), value.trim().to_owned())),
            }
        }
    }

    /// Closes the socket; the kernel removes it from epoll.
    pub fn close(&mut self) {
        self.socket = None;
        self.framing.reset();
        self.wants_write = false;
    }
}
