//! What responses are: media types and entity tags of files, expiry and charset.

use super::{at, rules, texts};
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::directives::mapping::handlers::{add_handler, set_handler};
use crate::token::Word;
use crate::values;
use gk_rules::content::expires::Expiry;
use gk_rules::content::files::{FileRules, TagParts};
use gk_rules::content::types;

const ANY: Contexts = Contexts::ANY.or(Contexts::HTACCESS);
const ONE: Arity = Arity::exactly(1);
const PAIRS: Arity = Arity::at_least(2);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("AddType", "media-type extension …", ANY, PAIRS, add_type)
        .doc("The media type of files by extension, in addition to the built-in types. Every extension of a name counts, the last \
              one most; an unknown extension cancels those before it. `application/x-httpd-wsgi` and similar types are handlers by \
              another name."),
    Directive::honoured("RemoveType", "extension …", ANY, Arity::at_least(1), remove_type)
        .doc("Removes the media type of extensions, including built-in ones."),
    Directive::honoured("ForceType", "media-type|none", ANY, ONE, force_type)
        .doc("The media type of all files here, whatever their names."),
    Directive::honoured("AddCharset", "charset extension …", ANY, PAIRS, add_charset)
        .doc("The charset of files by extension."),
    Directive::honoured("AddEncoding", "encoding extension …", ANY, PAIRS, add_encoding)
        .doc("`Content-Encoding` of files by extension: the file is sent as it is, and the client decodes it."),
    Directive::honoured("AddLanguage", "language extension …", ANY, PAIRS, add_language)
        .doc("`Content-Language` of files by extension. Nothing is negotiated."),
    Directive::honoured("AddDefaultCharset", "On|Off|charset", ANY, ONE, add_default_charset)
        .default("Off; built-in types of text files name utf-8")
        .doc("The charset of HTML and plain text that name none, of files and of the application's responses. `On` is iso-8859-1."),
    Directive::honoured("FallbackResource", "url-path|disabled", ANY, ONE, fallback_resource)
        .doc("The path on this server that answers if a file is missing; the query is kept."),
    Directive::honoured("FileETag", "INode|MTime|Size|All|None …", ANY, Arity::at_least(1), file_etag)
        .default("MTime Size")
        .doc("The parts of a file that its `ETag` is made of; with `+` or `-` in front they change the outer choice. Clients ask with \
              `If-None-Match`, `If-Match` and `If-Range`."),
    Directive::honoured("ExpiresActive", "On|Off", ANY, ONE, expires_active)
        .default("Off")
        .doc("Lets ExpiresByType and ExpiresDefault add `Expires` and `Cache-Control: max-age` to responses. A response that already \
              has `Expires` keeps it, and errors get none."),
    Directive::honoured("ExpiresByType", "media-type expiry", ANY, Arity::exactly(2), expires_by_type)
        .doc("The expiry of a media type, or with `image/*` of a kind: `\"access plus 1 month 2 days\"`, `\"modification plus 1 hour\"`, `A3600`, \
              `M3600`."),
    Directive::honoured("ExpiresDefault", "expiry", ANY, ONE, expires_default)
        .doc("The expiry of media types without a matching ExpiresByType."),
];

fn files<'a>(scope: &'a mut Scope) -> &'a mut FileRules {
    &mut rules(scope).content.files
}

fn pairs(words: &[Word]) -> Result<Vec<(String, String)>, Complaint> {
    types::parse(&texts(words)).map_err(at(words))
}

fn add_type(scope: &mut Scope, words: &[Word]) -> Applied {
    if is_handler(&words[0]) {
        return add_handler(scope, words);
    }
    files(scope).types.types.extend(pairs(words)?);
    Ok(())
}

/// Types such as `application/x-httpd-php` are no types but handlers by another name: what has one is never served as it is.
fn is_handler(word: &Word) -> bool {
    word.text.to_ascii_lowercase().starts_with("application/x-httpd-")
}

fn remove_type(scope: &mut Scope, words: &[Word]) -> Applied {
    let removed = words.iter().map(|word| (types::extension(&word.text), String::new()));
    files(scope).types.types.extend(removed);
    Ok(())
}

fn force_type(scope: &mut Scope, words: &[Word]) -> Applied {
    if is_handler(&words[0]) {
        return set_handler(scope, words);
    }
    let none = words[0].text.eq_ignore_ascii_case("none");
    files(scope).types.force = Some(if none { String::new() } else { words[0].text.clone() });
    Ok(())
}

fn add_charset(scope: &mut Scope, words: &[Word]) -> Applied {
    files(scope).types.charsets.extend(pairs(words)?);
    Ok(())
}

fn add_encoding(scope: &mut Scope, words: &[Word]) -> Applied {
    files(scope).types.encodings.extend(pairs(words)?);
    Ok(())
}

fn add_language(scope: &mut Scope, words: &[Word]) -> Applied {
    files(scope).types.languages.extend(pairs(words)?);
    Ok(())
}

fn add_default_charset(scope: &mut Scope, words: &[Word]) -> Applied {
    let charset = match &*words[0].text.to_ascii_lowercase() {
        "off" => String::new(),
        "on" => "iso-8859-1".to_owned(),
        _ => words[0].text.clone(),
    };
    rules(scope).content.charset = Some(charset);
    Ok(())
}

fn fallback_resource(scope: &mut Scope, words: &[Word]) -> Applied {
    let text = words[0].text.as_str();
    let disabled = text.eq_ignore_ascii_case("disabled");
    if !disabled && !text.starts_with('/') {
        let message =
            format!("FallbackResource takes a path of this server that begins with a slash, not `{text}`");
        return Err(Complaint::error(message).at(&words[0]));
    }
    files(scope).fallback = Some(if disabled { String::new() } else { text.to_owned() });
    Ok(())
}

fn file_etag(scope: &mut Scope, words: &[Word]) -> Applied {
    let outer = files(scope).tag;
    files(scope).tag = Some(TagParts::parse(&texts(words), outer).map_err(at(words))?);
    Ok(())
}

fn expires_active(scope: &mut Scope, words: &[Word]) -> Applied {
    let on = values::switch(scope.name, &words[0], &words[0].text)?;
    rules(scope).content.expires.active = Some(on);
    Ok(())
}

fn expiry(words: &[Word], index: usize) -> Result<Expiry, Complaint> {
    let word = &words[index..=index];
    Expiry::parse(&words[index].text).map_err(|mistake| at(word)(mistake.at(0)))
}

fn expires_by_type(scope: &mut Scope, words: &[Word]) -> Applied {
    let expiry = expiry(words, 1)?;
    rules(scope).content.expires.by_type.insert(words[0].text.to_ascii_lowercase(), expiry);
    Ok(())
}

fn expires_default(scope: &mut Scope, words: &[Word]) -> Applied {
    rules(scope).content.expires.standard = Some(expiry(words, 0)?);
    Ok(())
}
