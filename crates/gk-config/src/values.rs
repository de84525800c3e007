//! One word to one value, with a complaint that points at the word. Numbers are read by gk_options' parser; `what`
//! names the value in the complaint.

use crate::diagnostic::Complaint;
use crate::token::Word;
use gk_options::{Refusal, kind};
use std::ops::RangeInclusive;

/// A value or the reason why not.
pub type Value<T> = Result<T, Complaint>;

/// Turns the refusal of a value into a complaint about its word.
pub fn at(word: &Word) -> impl Fn(Refusal) -> Complaint {
    move |refusal| {
        let complaint = Complaint::error(refusal.message).at(word);
        match refusal.hint {
            Some(hint) => complaint.hint(hint),
            None => complaint,
        }
    }
}

/// `On` or `Off`, in any case.
pub fn switch(what: &str, word: &Word, text: &str) -> Value<bool> {
    kind::switch(what, text).map_err(at(word))
}

/// A whole number in a range. `unit` is what the number counts, in the plural.
pub fn whole(what: &str, word: &Word, text: &str, range: RangeInclusive<u64>, unit: &str) -> Value<u64> {
    kind::whole(what, text, range, unit).map_err(at(word))
}

/// Seconds; decimals are allowed.
pub fn seconds(what: &str, word: &Word, text: &str) -> Value<f64> {
    kind::seconds(what, text).map_err(at(word))
}

/// Seconds greater than 0.
pub fn positive_seconds(what: &str, word: &Word, text: &str) -> Value<f64> {
    kind::positive_seconds(what, text).map_err(at(word))
}

/// One of a few words, in any case; given back in lower case.
pub fn one_of(what: &str, word: &Word, text: &str, choices: &[&str]) -> Value<String> {
    let complaint = match kind::one_of(what, text, choices) {
        Ok(choice) => return Ok(choice),
        Err(refusal) => at(word)(refusal),
    };
    let lower = text.to_ascii_lowercase();
    let longer = || choices.iter().copied().find(|choice| lower.starts_with(choice));
    Err(match crate::nearest::nearest(text, choices.iter().copied()).or_else(longer) {
        Some(near) => complaint.hint(format!("did you mean `{near}`?")),
        None => complaint,
    })
}

/// File mode bits in octal.
pub fn file_mode(what: &str, word: &Word, text: &str) -> Value<u32> {
    kind::file_mode(what, text).map_err(at(word))
}

/// A user or group: a name or `#id`.
pub fn identity(what: &str, word: &Word, text: &str) -> Value<String> {
    kind::identity(what, text).map_err(at(word))
}

/// A regular expression that compiles; PCRE features without a counterpart are refused here.
pub fn pattern(what: &str, word: &Word, text: &str) -> Value<String> {
    match regex::bytes::RegexBuilder::new(text).unicode(false).size_limit(1 << 20).build() {
        Ok(_) => Ok(text.to_owned()),
        Err(why) => {
            let why = why.to_string();
            let last = why.lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned();
            let message =
                format!("{what} takes a regular expression, and this one is not understood: {last}");
            Err(Complaint::error(message)
                .at(word)
                .hint("look-around and back-references of PCRE are not supported"))
        }
    }
}

/// The levels of Apache's error log, gravest first; `trace1` to `trace8` count as `trace`.
pub const LEVELS: [&str; 9] = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace"];

/// A log level.
pub fn level(what: &str, word: &Word, text: &str) -> Value<String> {
    let lower = text.to_ascii_lowercase();
    let trace = lower.strip_prefix("trace").and_then(|n| n.parse::<u8>().ok());
    if trace.is_some_and(|n| (1..=8).contains(&n)) {
        return Ok("trace".to_owned());
    }
    one_of(what, word, text, &LEVELS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word {
        Word { text: text.to_owned(), ..Word::default() }
    }

    #[test]
    fn levels() {
        let w = word("");
        assert_eq!(level("LogLevel", &w, "Trace4").unwrap(), "trace");
        assert_eq!(level("LogLevel", &w, "WARN").unwrap(), "warn");
        assert!(level("LogLevel", &w, "trace9").is_err());
        let error = level("LogLevel", &w, "warning").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `warn`?"));
    }
}
