//! `RewriteRule` and conditional sections: the request's path, file and handler as rules leave them.

use gk_config::place::{Found, Kind, Script, Walked};
use gk_config::site::Branch;
use gk_rules::TooLong;
use gk_rules::rewrite::{self, Action, Note, Outcome, Place};
use gk_wire::log::Level;
use http::{HeaderValue, StatusCode};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::Asked;
use crate::answer::files::disk::FileSystem;
use crate::request::refusal::Refusal;
use crate::request::resource::{Decided, RewrittenFile};
use crate::request::{path, target};

/// What rewriting has left of a request.
#[derive(Debug, Default)]
pub struct Rewriting {
    /// The file that RewriteRule has put in place of aliases and scripts.
    file: Option<RewrittenFile>,
    /// The handler that a rule forces.
    handler: Option<String>,
    /// The media type that a rule forces.
    pub media_type: Option<HeaderValue>,
    /// Values of `Set-Cookie` for the response.
    pub cookies: Vec<HeaderValue>,
    /// Names of the headers that conditions of any directive have asked for.
    pub vary: RefCell<Vec<String>>,
    /// No rule is asked any more.
    ended: bool,
    /// Numbers of the conditional sections that hold.
    branches: Vec<usize>,
}

/// How a request goes on behind the rules of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Up to its handler.
    On,
    /// To another handler of the same file.
    Rerouted,
    /// As another request within the server.
    Again,
}

impl Rewriting {
    /// Forgets what was decided about a place.
    pub(super) fn leave_place(&mut self) {
        (self.file, self.handler) = (None, None);
        self.branches.clear();
    }

    /// What routing has to know.
    pub(super) fn decided(&self) -> Decided<'_> {
        Decided { branches: &self.branches, handler: self.handler.as_deref(), file: self.file.as_ref() }
    }
}

/// The file that a path leads to, and what of the path lies behind it.
struct Spot {
    file: Vec<u8>,
    rest: Vec<u8>,
    kind: Kind,
    /// URL and target of the alias that led there.
    alias: Option<(String, Vec<u8>)>,
}

impl Asked {
    /// The rules outside of sections.
    pub(super) fn rewrite_on_server(&mut self) -> Result<(), Refusal> {
        let settings = Arc::clone(&self.settings);
        let rules = &settings.rules.rewrite;
        if !rules.own || self.rewriting.ended {
            return Ok(());
        }
        // A `<Location>` may have switched the engine.
        let engine = self.current.compiled.settings(self.host, &self.path, None).rules.rewrite.engine;
        if !rules.runs_on_server(engine) {
            return Ok(());
        }
        let outcome = rewrite::server(rules, self);
        match self.take(outcome)? {
            Action::Path(path) => (self.path, self.as_sent) = (path, false),
            // The URL stays, and with it the `<Location>`s that hold.
            Action::BelowRoot(path) => self.rewriting.file = Some(RewrittenFile::BelowRoot(path)),
            Action::File(path) => self.rewriting.file = Some(RewrittenFile::Absolute(path)),
            _ => {}
        }
        Ok(())
    }

    /// The rules of the place.
    pub(super) fn rewrite_in_place(&mut self) -> Result<Step, Refusal> {
        let settings = Arc::clone(&self.settings);
        let rules = &settings.rules.rewrite;
        // Who is not admitted learns nothing from rules.
        if !rules.runs_in_place() || self.rewriting.ended || settings.granted() == Some(false) {
            return Ok(Step::On);
        }
        let spot = self.spot();
        let alias = spot.alias.as_ref().map(|(url, target)| (url.as_str(), target.as_slice()));
        let outcome =
            rewrite::place(rules, self, &Place { filename: &spot.file, path_info: &spot.rest, alias });
        let env = outcome.env.redirected(self);
        let handler = outcome.handler.is_some();
        match self.take(outcome)? {
            // A directory gets its slash first.
            Action::Again(_) if spot.kind == Kind::Directory && !self.path.ends_with(b"/") => {
                let query = target::query(&self.parts);
                let query = if query.is_empty() {
                    String::new()
                } else {
                    format!("?{}", String::from_utf8_lossy(query))
                };
                Err(Refusal::Slash(format!("{}/{query}", path::encode(&self.path))))
            }
            Action::Again(path) => {
                self.env = env;
                // Who may see this place may be nobody in another.
                self.caller = None;
                self.begin_again(path);
                Ok(Step::Again)
            }
            _ if handler => Ok(Step::Rerouted),
            _ => Ok(Step::On),
        }
    }

