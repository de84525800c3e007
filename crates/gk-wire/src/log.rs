//! One log record and its written forms: Apache's error-log line (as mod_wsgi writes it), one JSON object, and logfmt.
//! Pure: the caller gives the time and writes the line, whole, with one `write`.

pub mod logfmt;

use crate::printable;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Levels in Apache's order, most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are Apache's")]
pub enum Level {
    Emerg,
    Alert,
    Crit,
    Error,
    #[default]
    Warn,
    Notice,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// Apache's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emerg => "emerg",
            Self::Alert => "alert",
            Self::Crit => "crit",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The level of that name (`trace1` … `trace8` are `Trace`).
    pub fn parse(name: &str) -> Option<Level> {
        use Level::*;
        let all = [Emerg, Alert, Crit, Error, Warn, Notice, Info, Debug, Trace];
        let lower = name.to_ascii_lowercase();
        all.into_iter().find(|l| l.name() == lower).or_else(|| lower.starts_with("trace").then_some(Trace))
    }
}

/// Written form of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Apache's line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// One line of `name=value`.
    Logfmt,
}

/// The part of the server that a record comes from, where it has a threshold of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Area {
    Supervisor,
    Front,
    Admin,
    /// The workers: applications, and what the server says of them.
    Worker,
}

impl Area {
    /// The area of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "supervisor" => Some(Self::Supervisor),
            "front" => Some(Self::Front),
            "admin" => Some(Self::Admin),
            "worker" => Some(Self::Worker),
            _ => None,
        }
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// Microseconds since the epoch.
    pub epoch_micros: u64,
    /// Seconds east of UTC, for Apache's local time.
    pub utc_offset: i32,
    /// Severity.
    pub level: Level,
    /// `supervisor`, `front` or `wsgi`.
    pub module: &'a str,
    /// Process id.
    pub pid: u32,
    /// Thread id, 0 for none.
    pub tid: u32,
    /// `WSGInnnn` or `GKnnnn`; before the first line of the text only.
    pub code: Option<&'a str>,
    /// `address:port` of the client.
    pub client: Option<&'a str>,
    /// Id of the request.
    pub request: Option<&'a str>,
    /// The text. Line breaks are escapes in JSON, else they begin lines of their own; below the first line of a message of the
    /// server itself these are indented, since what stands there (a traceback) is mostly text of an application.
    pub text: &'a str,
}

impl Record<'_> {
    /// Appends the line (with its newline) to `out`.
    pub fn write(&self, form: Form, out: &mut String) {
        match form {
            Form::Text => self.write_apache(out),
            Form::Json => self.write_json(out),
            Form::Logfmt => self.write_logfmt(out),
        }
    }

    fn write_apache(&self, out: &mut String) {
        let text = self.text.strip_suffix('\n').unwrap_or(self.text);
        for (number, line) in text.split('\n').enumerate() {
            let t = Civil::from_micros(self.epoch_micros, self.utc_offset);
            let _ = write!(
                out,
                "[{} {} {:02} {:02}:{:02}:{:02}.{:06} {}] [{}:{}] [pid {}",
                DAYS[t.weekday],
                MONTHS[t.month - 1],
                t.day,
                t.hour,
                t.minute,
                t.second,
                t.micros,
                t.year,
                self.module,
                self.level.name(),
                self.pid
            );
            if self.tid != 0 {
                let _ = write!(out, ":tid {}", self.tid);
            }
            out.push(']');
            if let Some(client) = self.client {
                out.push_str(" [client ");
                printable::push(out, client);
                out.push(']');
            }
            if let Some(request) = self.request {
                out.push_str(" [request ");
                printable::push(out, request);
                out.push(']');
            }
            out.push(' ');
            if let Some(code) = self.code.filter(|_| number == 0) {
                let _ = write!(out, "{code}: ");
            }
            if number > 0 && self.module != APPLICATION {
                out.push_str("    ");
            }
            printable::push(out, line);
            out.push('\n');
        }
    }

    fn write_json(&self, out: &mut String) {
        let mut map = serde_json::Map::new();
        map.insert("time".into(), iso_time(self.epoch_micros).into());
        map.insert("level".into(), self.level.name().into());
        map.insert("module".into(), self.module.into());
        map.insert("pid".into(), self.pid.into());
        if self.tid != 0 {
            map.insert("tid".into(), self.tid.into());
        }
        if let Some(code) = self.code {
            map.insert("code".into(), code.into());
        }
        if let Some(client) = self.client {
            map.insert("client".into(), client.into());
        }
        if let Some(request) = self.request {
            map.insert("request_id".into(), request.into());
        }
        map.insert("message".into(), self.text.into());
        let _ = writeln!(out, "{}", printable::page(&serde_json::Value::Object(map).to_string()));
    }

    fn write_logfmt(&self, out: &mut String) {
        logfmt::put(out, "time", &iso_time(self.epoch_micros));
        logfmt::put(out, "level", self.level.name());
        logfmt::put(out, "module", self.module);
        logfmt::put(out, "pid", &self.pid.to_string());
        if self.tid != 0 {
            logfmt::put(out, "tid", &self.tid.to_string());
        }
        for (name, value) in [("code", self.code), ("client", self.client), ("request_id", self.request)] {
            if let Some(value) = value {
                logfmt::put(out, name, value);
            }
        }
        logfmt::put(out, "message", self.text);
        out.push('\n');
    }
}

/// `2026-11-21T09:59:53.123456Z`.
pub fn iso_time(epoch_micros: u64) -> String {
    let t = Civil::from_micros(epoch_micros, 0);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        t.year, t.month, t.day, t.hour, t.minute, t.second, t.micros
    )
}

/// Stands around the address of a line that goes to another log than its process's own. No record holds it.
pub const MARK: u8 = 0x1e;

/// Lines with the path of the log that they go to before each. The supervisor takes it off.
pub fn addressed(log: &str, lines: &str) -> String {
    let mark = char::from(MARK);
    lines.split_inclusive('\n').map(|line| format!("{mark}{log}{mark}{line}")).collect()
}

/// The address of a line, with the marks around it; empty: it goes to its process's own log.
pub fn address(line: &[u8]) -> &[u8] {
    let end = line.strip_prefix(&[MARK]).and_then(|rest| rest.iter().position(|byte| *byte == MARK));
    end.map_or(&[], |end| &line[..end + 2])
}

/// The module in whose name applications write.
const APPLICATION: &str = "wsgi";
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment in the civil calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "plain calendar fields; month and day count from 1, weekday from Sunday = 0")]
pub struct Civil {
    pub year: i64,
    pub month: usize,
    pub day: u32,
    pub weekday: usize,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub micros: u32,
}

impl Civil {
    /// From microseconds since the epoch and an offset in seconds east of UTC (proleptic Gregorian calendar; the
    /// algorithm is Howard Hinnant's "days to civil").
    pub fn from_micros(epoch_micros: u64, utc_offset: i32) -> Self {
        let seconds = (epoch_micros / 1_000_000) as i64 + i64::from(utc_offset);
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        Self {
            year: yoe + era * 400 + i64::from(month <= 2),
            month: month as usize,
            day: (doy - (153 * mp + 2) / 5 + 1) as u32,
            weekday: (days + 4).rem_euclid(7) as usize,
            hour: (rest / 3600) as u32,
            minute: (rest % 3600 / 60) as u32,
            second: (rest % 60) as u32,
            micros: (epoch_micros % 1_000_000) as u32,
        }
    }

    /// Abbreviated English month.
    pub fn month_name(&self) -> &'static str {
        MONTHS[self.month - 1]
    }
}
