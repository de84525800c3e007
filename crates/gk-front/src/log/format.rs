//! `LogFormat` strings: parsed once, written per request. Pure; the request comes as a [`Line`]. Directives are Apache's
//! (`%h %l %u %t %r %s %b …`) and four of our own: `%{process_group}g %{application_group}g %{worker}g %{queue_ms}g`.

mod named;

use gk_config::site::{EncodedSlashes, LogForm};
use gk_wire::log::Civil;
use http::HeaderName;
use http::header::{REFERER, USER_AGENT};
use std::fmt::Write as _;

use crate::request::path;

/// One part of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Text(String),
    /// A directive letter with its argument.
    Field(char, Option<String>),
    RequestHeader(usize),
    ResponseHeader(usize),
}

/// A parsed format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    items: Vec<Item>,
    form: LogForm,
    /// Request headers that the format asks for.
    pub request_headers: Vec<HeaderName>,
    /// Response headers that the format asks for.
    pub response_headers: Vec<HeaderName>,
}

/// One finished request. Numbers are in the units of the field names.
#[derive(Debug, Clone, Default)]
pub struct Line<'a> {
    /// Client's address, as trusted proxies report it.
    pub client: &'a str,
    /// Address of the peer of the connection.
    pub peer: &'a str,
    /// Peer's port.
    pub peer_port: u16,
    /// Our address.
    pub local: &'a str,
    /// Our port.
    pub local_port: u16,
    /// The user that was authenticated, or whose password was wrong.
    pub user: Option<&'a str>,
    /// Request method.
    pub method: &'a str,
    /// Raw target.
    pub target: &'a [u8],
    /// Raw path.
    pub path: &'a [u8],
    /// `%2F` in it stays as it is.
    pub keeps_slashes: bool,
    /// Raw query without `?`.
    pub query: Option<&'a [u8]>,
    /// First bytes of a request that was not understood; it has no method, target and protocol.
    pub shown: Option<&'a [u8]>,
    /// `HTTP/1.1`.
    pub protocol: &'a str,
    /// Status.
    pub status: u16,
    /// Body bytes sent.
    pub body_bytes: u64,
    /// All bytes received.
    pub received: u64,
    /// All bytes sent.
    pub sent: u64,
    /// Epoch microseconds of the request.
    pub began_micros: u64,
    /// Microseconds from the request to the end of the response.
    pub took_micros: u64,
    /// Seconds east of UTC.
    pub utc_offset: i32,
    /// `X`, `+` or `-`.
    pub connection: char,
    /// Requests on the connection before this one.
    pub kept_alive: u64,
    /// `SERVER_NAME` of the request.
    pub server_name: &'a str,
    /// `ServerName` as configured.
    pub canonical_name: &'a str,
    /// `SERVER_PORT`.
    pub server_port: u16,
    /// File.
    pub file: &'a str,
    /// Process id of the front.
    pub pid: u32,
    /// The front's number of the request.
    pub request_id: u64,
    /// Its id, where requests have one.
    pub id: Option<&'a str>,
    /// Process group.
    pub process_group: &'a str,
    /// Application group.
    pub application_group: &'a str,
    /// Process id of the worker, 0 for none.
    pub worker_pid: u32,
    /// Microseconds in the queue.
    pub queue_micros: u64,
}

/// The values that are not in [`Line`] because they depend on the format.
pub trait Lookup {
    /// A request header by its index in `Format::request_headers`.
    fn request_header(&self, index: usize) -> Option<&[u8]>;
    /// A response header by its index in `Format::response_headers`.
    fn response_header(&self, index: usize) -> Option<&[u8]>;
    /// A variable (`SetEnv`, `SetEnvIf`).
    fn variable(&self, name: &str) -> Option<&[u8]>;
    /// A variable of mod_ssl, or with `c` one of its words about the connection.
    fn tls(&self, letter: char, name: &str) -> Option<String>;
}

