"""Log streams, restricted standard streams, and the file wrapper.

The files of this folder run as one source, in the order in `runtime.rs`, and share one namespace. The server puts two names into
it first: `host` (functions of the server: log, request_id, ...) and `facts` (settings of this process and this interpreter).
"""

import sys
import threading
import types


class LogWriter:
    """What the text stream and its binary side have in common."""

    closed = False

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def close(self):
        self.flush()

    def isatty(self):
        return False

    def readable(self):
        return False

    def writable(self):
        return True

    def seekable(self):
        return False


class LogStream(LogWriter):
    """A text stream that writes each line as a record of the error log."""

    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None
    _most = 8192

    def __init__(self, level, descriptor=2):
        self.level = level
        self._descriptor = descriptor
        self.mode = "w"
        self.name = "<gilkeeper log>"
        self.buffer = LogBuffer(self)
        self._parts = threading.local()

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        pending = getattr(self._parts, "text", "") + text
        if "\n" in pending:
            lines, _, pending = pending.rpartition("\n")
            host.log(self.level, lines)
        # The rest is cut off once, not with every piece: that would take the square of its length.
        begin = 0
        while len(pending) - begin > self._most:
            host.log(self.level, pending[begin : begin + self._most])
            begin += self._most
        self._parts.text = pending[begin:]
        return len(text)

    def flush(self):
        pending = getattr(self._parts, "text", "")
        if pending:
            self._parts.text = ""
            host.log(self.level, pending)

    def fileno(self):
        """The process's own descriptor, for programs that it starts and for faulthandler: it leads to the error log, too."""
        return self._descriptor

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.flush()


class LogBuffer(LogWriter):
    """The binary side of a `LogStream`."""

    def __init__(self, stream):
        self.raw = self
        self.name = stream.name
        self.mode = "wb"
        self._stream = stream

    def write(self, data):
        # Not `bytes(data)`, which would make three NULs of 3. Text is taken, as by mod_wsgi.
        data = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else memoryview(data).tobytes()
        self._stream.write(data.decode("utf-8", "backslashreplace"))
        return len(data)

    def flush(self):
        self._stream.flush()

    def fileno(self):
        return self._stream.fileno()


errors = LogStream("error")


class Restricted:
    """Replaces a standard stream that the configuration forbids: every use raises OSError."""

    def __init__(self, name, directive):
        self.__dict__["_message"] = f"{name} access is restricted by the configuration ({directive} On)"

    def __getattr__(self, _):
        raise OSError(self._message)

    def __iter__(self):
        raise OSError(self._message)

    __next__ = __enter__ = __iter__

    def __setattr__(self, *_):
        raise OSError(self._message)


class LogHandler:
    """Creates a `logging.Handler` on first use, so that `logging` is imported only by applications that want it."""

    def __new__(cls, *args, **kwargs):
        import logging

        names = {"CRITICAL": "crit", "ERROR": "error", "WARNING": "warn", "INFO": "info", "DEBUG": "debug"}

        class Handler(logging.Handler):
            """Writes records to the server's error log at the matching level."""

            def emit(self, record):
                try:
                    host.log(names.get(record.levelname, "error"), self.format(record))
                except Exception:
                    self.handleError(record)

        Handler.__name__ = Handler.__qualname__ = "LogHandler"
        return Handler(*args, **kwargs)


class FileWrapper:
    """`wsgi.file_wrapper`: an iterable over a file that the server may send without Python."""

    def __init__(self, filelike, blksize=8192):
        self.filelike = filelike
        self.blksize = blksize
        # Werkzeug's range responses seek in the wrapper, and read only what was asked for.
        for name in ("close", "seek", "tell"):
            if hasattr(filelike, name):
                setattr(self, name, getattr(filelike, name))

    def seekable(self):
        if hasattr(self.filelike, "seekable"):
            return self.filelike.seekable()
        return hasattr(self.filelike, "seek")

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration


# Files of the kernel and of some FUSE systems (/proc, /sys) have no blocks; as size they give 0, or that of a page.
PAGE = 65536


def regular_file(wrapper):
    """How the wrapped object is sent without asking it block by block; None if it is no regular file with a position.

    (descriptor, offset, size), or (bytes, whether that is all) where only reading tells how much there is.
    """
    import io
    import os
    import stat

    filelike = wrapper.filelike
    # Other objects may give other bytes than their descriptor, as gzip.open() does.
    if type(filelike) not in (io.BufferedReader, io.BufferedRandom, io.FileIO):
        return None
    if type(getattr(filelike, "raw", filelike)) is not io.FileIO:
        return None
    try:
        descriptor = filelike.fileno()
        offset = filelike.tell()
        status = os.fstat(descriptor)
    except Exception:
        return None
    if not stat.S_ISREG(status.st_mode) or not isinstance(offset, int):
        return None
    if status.st_size == 0 or (status.st_blocks == 0 and status.st_size <= PAGE):
        parts, length = [], 0
        while length <= PAGE:
            part = filelike.read(PAGE)
            if not part:
                return (b"".join(parts), True)
            parts.append(part)
            length += len(part)
        return (b"".join(parts), False)
    return (descriptor, offset, status.st_size)
