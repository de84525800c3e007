//! Messages about GIL modes and switch intervals that a group's Python does not support, or that have no effect in its
//! mode. One message for each place in the configuration, with the process groups it concerns.

use super::interpreters::FreeThreading;
use crate::diagnostic::{Complaint, Journal};
use crate::directives::raw::Raw;
use crate::python_variables::{self, Refused};
use crate::site::{ImportScript, InterpreterOptions, ProcessGroup};
use crate::source::Source;
use crate::token::Word;
use crate::{PythonBuild, Surroundings};
use std::collections::BTreeMap;

/// The build of each group's Python, as far as it is known.
pub fn builds(raw: &Raw, surroundings: &Surroundings) -> BTreeMap<String, PythonBuild> {
    let build =
        |(group, _): &(ProcessGroup, Word)| Some((group.name.clone(), surroundings.pythons.build(group)?));
    raw.groups.iter().filter_map(build).collect()
}

/// A process group with the mode it requests and the modes its Python supports.
struct Group<'a> {
    group: &'a ProcessGroup,
    word: &'a Word,
    build: Option<PythonBuild>,
    asked: FreeThreading,
}

impl Group<'_> {
    /// It runs without a GIL.
    fn free(&self) -> bool {
        self.asked != FreeThreading::Off && self.build.is_some_and(|build| build.free_threaded)
    }

    /// It wants to run without a GIL, and its Python cannot.
    fn cannot_be_free(&self) -> bool {
        self.asked != FreeThreading::Off && self.build.is_some_and(|build| !build.free_threaded)
    }

    fn too_old(&self) -> bool {
        self.build.is_some_and(|build| !build.own_gils())
    }
}

/// Says which options will be left out.
pub fn check(
    raw: &Raw,
    imports: &[ImportScript],
    builds: &BTreeMap<String, PythonBuild>,
    surroundings: &Surroundings,
    source: &dyn Source,
    journal: &mut Journal,
) {
    let groups: Vec<Group> = raw
        .groups
        .iter()
        .map(|(group, word)| {
            let build = builds.get(&group.name).copied();
            Group { group, word, build, asked: FreeThreading::of(group, &raw.interpreters) }
        })
        .collect();
    for group in &groups {
        of_group(group, imports, &surroundings.environment, journal);
    }
    variables(&groups, raw, surroundings, source, journal);
    lazy_imports(&groups, raw, journal);
    for (index, word) in &raw.free_words {
        let named = |g: &&Group| g.group.free_threading.is_none() && g.cannot_be_free();
        let concerned = selected(&groups, &raw.interpreters[*index], named);
        if raw.interpreters[*index].free_threading == Some(true) && !concerned.is_empty() {
            let message = format!(
                "WSGIFreeThreading needs a free-threaded build of Python and has no effect in {}",
                names(&concerned)
            );
            say(journal, "WSGI0200", message, word, "name a free-threaded build (3.14t) with python=");
        }
    }
    for (index, word) in &raw.gil_words {
        let block = &raw.interpreters[*index];
        if block.per_interpreter_gil != Some(true) {
            continue;
        }
        let old = selected(&groups, block, |g| g.too_old());
        if !old.is_empty() {
            let message = format!(
                "WSGIPerInterpreterGIL needs Python 3.12 or later and has no effect in {}",
                names(&old)
            );
            journal.say(Complaint::warning(message).code("WSGI0198").partly().at(word));
        }
        let free = selected(&groups, block, |g| g.free());
        if !free.is_empty() {
            let message =
                format!("an own GIL means nothing without a GIL and is skipped in {}", names(&free));
            journal.say(Complaint::warning(message).code("WSGI0202").partly().at(word));
        }
    }
    for (index, word) in &raw.switch_words {
        let block = &raw.interpreters[*index];
        let free = selected(&groups, block, |g| g.free());
        if !free.is_empty() {
            let message =
                format!("a switch interval means nothing without a GIL and is skipped in {}", names(&free));
            let code = if *index == 0 { "WSGI0203" } else { "WSGI0205" };
            journal.say(Complaint::warning(message).code(code).partly().at(word));
        }
        let Some(application) = block.application_group.as_deref().filter(|name| !name.is_empty()) else {
            continue;
        };
        let shared = |g: &&Group| {
            let resolved = InterpreterOptions::resolve(&raw.interpreters, &g.group.name, application);
            !g.free() && (g.too_old() || (resolved.switch_interval_skipped && g.group.interpreters == 1))
        };
        let shared = selected(&groups, block, shared);
        if !shared.is_empty() {
            let message = format!(
                "a switch interval of one application group needs a GIL of its own and is skipped in {}: with a \
                 shared GIL it would hold for the whole process",
                names(&shared)
            );
            let hint = "add WSGIPerInterpreterGIL On to the block, or select the process group only";
            say(journal, "WSGI0199", message, word, hint);
        }
    }
}

