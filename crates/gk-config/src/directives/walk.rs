//! The tree to the raw configuration: finds each directive's row, checks context and number of words, applies it,
//! and opens and closes the scopes that sections stand for.

use super::raw::Raw;
use crate::diagnostic::{Complaint, Journal, Severity};
use crate::directive::{Applied, Contexts, Directive, Scope, Status};
use crate::parse::{Node, Parsed};
use crate::token::{self, Word};
use crate::{Surroundings, directives, nearest};
use std::collections::BTreeMap;
use std::path::Path;

/// Applies every directive. The journal holds what was said on the way.
pub fn walk(parsed: Parsed, surroundings: &Surroundings) -> (Raw, Vec<Used>, Journal) {
    let Parsed { nodes, base, journal } = parsed;
    let raw = Raw::new(base.clone());
    let mut walk = Walk { raw, journal, used: Vec::new(), surroundings, base: &base, told: BTreeMap::new() };
    walk.nodes(&nodes, At::MAIN);
    (walk.raw, walk.used, walk.journal)
}

/// One use of a directive, for the report of `gilkeeper check`.
#[derive(Debug, Clone, PartialEq)]
pub struct Used {
    /// Name as the table spells it; of an unknown one, as the file does.
    pub name: String,
    /// What becomes of it; `None`: it is not known.
    pub status: Option<Status>,
    /// Index of the host it stands in; 0 is the main server.
    pub host: usize,
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// The scope being filled.
#[derive(Debug, Clone, Copy)]
struct At {
    host: usize,
    section: Option<usize>,
    block: usize,
}

impl At {
    const MAIN: Self = Self { host: 0, section: None, block: 0 };

    fn context(self) -> Contexts {
        match self {
            Self { block: 1.., .. } => Contexts::INTERPRETER,
            Self { section: Some(_), .. } => Contexts::SECTION,
            Self { host: 0, .. } => Contexts::GLOBAL,
            _ => Contexts::SERVER,
        }
    }
}

impl At {
    /// What it means that this scope is closed.
    fn closed(self) -> &'static str {
        match self {
            Self { section: Some(_), .. } => "every request in this section is answered 403",
            Self { host: 0, .. } => "every request of the whole server is answered 403",
            _ => "every request of this virtual host is answered 403",
        }
    }
}

/// A function of a row.
type Apply = fn(&mut Scope, &[Word]) -> Applied;

struct Walk<'a> {
    raw: Raw,
    journal: Journal,
    used: Vec<Used>,
    surroundings: &'a Surroundings,
    base: &'a Path,
    /// Remedies that are said once a file, with the directive and the line that said them.
    told: BTreeMap<(u32, &'static str), (String, u32)>,
}

