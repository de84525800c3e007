//! The socket file that takes mod_wsgi's telemetry datagrams.

use gk_sys::datagram_sender;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use tokio::io::Interest;

/// Longest datagram, in bytes.
const LONGEST: usize = 65_536;
/// Datagrams that are read before other tasks run.
const BATCH: usize = 128;
/// Size of the kernel's receive buffer, in bytes.
const BUFFER: usize = 2 << 20;

/// Makes the socket file. It replaces a stale socket, and nothing else.
pub(crate) fn bind(path: &Path, mode: u32) -> Result<UnixDatagram, String> {
    let shown = path.display();
    if let Ok(there) = std::fs::symlink_metadata(path) {
        if !there.file_type().is_socket() {
            return Err(format!("{shown} exists and is not a socket; name another path"));
        }
        let probe = UnixDatagram::unbound().map_err(|why| format!("a socket cannot be created: {why}"))?;
        if probe.connect(path).is_ok() {
            return Err(format!(
                "another process listens on {shown} already; end that process or name another path"
            ));
        }
        std::fs::remove_file(path)
            .map_err(|why| format!("the stale socket {shown} cannot be removed: {why}"))?;
    }
    let failed = |why: io::Error| format!("cannot listen on {shown}: {why}");
    let socket = UnixDatagram::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    // The sender's process id from the kernel cannot be forged, and tells containers apart whose processes are visible here.
    datagram_sender::want_senders(&socket).map_err(failed)?;
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, BUFFER);
    Ok(socket)
}

/// Reads datagrams until the socket fails. `take` gets each one with the sender's process id, where the kernel gives it.
pub(crate) async fn receive(socket: tokio::net::UnixDatagram, take: impl Fn(&[u8], Option<u32>)) {
    let mut bytes = vec![0; LONGEST];
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        for _ in 0..BATCH {
            match socket.try_io(Interest::READABLE, || receive_one(&socket, &mut bytes)) {
                Ok((length, sender)) => take(&bytes[..length], sender),
                Err(_) => break,
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Reads one datagram: its length and its sender.
fn receive_one(socket: &impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Option<u32>)> {
    let datagram = datagram_sender::receive(socket, bytes)?;
    // A datagram that was cut short counts as unreadable.
    Ok((if datagram.cut { 0 } else { datagram.bytes }, datagram.sender))
}
