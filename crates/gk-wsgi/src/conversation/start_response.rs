//! `start_response` and the write callable, with the checks that PEP 3333 asks for. They are one object, since few applications want to
//! write and each request would make a second one: called with bytes alone, it writes.

use crate::conversation::{Conversation, PendingHead, Progress};
use gk_python::class::MethodResult;
use gk_python::error::Builtin;
use gk_python::{Attached, Class, Object, PyError};
use gk_wire::response::{Headers, MAX_HEADERS};
use std::ffi::CStr;
use std::sync::Arc;

/// The `start_response` object.
pub(crate) struct StartResponse {
    pub(crate) conversation: Arc<Conversation>,
}

impl Class for StartResponse {
    const NAME: &'static CStr = c"gilkeeper.StartResponse";
    const CALLABLE: bool = true;

    fn call<'p>(
        &self,
        this: &Object<'p>,
        args: &[Object<'p>],
        keywords: Option<Object<'p>>,
    ) -> MethodResult<'p> {
        let py = this.py();
        if let ([data], None) = (args, &keywords)
            && (!data.is_str() || self.conversation.has_head())
        {
            return self.write(data);
        }
        let (status, headers, exc_info) = arguments(py, args, keywords)?;
        match self.conversation.progress() {
            Progress::Open => {}
            Progress::HeadSent => {
                return Err(match exc_info {
                    Some(info) => raise_again(&info)?,
                    None => PyError::new(py, Builtin::RuntimeError, "headers have already been sent"),
                });
            }
            Progress::Ended => {
                let text = "start_response() called after the request ended";
                return Err(PyError::new(py, Builtin::RuntimeError, text));
            }
        }
        let pending = parse(&status, &headers)?;
        self.conversation.set_pending(pending);
        Ok(this.clone())
    }
}

impl StartResponse {
    /// The write callable.
    fn write<'p>(&self, data: &Object<'p>) -> MethodResult<'p> {
        let py = data.py();
        let Some(bytes) = data.as_bytes() else {
            let text = format!("write() argument must be bytes, not {}", data.type_name());
            return Err(PyError::new(py, Builtin::TypeError, &text));
        };
        if !bytes.is_empty() {
            if self.conversation.takes_no_more() {
                return Err(PyError::new(
                    py,
                    Builtin::RuntimeError,
                    "write() called after the response ended",
                ));
            }
            self.conversation.block(py, bytes, false).map_err(|_| {
                PyError::new(py, Builtin::OSError, "the client has gone: the response is not wanted any more")
            })?;
            self.conversation.exchange.flush();
        }
        Ok(py.none())
    }
}

type Arguments<'p> = (Object<'p>, Object<'p>, Option<Object<'p>>);

fn arguments<'p>(
    py: Attached<'p>,
    args: &[Object<'p>],
    keywords: Option<Object<'p>>,
) -> Result<Arguments<'p>, PyError<'p>> {
    let wrong = || {
        let text = "start_response() takes (status, response_headers, exc_info=None)";
        PyError::new(py, Builtin::TypeError, text)
    };
    let mut exc_info = args.get(2).cloned();
    if let Some(keywords) = keywords {
        if keywords.size()? != 1 || exc_info.is_some() {
            return Err(wrong());
        }
        exc_info = Some(keywords.item(&py.str("exc_info")?).map_err(|_| wrong())?);
    }
    let exc_info = exc_info.filter(|info| !info.is_none());
    if let Some(info) = &exc_info {
        check_exc_info(info)?;
    }
    match args {
        [status, headers] | [status, headers, _] => Ok((status.clone(), headers.clone(), exc_info)),
        _ => Err(wrong()),
    }
}

/// Refuses what is no result of `sys.exc_info()`, before anything of the call has effect. The kinds are mod_wsgi's.
fn check_exc_info<'p>(info: &Object<'p>) -> Result<(), PyError<'p>> {
    let wrong = |kind| {
        let text = "start_response() argument 'exc_info' must be a 3-tuple or None";
        Err(PyError::new(info.py(), kind, text))
    };
    if !info.is_tuple() {
        return wrong(Builtin::RuntimeError);
    }
    if info.size()? == 3 { Ok(()) } else { wrong(Builtin::TypeError) }
}

/// The application reports an error after its headers were sent: its own exception is raised again.
fn raise_again<'p>(info: &Object<'p>) -> Result<PyError<'p>, PyError<'p>> {
    let (value, trace) = (info.tuple_item(1)?, info.tuple_item(2)?);
    // `sys.exc_info()` gives `(None, None, None)` if no exception is handled.
    let error = PyError::from_value(value.clone());
    if !trace.is_none() && error.value().is(&value) {
        value.call_method("with_traceback", &[&trace])?;
    }
    Ok(error)
}

