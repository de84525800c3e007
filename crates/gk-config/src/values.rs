//! One word to one value: switches, whole numbers, seconds, addresses. Each refusal says what was expected and what
//! stood there. What the value is for is the caller's to say, as `what`.

use crate::diagnostic::Complaint;
use crate::token::Word;
use std::ops::RangeInclusive;

/// A value or the reason why not.
pub type Value<T> = Result<T, Complaint>;

/// `On` or `Off`, in any case.
pub fn switch(what: &str, word: &Word, text: &str) -> Value<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Complaint::error(format!("{what} takes On or Off, not `{text}`")).at(word)),
    }
}

/// A whole number in a range. `unit` is what the number counts, in the plural.
pub fn whole(what: &str, word: &Word, text: &str, range: RangeInclusive<u64>, unit: &str) -> Value<u64> {
    let expected = || match (*range.start(), *range.end()) {
        (0, u64::MAX) => format!("{what} takes a whole number of {unit}"),
        (low, u64::MAX) => format!("{what} takes a whole number of {unit}, {low} or more"),
        (low, high) => format!("{what} takes a whole number of {unit} from {low} to {high}"),
    };
    match text.parse::<u64>() {
        Ok(number) if range.contains(&number) && !text.starts_with('+') => Ok(number),
        _ => Err(not_a_number(expected(), word, text)),
    }
}

/// A size that is off at 0 and otherwise has a least value.
pub fn size(what: &str, word: &Word, text: &str, least: u64) -> Value<u64> {
    match whole(what, word, text, 0..=u64::MAX, "bytes")? {
        number if number != 0 && number < least => {
            let message = format!("{what} takes 0 or at least {least} bytes, not {number}");
            Err(Complaint::error(message).at(word))
        }
        number => Ok(number),
    }
}

/// Seconds; decimals are allowed.
pub fn seconds(what: &str, word: &Word, text: &str) -> Value<f64> {
    decimal(text).ok_or_else(|| not_a_number(format!("{what} takes a number of seconds"), word, text))
}

/// Seconds greater than 0.
pub fn positive_seconds(what: &str, word: &Word, text: &str) -> Value<f64> {
    match decimal(text) {
        Some(number) if number > 0.0 => Ok(number),
        _ => Err(not_a_number(format!("{what} takes a number of seconds greater than 0"), word, text)),
    }
}

/// A plain decimal number, not negative; no exponent, no `inf`, no `nan`.
fn decimal(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.len() < 20 && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.parse::<f64>().ok().filter(|n| plain && n.is_finite())
}

/// The refusal of a number, with the remedy if only a unit is too much.
fn not_a_number(expected: String, word: &Word, text: &str) -> Complaint {
    let complaint = Complaint::error(format!("{expected}, not `{text}`")).at(word);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    if digits.len() == text.len() || digits.is_empty() || decimal(digits).is_none() {
        return complaint;
    }
    let unit = &text[digits.len()..];
    match plain_number(digits, unit) {
        Some(number) => {
            complaint.hint(format!("unit suffixes such as `{unit}` are not understood: write {number}"))
        }
        None => {
            complaint.hint(format!("unit suffixes such as `{unit}` are not understood: write a plain number"))
        }
    }
}

/// What a number with a well-known unit comes to.
fn plain_number(digits: &str, unit: &str) -> Option<u64> {
    let factor = match unit.to_ascii_lowercase().as_str() {
        "s" | "sec" | "b" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86400,
        "k" | "kb" | "kib" => 1 << 10,
        "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// One of a few words, in any case; given back in lower case.
pub fn one_of(what: &str, word: &Word, text: &str, choices: &[&str]) -> Value<String> {
    let lower = text.to_ascii_lowercase();
    if choices.contains(&lower.as_str()) {
        return Ok(lower);
    }
    let list = choices.join(", ");
    let mut complaint = Complaint::error(format!("{what} takes one of {list}, not `{text}`")).at(word);
    let longer = || choices.iter().copied().find(|choice| lower.starts_with(choice));
    if let Some(near) = crate::nearest::nearest(text, choices.iter().copied()).or_else(longer) {
        complaint = complaint.hint(format!("did you mean `{near}`?"));
    }
    Err(complaint)
}

/// A user or group: a name or `#id`.
pub fn identity(what: &str, word: &Word, text: &str) -> Value<String> {
    let ok = match text.strip_prefix('#') {
        Some(id) => id.parse::<u32>().is_ok(),
        None => !text.is_empty() && !text.contains([':', '/', ' ']),
    };
    let message = || format!("{what} takes a name or a number written `#1000`, not `{text}`");
    if ok { Ok(text.to_owned()) } else { Err(Complaint::error(message()).at(word)) }
}

/// A regular expression that compiles; PCRE features without a counterpart are refused here.
pub fn pattern(what: &str, word: &Word, text: &str) -> Value<String> {
    match regex::bytes::RegexBuilder::new(text).size_limit(1 << 20).build() {
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
    fn numbers_are_strict_and_name_the_unit() {
        let w = word("60s");
        let error = whole("threads=", &w, "60s", 0..=65533, "threads").unwrap_err();
        assert_eq!(error.message, "threads= takes a whole number of threads from 0 to 65533, not `60s`");
        assert_eq!(error.hint.unwrap(), "unit suffixes such as `s` are not understood: write 60");
        assert!(seconds("x=", &w, "1.5").is_ok());
        for bad in ["", "-1", "+1", "1e3", "inf", "nan", "1_000", "junk", " 1"] {
            assert!(whole("x", &w, bad, 0..=9999, "things").is_err(), "{bad}");
            assert!(seconds("x", &w, bad).is_err(), "{bad}");
        }
        assert!(size("x", &w, "100", 512).is_err());
        assert_eq!(size("x", &w, "0", 512).unwrap(), 0);
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
