//! Sockets that carry file descriptors, memory files, and the limit on descriptors. The messages themselves are `gk-wire`'s.

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Least number of a descriptor [`out_of_the_way`].
const HIGH: RawFd = 256;
/// Most descriptors that one message carries.
pub const MAX_FDS: usize = 4;

/// Raises the soft limit on open descriptors to the hard one. Returns both as they were; `u64::MAX` is none.
pub fn raise_limit() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile);
    // Up to the hard limit this cannot fail; if it does, the old limit stays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
}

/// A connected pair for control messages: packets keep their borders, descriptors may ride along.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// A connected pair of byte streams for a link.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// Sends bytes (a whole packet, or some bytes of a stream) with descriptors attached to the first of them. Returns how
/// many bytes went out. The receiver's death is an error (`BrokenPipe`), never a signal.
pub fn send(socket: impl AsFd, data: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more descriptors than one message carries"));
    }
    let slices = [IoSlice::new(data)];
    Ok(retry_on_intr(|| sendmsg(&socket, &slices, &mut ancillary, SendFlags::NOSIGNAL))?)
}

/// Sends more descriptors than [`receive`] takes.
#[cfg(test)]
pub(crate) fn send_many(socket: impl AsFd, data: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2 * MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(fds)));
    sendmsg(&socket, &[IoSlice::new(data)], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
}

/// Sends what a socket takes without waiting; `WouldBlock` says it takes nothing now.
pub fn try_send(socket: impl AsFd, data: &[u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::net::send(&socket, data, SendFlags::NOSIGNAL | SendFlags::DONTWAIT))?)
}

/// Result of [`receive`].
#[derive(Debug, Default)]
pub struct Received {
    /// Bytes written to the buffer; 0 is the end of the stream.
    pub bytes: usize,
    /// Descriptors that rode along, close-on-exec.
    pub fds: Vec<OwnedFd>,
    /// Descriptors were lost: this process is at its limit of open files, or more than [`MAX_FDS`] came.
    pub cut: bool,
}

/// Receives bytes and descriptors. `wait`: block until there is something; otherwise `WouldBlock` says there is nothing.
pub fn receive(socket: impl AsFd, buffer: &mut [u8], wait: bool) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
    let mut slices = [IoSliceMut::new(buffer)];
    let got = loop {
        match recvmsg(&socket, &mut slices, &mut ancillary, flags) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok(Received { bytes: got.bytes, fds, cut: got.flags.contains(ReturnFlags::CTRUNC) })
}

/// Receives bytes without waiting; `WouldBlock` says there are none. Descriptors that somebody sends along are never opened in
/// this process.
pub fn receive_bytes(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let mut slices = [IoSliceMut::new(buffer)];
    let mut none = RecvAncillaryBuffer::default();
    let got = retry_on_intr(|| recvmsg(&socket, &mut slices, &mut none, RecvFlags::DONTWAIT))?;
    Ok(got.bytes)
}

/// A file in memory with these contents, read position at the start.
pub fn memory_file(name: &str, contents: &[u8]) -> io::Result<File> {
    let fd = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(fd);
    file.write_all(contents)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Reads a memory file from its start, wherever its position is.
pub fn read_memory_file(file: &mut File) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let mut contents = Vec::new();
    file.read_to_end(&mut contents)?;
    Ok(contents)
}

/// Takes a descriptor that the parent process left open under a known number, and marks it close-on-exec so that it
/// does not leak into the processes that an application starts. Fails when no such descriptor is open.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the borrow lasts for this one call, and a number that is not open only gives EBADF.
    let probe = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(probe, rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: it is open (just seen), and each inherited number is taken once, by the code that starts this process.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The same for a process that `gilkeeper serve` starts; the sentence says why there is no such descriptor.
pub fn taken(number: RawFd) -> Result<OwnedFd, String> {
    inherited(number).map_err(|error| {
        format!(
            "descriptor {number} is not open ({error}); this process is started by `gilkeeper serve` only"
        )
    })
}

/// The same descriptor under a high number. A thread that closes it never frees one that [`crate::child::spawn`] gives out
/// meanwhile.
pub fn out_of_the_way(fd: OwnedFd) -> OwnedFd {
    // Where the limit does not allow it, the old number must do.
    rustix::io::fcntl_dupfd_cloexec(&fd, HIGH).unwrap_or(fd)
}

/// A second descriptor for what the process has open under a number (an application's `fileno()`).
pub fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a descriptor"));
    }
    // SAFETY: the borrow lasts for this one call, and a number that is not open only gives EBADF.
    let number = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(rustix::io::fcntl_dupfd_cloexec(number, 3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_arrives_whole_with_its_descriptor() {
        let (a, b) = packet_pair().unwrap();
        let file = memory_file("t", b"contents").unwrap();
        send(&a, b"first", &[file.as_fd()]).unwrap();
        send(&a, b"second", &[]).unwrap();
        let mut buffer = [0; 64];
        let first = receive(&b, &mut buffer, true).unwrap();
        assert_eq!(&buffer[..first.bytes], b"first");
        let mut passed = File::from(first.fds.into_iter().next().unwrap());
        assert_eq!(read_memory_file(&mut passed).unwrap(), b"contents");
        let second = receive(&b, &mut buffer, true).unwrap();
        assert_eq!((&buffer[..second.bytes], second.fds.len()), (&b"second"[..], 0));
        assert_eq!(receive(&b, &mut buffer, false).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(a);
        assert_eq!(receive(&b, &mut buffer, true).unwrap().bytes, 0);
    }

    #[test]
    fn bytes_are_received_without_the_descriptors_that_came_along() {
        let (a, b) = packet_pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let mut buffer = [0; 64];
        assert_eq!(receive_bytes(&b, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        send(&a, b"x", &[writer.as_fd()]).unwrap();
        drop(writer);
        assert_eq!(receive_bytes(&b, &mut buffer).unwrap(), 1);
        // The end of the pipe: nobody holds its other end.
        assert_eq!((&reader).read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn sending_to_a_dead_peer_is_an_error_and_no_signal() {
        let (a, b) = stream_pair().unwrap();
        drop(b);
        assert_eq!(send(&a, b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_descriptor_that_is_not_open_is_an_error() {
        assert!(inherited(987).is_err());
    }
}