fn parse<'p>(status: &Object<'p>, headers: &Object<'p>) -> Result<PendingHead, PyError<'p>> {
    let py = status.py();
    if !status.is_str() {
        let text = format!("status must be a str, not {}", status.type_name());
        return Err(PyError::new(py, Builtin::TypeError, &text));
    }
    let bad = |text: &str| PyError::new(py, Builtin::ValueError, text);
    let line = status.as_latin1().ok_or_else(|| bad("status has characters outside latin-1"))?;
    let (number, reason) = parse_status(&line).map_err(bad)?;
    if !headers.is_list() {
        let text = format!("response headers must be a list, not {}", headers.type_name());
        return Err(PyError::new(py, Builtin::TypeError, &text));
    }
    let mut pending =
        PendingHead { status: number, reason: reason.into(), headers: Headers::with_room(), length: None };
    let fit = |pending: &PendingHead| {
        if pending.headers.fit(reason.len()) {
            return Ok(());
        }
        Err(bad(&format!(
            "the response head is too long: it may have {MAX_HEADERS} headers, and about 1 MiB in all"
        )))
    };
    fit(&pending)?;
    for index in 0..headers.list_len() {
        header(&mut pending, &headers.list_item(index)?)?;
        fit(&pending)?;
    }
    Ok(pending)
}

fn header<'p>(pending: &mut PendingHead, item: &Object<'p>) -> Result<(), PyError<'p>> {
    let py = item.py();
    let wrong = |kind| PyError::new(py, kind, "each response header must be a tuple (name, value)");
    if !item.is_tuple() {
        return Err(wrong(Builtin::TypeError));
    }
    if item.size()? != 2 {
        return Err(wrong(Builtin::ValueError));
    }
    let (name, value) = (item.tuple_item(0)?, item.tuple_item(1)?);
    if !name.is_str() || !value.is_str() {
        return Err(PyError::new(py, Builtin::TypeError, "response header names and values must be str"));
    }
    let bad = |text: String| PyError::new(py, Builtin::ValueError, &text);
    let shown = || name.as_utf8().unwrap_or("?").escape_debug().to_string();
    let (Some(name_bytes), Some(value_bytes)) = (name.as_latin1(), value.as_latin1()) else {
        return Err(bad(format!("response header '{}' has characters outside latin-1", shown())));
    };
    // Without an early exit: both loops are short, and faster this way.
    if name_bytes.is_empty() || !name_bytes.iter().fold(true, |legal, b| legal & TOKEN[usize::from(*b)]) {
        return Err(bad(format!("'{}' is not a legal response header name", shown())));
    }
    if value_bytes.iter().fold(false, |bad, b| bad | (*b == b'\r') | (*b == b'\n') | (*b == 0)) {
        return Err(bad(format!("the value of response header '{}' has a line break or NUL", shown())));
    }
    if name_bytes.len() == LENGTH.len() && (*name_bytes == *LENGTH || name_bytes.eq_ignore_ascii_case(LENGTH))
    {
        let length = parse_length(&value_bytes)
            .ok_or_else(|| bad(format!("Content-Length '{}' is not a number of bytes", value.display())))?;
        if pending.length.is_some_and(|other| other != length) {
            return Err(bad("two different Content-Length headers".to_owned()));
        }
        if pending.length.replace(length).is_some() {
            return Ok(());
        }
    }
    pending.headers.push(&name_bytes, &value_bytes);
    Ok(())
}

/// Parses digits with optional white space around them.
fn parse_length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let number = digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    (!digits.is_empty()).then_some(number)
}

/// Parses three digits, then nothing or a space and a reason without control characters.
fn parse_status(line: &[u8]) -> Result<(u16, &[u8]), &'static str> {
    let (digits, rest) = line.split_at_checked(3).ok_or("status must begin with three digits")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err("status must begin with three digits");
    }
    let number = digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'));
    if number < 100 {
        return Err("status must be 100 or above");
    }
    match rest {
        [] => Ok((number, rest)),
        [b' ', reason @ ..] if !reason.iter().any(u8::is_ascii_control) => Ok((number, reason)),
        [b' ', ..] => Err("the reason phrase has control characters"),
        _ => Err("status must be three digits, a space and a reason"),
    }
}

const LENGTH: &[u8] = b"Content-Length";

/// RFC 9110's token characters.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::{parse_length, parse_status};

    #[test]
    fn lengths() {
        let most = u64::MAX.to_string();
        let cases: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            (" 13\t", Some(13)),
            ("007", Some(7)),
            (&most, Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("  ", None),
            ("-1", None),
            ("+1", None),
            ("1 2", None),
            ("1e3", None),
        ];
        for (value, expected) in cases {
            assert_eq!(parse_length(value.as_bytes()), *expected, "{value:?}");
        }
    }

    #[test]
    fn status_lines() {
        type Expected = Result<(u16, &'static [u8]), ()>;
        let cases: &[(&[u8], Expected)] = &[
            (b"200 OK", Ok((200, b"OK"))),
            (b"200", Ok((200, b""))),
            (b"200 ", Ok((200, b""))),
            (b"404 Not \xe9 Found", Ok((404, b"Not \xe9 Found"))),
            (b"20", Err(())),
            (b"2000", Err(())),
            (b"099 x", Err(())),
            (b"abc OK", Err(())),
            (b"200 a\r\nX: y", Err(())),
        ];
        for (line, expected) in cases {
            assert_eq!(parse_status(line).map_err(drop), *expected, "{}", line.escape_ascii());
        }
    }
}
