//! `/metrics`: the families in Prometheus' text form, or in OpenMetrics' form for a client that accepts it.

use crate::kept::hub::Hub;
use crate::kept::traces::Exemplar;
use crate::told::families::{EDGES, Families, Form, Value};
use gk_telemetry::Histogram;
use std::fmt::Write as _;

/// The page while it is written. `open`: OpenMetrics.
struct TextPage {
    text: String,
    open: bool,
}

impl TextPage {
    fn family(&mut self, name: &str, form: Form, help: &str) {
        let kind = match form {
            Form::Counter => "counter",
            Form::Gauge => "gauge",
            Form::Histogram => "histogram",
        };
        // OpenMetrics names a counter's family without the suffix of its samples.
        let family = if self.open && form == Form::Counter { name.trim_end_matches("_total") } else { name };
        let _ = write!(self.text, "# HELP {family} {help}\n# TYPE {family} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        self.labels(labels);
        let _ = writeln!(self.text, " {value}");
    }

    /// A bucket, with the last request of a trace that fell into it.
    fn bucket(&mut self, name: &str, labels: &[(&str, &str)], count: u64, exemplar: Option<&Exemplar>) {
        self.line(name, labels, count as f64);
        if let Some(Exemplar { trace, value, at }) = exemplar.filter(|_| self.open) {
            self.text.pop();
            let _ = writeln!(self.text, " # {{trace_id=\"{trace}\"}} {value} {at:.3}");
        }
    }

    fn labels(&mut self, labels: &[(&str, &str)]) {
        if labels.is_empty() {
            return;
        }
        for (index, (name, value)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{name}=\"", if index == 0 { '{' } else { ',' });
            for letter in printed(value).chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        self.text.push('}');
    }

    fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        histogram: &Histogram,
        exemplars: &[Option<Exemplar>],
    ) {
        let exemplar = |index: usize| exemplars.get(index).and_then(Option::as_ref);
        let bucket = format!("{name}_bucket");
        let mut with_edge = labels.to_vec();
        with_edge.push(("le", ""));
        let last = with_edge.len() - 1;
        for (index, (text, seconds)) in EDGES.into_iter().enumerate() {
            with_edge[last].1 = text;
            self.bucket(&bucket, &with_edge, histogram.at_most((seconds * 1e9) as u64), exemplar(index));
        }
        with_edge[last].1 = "+Inf";
        self.bucket(&bucket, &with_edge, histogram.count(), exemplar(EDGES.len()));
        self.line(&format!("{name}_sum"), labels, histogram.sum as f64 / 1e9);
        self.line(&format!("{name}_count"), labels, histogram.count() as f64);
    }
}

/// A label's value without control characters other than line feeds: whoever looks at the page in a terminal gets no commands for it.
pub(crate) fn printed(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if letter.is_control() && letter != '\n' {
            let _ = write!(text, "\\x{:02x}", u32::from(letter));
        } else {
            text.push(letter);
        }
    }
    text
}

/// Writes the page. `open`: OpenMetrics.
pub fn page(hub: &Hub, open: bool) -> String {
    let mut page = TextPage { text: String::with_capacity(32 * 1024), open };
    for family in Families::of(hub).0 {
        page.family(family.name, family.form, family.help);
        for point in &family.points {
            let labels: Vec<(&str, &str)> =
                point.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            match &point.value {
                Value::Number(value) => page.line(family.name, &labels, *value),
                Value::Histogram(histogram) => {
                    let exemplars = hub.traces.exemplars.of(family.name, &point.labels).unwrap_or_default();
                    page.histogram(family.name, &labels, histogram, exemplars);
                }
            }
        }
    }
    if open {
        page.text.push_str("# EOF\n");
    }
    page.text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: `curl …/metrics` gave a terminal the escape sequences in the name of an exception's type. Met with types and routes whose
    /// names come from clients.
    #[test]
    fn labels_hold_no_commands_for_a_terminal() {
        let mut page = TextPage { text: String::new(), open: false };
        page.line("x", &[("type", "a\u{1b}[2J\r\"\\\n\u{9b}ü")], 1.0);
        assert_eq!(page.text, "x{type=\"a\\\\x1b[2J\\\\x0d\\\"\\\\\\n\\\\x9bü\"} 1\n");
    }
}