/// The options of WSGIDaemonProcess itself.
fn of_group(
    group: &Group,
    imports: &[ImportScript],
    environment: &BTreeMap<String, String>,
    journal: &mut Journal,
) {
    let (word, name) = (group.word, &group.group.name);
    if group.group.free_threading.is_some() && group.cannot_be_free() {
        let message = format!(
            "free-threading= needs a free-threaded build of Python, and {} has none",
            names(&[group])
        );
        let hint = "name a free-threaded build (3.14t) with python=";
        match group.asked {
            FreeThreading::Required => journal.say(Complaint::error(message).at(word).hint(hint)),
            _ => say(journal, "WSGI0200", format!("{message}: it runs with the GIL"), word, hint),
        }
    }
    if group.build.is_some_and(|build| build.minor >= 15) {
        of_newest(group, environment, journal);
    }
    if group.free() && group.group.switch_interval.is_some() {
        let message =
            format!("switch-interval= means nothing without a GIL and is skipped in {}", names(&[group]));
        journal.say(Complaint::warning(message).code("WSGI0204").partly().at(word));
    }
    if group.group.interpreters > 1 {
        let main = imports.iter().any(|i| i.process_group == *name && i.application_group.is_empty());
        let (why, hint) = if group.free() {
            (
                "there is no GIL that they could have for themselves",
                "leave it out: the threads run in parallel already",
            )
        } else if group.too_old() {
            ("an interpreter can have its own GIL from Python 3.12 on", "name a newer Python with python=")
        } else if main {
            (
                "%{GLOBAL} is the main interpreter, of which there is one",
                "give the application a named application group",
            )
        } else {
            return;
        };
        say(
            journal,
            "GK0010",
            format!("interpreters= has no effect in {}: {why}", names(&[group])),
            word,
            hint,
        );
    }
}

/// Variables with which the Python of a group does not start: one message for each variable and reason.
fn variables(
    groups: &[Group],
    raw: &Raw,
    surroundings: &Surroundings,
    source: &dyn Source,
    journal: &mut Journal,
) {
    let mut found: Vec<(Refused, Vec<&Group>)> = Vec::new();
    for group in groups {
        let Some(build) = group.build else { continue };
        let about = group.group;
        let own = about.python.is_none() && about.python_home.is_none() && about.chroot.is_none();
        // The configuration sets some itself; the home is that of the server's own Python, and another folder within a chroot=.
        let reaches = |name: &str| match name {
            "PYTHONUTF8" => about.utf8_mode.is_none(),
            "PYTHONHASHSEED" => raw.python.hash_seed.is_none(),
            "PYTHONHOME" => own,
            "PYTHON_GIL" => !group.free(),
            _ => true,
        };
        let value = |name: &str| surroundings.environment.get(name).filter(|_| reaches(name)).map(|v| &**v);
        for refused in python_variables::refused(build, value, source) {
            match found.iter_mut().find(|(other, _)| *other == refused) {
                Some((_, concerned)) => concerned.push(group),
                None => found.push((refused, vec![group])),
            }
        }
    }
    for (refused, concerned) in found {
        let subject = refused.subject(surroundings.file_of(refused.name));
        let message =
            format!("{subject}, with which no Python of {} starts: {}", names(&concerned), refused.why);
        journal.say(Complaint::error(message).at(concerned[0].word).hint(refused.hint()));
    }
}

