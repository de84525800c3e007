//! Clients of the control socket: many at once, each with one command. A slow, silent or lost client costs a little
//! memory for a while and nothing else. The plan carries commands out; `gk_wire::admin` defines them.

use gk_wire::admin::{Answer, Command};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
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
    /// Another server accepts them.
    closed: bool,
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
        Self { listener: UnixListener::from(listener), closed: false, clients: BTreeMap::new(), next: 1 }
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
        self.clients.len() < MOST && !self.closed
    }

    /// Another server accepts clients on this socket; those that are here stay.
    pub fn close_door(&mut self) {
        self.closed = true;
    }

    /// This server accepts clients.
    pub fn open_door(&mut self) {
        self.closed = false;
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
                    // It is gone, or will send nothing more. A command that was begun goes on either way.
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

    /// Whether a client has ended its connection. One that only sends nothing more still waits for its answer.
    pub fn has_left(&self, id: u64) -> bool {
        let Some(client) = self.clients.get(&id) else { return true };
        let mut polled = [PollFd::new(&client.stream, PollFlags::empty())];
        poll(&mut polled, Some(&Timespec::default())).is_ok()
            && polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }

    /// Forgets a client that has left.
    pub fn forget(&mut self, id: u64) {
        self.clients.remove(&id);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead as _;

    /// The control socket in a folder of its own, at the time 0.
    struct Socket {
        folder: tempfile::TempDir,
        clients: Clients,
    }

    impl Socket {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(folder.path().join("s")).unwrap();
            listener.set_nonblocking(true).unwrap();
            Self { clients: Clients::new(listener.into()), folder }
        }

        /// Connects a client; the first one is number 1.
        fn client(&mut self) -> UnixStream {
            let stream = UnixStream::connect(self.folder.path().join("s")).unwrap();
            self.clients.accept(Duration::ZERO);
            stream
        }

        fn count(&self) -> usize {
            self.clients.sockets().count()
        }
    }

    fn lines(stream: &UnixStream) -> Vec<Answer> {
        let lines = io::BufReader::new(stream).lines();
        lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    }

    #[test]
    fn a_command_may_arrive_in_pieces_and_is_read_once() {
        let mut socket = Socket::new();
        let mut client = socket.client();
        client.write_all(br#"{"command": "stop", "#).unwrap();
        assert_eq!(socket.clients.read(1), None);
        client.write_all(b"\"now\": true}\n{\"command\": \"status\"}\n").unwrap();
        assert_eq!(socket.clients.read(1), Some(Command::Stop { now: true }));
        assert_eq!(socket.clients.read(1), None);
    }

    #[test]
    fn a_command_that_is_not_understood_gets_an_answer() {
        for command in [b"reload please\n".to_vec(), vec![b' '; LONGEST_COMMAND + 1]] {
            let mut socket = Socket::new();
            let mut client = socket.client();
            client.write_all(&command).unwrap();
            assert_eq!(socket.clients.read(1), None);
            let said = lines(&client);
            assert!(
                matches!(&said[..], [Answer::Done { ok: false, text }] if text.contains("was not understood")),
                "{said:?}"
            );
            assert_eq!(socket.count(), 0);
        }
    }

    #[test]
    fn silent_clients_are_disconnected_and_waiting_ones_are_not() {
        let mut socket = Socket::new();
        let (_silent, mut asks) = (socket.client(), socket.client());
        asks.write_all(b"{\"command\": \"status\"}\n").unwrap();
        assert_eq!(socket.clients.read(2), Some(Command::Status));
        assert_eq!(socket.clients.next_deadline(), Some(SILENCE));
        socket.clients.tick(SILENCE);
        assert_eq!((socket.count(), socket.clients.next_deadline()), (1, None));
        let text = "done".to_owned();
        socket.clients.finish(2, &Answer::Done { ok: true, text: text.clone() }, SILENCE);
        assert_eq!(lines(&asks), [Answer::Done { ok: true, text }]);
        assert_eq!(socket.count(), 0);
    }

    #[test]
    fn a_client_that_does_not_read_is_bounded_in_memory_and_time() {
        let answer = Answer::Progress { text: "x".repeat(1 << 20) };
        let mut socket = Socket::new();
        let _reads_nothing = [socket.client(), socket.client()];
        for _ in 0..8 {
            socket.clients.send(1, &answer);
        }
        assert_eq!(socket.count(), 1, "its answers are longer than {LONGEST_ANSWER} bytes");
        socket.clients.finish(2, &answer, SILENCE);
        assert!(socket.clients.sockets().all(|(_, _, waits)| waits));
        socket.clients.tick(SILENCE + LINGER);
        assert_eq!(socket.count(), 0);
    }

    /// Reported: what was asked of a stopped supervisor was done after SIGCONT, long after the command had told its user that it failed.
    #[test]
    fn one_that_has_left_is_told_from_one_that_waits() {
        let mut socket = Socket::new();
        let (waits, ends, leaves) = (socket.client(), socket.client(), socket.client());
        for mut client in [&waits, &ends, &leaves] {
            client.write_all(b"{\"command\": \"stop\", \"now\": true}\n").unwrap();
        }
        ends.shutdown(std::net::Shutdown::Write).unwrap();
        drop(leaves);
        for (client, has_left) in [(1, false), (2, false), (3, true)] {
            assert_eq!(socket.clients.read(client), Some(Command::Stop { now: true }));
            assert_eq!(socket.clients.has_left(client), has_left, "{client}");
        }
        drop((waits, ends));
        assert!(socket.clients.has_left(1) && socket.clients.has_left(2));
    }

    #[test]
    fn clients_beyond_the_limit_wait_for_a_place() {
        let mut socket = Socket::new();
        let mut streams: Vec<UnixStream> = (0..=MOST).map(|_| socket.client()).collect();
        assert!(!socket.clients.has_room() && socket.count() == MOST);
        drop(streams.remove(0));
        assert_eq!(socket.clients.read(1), None);
        socket.clients.accept(Duration::ZERO);
        assert_eq!(socket.clients.sockets().map(|(client, ..)| client).max(), Some(MOST as u64 + 1));
    }
}
