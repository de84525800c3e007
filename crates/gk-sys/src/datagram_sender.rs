//! Datagrams with their sender. The kernel's message about the sender is read by hand: `rustix` takes its process id for one that
//! is never zero, and it is zero where the sender's process namespace cannot be seen from here.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Bytes of the credentials' message: header and process, user and group id, padded to whole words.
const ROOM: usize = 32;

/// Control messages, aligned as their headers are. There is room for the credentials, which the kernel puts first, and for
/// nothing else: descriptors that somebody sends along are never opened in this process.
#[repr(C, align(8))]
struct Control([u8; ROOM]);

/// A datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    /// Bytes written to the buffer.
    pub bytes: usize,
    /// The datagram was longer than the buffer.
    pub cut: bool,
    /// The sender's process id as it is seen from here; `None` where it is not.
    pub sender: Option<u32>,
}

/// Asks the kernel to name the sender of each datagram.
pub fn want_senders(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_passcred(socket, true)?)
}

/// Takes a datagram without waiting; `WouldBlock` says there is none.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Datagram> {
    let mut control = Control([0; ROOM]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: numbers and pointers, for all of which zero is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = ROOM as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header names one buffer and the control messages' place with their lengths, and both outlive the call.
    let got = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) };
    let bytes = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    let filled = (header.msg_controllen as usize).min(ROOM);
    Ok(Datagram { bytes, cut: header.msg_flags & libc::MSG_TRUNC != 0, sender: sender(&control.0[..filled]) })
}

/// The process id in a control message with credentials: length, level, type, then process, user and group id.
fn sender(control: &[u8]) -> Option<u32> {
    const WORD: usize = size_of::<usize>();
    let number = |at: usize| Some(i32::from_ne_bytes(control.get(at..at + 4)?.try_into().ok()?));
    let length = usize::from_ne_bytes(control.get(..WORD)?.try_into().ok()?);
    let whole = length >= WORD + 8 + 12 && control.len() >= WORD + 8 + 12;
    let credentials = (number(WORD)?, number(WORD + 4)?) == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS);
    let pid = u32::try_from(number(WORD + 8)?).ok()?;
    (whole && credentials && pid > 0).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors;
    use std::io::Read;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn the_kernel_names_the_sender() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        want_senders(&ours).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(receive(&ours, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        theirs.send(b"first").unwrap();
        let sender = Some(std::process::id());
        assert_eq!(receive(&ours, &mut buffer).unwrap(), Datagram { bytes: 5, cut: false, sender });
        assert_eq!(&buffer[..5], b"first");
        theirs.send(b"longer than eight").unwrap();
        assert_eq!(receive(&ours, &mut buffer).unwrap(), Datagram { bytes: 8, cut: true, sender });
    }

    #[test]
    fn without_being_asked_the_kernel_names_nobody() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.send(b"x").unwrap();
        assert_eq!(receive(&ours, &mut [0; 8]).unwrap(), Datagram { bytes: 1, cut: false, sender: None });
    }

    #[test]
    fn descriptors_that_are_sent_along_are_not_kept() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        want_senders(&ours).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        descriptors::send(&theirs, b"x", &[writer.as_fd()]).unwrap();
        drop(writer);
        assert_eq!(receive(&ours, &mut [0; 8]).unwrap().sender, Some(std::process::id()));
        // The end of the pipe: nobody holds its other end.
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn senders_are_read_from_whole_messages_only() {
        let message = |length: usize, kind: i32, pid: i32| {
            let mut bytes = length.to_ne_bytes().to_vec();
            [libc::SOL_SOCKET, kind, pid, 1000, 1000].iter().for_each(|n| bytes.extend(n.to_ne_bytes()));
            bytes.resize(ROOM, 0);
            bytes
        };
        let length = size_of::<usize>() + 20;
        let credentials = libc::SCM_CREDENTIALS;
        assert_eq!(sender(&message(length, credentials, 77)), Some(77));
        for (bytes, why) in [
            (message(length, credentials, 0), "a process of a namespace that is not seen from here"),
            (message(length, credentials, -1), "no process id"),
            (message(length, libc::SCM_RIGHTS, 77), "something else"),
            (message(length - 4, credentials, 77), "cut short"),
            (message(length, credentials, 77)[..length - 1].to_vec(), "cut short"),
            (Vec::new(), "nothing"),
        ] {
            assert_eq!(sender(&bytes), None, "{why}");
        }
    }
}