/// Says where lazy imports are left to a CPython that has none.
fn lazy_imports(groups: &[Group], raw: &Raw, journal: &mut Journal) {
    let without =
        |g: &&Group| g.group.lazy_imports == "application" && g.build.is_some_and(|build| build.minor < 15);
    let without: Vec<&Group> = groups.iter().filter(without).collect();
    let message = |what: &str, concerned: &[&Group]| {
        format!("{what} has no effect in {}: CPython has lazy imports from 3.15 on", names(concerned))
    };
    let (own, common): (Vec<&Group>, Vec<&Group>) =
        without.into_iter().partition(|g| raw.lazy_words.contains_key(&g.group.name));
    for group in own {
        let message = message("lazy-imports=application", &[group]);
        journal.say(Complaint::warning(message).partly().at(&raw.lazy_words[&group.group.name]));
    }
    if let Some((_, word)) = raw.lazy_imports.as_ref().filter(|_| !common.is_empty()) {
        journal
            .say(Complaint::warning(message("GilkeeperLazyImports application", &common)).partly().at(word));
    }
}

/// What the locale means to CPython 3.15.
fn of_newest(group: &Group, environment: &BTreeMap<String, String>, journal: &mut Journal) {
    let word = group.word;
    let locale = group.group.locale.as_ref().or(group.group.lang.as_ref());
    let is_said = group.group.utf8_mode.is_some()
        || environment.get("PYTHONUTF8").is_some_and(|value| !value.is_empty());
    let subject = locale.filter(|_| !is_said).and_then(|name| other_charset(name));
    if let Some(subject) = subject {
        let message = format!(
            "{subject} does not reach `open()` and names of files in {}: CPython 3.15 is in UTF-8 mode where nothing else is said",
            names(&[group])
        );
        let hint = "add utf8-mode=off for the charset of the locale, or utf8-mode=on for UTF-8";
        journal.say(Complaint::warning(message).partly().at(word).hint(hint));
    }
}

/// What of a locale UTF-8 mode keeps out: the beginning of a sentence. `None`: its charset is UTF-8, or it is C, where CPython takes UTF-8
/// anyway. A name without a charset has the one that the system gives it: `de_DE` is ISO-8859-1 to glibc, `hi_IN` is UTF-8.
fn other_charset(locale: &str) -> Option<String> {
    let name = locale.split('@').next().unwrap_or_default();
    match name.split_once('.') {
        Some((_, charset)) => (!["utf-8", "utf8"].iter().any(|utf8| charset.eq_ignore_ascii_case(utf8)))
            .then(|| format!("`{locale}`")),
        None => (!matches!(name, "" | "C" | "POSIX"))
            .then(|| format!("`{locale}` names no charset, and one of the system other than UTF-8")),
    }
}

fn say(journal: &mut Journal, code: &'static str, message: String, word: &Word, hint: &str) {
    journal.say(Complaint::warning(message).code(code).partly().at(word).hint(hint));
}

/// The groups that a block's selector leaves and `concerned` wants.
fn selected<'g, 'a>(
    groups: &'g [Group<'a>],
    block: &InterpreterOptions,
    concerned: impl Fn(&&'g Group<'a>) -> bool,
) -> Vec<&'g Group<'a>> {
    let wanted = |g: &&Group| block.process_group.as_deref().is_none_or(|name| name == g.group.name);
    groups.iter().filter(wanted).filter(concerned).collect()
}

/// ``process group `a` (Python 3.14t)``.
fn names(groups: &[&Group]) -> String {
    let each = groups.iter().map(|g| {
        let build = g.build.map(|build| format!(" (Python {build})")).unwrap_or_default();
        format!("`{}`{build}", g.group.name)
    });
    let each: Vec<String> = each.collect();
    format!("process group{} {}", if each.len() == 1 { "" } else { "s" }, each.join(", "))
}
