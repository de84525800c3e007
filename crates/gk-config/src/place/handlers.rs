//! The handler that answers for a file: `SetHandler`, else `AddHandler` by the extensions of its name, else that of its alias.

use crate::site::{HandlerScript, Host, Settings};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Runs the file as a script.
pub const WSGI: &str = "wsgi-script";
/// The same, as a media type.
const WSGI_TYPE: &str = "application/x-httpd-wsgi";
/// Serves the file.
pub const DEFAULT: &str = "default-handler";

/// The handler of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler<'s> {
    /// It is a script.
    Script,
    /// It is served as it is.
    File,
    /// A script of `WSGIHandlerScript` answers for it, by this name.
    By(&'s str, &'s HandlerScript),
    /// A handler of this name, which does not exist here.
    Unbuilt(&'s str),
}

impl<'s> Handler<'s> {
    /// By the settings of the place; `own` is that of the alias, if it has one.
    pub fn of(settings: &'s Settings, file: Option<&Path>, own: Option<&'static str>) -> Self {
        let by_name = || by_extensions(settings, file?.file_name()?.as_bytes());
        match settings.handler.as_deref().or_else(by_name).or(own) {
            Some(name) => Self::in_place(settings, name),
            None => Self::File,
        }
    }

    fn in_place(settings: &'s Settings, name: &'s str) -> Self {
        match Self::named(name) {
            Self::Unbuilt(name) => match settings.handler_scripts.get(name) {
                Some(script) => Self::By(name, script),
                None => Self::Unbuilt(name),
            },
            built => built,
        }
    }

    /// The handler of a name, where no script has it.
    pub fn named(name: &'s str) -> Self {
        match name {
            name if name.eq_ignore_ascii_case(WSGI) || name.eq_ignore_ascii_case(WSGI_TYPE) => Self::Script,
            name if name.eq_ignore_ascii_case(DEFAULT) => Self::File,
            name => Self::Unbuilt(name),
        }
    }
}

/// Whether a host has handlers or names of index files.
pub(super) fn depend_on_files(host: &Host) -> bool {
    let base = &host.base;
    let standard = Settings::default();
    base.handler.is_some()
        || !base.handlers.is_empty()
        || base.directory_index != standard.directory_index
        || host.statics.iter().any(|alias| alias.program)
        || host.sections.iter().any(|section| {
            let set = &section.set;
            set.handler.is_some() || set.add_handlers.is_some() || set.directory_index.is_some()
        })
}

/// Every extension counts, in any case, and the last that has a handler wins: `a.wsgi.html` is a script. Dots at the beginning
/// belong to the name.
fn by_extensions<'s>(settings: &'s Settings, name: &[u8]) -> Option<&'s str> {
    if settings.handlers.is_empty() {
        return None;
    }
    let bare = &name[name.iter().position(|&b| b != b'.').unwrap_or(name.len())..];
    let extensions = bare.split(|&b| b == b'.').skip(1);
    let found = extensions.filter_map(|extension| {
        let extension = std::str::from_utf8(extension).ok()?.to_ascii_lowercase();
        settings.handlers.get(&extension)
    });
    found.last().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_counts_and_the_last_wins() {
        let mut settings = Settings::default();
        for (extension, handler) in [("py", WSGI), ("wsgi", WSGI), ("cgi", "cgi-script")] {
            settings.handlers.insert(extension.to_owned(), handler.to_owned());
        }
        let of = |name: &str, own| Handler::of(&settings, Some(Path::new(name)), own);
        for name in ["/a/x.py", "/a/x.wsgi.html", "/a/x.html.WSGI", "/a/x..py", "/x.cgi.py"] {
            assert_eq!(of(name, None), Handler::Script, "{name}");
        }
        for name in ["/a/.py", "/a.py/x", "/a/py", "/a/x.html", "/a/..py"] {
            assert_eq!(of(name, None), Handler::File, "{name}");
        }
        assert_eq!(of("/x.py.cgi", None), Handler::Unbuilt("cgi-script"));
        assert_eq!(of("/x.html", Some(WSGI)), Handler::Script);
        let set = |name: &str| Settings { handler: Some(name.to_owned()), ..settings.clone() };
        assert_eq!(Handler::of(&set("WSGI-Script"), Some(Path::new("/x.cgi")), None), Handler::Script);
        assert_eq!(Handler::of(&set(DEFAULT), Some(Path::new("/x.py")), Some(WSGI)), Handler::File);
        assert_eq!(Handler::of(&set("php"), None, Some(WSGI)), Handler::Unbuilt("php"));
    }
}