impl Format {
    /// Parses a format. An unknown directive is an error that names it.
    pub fn parse(text: &str, form: LogForm) -> Result<Self, String> {
        let mut format =
            Self { items: Vec::new(), form, request_headers: Vec::new(), response_headers: Vec::new() };
        if form != LogForm::Text {
            format.request_headers.extend([REFERER, USER_AGENT]);
        }
        let mut chars = text.chars().peekable();
        let mut plain = String::new();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some('n') => plain.push('\n'),
                    Some('t') => plain.push('\t'),
                    Some(other) => plain.push(other),
                    None => plain.push('\\'),
                },
                '%' => {
                    let mut argument = None;
                    let letter = loop {
                        match chars.next() {
                            // Conditions (`%400,501{…}i`, `%!200…`) and redirect marks are skipped.
                            Some('<' | '>' | '!' | ',' | '0'..='9') => {}
                            Some('{') => {
                                argument = Some(chars.by_ref().take_while(|c| *c != '}').collect::<String>());
                            }
                            Some('^') => {
                                return Err(format!(
                                    "the log format \"{text}\" uses trailers (%^…), which are not available"
                                ));
                            }
                            Some(letter) => break letter,
                            None => return Err(format!("the log format \"{text}\" ends inside a directive")),
                        }
                    };
                    if letter == '%' {
                        plain.push('%');
                        continue;
                    }
                    if !plain.is_empty() {
                        format.items.push(Item::Text(std::mem::take(&mut plain)));
                    }
                    let item = format.field(letter, argument, text)?;
                    format.items.push(item);
                }
                c => plain.push(c),
            }
        }
        if !plain.is_empty() {
            format.items.push(Item::Text(plain));
        }
        Ok(format)
    }

    fn field(&mut self, letter: char, argument: Option<String>, text: &str) -> Result<Item, String> {
        match letter {
            'i' | 'o' => {
                let name = argument.unwrap_or_default();
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                    format!("the log format \"{text}\" names a header \"{name}\", which HTTP does not allow")
                })?;
                let list = if letter == 'i' { &mut self.request_headers } else { &mut self.response_headers };
                let index = list.iter().position(|n| *n == name).unwrap_or_else(|| {
                    list.push(name);
                    list.len() - 1
                });
                Ok(if letter == 'i' { Item::RequestHeader(index) } else { Item::ResponseHeader(index) })
            }
            'a' | 'A' | 'b' | 'B' | 'c' | 'C' | 'D' | 'e' | 'f' | 'g' | 'h' | 'H' | 'I' | 'k' | 'l' | 'L'
            | 'm' | 'n' | 'O' | 'p' | 'P' | 'q' | 'r' | 'R' | 's' | 'S' | 't' | 'T' | 'u' | 'U' | 'v'
            | 'V' | 'x' | 'X' => Ok(Item::Field(letter, argument)),
            other => Err(format!("the log format \"{text}\" has the unknown directive %{other}")),
        }
    }

    /// Appends the line with its newline.
    pub fn write(&self, line: &Line<'_>, lookup: &dyn Lookup, out: &mut String) {
        match self.form {
            LogForm::Text => {}
            LogForm::Json => return self.write_json(line, lookup, out),
            LogForm::Logfmt => return self.write_logfmt(line, lookup, out),
        }
        for item in &self.items {
            match item {
                Item::Text(text) => out.push_str(text),
                Item::Field(letter, argument) => field(*letter, argument.as_deref(), line, lookup, out),
                Item::RequestHeader(index) => escaped_or_dash(lookup.request_header(*index), out),
                Item::ResponseHeader(index) => escaped_or_dash(lookup.response_header(*index), out),
            }
        }
        out.push('\n');
    }
}

fn field(letter: char, argument: Option<&str>, line: &Line<'_>, lookup: &dyn Lookup, out: &mut String) {
    let dash = |value: u64| if value == 0 { None } else { Some(value) };
    let _ = match (letter, argument) {
        ('h', _) | ('a', None) => text_or_dash(line.client, out),
        ('a', Some(_)) => text_or_dash(line.peer, out),
        ('A', _) => text_or_dash(line.local, out),
        ('u', _) if line.user == Some("") => write!(out, "\"\""),
        ('u', _) => {
            escaped_or_dash(line.user.map(str::as_bytes), out);
            Ok(())
        }
        ('l' | 'n' | 'C' | 'S', _) => text_or_dash("", out),
        ('t', argument) => time(argument, line, out),
        ('r', _) if line.shown.is_some() => {
            escaped_or_dash(line.shown, out);
            Ok(())
        }
        ('r', _) => {
            escape(line.method.as_bytes(), out);
            out.push(' ');
            escape(line.target, out);
            out.push(' ');
            text_or_dash(line.protocol, out)
        }
        ('s', _) => write!(out, "{}", line.status),
        ('b', _) => match dash(line.body_bytes) {
            Some(n) => write!(out, "{n}"),
            None => text_or_dash("", out),
        },
        ('B', _) => write!(out, "{}", line.body_bytes),
        ('I', _) => write!(out, "{}", line.received),
        ('O', _) => write!(out, "{}", line.sent),
        ('D', _) | ('T', Some("us")) => write!(out, "{}", line.took_micros),
        ('T', Some("ms")) => write!(out, "{}", line.took_micros / 1_000),
        ('T', _) => write!(out, "{}", line.took_micros / 1_000_000),
        ('e', Some(name)) => {
            escaped_or_dash(lookup.variable(name), out);
            Ok(())
        }
        ('x' | 'c', Some(name)) => {
            escaped_or_dash(lookup.tls(letter, name).as_deref().map(str::as_bytes), out);
            Ok(())
        }
        ('m', _) => text_or_dash(line.method, out),
        ('U', _) => {
            // As Apache has it after decoding.
            let slashes = if line.keeps_slashes { EncodedSlashes::Kept } else { EncodedSlashes::Decoded };
            let decoded = path::normalise(line.path, slashes).ok();
            escaped_or_dash(Some(decoded.as_deref().unwrap_or(line.path)), out);
            Ok(())
        }
        ('q', _) => match line.query {
            Some(query) => {
                out.push('?');
                escaped_or_dash(Some(query), out);
                Ok(())
            }
            None => Ok(()),
        },
        ('H', _) => text_or_dash(line.protocol, out),
        ('V', _) => text_or_dash(line.server_name, out),
        ('v', _) => text_or_dash(line.canonical_name, out),
        ('p', Some("local")) => write!(out, "{}", line.local_port),
        ('p', Some("remote")) => write!(out, "{}", line.peer_port),
        ('p', _) => write!(out, "{}", line.server_port),
        ('P', _) => write!(out, "{}", line.pid),
        ('f', _) => text_or_dash(line.file, out),
        ('X', _) => {
            out.push(line.connection);
            Ok(())
        }
        ('k', _) => write!(out, "{}", line.kept_alive),
        ('L', _) => match line.id {
            Some(id) => text_or_dash(id, out),
            None => write!(out, "{}", line.request_id),
        },
        ('R', _) => text_or_dash(if line.worker_pid == 0 { "" } else { "wsgi-script" }, out),
        ('g', Some("process_group") | None) => text_or_dash(line.process_group, out),
        ('g', Some("application_group")) => text_or_dash(line.application_group, out),
        ('g', Some("worker")) => match dash(u64::from(line.worker_pid)) {
            Some(pid) => write!(out, "{pid}"),
            None => text_or_dash("", out),
        },
        ('g', Some("queue_ms")) => {
            write!(out, "{}.{:03}", line.queue_micros / 1_000, line.queue_micros % 1_000)
        }
        _ => text_or_dash("", out),
    };
}

