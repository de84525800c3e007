//! The admin pages of a running server, read as any other client would. One request, one answer, no library.

use gk_wire::admin::FRONT_FOLDER;
use rustix::fs::OFlags;
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// Longest wait for the admin pages.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest answer in bytes.
const LONGEST: u64 = 64 << 20;
/// Longest file of a token in bytes.
const LONGEST_TOKEN: u64 = 256;

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
        let token = folders.iter().find_map(|folder| token(&folder.join("admin.token")));
        Self { address, token, patience: PATIENCE }
    }

    /// With another longest wait.
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Reads a page of JSON.
    pub fn read(&self, path: &str) -> Result<Value, String> {
        let page = self.read_bytes(path)?;
        serde_json::from_slice(&page)
            .map_err(|why| format!("the admin pages on {} answer what is not JSON ({why})", self.address))
    }

    /// Reads a page.
    pub fn read_bytes(&self, path: &str) -> Result<Vec<u8>, String> {
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
        body(&answer)
            .map(<[u8]>::to_vec)
            .map_err(|why| format!("the admin pages on {} answer {why}", self.address))
    }
}

/// The token in a file. The folder may belong to the front's user, and the reader may be root: a link, a pipe or anything that is
/// no token is not read, so that it is sent to nobody and nobody waits for it.
fn token(file: &Path) -> Option<String> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(file).ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.nlink() != 1 {
        return None;
    }
    let mut text = String::new();
    file.take(LONGEST_TOKEN).read_to_string(&mut text).ok()?;
    let token = text.trim();
    (!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())).then(|| token.to_owned())
}

/// What an answer holds.
fn body(answer: &[u8]) -> Result<&[u8], String> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("nothing")?;
    let (head, body) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    let first = head.lines().next().unwrap_or("");
    if first.split(' ').nth(1) != Some("200") {
        let body = String::from_utf8_lossy(body);
        return Err(format!("`{first}`: {}", body.lines().next().unwrap_or("")));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n\x1f\xff\r\n\r\n").unwrap(), b"\x1f\xff\r\n\r\n");
        assert_eq!(
            body(b"HTTP/1.1 401 Unauthorized\r\n\r\na token is needed\n").unwrap_err(),
            "`HTTP/1.1 401 Unauthorized`: a token is needed"
        );
        assert!(body(b"").is_err());
    }

    /// Reported: `status` by root sent any file to the front's user, who had put a link in the place of the token, and waited for
    /// ever at a pipe. Met where the front was taken over.
    #[test]
    fn only_a_file_that_holds_a_token_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("token"), "0123abcdef\n").unwrap();
        assert_eq!(token(&at("token")).unwrap(), "0123abcdef");
        std::fs::write(at("secret"), "root:$6$x:1:0\nbin:*:1:0\n").unwrap();
        std::os::unix::fs::symlink(at("token"), at("link")).unwrap();
        std::fs::write(at("two"), "0123abcdef").unwrap();
        std::fs::hard_link(at("two"), at("names")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();
        for name in ["secret", "link", "names", "pipe", "absent"] {
            assert_eq!(token(&at(name)), None, "{name}");
        }
    }
}
