//! Reading a file whole, without waiting for the writer of a named pipe.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// The contents of a file. A named pipe is an error: without a writer, its reader waits for ever, and nobody could read it a second
/// time. A path below `/dev` is read whatever it is: what the shell opens for `<(command)` is there.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.file_type().is_fifo() && !path.starts_with("/dev") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe, not a file"));
    }
    std::fs::read(path)
}

/// The same of a file that holds text. `Err` for text that is not in UTF-8, too.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    /// Reported: `gilkeeper compare PIPE` and `load --body-file PIPE` waited without end, and said nothing.
    #[test]
    fn a_named_pipe_is_refused_and_what_the_shell_opened_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(read(&pipe).unwrap_err().to_string(), "it is a pipe, not a file");
        assert_eq!(read_text(&pipe).unwrap_err().to_string(), "it is a pipe, not a file");
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&writer, b"text").unwrap();
        drop(writer);
        let opened = format!("/dev/fd/{}", reader.as_raw_fd());
        assert_eq!(read_text(Path::new(&opened)).unwrap(), "text");
    }

    #[test]
    fn text_is_in_utf_8() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(read(&path).unwrap(), [0xff]);
        assert_eq!(read_text(&path).unwrap_err().to_string(), "it is not in UTF-8");
    }
}