fn text_or_dash(text: &str, out: &mut String) -> std::fmt::Result {
    if text.is_empty() {
        out.push('-');
    } else {
        escape(text.as_bytes(), out);
    }
    Ok(())
}

fn escaped_or_dash(value: Option<&[u8]>, out: &mut String) {
    match value {
        Some(value) if !value.is_empty() => escape(value, out),
        _ => out.push('-'),
    }
}

/// Apache's escaping: what could break a line or its quotes, and everything that is not ASCII, as `\xhh`.
fn escape(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(byte as char);
            }
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            0x20..=0x7e => out.push(byte as char),
            other => {
                let _ = write!(out, "\\x{other:02x}");
            }
        }
    }
}

fn time(argument: Option<&str>, line: &Line<'_>, out: &mut String) -> std::fmt::Result {
    let (micros, format) = match argument {
        Some(text) => match text.strip_prefix("end:").or((text == "end").then_some("")) {
            Some(rest) => (line.began_micros + line.took_micros, rest),
            None => (line.began_micros, text.strip_prefix("begin:").unwrap_or(text)),
        },
        None => (line.began_micros, ""),
    };
    let t = Civil::from_micros(micros, line.utc_offset);
    match format {
        "" => {
            out.push('[');
            strftime("%d/%b/%Y:%H:%M:%S %z", &t, line.utc_offset, micros, out)?;
            out.push(']');
            Ok(())
        }
        "sec" => write!(out, "{}", micros / 1_000_000),
        "msec" => write!(out, "{}", micros / 1_000),
        "usec" => write!(out, "{micros}"),
        "msec_frac" => write!(out, "{:03}", t.micros / 1_000),
        "usec_frac" => write!(out, "{:06}", t.micros),
        format => strftime(format, &t, line.utc_offset, micros, out),
    }
}

fn strftime(format: &str, t: &Civil, offset: i32, micros: u64, out: &mut String) -> std::fmt::Result {
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => write!(out, "{:02}", t.day)?,
            Some('e') => write!(out, "{:2}", t.day)?,
            Some('b' | 'h') => out.push_str(t.month_name()),
            Some('m') => write!(out, "{:02}", t.month)?,
            Some('Y') => write!(out, "{}", t.year)?,
            Some('y') => write!(out, "{:02}", t.year % 100)?,
            Some('H') => write!(out, "{:02}", t.hour)?,
            Some('I') => write!(out, "{:02}", (t.hour + 11) % 12 + 1)?,
            Some('p') => out.push_str(if t.hour < 12 { "AM" } else { "PM" }),
            Some('M') => write!(out, "{:02}", t.minute)?,
            Some('S') => write!(out, "{:02}", t.second)?,
            Some('F') => strftime("%Y-%m-%d", t, offset, micros, out)?,
            Some('T') => strftime("%H:%M:%S", t, offset, micros, out)?,
            Some('D') => strftime("%m/%d/%y", t, offset, micros, out)?,
            Some('R') => strftime("%H:%M", t, offset, micros, out)?,
            Some('a') => out.push_str(&DAYS[t.weekday][..3]),
            Some('A') => out.push_str(DAYS[t.weekday]),
            Some('s') => write!(out, "{}", micros / 1_000_000)?,
            Some('z') => {
                let (sign, minutes) = if offset < 0 { ('-', -offset / 60) } else { ('+', offset / 60) };
                write!(out, "{sign}{:02}{:02}", minutes / 60, minutes % 60)?;
            }
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some(other) => out.push(other),
            None => out.push('%'),
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
