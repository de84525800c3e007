//! `<IfModule>`, `<IfDefine>`, `<IfVersion>`, `<IfFile>`, `<IfDirective>`, `<IfSection>`: decided while reading.

use super::Parser;
use crate::diagnostic::Complaint;
use crate::directives;
use crate::token::{Glyph, Word};
use std::cmp::Ordering;
use std::collections::VecDeque;

/// Apache modules whose directives we stand for, as `LoadModule` and as `<IfModule>` call them.
const MODULES: &[(&str, &str)] = &[
    ("wsgi_module", "mod_wsgi.c"),
    ("gilkeeper_module", "gilkeeper.c"),
    ("core_module", "core.c"),
    ("so_module", "mod_so.c"),
    ("http_module", "http_core.c"),
    ("version_module", "mod_version.c"),
    ("unixd_module", "mod_unixd.c"),
    ("log_config_module", "mod_log_config.c"),
    ("alias_module", "mod_alias.c"),
    ("env_module", "mod_env.c"),
    ("authz_core_module", "mod_authz_core.c"),
    ("dir_module", "mod_dir.c"),
    ("mime_module", "mod_mime.c"),
    ("macro_module", "mod_macro.c"),
    ("rewrite_module", "mod_rewrite.c"),
    ("reqtimeout_module", "mod_reqtimeout.c"),
    ("setenvif_module", "mod_setenvif.c"),
    ("headers_module", "mod_headers.c"),
    ("expires_module", "mod_expires.c"),
    ("mime_module", "mod_mime.c"),
    ("dir_module", "mod_dir.c"),
    ("filter_module", "mod_filter.c"),
    ("deflate_module", "mod_deflate.c"),
    ("brotli_module", "mod_brotli.c"),
    ("remoteip_module", "mod_remoteip.c"),
    ("ssl_module", "mod_ssl.c"),
];

/// What a message says of a section that does not hold.
pub const PASSED_OVER: &str = "does not hold, so it is passed over";

/// The Apache version we stand for in `<IfVersion>`.
const VERSION: [u32; 3] = [2, 4, 62];

/// Returns true if a module counts as loaded, by either of its names. All modules that guard access do: a rule that is not
/// built yet closes its scope, while a rule that is skipped would leave it open.
fn has_module(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let bare = lower.strip_prefix("mod_").unwrap_or(&lower);
    if bare.starts_with("auth") || bare.starts_with("access_compat") {
        return true;
    }
    MODULES.iter().any(|(a, b)| name.eq_ignore_ascii_case(a) || name.eq_ignore_ascii_case(b))
}

/// Whether a conditional section asks for a module to be there.
pub(super) fn asks_for_module(name: &Word, arguments: &[Glyph]) -> bool {
    name.text.eq_ignore_ascii_case("ifmodule") && arguments.first().is_some_and(|glyph| glyph.0 != '!')
}

/// Whether a line brings requests in, or other lines: its absence is missed.
fn is_missed(line: &[Glyph]) -> bool {
    let lower: String = line.iter().map(|g| g.0.to_ascii_lowercase()).take(80).collect();
    let name = lower.split(char::is_whitespace).next().unwrap_or_default();
    matches!(
        name,
        "<virtualhost"
            | "listen"
            | "alias"
            | "aliasmatch"
            | "documentroot"
            | "include"
            | "includeoptional"
            | "use"
    ) || name.starts_with("wsgi")
}

