//! A server's own figures, from its admin pages. One request, one answer, no library.

use gk_telemetry::totals::Totals;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Longest wait.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer in bytes.
const LONGEST: u64 = 64 << 20;

/// All counters at this moment. `address`: host and port of the admin pages.
pub fn totals(address: &str) -> Result<Totals, String> {
    let body = get(address, "/api/v1/totals")?;
    serde_json::from_slice(&body).map_err(|why| format!("the admin pages on {address} answer {why}"))
}

fn get(address: &str, path: &str) -> Result<Vec<u8>, String> {
    let failed = |why: std::io::Error| format!("the admin pages on {address} cannot be read: {why}");
    let mut addresses = address.to_socket_addrs().map_err(failed)?;
    let address = addresses.next().ok_or_else(|| failed(std::io::Error::other("no such address")))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).map_err(failed)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let first =
        String::from_utf8_lossy(answer.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
    if first.split(' ').nth(1) != Some("200") {
        return Err(format!("the admin pages on {address} answer `{first}`"));
    }
    Ok(answer.split_off((end + 4).min(answer.len())))
}
