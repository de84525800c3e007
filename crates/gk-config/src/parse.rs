//! Lines to a tree of directives and sections. Everything that Apache does while reading happens here, in order:
//! `Define` and `${VAR}`, `Include`, macros, `ServerRoot` for relative paths, and the conditional sections, whose content
//! takes their place. The meaning of directives and their contexts are checked later.

mod condition;
mod expand;
pub(crate) mod glob;
mod include;
mod macros;
pub mod source;
pub mod token;

pub use condition::PASSED_OVER;

use crate::diagnostic::{Complaint, Journal};
use crate::{Surroundings, directives};
use source::Source;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use token::{Glyph, Split, Word};

/// Sections inside sections, at most.
const DEPTH: usize = 32;

/// A directive or a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name as written, without `<`.
    pub name: Word,
    /// What follows the name, not yet cut into words.
    pub arguments: Vec<Glyph>,
    /// The content of a section.
    pub children: Option<Vec<Node>>,
}

/// A configuration as a tree, with the directory its relative paths start at.
#[derive(Debug)]
pub struct Parsed {
    /// Directives and sections in order.
    pub nodes: Vec<Node>,
    /// `ServerRoot` if there is one, otherwise the directory of the file.
    pub base: PathBuf,
    /// Files and complaints so far.
    pub journal: Journal,
}

/// Parses a file; a file that cannot be read is an error in the journal.
pub fn parse_file(path: &Path, source: &dyn Source, surroundings: &Surroundings) -> Parsed {
    let name = path.display().to_string();
    match source.read(path) {
        Ok(bytes) => {
            let base = path.parent().unwrap_or(Path::new("/")).to_owned();
            let mut parser = Parser::new(source, surroundings, base);
            parser.chain.push(path.to_owned());
            parser.whole(&name, &String::from_utf8_lossy(&bytes))
        }
        Err(why) => {
            let mut journal = Journal::default();
            journal.file(&name, "");
            journal.say(
                Complaint::error(format!("the configuration file cannot be read: {why}"))
                    .hint("give the path of a readable file after -c"),
            );
            Parsed { nodes: Vec::new(), base: surroundings.directory.clone(), journal }
        }
    }
}

/// Parses a text that has no file of its own.
pub fn parse_text(name: &str, text: &str, source: &dyn Source, surroundings: &Surroundings) -> Parsed {
    Parser::new(source, surroundings, surroundings.directory.clone()).whole(name, text)
}

/// Lines not yet read of one file.
type Lines = VecDeque<Vec<Glyph>>;

struct Parser<'a> {
    source: &'a dyn Source,
    surroundings: &'a Surroundings,
    journal: Journal,
    defines: BTreeMap<String, String>,
    base: PathBuf,
    /// Files being read, outermost first.
    chain: Vec<PathBuf>,
    /// Macros by name in lower case.
    macros: BTreeMap<String, macros::Macro>,
    /// Macros being used, outermost first.
    using: Vec<String>,
    /// Lines that uses of macros have given.
    used_lines: usize,
}

impl<'a> Parser<'a> {
    fn new(source: &'a dyn Source, surroundings: &'a Surroundings, base: PathBuf) -> Self {
        let defines = surroundings.defines.clone();
        Self {
            source,
            surroundings,
            journal: Journal::default(),
            defines,
            base,
            chain: Vec::new(),
            macros: BTreeMap::new(),
            using: Vec::new(),
            used_lines: 0,
        }
    }

    fn whole(mut self, name: &str, text: &str) -> Parsed {
        let mut nodes = Vec::new();
        self.text(name, text, &mut nodes, 0);
        Parsed { nodes, base: self.base, journal: self.journal }
    }

    /// Reads one file's text; its sections must close within it.
    fn text(&mut self, name: &str, text: &str, into: &mut Vec<Node>, depth: usize) {
        let file = self.journal.file(name, text);
        let mut lines: Lines = token::logical_lines(text, file).into();
        while !lines.is_empty() {
            self.block(&mut lines, None, into, depth);
        }
    }

