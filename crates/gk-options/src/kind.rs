//! The kinds of values: what is accepted, how the range reads, and the one parser of numbers, sizes and durations.

use crate::value::Value;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// Kind of value that an option takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A whole number in a range. The unit is a plural, or empty.
    Whole {
        /// Least number.
        least: u64,
        /// Greatest number; [`Kind::MOST`] where nothing else bounds it.
        most: u64,
        /// Things counted.
        unit: &'static str,
    },
    /// A whole number in a range, or `auto`.
    WholeOrAuto {
        /// Least number.
        least: u64,
        /// Greatest number.
        most: u64,
        /// Things counted.
        unit: &'static str,
    },
    /// Bytes: 0, or at least so many.
    Size {
        /// Least size other than 0.
        least: u64,
    },
    /// A whole number that may be negative.
    Signed {
        /// Least number.
        least: i64,
        /// Greatest number.
        most: i64,
    },
    /// Seconds from 0, decimals allowed.
    Seconds,
    /// Seconds greater than 0, decimals allowed.
    PositiveSeconds,
    /// File mode bits, an octal number from 0 to 0777.
    Octal,
    /// `On` or `Off`.
    Switch,
    /// One of a few words, in any case.
    Choice(&'static [&'static str]),
    /// A user or group: a name or `#id`.
    Identity,
    /// A user or group other than root.
    NotRoot,
    /// Several users or groups, with commas.
    Identities,
    /// Any text. The name stands for it in usage lines.
    Text(&'static str),
    /// A path of a file or directory. The name stands for it in usage lines.
    Path(&'static str),
    /// A directory that must be written with its whole path.
    AbsoluteDirectory,
    /// A program: a path, or a name that is searched on PATH.
    Program,
    /// Several directories, with colons.
    Directories,
}

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Expected and given value, in a sentence.
    pub message: String,
    /// Remedy, if one is known.
    pub hint: Option<String>,
}

impl Refusal {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl Kind {
    /// Greatest count or size: every program that reads it as a JSON number keeps it exactly.
    pub const MOST: u64 = 1 << 53;
    /// Longest duration in seconds, about 31 years: no clock of the server overflows when it is added.
    pub const LONGEST: f64 = 1e9;

    /// Reads a value. `what` names the option in refusals; relative paths start at `base`.
    pub fn read(self, what: &str, text: &str, base: &Path) -> Result<Value, Refusal> {
        match self {
            Self::Whole { least, most, unit } => whole(what, text, least..=most, unit).map(Value::Whole),
            Self::WholeOrAuto { .. } if text.eq_ignore_ascii_case("auto") => Ok(Value::Auto),
            Self::WholeOrAuto { least, most, unit } => {
                let number = whole(what, text, least..=most, unit).map(Value::Whole);
                number.map_err(|refusal| match refusal.hint {
                    None => refusal.hint("`auto` is also accepted"),
                    Some(_) => refusal,
                })
            }
            Self::Size { least } => size(what, text, least).map(Value::Whole),
            Self::Signed { least, most } => {
                let number =
                    text.parse().ok().filter(|n| (least..=most).contains(n) && !text.starts_with('+'));
                let message = || format!("{what} takes a whole number from {least} to {most}, not `{text}`");
                number.map(Value::Signed).ok_or_else(|| Refusal::new(message()))
            }
            Self::Seconds => seconds(what, text).map(Value::Seconds),
            Self::PositiveSeconds => positive_seconds(what, text).map(Value::Seconds),
            Self::Octal => file_mode(what, text).map(Value::Octal),
            Self::Switch => switch(what, text).map(Value::Switch),
            Self::Choice(words) => one_of(what, text, words).map(Value::Text),
            Self::NotRoot if text == "root" || is_number_of_root(text) => {
                Err(Refusal::new(format!("{what} may not be root"))
                    .hint("name the user the application belongs to"))
            }
            Self::Identity | Self::NotRoot => identity(what, text).map(Value::Text),
            Self::Identities => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                names.map(|name| identity(what, name)).collect::<Result<_, _>>().map(Value::Texts)
            }
            Self::Text(_) => Ok(Value::Text(text.to_owned())),
            Self::Path(_) => Ok(Value::Path(base.join(text))),
            Self::AbsoluteDirectory if !text.starts_with('/') => {
                Err(Refusal::new(format!("{what} takes an absolute path, not `{text}`")))
            }
            Self::AbsoluteDirectory => Ok(Value::Path(text.into())),
            Self::Program => Ok(Value::Path(if text.contains('/') { base.join(text) } else { text.into() })),
            Self::Directories => {
                let parts = text.split(':').filter(|part| !part.is_empty());
                Ok(Value::Paths(parts.map(|part| base.join(part)).collect()))
            }
        }
    }

