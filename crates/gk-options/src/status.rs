//! The status of a directive or an option: honoured, without effect, closing its scope, to a proxy, not built yet, removed.

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
    /// It protects what it stands in, and is not honoured: the scope is answered 403. The remedy is given.
    Closes(&'static str),
    /// An error: it belongs to a web server in front. The remedy is given.
    ToProxy(&'static str),
    /// A proxy in front does it; it has no effect here, and that alone opens nothing.
    InProxy(&'static str),
    /// An error: the same is said in another way here, which is given.
    Otherwise(&'static str),
    /// mod_wsgi 6 has removed it; a warning names the replacement.
    Removed(&'static str),
}

impl Status {
    /// The status in a few words.
    pub fn words(self) -> String {
        match self {
            Self::Honoured => "honoured".to_owned(),
            Self::WithoutEffect(why) => format!("accepted without effect: {why}"),
            Self::NotBuiltYet(area) => format!("not built yet: {area}"),
            Self::Closes(remedy) => format!("denies access (403): {remedy}"),
            Self::ToProxy(remedy) => format!("an error, to move to a proxy: {remedy}"),
            Self::InProxy(why) => format!("to move to a proxy: {why}"),
            Self::Otherwise(remedy) => format!("an error, to write otherwise: {remedy}"),
            Self::Removed(why) => format!("removed in mod_wsgi 6, without effect: {why}"),
        }
    }
}
