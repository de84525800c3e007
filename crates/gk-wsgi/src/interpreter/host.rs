//! The object called `host` in each interpreter, through which the Python code of `runtime/` calls the server.

use crate::interpreter::active_requests::{self, Tracking};
use crate::interpreter::gil;
use crate::log::log;
use crate::metrics::{self, Question};
use gk_python::class::MethodResult;
use gk_python::error::Builtin;
use gk_python::{Class, Method, Object, PyError};
use gk_wire::log::Level;
use std::ffi::CStr;
use std::sync::Arc;

/// The `host` object.
pub(crate) struct Host {
    pub(crate) tracking: Arc<Tracking>,
}

impl Class for Host {
    const NAME: &'static CStr = c"gilkeeper.Host";
    const METHODS: &'static [Method] = &[
        Method {
            name: c"log",
            doc: c"log(level, text, code=None, /)\n--\n\nWrites a record to the error log.",
        },
        Method {
            name: c"request_id",
            doc: c"request_id()\n--\n\nId of the request that this thread serves in this interpreter, or None.",
        },
        Method {
            name: c"track",
            doc: c"track(requests, /)\n--\n\nGives each running request its own dict in this dict from now on.",
        },
        Method {
            name: c"frames",
            doc: c"frames()\n--\n\n(number of the thread state, frame) of each thread that runs code here. Needs a GIL.",
        },
        Method {
            name: c"references",
            doc: c"references()\n--\n\n(objects, kept, instances) this library holds; None where they are not counted.",
        },
        Method {
            name: c"import_began",
            doc: c"import_began()\n--\n\nCalled before an extension module is loaded.",
        },
        Method {
            name: c"import_ended",
            doc: c"import_ended(name, /)\n--\n\nCalled after loading it, also after a failure: checks if the GIL came back.",
        },
        Method {
            name: c"metrics",
            doc: c"metrics(question, /)\n--\n\n0: start a window; 1: requests, 2: process, as JSON or None.",
        },
        Method {
            name: c"collected",
            doc: c"collected(group, generation, nanoseconds, collected, uncollectable, /)\n--\n\nCalled after a garbage collection.",
        },
        Method {
            name: c"thread_started",
            doc: c"thread_started(thread, name, /)\n--\n\nCalled by a thread that begins, with its kernel id.",
        },
        Method {
            name: c"collecting",
            doc: c"collecting(on, /)\n--\n\nCalled at the beginning and the end of a garbage collection that may be long.",
        },
    ];

    fn method<'p>(&self, index: usize, this: &Object<'p>, args: &[Object<'p>]) -> MethodResult<'p> {
        let py = this.py();
        match (index, args) {
            (1, []) => return active_requests::request_id(py, &self.tracking),
            (2, [requests]) => return self.tracking.begin(requests).map(|()| py.none()),
            (4, []) => {
                let Some(held) = gk_python::balance::held() else { return Ok(py.none()) };
                let counts = held.iter().map(|count| py.int(*count)).collect::<Result<Vec<_>, _>>()?;
                return py.tuple(&counts);
            }
            (3, []) => {
                let pair = |(state, frame)| py.tuple(&[py.int(state as i64)?, frame]);
                let pairs = py.frames().into_iter().map(pair).collect::<Result<Vec<_>, _>>()?;
                return py.list(&pairs);
            }
            (5, []) => {
                gil::import_began();
                return Ok(py.none());
            }
            (6, [name]) => {
                gil::import_ended(py, name.as_utf8().unwrap_or("?"));
                return Ok(py.none());
            }
            (7, [question]) => {
                let question = match question.index()? {
                    0 => Question::Start,
                    1 => Question::Requests,
                    _ => Question::Process,
                };
                // Detached, as it reads the scoreboard and /proc.
                return match py.detach(|| metrics::ask(question)) {
                    Some(json) => py.str(&json),
                    None => Ok(py.none()),
                };
            }
            (8, [group, generation, pause, collected, uncollectable]) => {
                let number = |object: &Object<'p>| object.index().map(|n| u64::try_from(n).unwrap_or(0));
                let (group, generation) = (number(group)? as u16, number(generation)?.min(2) as u8);
                metrics::collected(
                    group,
                    generation,
                    number(pause)?,
                    number(collected)?,
                    number(uncollectable)?,
                );
                return Ok(py.none());
            }
            (10, [on]) => {
                gk_python::gil::set_collecting(on.truth()?);
                return Ok(py.none());
            }
            (9, [thread, name]) => {
                if let (Ok(thread), Some(name)) = (u32::try_from(thread.index()?), name.as_utf8()) {
                    metrics::started(thread, name);
                }
                return Ok(py.none());
            }
            _ => {}
        }
        let [level, text, rest @ ..] = args else {
            return Err(PyError::new(py, Builtin::TypeError, "log() takes a level and a text"));
        };
        let level = level.as_utf8().and_then(Level::parse).unwrap_or(Level::Error);
        let code = rest.first().and_then(Object::as_utf8);
        match text.as_utf8() {
            Some(text) => log(level, code, text),
            // Lone surrogates: written with Python's escapes.
            None => {
                let encoded =
                    text.call_method("encode", &[&py.str("utf-8")?, &py.str("backslashreplace")?])?;
                log(level, code, &String::from_utf8_lossy(encoded.as_bytes().unwrap_or_default()));
            }
        }
        Ok(py.none())
    }
}
