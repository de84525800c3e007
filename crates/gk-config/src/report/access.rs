//! Who is served where, in words.

use super::lines::Lines;
use crate::site::{Host, Settings};
use gk_rules::access::{Access, Script};
use std::path::Path;

/// The rules of a scope, or of a place after merging; `everybody`: say so where there are none.
pub fn words(closed: bool, access: &Access, everybody: bool) -> Vec<String> {
    if closed {
        return vec!["nobody is served, because a directive of this place cannot be honoured".to_owned()];
    }
    let mut words = access.words();
    if words.is_empty() && everybody {
        words.push("everybody is served".to_owned());
    }
    words
}

/// A line for each kind of rule of a scope, and the script that chooses its groups.
pub fn listed(out: &mut Lines, closed: bool, access: &Access, dispatch: Option<&Script>) {
    for line in words(closed, access, false) {
        out.pair(2, "access", &line);
    }
    if let Some(script) = dispatch {
        out.pair(2, "dispatch-script", &script.path.display().to_string());
    }
}

/// The settings of a URL path that leads to a file, as sections without expressions leave them.
pub fn settings(host: &Host, url: &str, file: Option<&Path>) -> Settings {
    let mut settings = host.base.clone();
    for section in &host.sections {
        if crate::place::section_matches(section, url.as_bytes(), file) {
            settings.apply(&section.set);
        }
    }
    settings
}

/// What the report says below an alias: who is served there.
pub fn below(host: &Host, url: &str, file: Option<&Path>) -> String {
    let settings = settings(host, url, file);
    let lines = words(settings.closed, &settings.access, true);
    lines.iter().map(|line| format!("\n    access: {line}")).collect()
}
