//! The admin pages of a running server, read as any other client would. One request, one answer, no library.

use gk_wire::admin::FRONT_FOLDER;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// Longest wait for the admin pages.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest answer in bytes.
const LONGEST: u64 = 64 << 20;

/// Where the pages are, and what opens them.
pub struct Pages {
    address: String,
    token: Option<String>,
    patience: Duration,
}

impl Pages {
    /// `url`: as the server's status has it. The token stands in the server root where one is needed, or in the folder of a front
    /// that runs as another user.
    pub fn new(url: &str, server_root: &Path) -> Self {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        // All addresses of the machine include this one.
        let address = address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
        let folders = [server_root.to_owned(), server_root.join(FRONT_FOLDER)];
        let token =
            folders.iter().find_map(|folder| std::fs::read_to_string(folder.join("admin.token")).ok());
        Self { address, token: token.map(|token| token.trim().to_owned()), patience: PATIENCE }
    }

    /// With another longest wait.
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Reads a page of JSON.
    pub fn read(&self, path: &str) -> Result<Value, String> {
        let failed =
            |why: std::io::Error| format!("the admin pages on {} cannot be read: {why}", self.address);
        let addresses = self.address.to_socket_addrs().map_err(failed)?;
        let none = std::io::Error::other("no such address");
        let address = addresses.into_iter().next().ok_or(none).map_err(failed)?;
        let mut stream = TcpStream::connect_timeout(&address, self.patience).map_err(failed)?;
        stream.set_read_timeout(Some(self.patience)).map_err(failed)?;
        let token = self.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}\r\n",
            self.address,
            token.unwrap_or_default()
        );
        stream.write_all(head.as_bytes()).map_err(failed)?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).map_err(failed)?;
        body(&answer).map_err(|why| format!("the admin pages on {} answer {why}", self.address))
    }
}

/// The JSON in an answer.
fn body(answer: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or("nothing")?;
    let first = head.lines().next().unwrap_or("");
    if first.split(' ').nth(1) != Some("200") {
        return Err(format!("`{first}`: {}", body.lines().next().unwrap_or("")));
    }
    serde_json::from_str(body).map_err(|why| format!("what is not JSON ({why})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n{\"x\": 1}").unwrap()["x"], 1);
        assert_eq!(
            body(b"HTTP/1.1 401 Unauthorized\r\n\r\na token is needed\n").unwrap_err(),
            "`HTTP/1.1 401 Unauthorized`: a token is needed"
        );
        assert!(body(b"").is_err());
    }
}
