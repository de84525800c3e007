//! `wsgi.input`: `read`, `readline`, `readlines`, iteration and `close` with every argument, over a body that comes in
//! pieces. Unread bytes are dropped when the request ends.

use crate::conversation::Conversation;
use crate::exchange::Body;
use bytes::{Buf, BytesMut};
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
}

impl Input {
    pub(crate) fn new(conversation: Arc<Conversation>) -> Self {
        Self { conversation, buffer: Mutex::default() }
    }

    fn buffer(&self) -> MutexGuard<'_, InputBuffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a piece to the buffer; returns `false` at the end of the body. The lock is not held while waiting.
    fn more<'p>(&self, py: Attached<'p>) -> Result<bool, PyError<'p>> {
        if self.buffer().ended {
            return Ok(false);
        }
        loop {
            match self.conversation.exchange.body(PIECE) {
                Body::Bytes(bytes) => {
                    self.buffer().left.extend_from_slice(&bytes);
                    return Ok(true);
                }
                Body::End => {
                    self.buffer().ended = true;
                    return Ok(false);
                }
                Body::Wait => py.detach(|| self.conversation.exchange.wait_body()),
                Body::Failed(why) => {
                    let text = format!("mod_wsgi request data read error: {why}");
                    return Err(PyError::new(py, Builtin::OSError, &text));
                }
            }
        }
    }

    fn read<'p>(&self, py: Attached<'p>, most: Option<usize>) -> MethodResult<'p> {
        let most = most.unwrap_or(usize::MAX);
        while self.buffer().left.len() < most && self.more(py)? {}
        self.take(py, most)
    }

    /// Returns the next line with its newline, cut at `most` bytes; empty at the end.
    fn readline<'p>(&self, py: Attached<'p>, most: Option<usize>) -> MethodResult<'p> {
        let most = most.unwrap_or(usize::MAX);
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
        buffer.left.advance(len);
        buffer.searched = 0;
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
        Method { name: c"seekable", doc: c"seekable()\n--\n\nFalse." },
        Method { name: c"writable", doc: c"writable()\n--\n\nFalse." },
        Method {
            name: c"readinto",
            doc: c"readinto(buffer, /)\n--\n\nFills a writable buffer, gives the count.",
        },
    ];
    const ITERATOR: bool = true;

    fn method<'p>(&self, index: usize, this: &Object<'p>, args: &[Object<'p>]) -> MethodResult<'p> {
        let py = this.py();
        if index < 3 || index == 7 {
            self.still_open(py)?;
        }
        let begun = (index < 3 || index == 7).then(Moment::now);
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
        7 => got.index().map_or(0, |len| len as usize),
        2 => {
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
            0 => self.read(py, size(py, args)?),
            1 => self.readline(py, size(py, args)?),
            2 => {
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
            4 => Ok(py.bool(true)),
            5 | 6 => Ok(py.bool(false)),
            7 => {
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
