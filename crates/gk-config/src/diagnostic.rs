//! Diagnostics of a configuration: place, severity, message, hint. Rendered here, decided elsewhere.

use crate::token::{Place, Word};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Severity of a diagnostic; `Error` sorts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// It is used, but probably not as meant.
    Warning,
    /// Worth knowing; never fails a `check --strict`.
    Note,
}

impl Severity {
    /// The word in front of the message.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// How much of a directive a diagnostic takes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignores {
    /// Nothing: it has the effect that its row says.
    #[default]
    Nothing,
    /// A part: the rest has effect.
    Part,
    /// The whole line has no effect.
    Whole,
    /// What it says is not done, and requests that it is about are refused in its place.
    Refuses,
}

/// One diagnostic, complete in itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Severity.
    pub severity: Severity,
    /// `WSGInnnn` where mod_wsgi has a code for it, `GKnnnn` for codes of ours.
    pub code: Option<&'static str>,
    /// One sentence without full stop.
    pub message: String,
    /// File as it was opened.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Columns the word takes.
    pub width: u32,
    /// The source line.
    pub source: String,
    /// Remedy.
    pub hint: Option<String>,
    /// How much of its directive has no effect.
    #[serde(skip)]
    pub ignores: Ignores,
}

impl Diagnostic {
    /// The diagnostic over several lines, in the manner of rustc.
    pub fn render(&self) -> String {
        let mut out = self.headline();
        let gutter = self.line.to_string().len();
        let _ = write!(out, "\n{:gutter$}--> {}:{}:{}", "", self.file, self.line, self.column);
        if !self.source.is_empty() {
            let before = self.column.saturating_sub(1) as usize;
            let lead: String =
                self.source.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let room = self.source.chars().count().saturating_sub(before).max(1);
            let carets = "^".repeat((self.width as usize).clamp(1, room));
            let _ = write!(out, "\n{:gutter$} |", "");
            let _ = write!(out, "\n{} | {}", self.line, self.source.trim_end());
            let _ = write!(out, "\n{:gutter$} | {lead}{carets}", "");
        }
        if let Some(hint) = &self.hint {
            let _ = write!(out, "\n{:gutter$} = help: {hint}", "");
        }
        out.push('\n');
        out
    }

    /// `severity[code]: message`.
    fn headline(&self) -> String {
        match self.code {
            Some(code) => format!("{}[{code}]: {}", self.severity.word(), self.message),
            None => format!("{}: {}", self.severity.word(), self.message),
        }
    }

    /// The diagnostic on one line, for logs.
    pub fn line(&self) -> String {
        let hint = self.hint.as_deref().map(|h| format!(" ({h})")).unwrap_or_default();
        format!("{}:{}:{}: {}{hint}", self.file, self.line, self.column, self.headline())
    }
}

/// All diagnostics, rendered one after the other with a summary line.
pub fn render_all(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&diagnostic.render());
        out.push('\n');
    }
    let count = |s| diagnostics.iter().filter(|d| d.severity == s).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if errors + warnings > 0 {
        let _ = writeln!(out, "{errors} error{}, {warnings} warning{}", plural(errors), plural(warnings));
    }
    out
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// A complaint of a directive or the parser, before the place is turned into file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Severity.
    pub severity: Severity,
    /// Code, if there is one.
    pub code: Option<&'static str>,
    /// One sentence without full stop.
    pub message: String,
    /// Remedy.
    pub hint: Option<String>,
    /// Place and width; `None`: the directive's name.
    pub at: Option<(Place, u32)>,
    /// How much of its directive has no effect.
    pub ignores: Ignores,
}