impl Walk<'_> {
    fn nodes(&mut self, nodes: &[Node], at: At) {
        for node in nodes {
            match &node.children {
                Some(children) => self.section(node, children, at),
                None => self.directive(node, at),
            }
        }
    }

    fn directive(&mut self, node: &Node, at: At) {
        let Some(row) = directives::find(&node.name.text) else {
            let complaint = self.unknown(node, directives::names(), "directive");
            let complaint = self.close_for_like(complaint, node, at);
            return self.journal.say(complaint);
        };
        self.note_use(directives::shown(row, &node.name.text), Some(row.status), node, at);
        if let Some(words) = self.words(row, node, at) {
            self.apply(row, node, at, &words);
        }
    }

    fn section(&mut self, node: &Node, children: &[Node], at: At) {
        let lower = node.name.text.to_ascii_lowercase();
        let wanted = format!("<{lower}>");
        let Some(row) = directives::find(&wanted) else {
            let names = directives::names().filter(|n| n.starts_with('<'));
            self.note_use(&wanted, None, node, at);
            let complaint = self.unknown(node, names.map(|n| n.trim_matches(['<', '>'])), "section");
            return self.pass_over(complaint, node, children, at);
        };
        self.note_use(directives::shown(row, &wanted), Some(row.status), node, at);
        let Some(words) = self.words(row, node, at) else { return };
        let (hosts, blocks) = (self.raw.hosts.len(), self.raw.interpreters.len());
        let sections = self.raw.hosts[at.host].sections.len();
        if !self.apply(row, node, at, &words) {
            return;
        }
        match row.status {
            Status::WithoutEffect(why) => return self.inert(children, why, at),
            Status::Closes(_) => return,
            _ => {}
        }
        let inner = match lower.as_str() {
            "virtualhost" => At { host: hosts, ..at },
            "wsgiinterpreteroptions" => At { block: blocks, ..at },
            "requireall" | "requireany" | "requirenone" | "limit" | "limitexcept" => at,
            _ => At { section: Some(sections), ..at },
        };
        self.nodes(children, inner);
        if let Some(end) = directives::access::end(row.name) {
            self.run(end, row, node, at, &words);
        }
    }

    /// Cuts the words and checks context and number.
    fn words(&mut self, row: &'static Directive, node: &Node, at: At) -> Option<Vec<Word>> {
        let words = match token::words(&node.arguments, row.arity.split) {
            Ok(words) => words,
            Err(bad) => {
                self.journal.say(Complaint::error(bad.message).or_at(bad.place, 1));
                return None;
            }
        };
        let allowed = match at.context() {
            Contexts::SERVER => row.contexts.holds(Contexts::SERVER),
            context => row.contexts.holds(context),
        };
        if !allowed && self.wrong_context(row, node, at) {
            return None;
        }
        if words.len() < row.arity.least || words.len() > row.arity.most {
            let message = format!("{} takes {}, not {}", row.name, row.arity.words(), words.len());
            let word = words.get(row.arity.most).unwrap_or(&node.name);
            let hint = format!("syntax: {}", directives::usage(row));
            self.journal.say(Complaint::error(message).at(word).hint(hint));
            return None;
        }
        Some(words)
    }

    /// Reports a directive in the wrong context; true if it must not be applied.
    fn wrong_context(&mut self, row: &'static Directive, node: &Node, at: At) -> bool {
        let here = match at.context() {
            Contexts::INTERPRETER => "inside <WSGIInterpreterOptions>",
            Contexts::SECTION => "inside a directory, files or location section",
            Contexts::SERVER => "inside a virtual host",
            _ => "outside of a section",
        };
        let message = format!("{} is not allowed {here}", row.name);
        let complaint = Complaint::error(message).at(&node.name);
        self.journal.say(complaint.hint(format!("it is allowed in: {}", row.contexts.words())));
        true
    }

    /// Applies a row; true unless it complained with an error.
    fn apply(&mut self, row: &'static Directive, node: &Node, at: At, words: &[Word]) -> bool {
        let (done, status) = self.run(row.apply, row, node, at, words);
        if let Some(used) = self.used.last_mut() {
            used.status = Some(status);
        }
        if done {
            self.say_status(directives::shown(row, &node.name.text), status, node, at);
        }
        done && !matches!(status, Status::ToProxy(_) | Status::Otherwise(_))
    }

    /// Runs a function of a row: whether it complained of no error, and what becomes of the directive.
    fn run(
        &mut self,
        f: Apply,
        row: &'static Directive,
        node: &Node,
        at: At,
        words: &[Word],
    ) -> (bool, Status) {
        let mut scope = Scope {
            raw: &mut self.raw,
            host: at.host,
            section: at.section,
            block: at.block,
            base: self.base,
            surroundings: self.surroundings,
            name: row.name,
            word: &node.name,
            status: row.status,
            said: Vec::new(),
        };
        let outcome = f(&mut scope, words);
        if let Status::Closes(_) = scope.status {
            scope.settings().closed = true;
        }
        let (mut said, status) = (scope.said, scope.status);
        let failed = match outcome {
            Ok(()) => false,
            Err(complaint) => {
                let failed = complaint.severity == Severity::Error;
                said.push(complaint);
                failed
            }
        };
        for complaint in said {
            self.journal.say(complaint.or_at(node.name.place, node.name.width));
        }
        (!failed, status)
    }

    /// Says what the status of a directive means for the reader.
    fn say_status(&mut self, name: &str, status: Status, node: &Node, at: At) {
        let complaint = match status {
            Status::Honoured => return,
            Status::WithoutEffect(why) => Complaint::note(format!("{name} has no effect here: {why}")),
            Status::NotBuiltYet(area) => Complaint::warning(format!("{name} is not built yet: {area}")),
            Status::Closes(remedy) => {
                let message = format!("{name} cannot be honoured here: {}", at.closed());
                Complaint::warning(message).hint(remedy)
            }
            Status::ToProxy(remedy) => {
                Complaint::error(format!("{name} belongs to a web server in front")).hint(remedy)
            }
            Status::InProxy(remedy) => Complaint::warning(format!("{name} belongs to a proxy in front"))
                .hint(self.once(name, remedy, node)),
            Status::Otherwise(remedy) => {
                Complaint::error(format!("{name} is written otherwise here")).hint(remedy)
            }
            Status::Removed(why) => {
                let message = format!("{name} was removed in mod_wsgi 6 and has no effect");
                Complaint::warning(message).hint(why)
            }
        };
        self.journal.say(complaint.at(&node.name));
    }

    /// A remedy where its file has it first, else where that was.
    fn once(&mut self, name: &str, remedy: &'static str, node: &Node) -> String {
        let place = node.name.place;
        match self.told.get(&(place.file, remedy)) {
            Some((first, line)) => format!("as for {first} on line {line}"),
            None => {
                self.told.insert((place.file, remedy), (name.to_owned(), place.line));
                remedy.to_owned()
            }
        }
    }

    /// The content of a section about something that does not exist here, such as proxied requests. What belongs to a
    /// web server in front is still said, and so is what is not known.
    fn inert(&mut self, children: &[Node], why: &'static str, at: At) {
        for node in children {
            let name = match node.children {
                Some(_) => format!("<{}>", node.name.text),
                None => node.name.text.clone(),
            };
            let Some(row) = directives::find(&name) else {
                let complaint = self.unknown(node, directives::names(), "directive");
                self.journal.say(complaint);
                continue;
            };
            let status = match row.status {
                Status::ToProxy(_) | Status::Otherwise(_) => row.status,
                _ => Status::WithoutEffect(why),
            };
            let shown = directives::shown(row, &node.name.text);
            self.note_use(shown, Some(status), node, at);
            if status == row.status {
                self.say_status(shown, status, node, at);
            }
            self.inert(node.children.as_deref().unwrap_or_default(), why, at);
        }
    }

    /// Closes the scope of an unknown directive that is passed over, if it is probably a misspelt one that protects.
    fn close_for_like(&mut self, complaint: Complaint, node: &Node, at: At) -> Complaint {
        self.note_use(&node.name.text, None, node, at);
        let near = nearest::nearest(&node.name.text, directives::names());
        let Some(near) = near.filter(|near| self.surroundings.ignore_unknown && directives::protects(near))
        else {
            return complaint;
        };
        let host = &mut self.raw.hosts[at.host];
        let set = match at.section {
            Some(section) => &mut host.sections[section].section.set,
            None => &mut host.base,
        };
        set.closed = true;
        complaint.hint(format!("did you mean `{near}`? it protects, so {}", at.closed()))
    }

    fn unknown<'n>(&self, node: &Node, names: impl Iterator<Item = &'n str>, kind: &str) -> Complaint {
        let text = &node.name.text;
        let message = format!("`{text}` is not a {kind} that is known here");
        let complaint = match self.surroundings.ignore_unknown {
            true => Complaint::warning(format!("{message} and is ignored")),
            false => Complaint::error(message),
        };
        let complaint = match nearest::nearest(text, names) {
            Some(near) => complaint.hint(format!("did you mean `{near}`?")),
            None if self.surroundings.ignore_unknown => complaint,
            None => complaint.hint("--ignore-unknown turns this into a warning"),
        };
        complaint.at(&node.name)
    }

    /// Passes over an unknown section, unless that would open what a rule in it protects.
    fn pass_over(&mut self, complaint: Complaint, node: &Node, children: &[Node], at: At) {
        let complaint = match (protecting(children), at.section) {
            (Some(rule), Some(section)) if self.surroundings.ignore_unknown => {
                self.raw.hosts[at.host].sections[section].section.set.closed = true;
                let consequence = "so every request in the enclosing section is answered 403";
                complaint.hint(format!("it contains {}, {consequence}", rule.text))
            }
            (Some(rule), None) if self.surroundings.ignore_unknown => {
                let message = format!("`{}` is not known here and cannot be ignored", node.name.text);
                let hint =
                    format!("it contains {}: ignoring the section could serve what it protects", rule.text);
                Complaint::error(message).at(&node.name).hint(hint)
            }
            _ => complaint,
        };
        self.journal.say(complaint);
    }

    fn note_use(&mut self, name: &str, status: Option<Status>, node: &Node, at: At) {
        let place = node.name.place;
        let file = self.journal.name(place.file).to_owned();
        let (name, host) = (name.to_owned(), at.host);
        self.used.push(Used { name, status, host, file, line: place.line });
    }
}

/// The first directive in a section, or in one within, that may keep somebody out.
fn protecting(children: &[Node]) -> Option<&Word> {
    children.iter().find_map(|node| match directives::protects(&node.name.text) {
        true => Some(&node.name),
        false => protecting(node.children.as_deref().unwrap_or_default()),
    })
}
