//! A client that writes and reads raw bytes.

use super::PATIENCE;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A client on a stream of bytes, mostly a raw socket.
pub struct Client<S = TcpStream> {
    pub stream: S,
    rest: Vec<u8>,
}

/// A response as it was on the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, v) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then_some(v.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    pub fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::on(stream)
    }

    /// Whether the server has taken the connection from the kernel's queue: until then its end belongs to no file. IPv4 on this machine.
    pub fn is_accepted(&self) -> bool {
        let hex = |address: SocketAddr| match address {
            SocketAddr::V4(it) => format!("{:08X}:{:04X}", u32::from_ne_bytes(it.ip().octets()), it.port()),
            SocketAddr::V6(_) => panic!("not in this table"),
        };
        let ends = [self.stream.peer_addr(), self.stream.local_addr()].map(|end| hex(end.unwrap()));
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.any(|row| row[1] == ends[0] && row[2] == ends[1] && row[9] != "0")
    }
}

impl<S: Read + Write> Client<S> {
    pub fn on(stream: S) -> Self {
        Self { stream, rest: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    pub fn get(&mut self, path: &str) -> &mut Self {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n"))
    }

    fn more(&mut self) -> usize {
        let mut piece = [0; 64 * 1024];
        let n = self.stream.read(&mut piece).unwrap_or(0);
        self.rest.extend_from_slice(&piece[..n]);
        n
    }

    /// The head of the next response.
    pub fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.rest.windows(4).position(|w| w == b"\r\n\r\n") {
                break at;
            }
            assert!(
                self.more() > 0,
                "the connection ended before a head: {:?}",
                String::from_utf8_lossy(&self.rest)
            );
        };
        let head = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        self.rest.drain(..end + 4);
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap();
        Answer { status, head, body: Vec::new() }
    }

    /// The next response with its body, by Content-Length or chunked.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.header("transfer-encoding").is_some() {
            loop {
                let size = loop {
                    if let Some(at) = self.rest.windows(2).position(|w| w == b"\r\n") {
                        let line: Vec<u8> = self.rest.drain(..at + 2).collect();
                        break usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
                    }
                    assert!(self.more() > 0, "the connection ended inside a chunked body");
                };
                while self.rest.len() < size + 2 {
                    assert!(self.more() > 0, "the connection ended inside a chunk");
                }
                answer.body.extend(self.rest.drain(..size));
                self.rest.drain(..2);
                if size == 0 {
                    return answer;
                }
            }
        }
        let length = answer.header("content-length").map_or(0, |v| v.parse().unwrap());
        while self.rest.len() < length {
            assert!(self.more() > 0, "the connection ended inside a body");
        }
        answer.body = self.rest.drain(..length).collect();
        answer
    }

    /// Everything until the end of the connection; `false`: it ended with a reset.
    pub fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut all = std::mem::take(&mut self.rest);
        let proper = self.stream.read_to_end(&mut all).is_ok();
        (all, proper)
    }
}
