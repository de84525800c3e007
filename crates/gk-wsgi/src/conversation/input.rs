//! `wsgi.input`: a binary file to read, over a body that comes in pieces. `seek` only notes the position; the next read goes
//! there, and lets the front send the body again if it lies before what was read. Unread bytes are dropped when the request ends.

use crate::conversation::{Conversation, Progress};
use crate::exchange::Body;
use bytes::{Buf, Bytes, BytesMut};
use gk_python::class::MethodResult;
use gk_python::error::Builtin;
use gk_python::{Attached, Class, Method, Object, PyError};
use gk_sys::clock::Moment;
use std::ffi::CStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest piece taken from the exchange at once, in bytes.
const PIECE: usize = 256 * 1024;

/// The `wsgi.input` object.
pub(crate) struct Input {
    conversation: Arc<Conversation>,
    buffer: Mutex<InputBuffer>,
}

#[derive(Default)]
struct InputBuffer {
    /// Bytes received and not read yet.
    left: BytesMut,
    ended: bool,
    /// `left[..searched]` holds no newline.
    searched: usize,
    /// Position of `left[0]` in the body.
    at: u64,
    /// Position for the next read, if it is another; may lie behind the end.
    target: Option<u64>,
}

impl InputBuffer {
    fn position(&self) -> u64 {
        self.target.unwrap_or(self.at)
    }

    fn drop_front(&mut self, len: usize) {
        self.left.advance(len);
        self.at += len as u64;
        self.searched = 0;
    }
}

/// Positions in [`Input::METHODS`].
mod method {
    pub(super) const READ: usize = 0;
    pub(super) const READLINE: usize = 1;
    pub(super) const READLINES: usize = 2;
    pub(super) const READABLE: usize = 4;
    pub(super) const SEEKABLE: usize = 5;
    pub(super) const WRITABLE: usize = 6;
    pub(super) const READINTO: usize = 7;
    pub(super) const SEEK: usize = 8;
    pub(super) const TELL: usize = 9;
    pub(super) const READ1: usize = 11;
}

impl Input {
    pub(crate) fn new(conversation: Arc<Conversation>) -> Self {
        Self { conversation, buffer: Mutex::default() }
    }