    /// Reads lines until the section that `open` began is closed, or to the end of the file.
    fn block(&mut self, lines: &mut Lines, open: Option<&Word>, into: &mut Vec<Node>, depth: usize) {
        while let Some(line) = lines.pop_front() {
            if line.len() > 1 && line[0].0 == '<' && line[1].0 == '/' {
                if self.closes(&line, open) {
                    return;
                }
                continue;
            }
            let Some(line) = self.expand(&line) else { continue };
            if line.is_empty() {
                continue;
            }
            if line[0].0 == '<' {
                self.section(&line, lines, into, depth);
            } else {
                self.directive(&line, into, depth);
            }
        }
        if let Some(open) = open {
            self.journal.say(
                Complaint::error(format!("the section <{}> is never closed in this file", open.text))
                    .at(open)
                    .hint(format!("add a line `</{}>`", open.text)),
            );
        }
    }

    /// Judges a closing line: true if it ends the open section.
    fn closes(&mut self, line: &[Glyph], open: Option<&Word>) -> bool {
        let name: String = line[2..].iter().map(|g| g.0).collect();
        let bare = name.trim_end().strip_suffix('>').map(|n| n.trim().to_owned());
        let width = u32::try_from(line.len()).unwrap_or(u32::MAX);
        let closing = Word { text: bare.clone().unwrap_or_default(), place: line[0].1, width };
        match (bare, open) {
            (None, _) => {
                self.journal.say(Complaint::error("a closing line must end with `>`").at(&closing));
                open.is_some_and(|o| o.text.eq_ignore_ascii_case(name.trim()))
            }
            (Some(bare), Some(open)) if bare.eq_ignore_ascii_case(&open.text) => true,
            (Some(bare), Some(open)) => {
                let line = open.place.line;
                self.journal.say(
                    Complaint::error(format!("`</{bare}>` closes nothing here: <{}> is open", open.text))
                        .at(&closing)
                        .hint(format!("<{}> was opened on line {line}", open.text)),
                );
                false
            }
            (Some(bare), None) => {
                let message = format!("`</{bare}>` closes nothing: no section is open");
                self.journal.say(Complaint::error(message).at(&closing));
                false
            }
        }
    }

    fn section(&mut self, line: &[Glyph], lines: &mut Lines, into: &mut Vec<Node>, depth: usize) {
        let (name, rest) = head(&line[1..], line[0]);
        let arguments = match rest.split_last() {
            Some((&('>', _), arguments)) => token::trim(arguments).to_vec(),
            _ if name.text.ends_with('>') => Vec::new(),
            _ => {
                let complaint =
                    Complaint::error(format!("the line that opens <{}> must end with `>`", name.text));
                self.journal.say(complaint.at(&name));
                rest.to_vec()
            }
        };
        let name = Word { text: name.text.trim_end_matches('>').to_owned(), ..name };
        if depth >= DEPTH {
            let complaint = Complaint::error(format!("sections are nested deeper than {DEPTH} levels"));
            self.journal.say(complaint.at(&name));
            let _ = self.skip(lines, &name);
            return;
        }
        if name.text.eq_ignore_ascii_case("macro") {
            return self.define_macro(&name, &arguments, lines);
        }
        match self.condition(&name, &arguments) {
            Some(true) => self.block(lines, Some(&name), into, depth + 1),
            Some(false) => {
                let mut passed = self.skip(lines, &name);
                self.note_passed(&name, &arguments, &passed);
                if condition::asks_for_module(&name, &arguments) {
                    self.guards(&mut passed, &name, into, depth);
                }
            }
            None => {
                let mut children = Vec::new();
                self.block(lines, Some(&name), &mut children, depth + 1);
                into.push(Node { name, arguments, children: Some(children) });
            }
        }
    }

    /// Passes over the content of an `<IfModule>` of a module that is not here, but for what protects: with the module it kept
    /// somebody out, so it closes its scope. Sections about places stay around it; a virtual host is not there at all.
    fn guards(&mut self, lines: &mut Lines, open: &Word, into: &mut Vec<Node>, depth: usize) {
        while let Some(line) = lines.pop_front() {
            if line[0].0 != '<' {
                let (name, rest) = head(&line, line[0]);
                if directives::closes(&name.text) {
                    into.push(Node { name, arguments: rest.to_vec(), children: None });
                }
                continue;
            }
            let (name, rest) = head(&line[1..], line[0]);
            let text = name.text.trim_end_matches('>').to_owned();
            if let Some(closed) = text.strip_prefix('/') {
                if closed.eq_ignore_ascii_case(&open.text) {
                    return;
                }
                continue;
            }
            let name = Word { text, ..name };
            let mut inside = Vec::new();
            if depth < DEPTH {
                self.guards(lines, &name, &mut inside, depth + 1);
            }
            match name.text.to_ascii_lowercase().as_str() {
                "location" | "locationmatch" | "directory" | "directorymatch" | "files" | "filesmatch" => {
                    let arguments = match rest.split_last() {
                        Some((&('>', _), arguments)) => token::trim(arguments),
                        _ => rest,
                    };
                    if !inside.is_empty() {
                        let arguments = self.expand(arguments).unwrap_or_default();
                        into.push(Node { name, arguments, children: Some(inside) });
                    }
                }
                "virtualhost" => {}
                _ => into.extend(inside),
            }
        }
    }