    /// A relative path among the values is completed with the working directory before it becomes directive text.
    pub fn is_path(self, text: &str) -> bool {
        match self {
            Self::Path(_) | Self::AbsoluteDirectory | Self::Directories => true,
            Self::Program => text.contains('/'),
            _ => false,
        }
    }

    /// The word that stands for the value in a usage line.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Whole { unit: "bytes", .. } | Self::Size { .. } => "BYTES",
            Self::Whole { unit: "seconds", .. } => "SECONDS",
            Self::Whole { .. } | Self::Signed { .. } => "N",
            Self::WholeOrAuto { .. } => "N|auto",
            Self::Seconds | Self::PositiveSeconds => "SECONDS",
            Self::Octal => "OCTAL",
            Self::Switch => "ON|OFF",
            Self::Choice(_) => "WORD",
            Self::Identity | Self::NotRoot | Self::Identities => "NAME",
            Self::Text(name) | Self::Path(name) => name,
            Self::AbsoluteDirectory | Self::Directories => "DIR",
            Self::Program => "PATH",
        }
    }

    /// The unit of a number as it follows the number.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Seconds | Self::PositiveSeconds => " s",
            Self::Size { .. } => " bytes",
            Self::Whole { unit: "seconds", .. } => " s",
            Self::Whole { unit: "bytes", .. } => " bytes",
            Self::Whole { unit: "milliseconds", .. } => " ms",
            _ => "",
        }
    }

    /// The accepted range in words; `None` where every number of the kind is accepted.
    pub fn range(self) -> Option<String> {
        match self {
            Self::Whole { least: 0, most: Self::MOST, .. } => None,
            Self::Whole { least, most: Self::MOST, .. } => Some(format!("{least} or more")),
            Self::Whole { least, most, .. } => Some(format!("{least} to {most}")),
            Self::WholeOrAuto { least, most, .. } => Some(format!("auto, or {least} to {most}")),
            Self::Size { least } => Some(format!("0, or {least} and more")),
            Self::Signed { least, most } => Some(format!("{least} to {most}")),
            Self::PositiveSeconds => Some("more than 0".to_owned()),
            Self::Octal => Some("0 to 0777".to_owned()),
            _ => None,
        }
    }

    /// The kind in words, for the reference.
    pub fn words(self) -> String {
        let noun = match self {
            Self::Seconds | Self::PositiveSeconds => "seconds",
            Self::Whole { unit: "bytes", .. } | Self::Size { .. } => "bytes",
            Self::Whole { unit: "seconds", .. } => "seconds, whole",
            Self::Whole { unit: "milliseconds", .. } => "milliseconds",
            Self::Whole { .. } | Self::WholeOrAuto { .. } | Self::Signed { .. } => "number",
            Self::Octal => "octal number",
            Self::Switch => "On or Off",
            Self::Choice(words) => return words.join(", "),
            Self::Identity | Self::NotRoot => "name or #id",
            Self::Identities => "names, comma between",
            Self::Text(_) => "text",
            Self::Path("DIR") => "directory",
            Self::Path(_) | Self::Program => "path",
            Self::AbsoluteDirectory => "absolute directory",
            Self::Directories => "directories, colon between",
        };
        self.range().map_or_else(|| noun.to_owned(), |range| format!("{noun}: {range}"))
    }
}

/// File mode bits, an octal number.
pub fn file_mode(what: &str, text: &str) -> Result<u32, Refusal> {
    let digits = !text.is_empty() && text.chars().all(|c| c.is_digit(8));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777);
    mode.ok_or_else(|| {
        Refusal::new(format!("{what} takes an octal number from 0 to 0777, not `{text}`"))
            .hint("its digits are those of the owner, the group and all others, as in 0660")
    })
}

/// `On` or `Off`, in any case.
pub fn switch(what: &str, text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Refusal::new(format!("{what} takes On or Off, not `{text}`"))),
    }
}