    fn buffer(&self) -> MutexGuard<'_, InputBuffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a piece to the buffer; returns `false` at the end of the body.
    fn more<'p>(&self, py: Attached<'p>) -> Result<bool, PyError<'p>> {
        let piece = self.piece(py, PIECE)?;
        if let Some(bytes) = &piece {
            self.buffer().left.extend_from_slice(bytes);
        }
        Ok(piece.is_some())
    }

    /// The next piece, or `None` at the end of the body. It may lie where nobody keeps it: it is copied before Python runs. The
    /// lock is not held while waiting.
    fn piece<'p>(&self, py: Attached<'p>, most: usize) -> Result<Option<Bytes>, PyError<'p>> {
        if self.buffer().ended {
            return Ok(None);
        }
        loop {
            match self.conversation.exchange.body(most) {
                Body::Bytes(bytes) => return Ok(Some(bytes)),
                Body::End => {
                    self.buffer().ended = true;
                    return Ok(None);
                }
                Body::Wait => py.detach(|| self.conversation.exchange.wait_body()),
                Body::Failed(why) => {
                    let text = format!("mod_wsgi request data read error: {why}");
                    return Err(PyError::new(py, Builtin::OSError, &text));
                }
            }
        }
    }

    /// Goes to the position that `seek` noted.
    fn go<'p>(&self, py: Attached<'p>) -> Result<(), PyError<'p>> {
        loop {
            let (target, at) = {
                let buffer = self.buffer();
                let Some(target) = buffer.target else { return Ok(()) };
                (target, buffer.at)
            };
            if target < at {
                self.rewind(py)?;
                continue;
            }
            {
                let mut buffer = self.buffer();
                let skip = buffer.left.len().min(usize::try_from(target - at).unwrap_or(usize::MAX));
                buffer.drop_front(skip);
                if buffer.at == target {
                    buffer.target = None;
                    return Ok(());
                }
            }
            // Behind the end there is nothing to read, and `tell` still gives the position.
            if !self.more(py)? {
                return Ok(());
            }
        }
    }

    /// Begins the body again. The front sends it a second time when it has sent all of it once.
    fn rewind<'p>(&self, py: Attached<'p>) -> Result<(), PyError<'p>> {
        if self.conversation.progress() == Progress::Ended {
            let text = "wsgi.input cannot go back any more: the response has ended";
            return Err(PyError::new(py, Builtin::OSError, text));
        }
        self.skip_all(py)?;
        self.conversation.exchange.rewind();
        let mut buffer = self.buffer();
        (buffer.at, buffer.ended) = (0, false);
        Ok(())
    }

    /// Drops everything up to the end of the body.
    fn skip_all<'p>(&self, py: Attached<'p>) -> Result<(), PyError<'p>> {
        loop {
            {
                let mut buffer = self.buffer();
                let len = buffer.left.len();
                buffer.drop_front(len);
            }
            if !self.more(py)? {
                return Ok(());
            }
        }
    }

    fn seek<'p>(&self, py: Attached<'p>, args: &[Object<'p>]) -> MethodResult<'p> {
        let (offset, from) = match args {
            [offset] => (offset.index()?, 0),
            [offset, from] => (offset.index()?, from.index()?),
            _ => return Err(PyError::new(py, Builtin::TypeError, "seek() takes an offset and a whence")),
        };
        let base = match from {
            0 => 0,
            1 => self.buffer().position(),
            2 => match self.conversation.exchange.body_length() {
                Some(length) => length,
                None => {
                    self.skip_all(py)?;
                    self.buffer().at
                }
            },
            _ => return Err(PyError::new(py, Builtin::ValueError, "whence must be 0, 1 or 2")),
        };
        let Some(position) = base.checked_add_signed(offset) else {
            return Err(PyError::new(py, Builtin::ValueError, "a position before the beginning"));
        };
        self.buffer().target = Some(position);
        py.int(position as i64)
    }

    fn read<'p>(&self, py: Attached<'p>, most: Option<usize>) -> MethodResult<'p> {
        let most = most.unwrap_or(usize::MAX);
        self.go(py)?;
        // Mostly the body is one piece, which is copied once: into the result.
        let whole = self.buffer().left.is_empty() && most > 0;
        if whole
            && let Some(piece) = self.piece(py, most.min(PIECE))?
            && (piece.len() == most || self.ends_with(&piece))
        {
            self.buffer().at += piece.len() as u64;
            return py.bytes(&piece);
        }
        while self.buffer().left.len() < most && self.more(py)? {}
        self.take(py, most)
    }

    /// Whether nothing follows this piece. Otherwise, and if one cannot say without waiting, the buffer gets it.
    fn ends_with(&self, piece: &[u8]) -> bool {
        let following = self.conversation.exchange.body(PIECE);
        let mut buffer = self.buffer();
        buffer.ended |= following == Body::End;
        if !buffer.ended {
            buffer.left.extend_from_slice(piece);
        }
        if let Body::Bytes(following) = following {
            buffer.left.extend_from_slice(&following);
        }
        buffer.ended
    }

    /// What has arrived, at most `most` bytes of it; waits only where that would be nothing.
    fn read1<'p>(&self, py: Attached<'p>, most: Option<usize>) -> MethodResult<'p> {
        self.go(py)?;
        while self.buffer().left.is_empty() && most != Some(0) && self.more(py)? {}
        self.take(py, most.unwrap_or(usize::MAX))
    }

    /// Returns the next line with its newline, cut at `most` bytes; empty at the end.
    fn readline<'p>(&self, py: Attached<'p>, most: Option<usize>) -> MethodResult<'p> {
        let most = most.unwrap_or(usize::MAX);
        self.go(py)?;
        loop {
            {
                let mut buffer = self.buffer();
                let from = buffer.searched;
                let found = memchr::memchr(b'\n', &buffer.left[from..]).map(|at| from + at + 1);
                buffer.searched = buffer.left.len();
                if found.is_some_and(|end| end <= most) || buffer.left.len() >= most {
                    let end = found.unwrap_or(most).min(most);
                    drop(buffer);
                    return self.take(py, end);
                }
            }
            if !self.more(py)? {
                return self.take(py, most);
            }
        }
    }

    fn take<'p>(&self, py: Attached<'p>, most: usize) -> MethodResult<'p> {
        let mut buffer = self.buffer();
        let len = buffer.left.len().min(most);
        let bytes = py.bytes(&buffer.left[..len])?;
        buffer.drop_front(len);
        Ok(bytes)
    }
}