    /// Passes over the content of a section whose condition is false, and gives it.
    fn skip(&mut self, lines: &mut Lines, open: &Word) -> Lines {
        let (mut level, mut passed) = (0usize, Lines::new());
        let wanted = open.text.to_ascii_lowercase();
        while let Some(line) = lines.pop_front() {
            let text: String = line.iter().map(|g| g.0).collect::<String>().to_ascii_lowercase();
            passed.push_back(line);
            let Some(inside) = text.strip_prefix('<') else { continue };
            let (closing, name) = match inside.strip_prefix('/') {
                Some(name) => (true, name),
                None => (false, inside),
            };
            let name = name.split(|c: char| c.is_whitespace() || c == '>').next().unwrap_or("");
            match (name == wanted, closing, level) {
                (true, true, 0) => return passed,
                (true, true, _) => level -= 1,
                (true, false, _) => level += 1,
                _ => {}
            }
        }
        let message = format!("the section <{}> is never closed in this file", open.text);
        self.journal.say(Complaint::error(message).at(open));
        passed
    }

    fn directive(&mut self, line: &[Glyph], into: &mut Vec<Node>, depth: usize) {
        let (name, rest) = head(line, line[0]);
        match name.text.to_ascii_lowercase().as_str() {
            "include" => self.include(&name, rest, false, into, depth),
            "includeoptional" => self.include(&name, rest, true, into, depth),
            "define" => self.define(&name, rest),
            "use" => self.use_macro(&name, rest, into, depth),
            "undefmacro" => self.forget_macro(&name, rest),
            "undefine" => {
                if let Some([variable]) = self.cut(rest).as_deref() {
                    self.defines.remove(&variable.text);
                } else {
                    self.journal.say(Complaint::error("UnDefine takes one name").at(&name));
                }
            }
            "error" => {
                let text: String = rest.iter().map(|g| g.0).collect();
                let text = text.trim_matches('"').to_owned();
                self.journal.say(Complaint::error(format!("the configuration says: {text}")).at(&name));
            }
            lower => {
                if lower == "serverroot"
                    && let Some([root]) = self.cut(rest).as_deref()
                {
                    let file = self.chain.first().and_then(|file| file.parent());
                    self.base = file.unwrap_or(&self.surroundings.directory).join(&root.text);
                }
                into.push(Node { name, arguments: rest.to_vec(), children: None });
            }
        }
    }

    fn define(&mut self, name: &Word, rest: &[Glyph]) {
        match self.cut(rest).as_deref() {
            Some([variable]) => {
                self.defines.insert(variable.text.clone(), String::new());
            }
            Some([variable, value]) => {
                self.defines.insert(variable.text.clone(), value.text.clone());
            }
            Some(_) => {
                self.journal.say(Complaint::error("Define takes a name and at most one value").at(name));
            }
            None => {}
        }
    }

    /// Cuts words; a word that cannot be read is said and gives `None`.
    fn cut(&mut self, rest: &[Glyph]) -> Option<Vec<Word>> {
        match token::words(rest, Split::Words) {
            Ok(words) => Some(words),
            Err(bad) => {
                self.journal.say(Complaint::error(bad.message).or_at(bad.place, 1));
                None
            }
        }
    }
}

/// The name at the start of a line and what follows it; `first` is where an empty name stands.
fn head(line: &[Glyph], first: Glyph) -> (Word, &[Glyph]) {
    let end = line.iter().position(|g| g.0.is_whitespace()).unwrap_or(line.len());
    let text: String = line[..end].iter().map(|g| g.0).collect();
    let place = line.first().map_or(first.1, |g| g.1);
    let width = u32::try_from(end.max(1)).unwrap_or(u32::MAX);
    (Word { text, place, width }, token::trim(&line[end..]))
}