    /// Chooses the conditional sections that hold; true if there are some.
    pub fn choose_branches(&mut self) -> Result<bool, Refusal> {
        self.rewriting.branches.clear();
        if !self.current.compiled.has_branches(self.host) {
            return Ok(false);
        }
        let spot = self.spot();
        let file = Path::new(OsStr::from_bytes(&spot.file));
        let mut holds = |branch: &Branch| -> Result<bool, TooLong> {
            for expression in &branch.not {
                if expression.holds_at(self, &spot.file, &spot.rest)? {
                    return Ok(false);
                }
            }
            let is = branch.is.as_ref();
            is.map_or(Ok(true), |expression| expression.holds_at(self, &spot.file, &spot.rest))
        };
        let found = self.current.compiled.branches(self.host, &self.path, Some(file), &mut holds);
        match found {
            Ok(branches) => self.rewriting.branches = branches,
            Err(TooLong) => {
                self.say_too_long("<If>");
                return Err(Refusal::Internal);
            }
        }
        Ok(!self.rewriting.branches.is_empty())
    }

    /// Takes an outcome over, up to what is left to do.
    pub(super) fn take(&mut self, outcome: Outcome) -> Result<Action, Refusal> {
        let Outcome { action, query, env, cookies, vary, handler, media_type, ended, note } = outcome;
        (self.env, self.query) = (env, query);
        self.rewriting.ended |= ended;
        self.rewriting.cookies.extend(cookies.iter().filter_map(|cookie| HeaderValue::from_str(cookie).ok()));
        self.rewriting.vary.get_mut().extend(vary);
        self.rewriting.handler = handler.or(self.rewriting.handler.take());
        if let Some(media_type) = media_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
            self.rewriting.media_type = Some(media_type);
        }
        match note {
            Some(Note::TooLong) => self.say_too_long("RewriteRule or RewriteCond"),
            Some(Note::Loop) => {
                self.say("the rules of RewriteRule led to a loop or to a path that is too long");
            }
            None => {}
        }
        match action {
            Action::Answer(status) => {
                Err(StatusCode::from_u16(status).map_or(Refusal::Internal, Refusal::Status))
            }
            Action::Redirect { status, location } => {
                let status = StatusCode::from_u16(status).map_err(|_| Refusal::Internal)?;
                let location = HeaderValue::from_bytes(&location).map_err(|_| Refusal::Forbidden)?;
                Err(Refusal::Moved(status, location))
            }
            action => Ok(action),
        }
    }

    /// The file that the path leads to now.
    fn spot(&self) -> Spot {
        let compiled = &self.current.compiled;
        let found = match &self.rewriting.file {
            None => compiled.find(self.host, &self.path),
            Some(file) => file.found(compiled, self.host),
        };
        match found {
            Found::Script(hit) => {
                let file = match &hit.script {
                    Script::File(path) => path.as_os_str().as_bytes().to_vec(),
                    Script::Module(_) => self.path[..hit.split].to_vec(),
                };
                Spot { file, rest: self.path[hit.split..].to_vec(), kind: Kind::File, alias: None }
            }
            Found::Path(path) => {
                let walked = path.walk(&FileSystem);
                let alias = compiled.alias(self.host, path.origin);
                let alias =
                    alias.map(|(url, target)| (url.to_owned(), target.as_os_str().as_bytes().to_vec()));
                let Walked { file, kind, rest } = walked;
                Spot { file: file.as_os_str().as_bytes().to_vec(), rest, kind, alias }
            }
            Found::Nothing => {
                Spot { file: self.path.clone(), rest: Vec::new(), kind: Kind::Missing, alias: None }
            }
        }
    }

    /// Writes a line about a pattern that gave up into the error log, at most once a minute: clients choose the text.
    pub fn say_too_long(&self, directive: &str) {
        if self.current.patterns_noted.is_due() {
            let text = format!(
                "a pattern of {directive} took too many steps, and the request is answered 500; \
                 begin the pattern with ^, or write it without look-around and back-references"
            );
            self.say(&text);
        }
    }

    /// Writes a line into the error log.
    pub fn say(&self, text: &str) {
        let text = format!("{text}: uri {}", self.parts.uri.path());
        crate::note_code(Level::Error, "AH00124", Some(&self.ends.client), &text);
    }
}
