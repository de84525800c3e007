//! The rules one after the other: which apply, and what they make of the request.

use super::cookie::cookie;
use super::rule::Rule;
use super::state::State;
use super::{template, url};
use crate::regexp::{Groups, TooLong};

/// Longest path that rules may make: twice Apache's longest request line.
const LONGEST: usize = 2 * 8190;

/// The outcome of a list of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No rule has changed the path.
    Unchanged,
    /// The path in the state is new.
    Changed {
        /// It goes into a redirect as it is.
        no_escape: bool,
        /// It is mapped as if it had been asked for.
        pass_through: bool,
    },
    /// The request is answered with a status.
    Answer(u16),
}

/// Applies a list of rules.
pub(super) fn apply(rules: &[Rule], state: &mut State<'_>) -> Result<Verdict, TooLong> {
    let mut verdict = Verdict::Unchanged;
    let (mut index, mut round) = (0, 1u32);
    while let Some(rule) = rules.get(index) {
        index += 1;
        let flags = &rule.flags;
        if (flags.no_subrequest || (flags.redirect && !flags.answers)) && state.facts.is_subrequest() {
            continue;
        }
        let applied = one(rule, state)?;
        match applied {
            Applied::No => {
                // With a rule that does not apply, those that are chained to it are passed over.
                let mut chained = flags.chain;
                while chained {
                    chained = rules.get(index).is_some_and(|rule| rule.flags.chain);
                    index += 1;
                }
                continue;
            }
            Applied::Refused => return Ok(Verdict::Answer(403)),
            Applied::Kept | Applied::Changed => {}
        }
        if state.filename.len() > LONGEST {
            return Ok(Verdict::Answer(500));
        }
        if flags.answers {
            return Ok(Verdict::Answer(flags.status.unwrap_or(403)));
        }
        if applied == Applied::Changed {
            verdict = Verdict::Changed { no_escape: flags.no_escape, pass_through: false };
        }
        if flags.pass_through {
            return Ok(Verdict::Changed { no_escape: false, pass_through: true });
        }
        state.ended |= flags.end;
        if flags.end || flags.last {
            break;
        }
        if let Some(most) = flags.next {
            round += 1;
            if round >= most {
                return Ok(Verdict::Answer(500));
            }
            index = 0;
            continue;
        }
        index += flags.skip;
    }
    Ok(verdict)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applied {
    /// The rule is not for this request.
    No,
    /// It has no substitution.
    Kept,
    Changed,
    /// Its outcome is not safe.
    Refused,
}

/// Applies one rule.
fn one(rule: &Rule, state: &mut State<'_>) -> Result<Applied, TooLong> {
    let mut uri = state.filename.clone();
    if let Some(directory) = state.directory {
        uri.extend_from_slice(&state.path_info);
        if let Some(rest) = uri.strip_prefix(directory.as_bytes()) {
            uri = rest.to_vec();
        }
    }
    let groups = rule.pattern.groups(&uri)?;
    if groups.is_some() == rule.not {
        return Ok(Applied::No);
    }
    state.rule_groups = groups.unwrap_or_default();
    state.condition_groups = Groups::default();
    state.asked_for.borrow_mut().clear();
    if !conditions_hold(rule, state)? {
        return Ok(Applied::No);
    }
    let asked_for = state.asked_for.take();
    state.vary.extend(asked_for);
    let flags = &rule.flags;
    let substituted =
        rule.substitution.as_ref().map(|text| template::expand(text, state, Some(&flags.escape)));
    set_variables(rule, state);
    for text in &flags.cookies {
        let text = template::expand(text, state, None);
        state.cookies.extend(cookie(&String::from_utf8_lossy(&text), state.facts.now()));
    }
    let (Some(text), Some(substituted)) = (&rule.substitution, substituted) else {
        force(rule, state);
        return Ok(Applied::Kept);
    };
    // A question mark that the client has escaped must not begin a query.
    let hidden = || state.facts.target().windows(3).any(|part| part.eq_ignore_ascii_case(b"%3f"));
    if !flags.allow_3f && !text.contains('?') && substituted.contains(&b'?') && hidden() {
        return Ok(Applied::Refused);
    }
    state.below_root = text.starts_with(['$', '%']) && !flags.prefix_stat;
    state.filename = substituted;
    if flags.discard_path_info && state.directory.is_some() {
        state.path_info.clear();
    }
    if split_query(rule, state) {
        let odd = |byte: &u8| byte.is_ascii_control() || *byte == b' ';
        // A redirect escapes them.
        if state.query.iter().any(odd)
            && (flags.no_escape || !flags.redirect && url::absolute(&state.filename).is_none())
        {
            return Ok(Applied::Refused);
        }
    }
    if let Some(directory) = state.directory
        && state.filename.first() != Some(&b'/')
        && url::absolute(&state.filename).is_none()
    {
        state.filename.splice(0..0, directory.bytes());
    }
    if flags.redirect {
        if url::absolute(&state.filename).is_none() {
            let slash = if state.filename.first() == Some(&b'/') { "" } else { "/" };
            state.filename.splice(0..0, format!("{}{slash}", url::origin(state.facts)).into_bytes());
        }
        state.status = flags.status.unwrap_or(302);
        return Ok(Applied::Changed);
    }
    if url::absolute(&state.filename).is_some() {
        state.status = 302;
        return Ok(Applied::Changed);
    }
    force(rule, state);
    Ok(Applied::Changed)
}

/// Whether a rule's conditions are true: each of them, or one of those that `OR` joins.
fn conditions_hold(rule: &Rule, state: &mut State<'_>) -> Result<bool, TooLong> {
    let mut conditions = rule.conditions.iter();
    while let Some(condition) = conditions.next() {
        match (condition.holds(state)?, condition.or) {
            (true, true) => {
                let _ = conditions.by_ref().find(|condition| !condition.or);
            }
            (false, false) => return Ok(false),
            // Also behind the last one, as in Apache.
            (false, true) | (true, false) => {}
        }
    }
    Ok(true)
}

/// `E=name:value`, `E=name`, `E=!name`.
fn set_variables(rule: &Rule, state: &mut State<'_>) {
    for text in &rule.flags.env {
        let text = template::expand(text, state, None);
        let (name, value) = match text.iter().position(|byte| *byte == b':') {
            Some(colon) => (&text[..colon], &text[colon + 1..]),
            None => (&text[..], &b""[..]),
        };
        match text.strip_prefix(b"!") {
            Some(name) => state.env.unset(&String::from_utf8_lossy(name)),
            None if name.is_empty() => {}
            None => state.env.set(String::from_utf8_lossy(name), value),
        }
    }
}

/// `H` and `T`.
fn force(rule: &Rule, state: &mut State<'_>) {
    let filled = |text: &Option<String>| {
        let text = template::expand(text.as_deref()?, state, None);
        (!text.is_empty()).then(|| String::from_utf8_lossy(&text).to_ascii_lowercase())
    };
    let (handler, media_type) = (filled(&rule.flags.handler), filled(&rule.flags.media_type));
    state.handler = handler.or(state.handler.take());
    state.media_type = media_type.or(state.media_type.take());
}

/// Moves what follows a question mark into the query; true if it did.
fn split_query(rule: &Rule, state: &mut State<'_>) -> bool {
    let flags = &rule.flags;
    if let Some((_, false)) = url::absolute(&state.filename) {
        state.query.clear();
        return false;
    }
    if flags.discard_query {
        state.query.clear();
    }
    let mark = |byte: &u8| *byte == b'?';
    let at = match flags.last_question_mark {
        true => state.filename.iter().rposition(mark),
        false => state.filename.iter().position(mark),
    };
    let Some(at) = at else { return false };
    let mut new = state.filename.split_off(at);
    new.remove(0);
    if flags.append_query {
        if !new.is_empty() {
            new.push(b'&');
            new.append(&mut state.query);
            state.query = new;
        }
    } else {
        state.query = new;
    }
    if state.query.last() == Some(&b'&') {
        state.query.pop();
    }
    true
}
