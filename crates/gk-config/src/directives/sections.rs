//! The sections of Apache: virtual hosts and the three kinds of places.

pub mod branches;

use super::raw::{RawHost, RawSection};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::site::{HostAddress, Scope as Place, Section, SettingsPatch};
use crate::token::Word;
use crate::values;

const ONE: Arity = Arity::exactly(1);
const ONE_OR_TWO: Arity = Arity::between(1, 2);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("<VirtualHost>", "address[:port] …", Contexts::GLOBAL, Arity::at_least(1), virtual_host)
        .doc("A virtual host on the addresses that it names. If several match, ServerName and ServerAlias decide; the first one \
            serves requests for unknown names."),
    Directive::honoured("<Location>", "url-path", Contexts::SERVER, ONE_OR_TWO, location)
        .doc("Settings for the URL paths at and below a path; `*` and `?` do not match a slash. `<Location ~ regex>` is LocationMatch."),
    Directive::honoured("<LocationMatch>", "regex", Contexts::SERVER, ONE, location_match)
        .doc("Settings for URL paths that match a regular expression."),
    Directive::honoured("<Directory>", "directory", Contexts::SERVER, ONE_OR_TWO, directory)
        .doc("Settings for the scripts and files in a directory and below it. `<Directory ~ regex>` is DirectoryMatch."),
    Directive::honoured("<DirectoryMatch>", "regex", Contexts::SERVER, ONE, directory_match)
        .doc("Settings for directories that match a regular expression."),
    Directive::honoured("<Files>", "name", Contexts::ANY, ONE_OR_TWO, files)
        .doc("Settings for scripts and files with this name, anywhere or within a `<Directory>` or `<DirectoryMatch>`, but in no other section. `<Files ~ regex>` is FilesMatch."),
    Directive::honoured("<FilesMatch>", "regex", Contexts::ANY, ONE, files_match)
        .doc("Settings for scripts and files whose names match a regular expression, where `<Files>` may stand."),
];

fn virtual_host(scope: &mut Scope, words: &[Word]) -> Applied {
    let mut addresses = Vec::new();
    for word in words {
        addresses.push(address(word)?);
    }
    scope.raw.hosts.push(RawHost { addresses, word: words[0].clone(), ..RawHost::default() });
    Ok(())
}

/// One address of a virtual host: `*`, `*:80`, `1.2.3.4`, `[::1]:80`, `_default_`.
fn address(word: &Word) -> Result<HostAddress, Complaint> {
    let text = word.text.as_str();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let wrong = || {
        let message = format!(
            "<VirtualHost> takes an address such as *:80, 192.0.2.1:80 or [2001:db8::1]:80, not `{text}`"
        );
        Complaint::error(message).at(word)
    };
    let port = match port {
        None | Some("*") => None,
        Some(port) => Some(port.parse::<u16>().map_err(|_| wrong())?),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = match bare {
        "*" | "_default_" => None,
        bare => Some(bare.parse::<std::net::IpAddr>().map_err(|_| {
            wrong().hint("names are not looked up here: use the numeric address, and ServerName for the name")
        })?),
    };
    Ok(HostAddress { host: host.map(|h| h.to_string()), port })
}

fn open(scope: &mut Scope, place: Place, within: Option<Place>) -> Applied {
    let section = Section { scope: place, within, around: Vec::new(), set: SettingsPatch::default() };
    scope.host().sections.push(RawSection { section });
    Ok(())
}

/// The pattern after `~`, or the single word.
fn tilde<'w>(scope: &Scope, words: &'w [Word]) -> Result<(bool, &'w Word), Complaint> {
    match words {
        [word] => Ok((false, word)),
        [first, word] if first.text == "~" => Ok((true, word)),
        _ => {
            let message = format!("{} takes one path, or `~` and a regular expression", scope.name);
            Err(Complaint::error(message).at(&words[1]))
        }
    }
}

fn location(scope: &mut Scope, words: &[Word]) -> Applied {
    let (regex, word) = tilde(scope, words)?;
    if regex {
        return location_match(scope, std::slice::from_ref(word));
    }
    if !word.text.starts_with('/') && !word.text.starts_with('*') {
        let message = format!("<Location> takes a URL path that begins with a slash, not `{}`", word.text);
        return Err(Complaint::error(message).at(word));
    }
    open(scope, Place::Location(word.text.clone()), None)
}

fn location_match(scope: &mut Scope, words: &[Word]) -> Applied {
    let regex = values::pattern("<LocationMatch>", &words[0], &words[0].text)?;
    open(scope, Place::LocationMatch(regex), None)
}

fn directory(scope: &mut Scope, words: &[Word]) -> Applied {
    let (regex, word) = tilde(scope, words)?;
    if regex {
        return directory_match(scope, std::slice::from_ref(word));
    }
    let path = scope.path(&word.text).to_string_lossy().into_owned();
    let bare = path.trim_end_matches('/');
    open(scope, Place::Directory(if bare.is_empty() { "/".to_owned() } else { bare.to_owned() }), None)
}

fn directory_match(scope: &mut Scope, words: &[Word]) -> Applied {
    let regex = values::pattern("<DirectoryMatch>", &words[0], &words[0].text)?;
    open(scope, Place::DirectoryMatch(regex), None)
}

/// The section of directories around a `<Files>` section.
fn within(scope: &mut Scope) -> Result<Option<Place>, Complaint> {
    let name = scope.name;
    let Some(index) = scope.section else { return Ok(None) };
    match &scope.host().sections[index].section.scope {
        around @ (Place::Directory(_) | Place::DirectoryMatch(_)) => Ok(Some(around.clone())),
        _ => {
            let message = format!(
                "{name} is allowed inside <Directory> and <DirectoryMatch>, and inside no other section"
            );
            let hint = "end the section around it first; <LocationMatch> with the file's name at the end of the URL path is another way";
            Err(Complaint::error(message).hint(hint))
        }
    }
}

fn files(scope: &mut Scope, words: &[Word]) -> Applied {
    let (regex, word) = tilde(scope, words)?;
    if regex {
        return files_match(scope, std::slice::from_ref(word));
    }
    let within = within(scope)?;
    open(scope, Place::Files(word.text.clone()), within)
}

fn files_match(scope: &mut Scope, words: &[Word]) -> Applied {
    let regex = values::pattern("<FilesMatch>", &words[0], &words[0].text)?;
    let within = within(scope)?;
    open(scope, Place::FilesMatch(regex), within)
}
