//! The status of a directive or an option: honoured, without effect, not built yet, removed.

use serde::Serialize;

/// Effect of a directive or option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does what its documentation says.
    Honoured,
    /// It is read and changes nothing, for the reason given.
    WithoutEffect(&'static str),
    /// It is read; the part of the server that it concerns does not exist yet.
    NotBuiltYet(&'static str),
    /// mod_wsgi 6 has removed it: an error, with the replacement.
    Removed(&'static str),
}

impl Status {
    /// The status in a few words.
    pub fn words(self) -> String {
        match self {
            Self::Honoured => "honoured".to_owned(),
            Self::WithoutEffect(why) => format!("accepted without effect: {why}"),
            Self::NotBuiltYet(area) => format!("not built yet: {area}"),
            Self::Removed(why) => format!("removed: {why}"),
        }
    }
}
