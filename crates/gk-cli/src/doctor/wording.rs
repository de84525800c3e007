//! Values of a report in words: who asked for what and where, a few of many names, an exception cut short. Pure.

use super::event::{Asked, Kind};

/// A few names, and how many of all.
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

/// Where it was asked for.
pub fn place(asked: &Asked) -> String {
    match asked.kind {
        Kind::Application => format!("{} line {}", asked.file, asked.line),
        _ => format!("{} line {}", asked.by, asked.line),
    }
}

/// What was asked for, and where.
pub fn shown(asked: &Asked) -> String {
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

/// As much of an exception as fits a paragraph.
pub fn cut(text: &str) -> String {
    const MOST: usize = 240;
    match text.len() > MOST {
        true => format!("{}…", &text[..text.floor_char_boundary(MOST)]),
        false => text.to_owned(),
    }
}
