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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// The error for admin pages that answer with these bytes.
    fn error(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let error = totals(&address).unwrap_err();
        server.join().unwrap();
        error.replace(&address, "ADDRESS")
    }

    #[test]
    fn an_answer_that_holds_no_totals_is_one_sentence() {
        let cases = [
            (
                "HTTP/1.1 401 Unauthorized\r\n\r\n",
                "the admin pages on ADDRESS answer `HTTP/1.1 401 Unauthorized`",
            ),
            ("", "the admin pages on ADDRESS answer ``"),
            ("HTTP/1.1 200 OK\r\n\r\n", "the admin pages on ADDRESS answer EOF while parsing a value"),
        ];
        for (answer, wanted) in cases {
            let error = error(answer);
            assert!(error.starts_with(wanted) && !error.contains('\n'), "{error}");
        }
    }
}
