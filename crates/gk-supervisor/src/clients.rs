//! Clients of the control socket: many at once, each with one command. A slow, silent or lost client costs a little
//! memory for a while and nothing else. The plan carries commands out; `gk_wire::admin` defines them.

use gk_wire::admin::{Answer, Command};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// Longest command line in bytes.
const LONGEST_COMMAND: usize = 16 * 1024;
/// Most bytes kept for a client that does not read.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
/// Time after which a client without a command is disconnected.
const SILENCE: Duration = Duration::from_secs(10);
/// Time after which a client that does not read its last answer is disconnected.
const LINGER: Duration = Duration::from_secs(5);
/// Most clients at once.
const MOST: usize = 256;

/// The control socket and its clients.
#[derive(Debug)]
pub struct Clients {
    listener: UnixListener,
    clients: BTreeMap<u64, Client>,
    next: u64,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// It has sent its command.
    asked: bool,
    /// It was given its last answer.
    done: bool,
    /// When it is disconnected.
    deadline: Option<Duration>,
}

impl Clients {
    /// On a listening socket.
    pub fn new(listener: OwnedFd) -> Self {
        Self { listener: UnixListener::from(listener), clients: BTreeMap::new(), next: 1 }
    }

    /// Accepts every waiting client.
    pub fn accept(&mut self, now: Duration) {
        while self.clients.len() < MOST {
            let Ok((stream, _)) = self.listener.accept() else { return };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            let deadline = Some(now + SILENCE);
            let client = Client {
                stream,
                incoming: Vec::new(),
                outgoing: Vec::new(),
                asked: false,
                done: false,
                deadline,
            };
            self.clients.insert(self.next, client);
            self.next += 1;
        }
    }

    /// Whether there is room for one more client.
    pub fn has_room(&self) -> bool {
        self.clients.len() < MOST
    }

    /// Numbers of the clients, with whether something waits to be sent to them.
    pub fn sockets(&self) -> impl Iterator<Item = (u64, BorrowedFd<'_>, bool)> {
        self.clients.iter().map(|(id, c)| (*id, c.stream.as_fd(), !c.outgoing.is_empty()))
    }

    /// Reads from a client. Returns its command once that is complete.
    pub fn read(&mut self, id: u64) -> Option<Command> {
        let client = self.clients.get_mut(&id)?;
        let mut buffer = [0; 4096];
        loop {
            match client.stream.read(&mut buffer) {
                Ok(0) => {
                    // It is gone, or will send nothing more. Its command goes on either way.
                    self.clients.remove(&id);
                    return None;
                }
                // Nothing is expected after the command.
                Ok(_) if client.asked => {}
                Ok(count) => client.incoming.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.clients.remove(&id);
                    return None;
                }
            }
            if client.asked {
                continue;
            }
            let end = client.incoming.iter().position(|b| *b == b'\n');
            if end.is_none() && client.incoming.len() <= LONGEST_COMMAND {
                continue;
            }
            client.asked = true;
            client.deadline = None;
            let line = std::mem::take(&mut client.incoming);
            return match serde_json::from_slice(&line[..end.unwrap_or(0)]) {
                Ok(command) => Some(command),
                Err(e) => {
                    let text =
                        format!("the command was not understood ({e}); are both sides of the same version?");
                    self.finish(id, &Answer::Done { ok: false, text }, Duration::ZERO);
                    None
                }
            };
        }
    }

    /// Sends a client a line.
    pub fn send(&mut self, id: u64, answer: &Answer) {
        let Some(client) = self.clients.get_mut(&id).filter(|c| !c.done) else { return };
        let mut line =
            serde_json::to_vec(answer).expect("answers hold only strings, numbers and lists of them");
        line.push(b'\n');
        if client.outgoing.len() + line.len() > LONGEST_ANSWER {
            self.clients.remove(&id);
            return;
        }
        client.outgoing.extend_from_slice(&line);
        self.write(id);
    }

    /// Sends a client its last line.
    pub fn finish(&mut self, id: u64, answer: &Answer, now: Duration) {
        self.send(id, answer);
        if let Some(client) = self.clients.get_mut(&id) {
            client.done = true;
            client.deadline = Some(now + LINGER);
        }
        self.write(id);
    }

    /// Sends waiting bytes, as far as there is room.
    pub fn write(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        while !client.outgoing.is_empty() {
            match client.stream.write(&client.outgoing) {
                Ok(count) => drop(client.outgoing.drain(..count)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.clients.remove(&id);
                    return;
                }
            }
        }
        if client.done {
            self.clients.remove(&id);
        }
    }

    /// Time of the next disconnection.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.clients.values().filter_map(|c| c.deadline).min()
    }

    /// Disconnects clients whose time is over.
    pub fn tick(&mut self, now: Duration) {
        self.clients.retain(|_, c| c.deadline.is_none_or(|deadline| deadline > now));
    }
}

impl AsFd for Clients {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
