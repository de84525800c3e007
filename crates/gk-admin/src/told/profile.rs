//! A profile in the forms of its viewers: our own JSON, speedscope, pprof, folded stacks, a picture.

mod folded;
mod picture;
mod pprof;
mod speedscope;

use crate::kept::profiles::Profiled;
use gk_telemetry::Profile;
use serde_json::{Value, json};

/// A form of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A tree, for the dashboard.
    Json,
    /// <https://www.speedscope.app>.
    Speedscope,
    /// `go tool pprof` and what reads its files, compressed.
    Pprof,
    /// One line for each stack.
    Folded,
    /// A flame graph.
    Svg,
}

impl Form {
    /// All, by name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("json", Self::Json),
        ("speedscope", Self::Speedscope),
        ("pprof", Self::Pprof),
        ("folded", Self::Folded),
        ("svg", Self::Svg),
    ];

    /// The form of that name.
    pub fn named(name: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, form)| *form).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!("format must be one of {names}, not `{name}`")
        })
    }

    /// Media type.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Json | Self::Speedscope => "application/json",
            Self::Pprof => "application/octet-stream",
            Self::Folded => "text/plain; charset=utf-8",
            Self::Svg => "image/svg+xml",
        }
    }

    /// The profile in this form.
    pub fn of(self, profiled: &Profiled) -> Vec<u8> {
        match self {
            Self::Json => json(profiled).to_string().into_bytes(),
            Self::Speedscope => speedscope::file(profiled).to_string().into_bytes(),
            Self::Pprof => pprof::file(profiled),
            Self::Folded => folded::lines(&profiled.profile).into_bytes(),
            Self::Svg => picture::picture(profiled).into_bytes(),
        }
    }
}

fn json(profiled: &Profiled) -> Value {
    let profile = &profiled.profile;
    json!({
        "ended": profiled.ended,
        "seconds": profiled.seconds,
        "workers": profiled.workers,
        "why": profiled.why,
        "samples": profile.samples(),
        "cpu_seconds": profile.ns() as f64 / 1e9,
        "lost_seconds": profile.lost as f64 / 1e9,
        "functions": profile.functions,
        "calls": profile.calls,
    })
}

/// Stacks with samples in their last call: that call, and all from the outermost to it.
fn stacks(profile: &Profile) -> impl Iterator<Item = (&gk_telemetry::profile::Call, Vec<usize>)> {
    let sampled = profile.calls.iter().enumerate().filter(|(_, call)| call.samples > 0 || call.ns > 0);
    sampled.map(|(index, call)| (call, profile.stack(index)))
}

/// A call in words: `name (file:line)`.
fn words(profile: &Profile, call: usize) -> String {
    let Some(call) = profile.calls.get(call) else { return String::new() };
    let Some(function) = profile.functions.get(call.function) else { return String::new() };
    if function.file.is_empty() {
        function.name.clone()
    } else {
        format!("{} ({}:{})", function.name, function.file, call.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_telemetry::profile::{Call, CallTreeSample, Function};

    pub(super) fn example() -> Profiled {
        let function = |name: &str, file: &str| Function { name: name.into(), file: file.into() };
        let call = |from, function, line, ms: u64| Call {
            from,
            function,
            line,
            ns: ms * 1_000_000,
            samples: ms / 20,
        };
        let tree = CallTreeSample {
            functions: vec![
                function("/report;x", ""),
                function("application", "/srv/app.py"),
                function("<lambda>", "/srv/app.py"),
            ],
            calls: vec![
                call(None, 0, 0, 0),
                call(Some(0), 1, 30, 20),
                call(Some(1), 2, 7, 60),
                call(Some(1), 2, 8, 40),
                call(Some(0), 1, 31, 0),
            ],
            ..CallTreeSample::default()
        };
        let mut profiled =
            Profiled { ended: 1_700_000_000.0, seconds: 2.0, workers: 1, ..Profiled::default() };
        profiled.profile.add(&tree, None);
        profiled
    }

    #[test]
    fn forms_have_names() {
        assert_eq!(Form::named("pprof"), Ok(Form::Pprof));
        assert_eq!(
            Form::named("gif").unwrap_err(),
            "format must be one of json, speedscope, pprof, folded, svg, not `gif`"
        );
        let json: Value = serde_json::from_slice(&Form::Json.of(&example())).unwrap();
        assert_eq!((json["samples"].as_u64(), json["cpu_seconds"].as_f64()), (Some(6), Some(0.12)));
        assert_eq!(json["calls"][2]["from"], 1);
    }
}