impl Parser<'_> {
    /// Says that a conditional section was passed over, where something in it is missed.
    pub(super) fn note_passed(&mut self, name: &Word, arguments: &[Glyph], passed: &VecDeque<Vec<Glyph>>) {
        let Some(missed) = passed.iter().find(|line| is_missed(line)) else { return };
        let first: String = missed.iter().map(|g| g.0).take_while(|c| !c.is_whitespace()).collect();
        let first = first.trim_start_matches('<');
        let of: String = arguments.iter().map(|g| g.0).collect();
        let line = missed.first().map_or(0, |glyph| glyph.1.line);
        let section = format!("<{} {of}>", name.text);
        let message = format!("{section} {PASSED_OVER}, with {first} on line {line}");
        let complaint = Complaint::note(message).at(name);
        self.journal.say(complaint.hint(match name.text.to_ascii_lowercase().as_str() {
            "ifdefine" => "-D NAME on the command line defines a name".to_owned(),
            _ => "move what counts here out of the section".to_owned(),
        }));
    }

    /// Whether the content of a conditional section counts; `None`: the section is no condition.
    pub(super) fn condition(&mut self, name: &Word, arguments: &[Glyph]) -> Option<bool> {
        let lower = name.text.to_ascii_lowercase();
        if !matches!(
            lower.as_str(),
            "ifmodule" | "ifdefine" | "ifversion" | "iffile" | "ifdirective" | "ifsection"
        ) {
            return None;
        }
        let words = self.cut(arguments)?;
        let texts: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
        let (not, bare) = match texts.as_slice() {
            [one] => one.strip_prefix('!').map_or((false, *one), |bare| (true, bare)),
            _ => (false, ""),
        };
        let holds = match (lower.as_str(), texts.as_slice()) {
            ("ifversion", [version]) => compare("=", version),
            ("ifversion", [operator, version]) => compare(operator, version),
            ("ifmodule", [_]) => Some(has_module(bare) != not),
            ("ifdefine", [_]) => Some(self.defines.contains_key(bare) != not),
            ("ifdirective", [_]) => Some(directives::find(bare).is_some() != not),
            ("ifsection", [_]) => Some(directives::find(&format!("<{bare}>")).is_some() != not),
            ("iffile", [_]) => Some(self.source.exists(&self.base.join(bare)) != not),
            _ => None,
        };
        if holds.is_none() {
            let expected = match lower.as_str() {
                "ifversion" => "<IfVersion> takes a comparison such as `>= 2.4`",
                "ifmodule" => "<IfModule> takes one module name, with `!` in front for its absence",
                "ifdefine" => "<IfDefine> takes one name, with `!` in front for its absence",
                "ifdirective" => {
                    "<IfDirective> takes the name of a directive, with `!` in front for its absence"
                }
                "ifsection" => "<IfSection> takes the name of a section, with `!` in front for its absence",
                _ => "<IfFile> takes one path, with `!` in front for its absence",
            };
            let place = words.first().unwrap_or(name);
            self.journal.say(Complaint::error(expected).at(place));
        }
        Some(holds.unwrap_or(false))
    }
}

/// Compares our version; `None` if the operator or the version is not understood.
fn compare(operator: &str, version: &str) -> Option<bool> {
    let (not, operator) = operator.strip_prefix('!').map_or((false, operator), |o| (true, o));
    let ours = VERSION.map(|n| n.to_string()).join(".");
    let pattern = version.strip_prefix('/').and_then(|v| v.strip_suffix('/'));
    let holds = match (operator, pattern) {
        ("~", pattern) => regex::Regex::new(pattern.unwrap_or(version)).ok()?.is_match(&ours),
        ("=" | "==", Some(pattern)) => regex::Regex::new(pattern).ok()?.is_match(&ours),
        (_, _) => {
            let mut parts = [0u32; 3];
            for (index, part) in version.split('.').enumerate() {
                *parts.get_mut(index)? = part.parse().ok()?;
            }
            let order = VERSION.cmp(&parts);
            match operator {
                "=" | "==" => order == Ordering::Equal,
                ">" => order == Ordering::Greater,
                "<" => order == Ordering::Less,
                ">=" => order != Ordering::Less,
                "<=" => order != Ordering::Greater,
                _ => return None,
            }
        }
    };
    Some(holds != not)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(compare(">=", "2.4"), Some(true));
        assert_eq!(compare("<", "2.4.0"), Some(false));
        assert_eq!(compare("!<", "2.4.0"), Some(true));
        assert_eq!(compare("~", "^2\\.4"), Some(true));
        assert_eq!(compare("=", "/^2.2/"), Some(false));
        assert_eq!(compare("is", "2.4"), None);
        assert_eq!(compare(">", "two"), None);
    }

    #[test]
    fn modules_go_by_both_names() {
        assert!(has_module("mod_wsgi.c") && has_module("WSGI_module"));
        assert!(has_module("mod_macro.c") && !has_module("php5_module"));
    }
}