impl Class for Input {
    const NAME: &'static CStr = c"gilkeeper.Input";
    const METHODS: &'static [Method] = &[
        Method {
            name: c"read",
            doc: c"read(size=-1, /)\n--\n\nAt most size bytes, all of them without size.",
        },
        Method {
            name: c"readline",
            doc: c"readline(size=-1, /)\n--\n\nThe next line, at most size bytes of it.",
        },
        Method {
            name: c"readlines",
            doc: c"readlines(hint=-1, /)\n--\n\nLines until about hint bytes are read.",
        },
        Method { name: c"close", doc: c"close()\n--\n\nDoes nothing: the server closes the body." },
        Method { name: c"readable", doc: c"readable()\n--\n\nTrue." },
        Method { name: c"seekable", doc: c"seekable()\n--\n\nTrue." },
        Method { name: c"writable", doc: c"writable()\n--\n\nFalse." },
        Method {
            name: c"readinto",
            doc: c"readinto(buffer, /)\n--\n\nFills a writable buffer, gives the count.",
        },
        Method {
            name: c"seek",
            doc: c"seek(offset, whence=0, /)\n--\n\nSets the position for the next read, gives it.",
        },
        Method { name: c"tell", doc: c"tell()\n--\n\nThe position in the body." },
        Method { name: c"flush", doc: c"flush()\n--\n\nDoes nothing." },
        Method {
            name: c"read1",
            doc: c"read1(size=-1, /)\n--\n\nWhat has arrived, at most size bytes of it.",
        },
    ];
    const ITERATOR: bool = true;

    fn attributes(py: Attached<'_>) -> Vec<(&'static str, Object<'_>)> {
        vec![("closed", py.bool(false))]
    }

    fn method<'p>(&self, index: usize, this: &Object<'p>, args: &[Object<'p>]) -> MethodResult<'p> {
        let py = this.py();
        let reads = matches!(
            index,
            method::READ | method::READLINE | method::READLINES | method::READINTO | method::READ1
        );
        if reads || matches!(index, method::SEEK | method::TELL) {
            self.still_open(py)?;
        }
        let begun = reads.then(Moment::now);
        let outcome = self.serve(py, index, args);
        if let Some(begun) = begun {
            let bytes = outcome.as_ref().map_or(0, |got| length(index, got));
            self.conversation.count_read(begun, bytes);
        }
        outcome
    }

    fn next<'p>(&self, this: &Object<'p>) -> Result<Option<Object<'p>>, PyError<'p>> {
        self.still_open(this.py())?;
        let begun = Moment::now();
        let line = self.readline(this.py(), None)?;
        let bytes = line.as_bytes().map_or(0, <[u8]>::len);
        self.conversation.count_read(begun, bytes);
        Ok((bytes > 0).then_some(line))
    }
}

/// Bytes of the body in the result of a method.
fn length(index: usize, got: &Object<'_>) -> usize {
    match index {
        method::READINTO => got.index().map_or(0, |len| len as usize),
        method::READLINES => {
            let lines = got.to_tuple();
            let line = |lines: &Object<'_>, i| lines.tuple_item(i).ok()?.as_bytes().map(<[u8]>::len);
            lines.map_or(0, |lines| (0..lines.size().unwrap_or(0)).filter_map(|i| line(&lines, i)).sum())
        }
        _ => got.as_bytes().map_or(0, <[u8]>::len),
    }
}

impl Input {
    fn serve<'p>(&self, py: Attached<'p>, index: usize, args: &[Object<'p>]) -> MethodResult<'p> {
        match index {
            method::READ => self.read(py, size(py, args)?),
            method::READLINE => self.readline(py, size(py, args)?),
            method::READ1 => self.read1(py, size(py, args)?),
            method::SEEK => self.seek(py, args),
            method::TELL => py.int(self.buffer().position() as i64),
            method::READLINES => {
                let hint = size(py, args)?.filter(|hint| *hint > 0).unwrap_or(usize::MAX);
                let (mut lines, mut total) = (Vec::new(), 0);
                while total < hint {
                    let line = self.readline(py, None)?;
                    match line.as_bytes().map_or(0, <[u8]>::len) {
                        0 => break,
                        len => total += len,
                    }
                    lines.push(line);
                }
                py.list(&lines)
            }
            method::READABLE | method::SEEKABLE => Ok(py.bool(true)),
            method::WRITABLE => Ok(py.bool(false)),
            method::READINTO => {
                let [target] = args else {
                    return Err(PyError::new(py, Builtin::TypeError, "readinto() takes one argument"));
                };
                let view = py.import("builtins")?.call_method("memoryview", &[target])?;
                let view = view.call_method("cast", &[&py.str("B")?])?;
                let data = self.read(py, Some(view.size()?))?;
                let len = py.int(data.size()? as i64)?;
                let slice = py.import("builtins")?.call_method("slice", &[&len])?;
                view.call_method("__setitem__", &[&slice, &data])?;
                Ok(len)
            }
            _ => Ok(py.none()),
        }
    }

    fn still_open<'p>(&self, py: Attached<'p>) -> Result<(), PyError<'p>> {
        if self.conversation.input_closed() {
            return Err(PyError::new(py, Builtin::RuntimeError, "wsgi.input used after the request ended"));
        }
        Ok(())
    }
}

/// The optional size argument: `None` if it is absent, `None` or negative.
fn size<'p>(py: Attached<'p>, args: &[Object<'p>]) -> Result<Option<usize>, PyError<'p>> {
    match args {
        [] => Ok(None),
        [size] if size.is_none() => Ok(None),
        [size] => Ok(usize::try_from(size.index()?).ok()),
        _ => Err(PyError::new(py, Builtin::TypeError, "takes at most one argument")),
    }
}
