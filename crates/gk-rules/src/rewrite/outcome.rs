//! What the rules of a phase come to: a redirect, an answer, another path.

use super::Rewrite;
use super::engine::{self, Verdict};
use super::state::State;
use super::url;
use crate::escape::{clean, escape_path};
use crate::{Env, Facts, Kind};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The end of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What is to be done.
    pub action: Action,
    /// The query from now on.
    pub query: Vec<u8>,
    /// The variables from now on.
    pub env: Env,
    /// Values of `Set-Cookie` for the response.
    pub cookies: Vec<String>,
    /// Names of the headers that decided, for `Vary`.
    pub vary: Vec<String>,
    /// The handler that `H` forces.
    pub handler: Option<String>,
    /// The media type that `T` forces.
    pub media_type: Option<String>,
    /// `END`: no rule is asked any more for this request.
    pub ended: bool,
    /// What the error log is told of.
    pub note: Option<Note>,
}

/// Why the rules of a request gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// A pattern took too much work.
    TooLong,
    /// A loop, or a path that is too long.
    Loop,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Go on as if there were no rules.
    Go,
    /// Answer with a status.
    Answer(u16),
    /// Redirect.
    Redirect {
        /// 3xx.
        status: u16,
        /// An absolute URL.
        location: Vec<u8>,
    },
    /// Go on with another URL path, which aliases and scripts are looked up for.
    Path(Vec<u8>),
    /// Go on with a file below the document root, past aliases and scripts.
    BelowRoot(Vec<u8>),
    /// Go on with a file.
    File(Vec<u8>),
    /// Begin again with another URL path: an internal redirect.
    Again(Vec<u8>),
}

/// The file that a request leads to, before the rules of its section.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    /// The script or file, or the first part of its path that does not exist.
    pub filename: &'a [u8],
    /// What follows it.
    pub path_info: &'a [u8],
    /// URL and target of the alias that led there.
    pub alias: Option<(&'a str, &'a [u8])>,
}

/// Applies the rules outside of sections. Ask [`Rewrite::runs_on_server`] first.
pub fn server(rewrite: &Rewrite, facts: &dyn Facts) -> Outcome {
    let mut state = State::new(facts, &rewrite.maps, None);
    if facts.env().get("SCRIPT_URL").is_none() {
        let url = facts.path().to_vec();
        state.env.set("SCRIPT_URI", [url::origin(facts).as_bytes(), &url].concat());
        state.env.set("SCRIPT_URL", url);
    }
    let verdict = engine::apply(&rewrite.rules, &mut state);
    finish(state, verdict, |state, pass_through| {
        let Some(path) = clean(&state.filename) else { return Action::Answer(400) };
        if pass_through {
            return Action::Path(path);
        }
        match state.below_root || !begins_in_the_file_system(&path, state.facts) {
            true => Action::BelowRoot(path),
            false => Action::File(path),
        }
    })
}

/// Applies the rules of a section. Ask [`Rewrite::runs_in_place`] first.
pub fn place(rewrite: &Rewrite, facts: &dyn Facts, place: &Place<'_>) -> Outcome {
    let directory = rewrite.directory.as_deref().unwrap_or("/");
    let options = rewrite.options.unwrap_or_default();
    let mut state = State::new(facts, &rewrite.maps, Some(directory));
    state.filename = place.filename.to_vec();
    state.path_info = place.path_info.to_vec();
    if !options.allow_no_slash && directory.as_bytes().strip_suffix(b"/") == Some(place.filename) {
        return finish(state, Ok(Verdict::Unchanged), |_, _| Action::Go);
    }
    let verdict = engine::apply(&rewrite.rules, &mut state);
    if let (Ok(Verdict::Changed { .. }), Some((scheme, _)), Some(base)) =
        (&verdict, url::absolute(&state.filename), &rewrite.base)
    {
        // A redirect to the section's directory goes to its URL.
        let path = state.filename[scheme..].iter().position(|byte| *byte == b'/').map(|slash| scheme + slash);
        if let Some(path) = path {
            let replaced = replaced(&state.filename[path..], directory.as_bytes(), base.as_bytes());
            state.filename.truncate(path);
            state.filename.extend(replaced);
        }
    }
    finish(state, verdict, |state, _| {
        if state.filename.first() != Some(&b'/') {
            return Action::Answer(400);
        }
        // The rules lead to where the request is already.
        if state.filename == place.filename {
            return Action::Go;
        }
        let mut path = match &rewrite.base {
            Some(base) => replaced(&state.filename, directory.as_bytes(), base.as_bytes()),
            None => {
                let root = facts.document_root().as_os_str().as_bytes();
                let root = root.strip_suffix(b"/").unwrap_or(root);
                let rest = (!root.is_empty()).then(|| state.filename.strip_prefix(root)).flatten();
                rest.filter(|rest| rest.first() == Some(&b'/')).unwrap_or(&state.filename).to_vec()
            }
        };
        if path == state.filename
            && let Some((url, target)) = place.alias.filter(|_| !options.ignore_context)
        {
            path = replaced(&path, target, url.as_bytes());
        }
        match clean(&path) {
            Some(path) => Action::Again(path),
            None => Action::Answer(400),
        }
    })
}

