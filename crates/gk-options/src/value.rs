//! One value of an option, with its type.

use std::path::PathBuf;

/// The value of an option.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A count or a size in bytes.
    Whole(u64),
    /// A count that the server finds out.
    Auto,
    /// A number that may be negative.
    Signed(i64),
    /// Seconds.
    Seconds(f64),
    /// File mode bits.
    Octal(u32),
    /// On or off.
    Switch(bool),
    /// A name or any other text.
    Text(String),
    /// Several names.
    Texts(Vec<String>),
    /// A path.
    Path(PathBuf),
    /// Several paths.
    Paths(Vec<PathBuf>),
}

impl Value {
    /// The value as a configuration spells it.
    pub fn spelled(&self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Auto => "auto".to_owned(),
            Self::Signed(number) => number.to_string(),
            Self::Seconds(seconds) => seconds.to_string(),
            Self::Octal(mode) => format!("{mode:03o}"),
            Self::Switch(on) => if *on { "On" } else { "Off" }.to_owned(),
            Self::Text(text) => text.clone(),
            Self::Texts(all) => all.join(","),
            Self::Path(path) => path.display().to_string(),
            Self::Paths(all) => {
                let all: Vec<String> = all.iter().map(|path| path.display().to_string()).collect();
                all.join(":")
            }
        }
    }

    /// A number that is 0.
    pub fn is_zero(&self) -> bool {
        matches!(self, Self::Whole(0)) || matches!(self, Self::Seconds(seconds) if *seconds == 0.0)
    }
}