/// A whole number in a range. `unit` is what the number counts, in the plural, or empty.
pub fn whole(what: &str, text: &str, range: RangeInclusive<u64>, unit: &str) -> Result<u64, Refusal> {
    let expected = || {
        let of = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
        match (*range.start(), *range.end()) {
            (0, Kind::MOST) => format!("{what} takes a whole number{of} up to {}", Kind::MOST),
            (low, Kind::MOST) => {
                format!("{what} takes a whole number{of}, {low} or more, up to {}", Kind::MOST)
            }
            (low, high) => format!("{what} takes a whole number{of} from {low} to {high}"),
        }
    };
    match text.parse::<u64>() {
        Ok(number) if range.contains(&number) && !text.starts_with('+') => Ok(number),
        _ => Err(not_a_number(expected(), text)),
    }
}

/// A size that is off at 0 and otherwise has a least value.
pub fn size(what: &str, text: &str, least: u64) -> Result<u64, Refusal> {
    match whole(what, text, 0..=Kind::MOST, "bytes")? {
        number if number != 0 && number < least => {
            Err(Refusal::new(format!("{what} takes 0 or at least {least} bytes, not {number}")))
        }
        number => Ok(number),
    }
}

/// Seconds; decimals are allowed.
pub fn seconds(what: &str, text: &str) -> Result<f64, Refusal> {
    match decimal(text) {
        Some(number) if number <= Kind::LONGEST => Ok(number),
        Some(_) => Err(Refusal::new(format!(
            "{what} takes at most {} seconds (31 years), not `{text}`",
            Kind::LONGEST
        ))),
        None => Err(not_a_number(format!("{what} takes a number of seconds"), text)),
    }
}

/// Seconds as a duration that no clock overflows: the longest one for a number that is too big, zero for one that is negative or
/// none. The one way from a number of seconds to a duration.
pub fn duration(seconds: f64) -> Duration {
    // What is no number stays none.
    Duration::try_from_secs_f64(seconds.clamp(0.0, Kind::LONGEST)).unwrap_or_default()
}

/// Seconds greater than 0.
pub fn positive_seconds(what: &str, text: &str) -> Result<f64, Refusal> {
    match decimal(text) {
        Some(number) if number > 0.0 => seconds(what, text),
        _ => Err(not_a_number(format!("{what} takes a number of seconds greater than 0"), text)),
    }
}

/// A plain decimal number, not negative; no exponent, no `inf`, no `nan`.
fn decimal(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.parse::<f64>().ok().filter(|number| plain && number.is_finite())
}

/// The refusal of a number, with the remedy if only a unit is too much.
fn not_a_number(expected: String, text: &str) -> Refusal {
    let refusal = Refusal::new(format!("{expected}, not `{text}`"));
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    if digits.len() == text.len() || digits.is_empty() || decimal(digits).is_none() {
        return refusal;
    }
    let unit = &text[digits.len()..];
    let number = plain_number(digits, unit).map_or("a plain number".to_owned(), |number| number.to_string());
    refusal.hint(format!("unit suffixes such as `{unit}` are not understood: write {number}"))
}

/// The value of a number with a well-known unit.
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
pub fn one_of(what: &str, text: &str, choices: &[&str]) -> Result<String, Refusal> {
    let lower = text.to_ascii_lowercase();
    if choices.contains(&lower.as_str()) {
        return Ok(lower);
    }
    Err(Refusal::new(format!("{what} takes one of {}, not `{text}`", choices.join(", "))))
}

/// `#0`, also with further zeros.
fn is_number_of_root(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|id| id.parse::<u32>() == Ok(0))
}

/// A user or group: a name or `#id`.
pub fn identity(what: &str, text: &str) -> Result<String, Refusal> {
    let ok = match text.strip_prefix('#') {
        Some(id) => id.parse::<u32>().is_ok(),
        None => !text.is_empty() && !text.contains([':', '/', ' ']),
    };
    let message = || format!("{what} takes a name or a number written `#1000`, not `{text}`");
    if ok { Ok(text.to_owned()) } else { Err(Refusal::new(message())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reported: `graceful-timeout=9999999999999999999` panicked, and elsewhere a duration that was too big became 0.
    #[test]
    fn no_number_of_seconds_is_too_big_for_a_clock_or_becomes_none() {
        let longest = Duration::from_secs(1_000_000_000);
        let cases = [
            (1.5, Duration::from_millis(1500)),
            (0.0, Duration::ZERO),
            (-1.0, Duration::ZERO),
            (f64::NAN, Duration::ZERO),
            (1e9, longest),
            (9_999_999_999_999_999_999.0, longest),
            (f64::INFINITY, longest),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(duration(seconds), wanted, "{seconds}");
        }
        // Also beside the longest wait of another clock.
        assert!(std::time::Instant::now().checked_add(longest + longest).is_some());
    }
}