impl Complaint {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        let (message, ignores) = (message.into(), Ignores::Nothing);
        Self { severity: Severity::Error, code: None, message, hint: None, at: None, ignores }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// A note.
    pub fn note(message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(message) }
    }

    /// Points at a word.
    pub fn at(mut self, word: &Word) -> Self {
        self.at = Some((word.place, word.width));
        self
    }

    /// Points at a place, if nothing more exact is known yet.
    pub fn or_at(mut self, place: Place, width: u32) -> Self {
        self.at = self.at.or(Some((place, width)));
        self
    }

    /// Says that the whole line has no effect.
    pub fn ignored(self) -> Self {
        Self { ignores: Ignores::Whole, ..self }
    }

    /// Says that requests are refused, as what the line says is not done.
    pub fn refuses(self) -> Self {
        Self { ignores: Ignores::Refuses, ..self }
    }

    /// Says that a part of the line has no effect.
    pub fn partly(self) -> Self {
        Self { ignores: Ignores::Part, ..self }
    }

    /// Adds what would help.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a code.
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
}

/// One use of a macro: its lines are at the places where they stand in the macro, and have come from another place.
#[derive(Debug)]
struct MacroUse {
    name: String,
    /// Number of the file, or of the use, that holds the macro.
    file: u32,
    /// The line that uses it.
    at: Place,
}

/// The files read so far and everything said about them.
#[derive(Debug, Default)]
pub struct Journal {
    files: Vec<(String, Vec<String>)>,
    /// Uses of macros, by the number that stands in the places of their lines.
    uses: BTreeMap<u32, MacroUse>,
    said: Vec<Complaint>,
}

impl Journal {
    /// Adds a file; the number is what [`Place::file`] holds.
    pub fn file(&mut self, name: &str, text: &str) -> u32 {
        let lines = text.split('\n').map(|l| l.trim_end_matches('\r').to_owned()).collect();
        self.files.push((name.to_owned(), lines));
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds a use of a macro that stands in `file`; the number is what [`Place::file`] of its lines holds.
    pub fn macro_use(&mut self, name: &str, file: u32, at: Place) -> u32 {
        let number = self.file("", "");
        self.uses.insert(number, MacroUse { name: name.to_owned(), file, at });
        number
    }

    /// Number of files read.
    pub fn file_count(&self) -> usize {
        self.files.len() - self.uses.len()
    }

    /// The file that a number stands for: that of the macro where it is a use.
    fn real(&self, mut file: u32) -> usize {
        // A macro stands in an earlier file or use.
        while let Some(used) = self.uses.get(&file).filter(|used| used.file < file) {
            file = used.file;
        }
        file as usize
    }

    /// Names of the files read.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| &**name).filter(|name| !name.is_empty())
    }

    /// Notes a complaint.
    pub fn say(&mut self, complaint: Complaint) {
        self.said.push(complaint);
    }

    /// Name of a file.
    pub fn name(&self, file: u32) -> &str {
        self.files.get(self.real(file)).map_or("", |f| &f.0)
    }

    /// The diagnostics, by file and line.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.said.sort_by_key(|c| c.at.map(|(place, _)| place));
        self.said.dedup();
        let said = std::mem::take(&mut self.said);
        said.into_iter().map(|complaint| self.place(complaint)).collect()
    }

    fn place(&self, complaint: Complaint) -> Diagnostic {
        let (place, width) = complaint.at.unwrap_or((Place { file: 0, line: 1, column: 1 }, 1));
        let message = match self.uses.get(&place.file) {
            Some(MacroUse { name, at, .. }) => {
                let from = self.name(at.file);
                format!("{} (in the macro `{name}`, used at {from}:{})", complaint.message, at.line)
            }
            None => complaint.message,
        };
        let lines = self.files.get(self.real(place.file)).map(|f| &f.1);
        let source = lines.and_then(|l| l.get((place.line as usize).saturating_sub(1))).cloned();
        Diagnostic {
            severity: complaint.severity,
            code: complaint.code,
            message,
            file: self.name(place.file).to_owned(),
            line: place.line,
            column: place.column,
            width,
            source: source.unwrap_or_default(),
            hint: complaint.hint,
            ignores: complaint.ignores,
        }
    }
}