/// The outcome; `local` says what a path of our own leads to.
fn finish(
    state: State<'_>,
    verdict: Result<Verdict, crate::regexp::TooLong>,
    local: impl FnOnce(&State<'_>, bool) -> Action,
) -> Outcome {
    let (action, note) = match verdict {
        Err(_) => (Action::Answer(500), Some(Note::TooLong)),
        Ok(Verdict::Unchanged) => (Action::Go, None),
        Ok(Verdict::Answer(500)) => (Action::Answer(500), Some(Note::Loop)),
        Ok(Verdict::Answer(status)) => (Action::Answer(status), None),
        Ok(Verdict::Changed { no_escape, pass_through }) => match url::absolute(&state.filename) {
            Some((scheme, _)) => (redirect(&state, scheme, no_escape), None),
            None => (local(&state, pass_through), None),
        },
    };
    Outcome {
        action,
        query: state.query,
        env: state.env,
        cookies: state.cookies,
        vary: state.vary,
        handler: state.handler,
        media_type: state.media_type,
        ended: state.ended,
        note,
    }
}

fn redirect(state: &State<'_>, scheme: usize, no_escape: bool) -> Action {
    let mut location = match no_escape {
        true => state.filename.clone(),
        false => url::escape_absolute(&state.filename, scheme),
    };
    if !state.query.is_empty() {
        location.push(b'?');
        match no_escape || state.query == state.facts.query() {
            true => location.extend_from_slice(&state.query),
            false => location.extend(escape_path(&state.query)),
        }
    }
    // Nothing may end the header line.
    match location.iter().any(u8::is_ascii_control) {
        true => Action::Answer(403),
        false => Action::Redirect { status: state.status, location },
    }
}

/// A path with a prefix replaced, on the border of a component.
fn replaced(path: &[u8], prefix: &[u8], by: &[u8]) -> Vec<u8> {
    let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
    match path.strip_prefix(prefix) {
        Some(rest) if rest.first() == Some(&b'/') => [by.strip_suffix(b"/").unwrap_or(by), rest].concat(),
        _ => path.to_vec(),
    }
}

/// Whether the first component of a path is there in the file system.
fn begins_in_the_file_system(path: &[u8], facts: &dyn Facts) -> bool {
    let end = path[1..].iter().position(|byte| *byte == b'/').map_or(path.len(), |slash| slash + 1);
    end > 1 && facts.kind(Path::new(OsStr::from_bytes(&path[..end]))) != Kind::Missing
}

impl Env {
    /// The variables of a request that begins again: the old ones have `REDIRECT_` before their names.
    pub fn redirected(&self, facts: &dyn Facts) -> Self {
        let mut env = Self::default();
        for (name, value) in self.iter() {
            env.set(format!("REDIRECT_{name}"), value);
        }
        env.set("REDIRECT_STATUS", "200");
        env.set("REDIRECT_URL", facts.path());
        if !facts.query().is_empty() {
            env.set("REDIRECT_QUERY_STRING", facts.query());
        }
        if let (Some(url), Some(uri)) = (self.get("SCRIPT_URL"), self.get("SCRIPT_URI")) {
            env.set("SCRIPT_URL", url);
            env.set("SCRIPT_URI", uri);
        }
        env
    }
}
