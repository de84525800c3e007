//! Forms of `/metrics`, and the one that a scraper asks for in `Accept`.

/// A form of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' text form.
    Text,
    /// OpenMetrics' text form, which has exemplars.
    OpenMetrics,
    /// Prometheus' protobuf form, which has native histograms.
    Protobuf,
}

impl Exposition {
    /// Its media type.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The form that the header `Accept` prefers: the highest `q`, and of equal ones the first. Whoever names none gets text.
    pub fn accepted(accept: &str) -> Self {
        let mut best = (0.0, Self::Text);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
            let value = |name: &str| {
                let found = parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.trim_matches('"'))
            };
            let form = match kind.as_str() {
                "application/vnd.google.protobuf"
                    if value("proto") == Some("io.prometheus.client.MetricFamily")
                        && value("encoding") == Some("delimited") =>
                {
                    Self::Protobuf
                }
                "application/openmetrics-text" => Self::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => Self::Text,
                _ => continue,
            };
            let weight: f64 = value("q").map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if weight > best.0 {
                best = (weight, form);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_what_the_scraper_prefers() {
        let protobuf =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (accept, expected) in [
            // Prometheus 2.42, with native histograms and without.
            (
                format!("{protobuf},application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
                Exposition::Protobuf,
            ),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1".to_owned(),
                Exposition::OpenMetrics,
            ),
            // Prometheus 3, with native histograms and without.
            (
                format!("{protobuf};q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"),
                Exposition::Protobuf,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2".to_owned(),
                Exposition::OpenMetrics,
            ),
            ("*/*".to_owned(), Exposition::Text),
            (String::new(), Exposition::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8".to_owned(), Exposition::Text),
            ("text/plain;q=0.9, application/openmetrics-text;q=0.4".to_owned(), Exposition::Text),
            ("application/openmetrics-text;q=0".to_owned(), Exposition::Text),
            ("application/openmetrics-text;q=x, application/vnd.google.protobuf".to_owned(), Exposition::Text),
            (format!("{protobuf}; q=\"0.3\", application/json"), Exposition::Protobuf),
        ] {
            assert_eq!(Exposition::accepted(&accept), expected, "{accept}");
        }
    }
}
