//! The GIL modes that the application supports, from `gilkeeper doctor`. The search tries no other mode.

use serde::Deserialize;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// A GIL mode that is not safe for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedMode {
    /// `own-gil` or `free-threading`.
    pub mode: &'static str,
    /// The reason, one sentence.
    pub why: String,
}

/// The part of the doctor's report that is read here.
#[derive(Debug, Default, Deserialize)]
struct DoctorReport {
    modes: Vec<DoctorMode>,
    findings: Vec<DoctorFinding>,
}

#[derive(Debug, Default, Deserialize)]
struct DoctorMode {
    mode: String,
    verdict: String,
    why: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct DoctorFinding {
    mode: Option<String>,
    level: String,
    text: String,
}

/// Asks the doctor about one mode; `Ok(None)`: it is safe. `gilkeeper`: the command; `python`: the Python to examine with.
pub fn ask(
    gilkeeper: &[OsString],
    script: &str,
    python: Option<&Path>,
    options: &[String],
    folder: &Path,
    mode: &'static str,
) -> Result<Option<RejectedMode>, String> {
    let mut command = Command::new(&gilkeeper[0]);
    command.args(&gilkeeper[1..]).args(["doctor", script, "--format", "json", "--for", mode]).args(options);
    if let Some(python) = python {
        command.arg("--python").arg(python);
    }
    let output = command.current_dir(folder).stdin(Stdio::null()).output();
    let output = output.map_err(|why| format!("the doctor cannot be asked: {why}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or("it says nothing").trim_start_matches("gilkeeper: ");
    match serde_json::from_slice(&output.stdout) {
        Ok(report) => Ok(judge(&report, mode)),
        Err(_) => Err(last.to_owned()),
    }
}

fn judge(report: &DoctorReport, mode: &'static str) -> Option<RejectedMode> {
    let found = report.modes.iter().find(|one| one.mode == mode);
    if found.is_some_and(|one| one.verdict == "safe") {
        return None;
    }
    let finding =
        report.findings.iter().find(|f| f.level == "unsafe" && f.mode.as_deref().is_none_or(|of| of == mode));
    let why = finding.map(|f| f.text.clone()).or_else(|| found.and_then(|one| one.why.clone()));
    Some(RejectedMode { mode, why: why.unwrap_or_else(|| "the doctor did not say that it is safe".into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_modes_are_tried() {
        let json = r#"{"modes": [{"mode": "own-gil", "verdict": "unsafe", "asked": true},
            {"mode": "free-threading", "verdict": "untried", "why": "this Python has a GIL"},
            {"mode": "sub-interpreter", "verdict": "safe"}],
            "findings": [{"mode": "own-gil", "level": "unsafe", "text": "numpy refuses"}]}"#;
        let report: DoctorReport = serde_json::from_str(json).unwrap();
        assert_eq!(judge(&report, "sub-interpreter"), None);
        assert_eq!(judge(&report, "own-gil").unwrap().why, "numpy refuses");
        assert_eq!(judge(&report, "free-threading").unwrap().why, "this Python has a GIL");
        let command: Vec<OsString> =
            ["sh", "-c", "echo 'gilkeeper: no import' >&2"].map(OsString::from).into();
        assert_eq!(ask(&command, "a.py", None, &[], Path::new("."), "own-gil").unwrap_err(), "no import");
    }
}
