//! Any text as a `LogFormat`, and any bytes as what a request puts into its line: parsed or refused without a panic. What comes from
//! a request begins no line and moves no cursor; the JSON form is JSON, and logfmt has its pairs.
#![no_main]

use gk_config::site::LogForm;
use gk_front::log::format::{Format, Line, Lookup};
use libfuzzer_sys::fuzz_target;

struct From<'a>(&'a [u8]);

impl Lookup for From<'_> {
    fn request_header(&self, index: usize) -> Option<&[u8]> {
        index.is_multiple_of(2).then_some(self.0)
    }
    fn response_header(&self, index: usize) -> Option<&[u8]> {
        (!index.is_multiple_of(2)).then_some(self.0)
    }
    fn variable(&self, name: &str) -> Option<&[u8]> {
        (name.len() < 4).then_some(self.0)
    }
    fn tls(&self, _: char, name: &str) -> Option<String> {
        (name.len() < 4).then(|| String::from_utf8_lossy(self.0).into_owned())
    }
}

fuzz_target!(|input: (&str, &[u8], u64, i16)| {
    let (format, bytes, number, offset) = input;
    let text = std::str::from_utf8(bytes).unwrap_or("text");
    let line = Line {
        client: text,
        peer: text,
        method: text,
        target: bytes,
        path: bytes,
        query: Some(bytes),
        shown: number.is_multiple_of(5).then_some(bytes),
        user: number.is_multiple_of(2).then_some(text),
        protocol: text,
        server_name: text,
        canonical_name: text,
        file: text,
        process_group: text,
        application_group: text,
        status: number as u16,
        body_bytes: number,
        // Until the year 9999.
        began_micros: number % 253_402_300_800_000_000,
        took_micros: number >> 16,
        utc_offset: i32::from(offset),
        connection: '+',
        queue_micros: number,
        ..Line::default()
    };
    for form in [LogForm::Text, LogForm::Json, LogForm::Logfmt] {
        let Ok(parsed) = Format::parse(format, form) else { return };
        let mut out = String::new();
        parsed.write(&line, &From(bytes), &mut out);
        let written = out.strip_suffix('\n').expect("a line ends");
        // The format itself may ask for both: `\n`, `%{%n}t`.
        let own = format.chars().any(|c| c.is_control() || c == '\\')
            || format.contains("%n")
            || format.contains("%t");
        if !own || form != LogForm::Text {
            assert!(!written.contains(char::is_control), "{written:?}");
        }
        if form == LogForm::Logfmt {
            assert!(written.starts_with("time=") && written.contains(" status="), "{written:?}");
        }
        if form == LogForm::Json {
            serde_json::from_str::<serde_json::Value>(written).expect("JSON");
        }
    }
});
