//! The forms of a line that name its fields: one JSON object, and logfmt.

use super::{Format, Line, Lookup};
use gk_wire::log::{iso_time, logfmt};
use gk_wire::printable;
use http::header::{REFERER, USER_AGENT};
use std::fmt::Write as _;

impl Format {
    pub(super) fn write_json(&self, line: &Line<'_>, lookup: &dyn Lookup, out: &mut String) {
        let map: serde_json::Map<String, serde_json::Value> = self.fields(line, lookup).into_iter().collect();
        let _ = writeln!(out, "{}", printable::page(&serde_json::Value::Object(map).to_string()));
    }

    pub(super) fn write_logfmt(&self, line: &Line<'_>, lookup: &dyn Lookup, out: &mut String) {
        for (name, value) in self.fields(line, lookup) {
            match value {
                serde_json::Value::String(text) => logfmt::put(out, &name, &text),
                serde_json::Value::Null => {}
                other => logfmt::put(out, &name, &other.to_string()),
            }
        }
        out.push('\n');
    }

    /// The fields of the forms that name them: the same for every line, but for user and headers that a request does not have.
    fn fields(&self, line: &Line<'_>, lookup: &dyn Lookup) -> Vec<(String, serde_json::Value)> {
        let mut all: Vec<(String, serde_json::Value)> = Vec::new();
        let mut put = |name: &str, value: serde_json::Value| all.push((name.to_owned(), value));
        put("time", iso_time(line.began_micros).into());
        put("client", line.client.into());
        put("method", line.method.into());
        put("target", String::from_utf8_lossy(line.shown.unwrap_or(line.target)).into());
        put("protocol", line.protocol.into());
        put("status", line.status.into());
        put("body_bytes", line.body_bytes.into());
        put("duration", (line.took_micros as f64 / 1e6).into());
        put("queue", (line.queue_micros as f64 / 1e6).into());
        match line.id {
            Some(id) => put("request_id", id.into()),
            None => put("request_id", line.request_id.into()),
        }
        put("process_group", line.process_group.into());
        put("application_group", line.application_group.into());
        put("worker", line.worker_pid.into());
        put("aborted", (line.connection == 'X').into());
        put("host", line.server_name.into());
        if let Some(user) = line.user {
            put("user", user.into());
        }
        for (index, name) in self.request_headers.iter().enumerate() {
            let value = lookup.request_header(index).map(|v| String::from_utf8_lossy(v).into_owned());
            match *name {
                REFERER | USER_AGENT if value.is_none() => {}
                REFERER => put("referer", value.into()),
                USER_AGENT => put("user_agent", value.into()),
                _ => put(&format!("request.{name}"), value.into()),
            }
        }
        for (index, name) in self.response_headers.iter().enumerate() {
            let value = lookup.response_header(index).map(|v| String::from_utf8_lossy(v).into_owned());
            put(&format!("response.{name}"), value.into());
        }
        all
    }
}
