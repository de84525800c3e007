//! Phrases of the report: a registration with its place, a few of many names, a shortened exception. Pure.

use super::event::{CodeOrigin, Registration};

/// The first few names, with their number.
pub fn listed(names: &[String], all: usize) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let noun = if all == 1 { "extension module" } else { "extension modules" };
    match names.len() {
        1 if all == 1 => shown,
        count if count > SHOWN => format!("{count} of {all} {noun}: {shown}, …"),
        count => format!("{count} of {all} {noun}: {shown}"),
    }
}

/// The place of a registration.
pub fn place(asked: &Registration) -> String {
    match asked.kind {
        CodeOrigin::Application => format!("{} line {}", asked.file, asked.line),
        _ => format!("{} line {}", asked.by, asked.line),
    }
}

/// A registration with its place.
pub fn shown(asked: &Registration) -> String {
    let place = place(asked);
    match (&asked.name, &asked.function, asked.number) {
        (Some(name), ..) => format!("thread '{name}', started by {place}"),
        (_, Some(function), _) => format!("{function} by {place}"),
        (.., Some(number)) => match gk_sys::signal::name(number) {
            Some(name) => format!("SIG{name} by {place}"),
            None => format!("signal {number} by {place}"),
        },
        _ => place,
    }
}

/// The part of an exception that fits a paragraph.
pub fn cut(text: &str) -> String {
    const MOST: usize = 240;
    match text.len() > MOST {
        true => format!("{}…", &text[..text.floor_char_boundary(MOST)]),
        false => text.to_owned(),
    }
}
