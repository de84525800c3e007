//! Texts with `$1`, `%1`, `%{NAME}` and `${map:key}` in them, as substitutions and conditions have them. They are filled in one
//! pass: what comes from the request is never looked at again.

use super::Map;
use super::state::{Escape, State};
use crate::Mistake;
use crate::escape::{escape_path, escaped, hex, unescape};
use crate::server_variables::ServerVariable;

/// One piece of a text.
enum Piece<'t> {
    Text(&'t str),
    /// `$1` of the rule's pattern.
    Rule(usize),
    /// `%1` of the last condition that matched.
    Condition(usize),
    Variable(&'t str),
    Map {
        name: &'t str,
        key: &'t str,
        default: &'t str,
    },
}

/// The pieces of a text.
struct Pieces<'t>(&'t str);

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        let text = self.0;
        if text.is_empty() {
            return None;
        }
        let plain = text.find(['\\', '$', '%']).unwrap_or(text.len());
        let (length, piece) = match plain {
            0 => special(text),
            plain => (plain, Piece::Text(&text[..plain])),
        };
        self.0 = &text[length..];
        Some(piece)
    }
}

/// The piece that begins with a backslash, `$` or `%`, and its length.
fn special(text: &str) -> (usize, Piece<'_>) {
    let mut chars = text.chars();
    let (sign, next) = (chars.next(), chars.next());
    let groups: fn(usize) -> Piece<'static> = if sign == Some('$') { Piece::Rule } else { Piece::Condition };
    match (sign, next) {
        (Some('\\'), Some(c)) => (1 + c.len_utf8(), Piece::Text(&text[1..1 + c.len_utf8()])),
        (Some('$' | '%'), Some(digit @ '0'..='9')) => (2, groups(digit as usize - '0' as usize)),
        (Some(sign @ ('$' | '%')), Some('{')) => match closing(&text[2..]) {
            Some(end) => {
                let inside = &text[2..2 + end];
                let piece = match (sign, at_level(inside, ':')) {
                    ('%', _) => Piece::Variable(inside),
                    (_, Some(colon)) => {
                        let (name, key) = (&inside[..colon], &inside[colon + 1..]);
                        let (key, default) = match at_level(key, '|') {
                            Some(bar) => (&key[..bar], &key[bar + 1..]),
                            None => (key, ""),
                        };
                        Piece::Map { name, key, default }
                    }
                    (_, None) => return (2, Piece::Text(&text[..2])),
                };
                (2 + end + 1, piece)
            }
            None => (2, Piece::Text(&text[..2])),
        },
        _ => (1, Piece::Text(&text[..1])),
    }
}

/// Place of the brace that closes what has been opened before a text.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1usize;
    text.bytes().position(|byte| {
        match byte {
            b'}' => depth -= 1,
            b'{' => depth += 1,
            _ => {}
        }
        depth == 0
    })
}

/// Place of a sign outside of inner braces.
fn at_level(text: &str, sign: char) -> Option<usize> {
    let mut depth = 0usize;
    text.char_indices()
        .find(|(_, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && *c == sign
        })
        .map(|(at, _)| at)
}

/// Refuses what is not built. A variable that does not exist is empty, as in Apache.
pub(super) fn check(text: &str) -> Result<(), Mistake> {
    for piece in Pieces(text) {
        match piece {
            Piece::Variable(name) if name.starts_with("LA-U:") || name.starts_with("LA-F:") => {
                let mistake = Mistake::new(format!("the look-ahead `%{{{name}}}` is not built"));
                return Err(mistake.hint("REMOTE_USER is known in the rules of a section, as %{REMOTE_USER}"));
            }
            Piece::Map { key, default, .. } => {
                check(key)?;
                check(default)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Names of the maps that a text uses.
pub(super) fn maps(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for piece in Pieces(text) {
        if let Piece::Map { name, key, default } = piece {
            names.push(name);
            names.extend(maps(key));
            names.extend(maps(default));
        }
    }
    names
}

/// Fills a text. `escape`: what becomes of groups.
pub(super) fn expand(text: &str, state: &State<'_>, escape: Option<&Escape>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 32);
    for piece in Pieces(text) {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Rule(number) => out.extend(group(state.rule_groups.get(number), escape)),
            Piece::Condition(number) => out.extend(group(state.condition_groups.get(number), escape)),
            Piece::Variable(name) => out.extend(variable(name, state)),
            Piece::Map { name, key, default } => {
                let key = expand(key, state, escape);
                let found = match state.maps.get(name) {
                    Some(Map::Lower) => Some(key.to_ascii_lowercase()),
                    Some(Map::Upper) => Some(key.to_ascii_uppercase()),
                    Some(Map::Escape) => Some(escape_path(&key)),
                    Some(Map::Unescape) => unescape(&key),
                    None => None,
                };
                out.extend(found.unwrap_or_else(|| expand(default, state, escape)));
            }
        }
    }
    out
}

fn variable(name: &str, state: &State<'_>) -> Vec<u8> {
    let view = state.view();
    match name.split_once(':') {
        Some((kind, name)) if kind.eq_ignore_ascii_case("HTTP") => view.header(name).into_owned(),
        Some((kind, name)) if kind.eq_ignore_ascii_case("ENV") => match state.env.get(name) {
            Some(value) => value.to_vec(),
            None => process(name),
        },
        Some((kind, name)) if kind.eq_ignore_ascii_case("SSL") => view.tls(name).into_owned(),
        Some(_) => Vec::new(),
        None => {
            ServerVariable::named(name).map(|variable| view.value(variable).into_owned()).unwrap_or_default()
        }
    }
}

/// A variable of the process, as Apache has it from where it was started.
fn process(name: &str) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    match name.is_empty() || name.contains(['=', '\0']) {
        true => Vec::new(),
        false => std::env::var_os(name).map(|value| value.as_bytes().to_vec()).unwrap_or_default(),
    }
}

/// A group, escaped as the flag `B` and its relatives say.
fn group(text: &[u8], escape: Option<&Escape>) -> Vec<u8> {
    let Some(escape) = escape.filter(|escape| escape.on || escape.controls) else { return text.to_vec() };
    let control = |byte: u8| byte.is_ascii_control() || byte == b' ';
    let stays = |byte: u8| match (&escape.only, escape.controls) {
        _ if escape.except.as_bytes().contains(&byte) => true,
        (Some(only), _) => !only.as_bytes().contains(&byte),
        (None, true) => !control(byte),
        (None, false) => byte.is_ascii_alphanumeric() || byte == b'_',
    };
    if escape.no_plus {
        return escaped(text, stays);
    }
    let mut out = Vec::with_capacity(text.len() + 8);
    for &byte in text {
        match byte {
            byte if stays(byte) => out.push(byte),
            b' ' => out.push(b'+'),
            byte => out.extend_from_slice(&hex(byte)),
        }
    }
    out
}
