//! What becomes of each directive that a configuration uses: the status of its row, unless a message takes it back. A line is
//! never both honoured and ignored, and none that a warning is about is plainly honoured.

use super::lines::Lines;
use crate::diagnostic::{Diagnostic, Ignores, Severity};
use crate::directive::Status;
use crate::{Loaded, Used};
use serde_json::{Value, json};

/// What becomes of one use of a directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Honoured,
    WithoutEffect,
    NotBuiltYet,
    Closes,
    ToProxy,
    Otherwise,
    Unknown,
    Wrong,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Honoured,
        Self::WithoutEffect,
        Self::NotBuiltYet,
        Self::Closes,
        Self::ToProxy,
        Self::Otherwise,
        Self::Unknown,
        Self::Wrong,
    ];

    /// As the summary counts it.
    fn counted(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::WithoutEffect => "without effect",
            Self::NotBuiltYet => "not built yet",
            Self::Closes => "denying access",
            Self::ToProxy => "to move to a proxy",
            Self::Otherwise => "to write otherwise",
            Self::Unknown => "unknown",
            Self::Wrong => "with an error",
        }
    }

    /// As the JSON names it.
    fn name(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::WithoutEffect => "accepted_without_effect",
            Self::NotBuiltYet => "not_built_yet",
            Self::Closes => "closes_its_scope",
            Self::ToProxy => "to_proxy",
            Self::Otherwise => "to_write_otherwise",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
        }
    }
}

/// The outcome with its reason.
fn outcome<'l>(used: &Used, said: &'l [Diagnostic]) -> (Outcome, Option<&'l str>) {
    let here = || said.iter().filter(|d| d.line == used.line && d.file == used.file);
    let ignored = |how: Ignores| here().find(|d| d.ignores == how).map(|d| d.message.as_str());
    let own = match used.status {
        None => return (Outcome::Unknown, None),
        Some(Status::ToProxy(why)) => return (Outcome::ToProxy, Some(why)),
        Some(Status::Otherwise(why)) => return (Outcome::Otherwise, Some(why)),
        Some(Status::WithoutEffect(why) | Status::Removed(why)) => (Outcome::WithoutEffect, Some(why)),
        Some(Status::NotBuiltYet(why)) => (Outcome::NotBuiltYet, Some(why)),
        Some(Status::Closes(why)) => (Outcome::Closes, Some(why)),
        Some(Status::InProxy(why)) => (Outcome::ToProxy, Some(why)),
        Some(Status::Honoured) => (Outcome::Honoured, None),
    };
    if let Some(error) = here().find(|d| d.severity == Severity::Error) {
        return (Outcome::Wrong, Some(&error.message));
    }
    if own.0 != Outcome::Honoured {
        return own;
    }
    let warned = || here().find(|d| d.severity == Severity::Warning).map(|d| d.message.as_str());
    match (ignored(Ignores::Refuses), ignored(Ignores::Whole)) {
        (Some(why), _) => (Outcome::Closes, Some(why)),
        (None, Some(why)) => (Outcome::WithoutEffect, Some(why)),
        (None, None) => (Outcome::Honoured, ignored(Ignores::Part).or_else(warned)),
    }
}

/// `41 directives: 33 honoured, 5 without effect, 3 to move to a proxy`.
pub fn summary(loaded: &Loaded) -> String {
    let outcomes: Vec<Outcome> =
        loaded.used.iter().map(|used| outcome(used, &loaded.diagnostics).0).collect();
    let counts = Outcome::ALL.iter().filter_map(|kind| {
        let count = outcomes.iter().filter(|found| *found == kind).count();
        let shown = count > 0 || *kind == Outcome::Honoured;
        shown.then(|| format!("{count} {}", kind.counted()))
    });
    let counts: Vec<String> = counts.collect();
    let all = outcomes.len();
    format!("{all} directive{}: {}", if all == 1 { "" } else { "s" }, counts.join(", "))
}

/// One line for each directive, in the order of the files.
pub fn listed(out: &mut Lines, loaded: &Loaded) {
    if loaded.used.is_empty() {
        return;
    }
    out.head("Directives");
    for used in &loaded.used {
        let (kind, why) = outcome(used, &loaded.diagnostics);
        let word = match kind {
            // An unknown AuthType is answered 500, as by Apache.
            Outcome::Closes if matches!(used.status, Some(Status::Honoured)) => "denies access",
            Outcome::Closes => "denies access (403)",
            Outcome::Wrong => "wrong",
            kind => kind.counted(),
        };
        let text = match (kind, why) {
            (Outcome::Honoured, Some(part)) => format!("{word}, but {part}"),
            (_, Some(why)) => format!("{word}: {why}"),
            (_, None) => word.to_owned(),
        };
        out.line(1, &format!("{}:{} {}: {text}", used.file, used.line, used.name));
    }
}

/// The JSON of each directive.
pub fn json(loaded: &Loaded) -> Vec<Value> {
    let each = loaded.used.iter().map(|used| {
        let (kind, why) = outcome(used, &loaded.diagnostics);
        json!({ "name": used.name, "status": kind.name(), "why": why, "file": used.file, "line": used.line })
    });
    each.collect()
}
